package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/isolate"
)

// isolation runs foreign code so that its panics, failures and hangs stay with
// the item it was given.
type isolation struct {
	name string
	// slots bounds the calls that somebody waits for.
	slots chan struct{}
	calls *isolate.Isolation
}

const (
	// concurrency is how many calls of one processor run at a time.
	concurrency = 32
	// maxStuck is how many calls may hang before no more are made.
	maxStuck = 1000
)

func newIsolation(name string) *isolation {
	return &isolation{name: name, slots: make(chan struct{}, concurrency), calls: isolate.New(maxStuck, 0)}
}

// call runs fn and returns its error, a panic as an error, or ErrPatience when
// ctx ends first. In the last case fn may still be running: it must work on
// values of its own, and its result is void. That there is no room for a call is
// nobody's fault, and transient. The errors name the processor.
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
	err := i.calls.Call(ctx, fn)
	if errors.Is(err, isolate.ErrLate) {
		err = signalbox.ErrPatience
	}
	if err != nil {
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
