package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// lifecycle stops what was started, in reverse order, each step by its name.
type lifecycle struct {
	log   *slog.Logger
	steps []step
}

type step struct {
	name string
	stop func(ctx context.Context) error
}

// add registers how to stop what was just started.
func (l *lifecycle) add(name string, stop func(ctx context.Context) error) {
	l.steps = append(l.steps, step{name, stop})
}

// stop runs all steps, last first. A step that fails or exceeds the timeout does
// not keep the others from running. While a step takes long it is said which.
func (l *lifecycle) stop(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for i := len(l.steps) - 1; i >= 0; i-- {
		if err := l.run(ctx, l.steps[i]); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", l.steps[i].name, err))
		}
	}
	l.steps = nil
	return errors.Join(errs...)
}

// sayAfter is how long a step may take before it is mentioned.
const sayAfter = time.Second

func (l *lifecycle) run(ctx context.Context, s step) error {
	begun := time.Now()
	done := make(chan error, 1)
	var wait sync.WaitGroup
	wait.Go(func() { done <- s.stop(ctx) })
	ticker := time.NewTicker(sayAfter)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			wait.Wait()
			l.log.Debug("stopped", "part", s.name, "took", time.Since(begun).Round(time.Millisecond))
			return err
		case <-ticker.C:
			l.log.Info("still stopping", "waiting for", s.name, "since", time.Since(begun).Round(time.Second))
		case <-ctx.Done():
			select {
			case err := <-done:
				return err
			case <-time.After(sayAfter): // a last moment for those who watch ctx
				return ctx.Err()
			}
		}
	}
}
