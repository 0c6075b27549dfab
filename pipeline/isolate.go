package pipeline

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/signalbox/signalbox"
)

// isolation runs foreign code so that its panics, failures and hangs stay with
// the item it was given.
type isolation struct {
	name string
	// slots bounds the calls under way, those that were given up but have not
	// returned included: a processor that never returns cannot pile up
	// goroutines.
	slots chan struct{}
}

// concurrency is how many calls of one processor run at a time.
const concurrency = 32

func newIsolation(name string) *isolation {
	return &isolation{name: name, slots: make(chan struct{}, concurrency)}
}

// call runs fn and returns its error, a panic as an error, or ErrPatience when
// ctx ends first. In the last case fn may still be running: it must work on
// values of its own, and its result is void.
func (i *isolation) call(ctx context.Context, fn func() error) error {
	select {
	case i.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", i.name, signalbox.ErrPatience)
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-i.slots }()
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("%s: panic: %v\n%s", i.name, r, debug.Stack())
			}
		}()
		if err := fn(); err != nil {
			done <- fmt.Errorf("%s: %w", i.name, err)
			return
		}
		done <- nil
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		select {
		case err := <-done: // both were ready: the result counts
			return err
		default:
			return fmt.Errorf("%s: %w", i.name, signalbox.ErrPatience)
		}
	}
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
