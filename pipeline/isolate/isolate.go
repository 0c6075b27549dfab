package isolate

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox"
)

// ErrLate is the error of a call that did not return in time.
var ErrLate = errors.New("it took too long, and it is not known whether it had an effect")

// ErrStuck is why no call is made. It is nobody's fault who asks for one.
var ErrStuck = signalbox.Transient(errors.New("too many calls have not returned although their time was up"))

// Isolation makes the calls of one processor or channel. It is safe for concurrent
// use.
type Isolation struct {
	max      int64
	lateness time.Duration
	// stuck counts the calls that were given up and have not returned: one that
	// ignores its context must not pile up goroutines.
	stuck atomic.Int64
}

// New makes an isolation. limit is how many calls may hang before no more are made,
// lateness how long a call may go on after its context ended, so that its own result
// counts.
func New(limit int, lateness time.Duration) *Isolation {
	return &Isolation{max: int64(limit), lateness: lateness}
}

// Full reports whether no more calls can be made.
func (i *Isolation) Full() bool { return i.stuck.Load() >= i.max }

// Call runs fn and returns its error, a panic as a [signalbox.PanicError], or
// [ErrLate] when ctx ended and fn did not return soon after. In the last case fn may
// still be running: it must work on values of its own, and its result is void.
func (i *Isolation) Call(ctx context.Context, fn func() error) error {
	if i.Full() {
		return ErrStuck
	}
	var over atomic.Bool // the call has ended, or was given up
	done := make(chan error, 1)
	go func() {
		err := signalbox.Guard(fn)
		if !over.CompareAndSwap(false, true) {
			i.stuck.Add(-1)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if i.lateness > 0 {
		late := time.NewTimer(i.lateness)
		defer late.Stop()
		select {
		case err := <-done:
			return err
		case <-late.C:
		}
	}
	i.stuck.Add(1) // before it is given up, or fn could count itself out first
	if !over.CompareAndSwap(false, true) {
		i.stuck.Add(-1)
		return <-done // it ended just now: the result counts
	}
	return ErrLate
}

// Attrs are what a log says of an error: the error, and the stack of a panic.
func Attrs(err error) []slog.Attr {
	attrs := []slog.Attr{slog.Any("error", err)}
	if p := (*signalbox.PanicError)(nil); errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	return attrs
}
