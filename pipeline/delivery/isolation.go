package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox"
)

// isolation calls foreign code so that its panics and hangs stay with the
// delivery at hand.
type isolation struct {
	// stuck counts the calls that were given up and have not returned: one that
	// ignores its context must not pile up goroutines.
	stuck atomic.Int64
}

const (
	// maxStuck is how many calls of a consumer may hang before no more are made.
	maxStuck = 64
	// lateness is how long a call may go on after its context ended, so that its
	// own result counts: what was sent after all is not sent again.
	lateness = time.Second
)

// errLate is the error of a call that did not return in time.
var errLate = errors.New("it took too long, and it is not known whether it had an effect")

// errStuck is why no call is made.
var errStuck = errors.New("too many calls have not returned although their time was up")

// panicError is a panic of foreign code.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// full reports whether no more calls can be made.
func (i *isolation) full() bool { return i.stuck.Load() >= maxStuck }

// call runs fn and returns its error, a panic as an error, or errLate when ctx
// ended and fn did not return soon after. In the last case fn may still be
// running: it must work on values of its own, and its result is void.
func (i *isolation) call(ctx context.Context, fn func() error) error {
	if i.full() { // it became so just now
		return signalbox.Transient(errStuck)
	}
	var over atomic.Bool // the call has ended, or was given up
	done := make(chan error, 1)
	go func() {
		err := guarded(fn)
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
	late := time.NewTimer(lateness)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
	}
	i.stuck.Add(1) // before it is given up, or fn could count itself out first
	if !over.CompareAndSwap(false, true) {
		i.stuck.Add(-1)
		return <-done // it ended just now: the result counts
	}
	return errLate
}

// guarded turns a panic of fn into an error.
func guarded(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{r, debug.Stack()}
		}
	}()
	return fn()
}
