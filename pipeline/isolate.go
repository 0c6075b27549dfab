package pipeline

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/signalbox/signalbox"
)

// isolation runs foreign code so that its panics, failures and hangs stay with
// the item it was given.
type isolation struct {
	name string
	// slots bounds the calls that somebody waits for.
	slots chan struct{}
	// stuck counts the calls that were given up and have not returned: a
	// processor that ignores its context must not pile up goroutines.
	stuck atomic.Int64
}

const (
	// concurrency is how many calls of one processor run at a time.
	concurrency = 32
	// maxStuck is how many calls may hang before no more are made.
	maxStuck = 1000
)

func newIsolation(name string) *isolation {
	return &isolation{name: name, slots: make(chan struct{}, concurrency)}
}

// call runs fn and returns its error, a panic as an error, or ErrPatience when
// ctx ends first. In the last case fn may still be running: it must work on
// values of its own, and its result is void. That there is no room for a call is
// nobody's fault, and transient.
func (i *isolation) call(ctx context.Context, fn func() error) error {
	select {
	case i.slots <- struct{}{}:
	default:
		select {
		case i.slots <- struct{}{}:
		case <-ctx.Done():
			return signalbox.Transient(fmt.Errorf("%s: busy: %d calls are under way", i.name, concurrency))
		}
	}
	defer func() { <-i.slots }()
	if ctx.Err() != nil { // earlier processors used the time up
		return fmt.Errorf("%s: %w", i.name, signalbox.ErrPatience)
	}
	if n := i.stuck.Load(); n >= maxStuck {
		return signalbox.Transient(fmt.Errorf("%s: %d calls have not returned although their time was up", i.name, n))
	}
	var over atomic.Bool // the call has ended, or was given up
	done := make(chan error, 1)
	go func() {
		err := i.guarded(fn)
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
	if !over.CompareAndSwap(false, true) {
		return <-done // it ended just now: the result counts
	}
	i.stuck.Add(1)
	return fmt.Errorf("%s: %w", i.name, signalbox.ErrPatience)
}

// guarded runs fn and names the processor in its error.
func (i *isolation) guarded(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", i.name, r, debug.Stack())
		}
	}()
	if err := fn(); err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	return nil
}

// each runs fn for all n indices at once, as far as the slots go, and returns
// when all are through or given up.
func (i *isolation) each(ctx context.Context, n int, fn func(ctx context.Context, index int)) {
	var wait sync.WaitGroup
	limit := make(chan struct{}, concurrency)
	for index := range n {
		limit <- struct{}{}
		wait.Go(func() {
			defer func() { <-limit }()
			fn(ctx, index)
		})
	}
	wait.Wait()
}

// patient returns a context that ends with the batch's deadline.
func patient(ctx context.Context, batch *signalbox.Batch) (context.Context, context.CancelFunc) {
	if !batch.Deadline.IsZero() {
		return context.WithDeadline(ctx, batch.Deadline)
	}
	return context.WithCancel(ctx)
}
