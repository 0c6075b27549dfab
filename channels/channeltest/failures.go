package channeltest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// during calls f with a context that ends while f is under way, and returns what f
// returned, and an error if that took too long.
func during(ctx context.Context, f func(ctx context.Context) error) (err, wrong error) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	return within(ctx, f)
}

// within calls f and returns what it returned; wrong tells that it was not back
// soon after ctx was done.
func within(ctx context.Context, f func(ctx context.Context) error) (err, wrong error) {
	back := make(chan error, 1)
	go func() { back <- f(ctx) }()
	select {
	case err := <-back:
		return err, nil
	case <-ctx.Done():
	}
	late := time.NewTimer(soon)
	defer late.Stop()
	select {
	case err := <-back:
		return err, nil
	case <-late.C:
		return nil, fmt.Errorf("it is not back %s after its context was done", soon)
	}
}

// endsWithContext is a context that is done before the call.
func endsWithContext(send sender) run {
	return func(ctx context.Context, h Harness) error {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		err, wrong := within(ctx, func(ctx context.Context) error {
			_, err := send(ctx, h, 1)
			return err
		})
		return errors.Join(wrong, contextError(err, context.Canceled), secretInError(err, h.Secrets))
	}
}

// contextError checks the error of a call whose context was done.
func contextError(err, want error) error {
	switch {
	case err == nil:
		return errors.New("there is no error although the context was done")
	case !errors.Is(err, want):
		return fmt.Errorf("the error does not wrap that of the context: %w", err)
	case signalbox.IsPermanent(err):
		return fmt.Errorf("the error is permanent: %w", err)
	}
	return nil
}

func hanging(send sender) run {
	return func(ctx context.Context, h Harness) error {
		if err := behave(h, Hangs); err != nil {
			return err
		}
		err, wrong := during(ctx, func(ctx context.Context) error {
			_, err := send(ctx, h, 1)
			return err
		})
		if err := errors.Join(wrong, contextError(err, context.DeadlineExceeded), secretInError(err, h.Secrets)); err != nil {
			return err
		}
		if checker, ok := h.Channel.(channels.Checker); ok {
			err, wrong := during(ctx, checker.Check)
			if err := errors.Join(wrong, contextError(err, context.DeadlineExceeded), secretInError(err, h.Secrets)); err != nil {
				return fmt.Errorf("check: %w", err)
			}
		}
		return recovers(ctx, h, send)
	}
}

// recovers checks that a provider that works again is worked with again.
func recovers(ctx context.Context, h Harness, send sender) error {
	if err := behave(h, Works); err != nil {
		return err
	}
	if _, err := must(attempt(ctx, h, send, 99)); err != nil {
		return fmt.Errorf("the provider works again: %w", err)
	}
	return arrived(h, 99)
}

// failing is a failure that passes by itself.
func failing(b Behaviour, send sender) run {
	return func(ctx context.Context, h Harness) error {
		if err := behave(h, b); err != nil {
			return err
		}
		_, err, wrong := attempt(ctx, h, send, 1)
		_, _, suppressed := channels.AsSuppressed(err)
		switch {
		case wrong != nil:
			return wrong
		case err == nil:
			return fmt.Errorf("the provider %s, and there is no error", b)
		case signalbox.IsPermanent(err), suppressed:
			return fmt.Errorf("the provider %s, which passes, but the error gives up: %w", b, err)
		}
		return recovers(ctx, h, send)
	}
}

func refusing(send sender) run {
	return func(ctx context.Context, h Harness) error {
		if err := behave(h, RefusesTarget); err != nil {
			return err
		}
		_, err, wrong := attempt(ctx, h, send, 1)
		switch {
		case wrong != nil:
			return wrong
		case err == nil:
			return errors.New("there is no error")
		case !signalbox.IsPermanent(err):
			return fmt.Errorf("the error is not permanent: %w", err)
		}
		return recovers(ctx, h, send)
	}
}

func refusingCredentials(send sender) run {
	return func(ctx context.Context, h Harness) error {
		if err := behave(h, RefusesCredentials); err != nil {
			return err
		}
		_, err, wrong := attempt(ctx, h, send, 1)
		if err == nil {
			wrong = errors.Join(wrong, errors.New("there is no error"))
		}
		return wrong
	}
}

func limiting(send sender) run {
	return func(ctx context.Context, h Harness) error {
		if err := behave(h, RateLimits); err != nil {
			return err
		}
		_, err, wrong := attempt(ctx, h, send, 1)
		after, _, limited := channels.AsLimited(err)
		switch {
		case wrong != nil:
			return wrong
		case err == nil:
			return errors.New("there is no error")
		case signalbox.IsPermanent(err):
			return fmt.Errorf("the error is permanent: %w", err)
		case !limited:
			return fmt.Errorf("the error asks for no pause: %w", err)
		case after < h.RetryAfter || after > 2*h.RetryAfter+time.Second:
			return fmt.Errorf("the error asks for a pause of %s instead of %s", after, h.RetryAfter)
		}
		return recovers(ctx, h, send)
	}
}

func checksItself(ctx context.Context, h Harness) error {
	checker, ok := h.Channel.(channels.Checker)
	if !ok {
		return nil
	}
	if err := checker.Check(ctx); err != nil {
		return errors.Join(fmt.Errorf("check: %w", err), secretInError(err, h.Secrets))
	}
	if got := len(h.Received()); got != 0 {
		return fmt.Errorf("check sent %d messages", got)
	}
	for _, b := range []Behaviour{RefusesCredentials, Unreachable, Fails} {
		if !h.Behave(b) {
			continue
		}
		err := checker.Check(ctx)
		if err == nil {
			return fmt.Errorf("the provider %s, and check finds nothing", b)
		}
		if wrong := secretInError(err, h.Secrets); wrong != nil {
			return wrong
		}
	}
	return nil
}
