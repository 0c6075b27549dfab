package channeltest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

const (
	// soon is how long a call may go on after its context is done.
	soon = 2 * time.Second
	// patience is how long a call may take that nothing keeps from answering.
	patience = 30 * time.Second
	// parallel is how many deliveries are under way at a time.
	parallel = 32
)

// Run holds the channels that makeHarness returns to the contract.
func Run(t *testing.T, makeHarness Make) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			h := makeHarness(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := c.run(ctx, h)
			if h.Logs != nil {
				err = errors.Join(err, secretIn("the log", h.Logs(), h.Secrets))
			}
			switch {
			case errors.Is(err, errCannot), errors.Is(err, errNoDigests):
				t.Skip(err)
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// check is one promise.
type check struct {
	name string
	run  run
}

// run returns what is wrong.
type run func(ctx context.Context, h Harness) error

// errCannot is that the provider cannot behave as the check needs it.
var errCannot = errors.New("no provider of this kind behaves so")

func checks() []check {
	all := []check{
		{"name", name},
		{"limits", limits},
		{"audiences", audiences},
		{"delivers", delivers},
		{"delivers again", deliversAgain},
		{"delivers everything valid", deliversExtremes},
		{"delivers concurrently", deliversConcurrently},
		{"resolves", resolves},
		{"checks itself", checksItself},
		{"digest", digests},
		{"digest again", digestsAgain},
		{"digest of everything valid", digestsExtremes},
		{"digest of the largest size", digestsLargest},
	}
	all = append(all, adversities("", one)...)
	return append(all, adversities("digest: ", asDigest)...)
}

// adversities are the checks that hold for whatever is sent.
func adversities(prefix string, send sender) []check {
	return []check{
		{prefix + "is done when the context is", endsWithContext(send)},
		{prefix + "provider hangs", hanging(send)},
		{prefix + "provider fails", failing(Fails, send)},
		{prefix + "provider cuts the connection", failing(Cuts, send)},
		{prefix + "provider is unreachable", failing(Unreachable, send)},
		{prefix + "provider refuses the target", refusing(send)},
		{prefix + "provider refuses the credentials", refusingCredentials(send)},
		{prefix + "provider limits the rate", limiting(send)},
	}
}

// sender makes one attempt to send what has [Title] n in it.
type sender func(ctx context.Context, h Harness, n int) (channels.Sent, error)

// one sends the nth delivery.
func one(ctx context.Context, h Harness, n int) (channels.Sent, error) {
	return h.Channel.Deliver(ctx, delivery(h, n))
}

// behave is h.Behave with an error.
func behave(h Harness, b Behaviour) error {
	if !h.Behave(b) {
		return fmt.Errorf("the provider %s: %w", b, errCannot)
	}
	return nil
}

func delivery(h Harness, n int) channels.Delivery { return h.Delivery(NewDelivery(n)) }

// attempt sends, and looks for secrets in what comes back.
func attempt(ctx context.Context, h Harness, send sender, n int) (sent channels.Sent, err, wrong error) {
	sent, err = send(ctx, h, n)
	if errors.Is(err, errNoDigests) {
		return sent, err, err
	}
	wrong = errors.Join(
		secretInError(err, h.Secrets),
		secretIn("what was sent", sent.ID+"\n"+sent.Reply+"\n"+sent.State, h.Secrets),
	)
	if len(sent.State) > 4<<10 {
		wrong = errors.Join(wrong, fmt.Errorf("the state has %d bytes, more than 4 KiB", len(sent.State)))
	}
	return sent, err, wrong
}

// must takes what attempt returns for what must arrive.
func must(sent channels.Sent, err, wrong error) (channels.Sent, error) {
	if err != nil {
		wrong = errors.Join(fmt.Errorf("deliver: %w", err), wrong)
	}
	return sent, wrong
}

// mustDeliver delivers what must arrive.
func mustDeliver(ctx context.Context, h Harness, d channels.Delivery) (channels.Sent, error) {
	sent, err := must(attempt(ctx, h, func(ctx context.Context, h Harness, _ int) (channels.Sent, error) {
		return h.Channel.Deliver(ctx, d)
	}, 0))
	if err != nil {
		err = fmt.Errorf("%q: %w", d.Notification.Payload.Title, err)
	}
	return sent, err
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

func name(_ context.Context, h Harness) error {
	first := h.Channel.Name()
	switch {
	case !validName.MatchString(first):
		return fmt.Errorf("the name %q does not match %s", first, validName)
	case strings.EqualFold(first, signalbox.ChannelWeb):
		return fmt.Errorf("the name %q is taken", first)
	case h.Channel.Name() != first:
		return errors.New("the name changes")
	}
	return secretIn("the name", first, h.Secrets)
}

func limits(_ context.Context, h Harness) error {
	limited, ok := h.Channel.(channels.Limited)
	if !ok {
		return nil
	}
	l := limited.Limits()
	if l.Concurrency < 0 || l.Concurrency > 64 {
		return fmt.Errorf("concurrency is %d, not between 0 (the default) and 64", l.Concurrency)
	}
	for what, r := range map[string]channels.Rate{"PerChannel": l.PerChannel, "PerTarget": l.PerTarget} {
		if r.Every < 0 || r.Burst < 0 || r.Every == 0 && r.Burst > 0 {
			return fmt.Errorf("%s is %+v", what, r)
		}
	}
	if l.Timeout < 0 {
		return fmt.Errorf("the timeout is %s", l.Timeout)
	}
	return nil
}

func audiences(_ context.Context, h Harness) error {
	selector, ok := h.Channel.(channels.Selector)
	if !ok {
		return nil
	}
	for _, audience := range []signalbox.Audience{"", signalbox.Everyone, "user:default/jane", "group:default/team", "component:default/api", "junk"} {
		for _, named := range []bool{false, true} {
			if first := selector.Takes(audience, named); first != selector.Takes(audience, named) {
				return fmt.Errorf("it cannot decide whether it takes %q", audience)
			}
		}
	}
	d := delivery(h, 0)
	if !selector.Takes(d.Audience, d.Named) {
		return fmt.Errorf("it does not take %q, to whom the harness delivers", d.Audience)
	}
	return nil
}

// arrived checks that the titles of these deliveries reached the provider.
func arrived(h Harness, numbers ...int) error {
	received := strings.Join(h.Received(), "\n")
	var missing []string
	for _, n := range numbers {
		if !strings.Contains(received, Title(n)) {
			missing = append(missing, Title(n))
		}
	}
	if missing != nil {
		return fmt.Errorf("%d of %d did not arrive: %q", len(missing), len(numbers), missing)
	}
	return nil
}

func delivers(ctx context.Context, h Harness) error {
	if got := len(h.Received()); got != 0 {
		return fmt.Errorf("the provider already has %d messages", got)
	}
	if _, err := mustDeliver(ctx, h, delivery(h, 1)); err != nil {
		return err
	}
	if got := len(h.Received()); got != 1 {
		return fmt.Errorf("the provider took %d messages instead of 1", got)
	}
	return arrived(h, 1)
}

// deliversAgain is what happens after a crash, and to a scope.
func deliversAgain(ctx context.Context, h Harness) error {
	d := delivery(h, 1)
	d.Notification.Payload.Scope = "scope"
	sent, err := mustDeliver(ctx, h, d)
	if err != nil {
		return err
	}
	d.Attempt = 2
	if _, err := mustDeliver(ctx, h, d); err != nil {
		return fmt.Errorf("the same again: %w", err)
	}
	for n, state := range []string{sent.State, "", "{}", "null", "of another version \x00", `{"v":99,"list":[1]}`} {
		d := delivery(h, 2+n)
		d.Notification.Payload.Scope = "scope"
		d.Notification.Updated = d.Notification.Created.Add(time.Minute)
		d.Previous = &channels.Sent{ID: sent.ID, State: state}
		if _, err := mustDeliver(ctx, h, d); err != nil {
			return fmt.Errorf("with the previous state %q: %w", state, err)
		}
		if err := arrived(h, 2+n); err != nil {
			return fmt.Errorf("with the previous state %q: %w", state, err)
		}
	}
	return nil
}

func deliversConcurrently(ctx context.Context, h Harness) error {
	numbers, wrong := make([]int, parallel), make([]error, parallel)
	var group sync.WaitGroup
	for n := range parallel {
		numbers[n] = n
		group.Go(func() { _, wrong[n] = mustDeliver(ctx, h, delivery(h, n)) })
	}
	group.Wait()
	return errors.Join(errors.Join(wrong...), arrived(h, numbers...))
}

func resolves(ctx context.Context, h Harness) error {
	resolver, ok := h.Channel.(channels.Resolver)
	if !ok {
		return nil
	}
	d := delivery(h, 1)
	found := false
	cursor := ""
	for range 10_000 {
		targets, err := resolver.Resolve(ctx, d, cursor)
		if err != nil {
			return errors.Join(fmt.Errorf("resolve: %w", err), secretInError(err, h.Secrets))
		}
		if len(targets.Targets) > channels.MaxTargets {
			return fmt.Errorf("%d targets at a time, more than %d", len(targets.Targets), channels.MaxTargets)
		}
		for _, target := range targets.Targets {
			if target.Address == "" {
				return errors.New("a target has no address")
			}
			found = found || target.Address == d.Target.Address
		}
		if cursor = targets.Next; cursor == "" {
			break
		}
	}
	switch {
	case cursor != "":
		return errors.New("the list of targets has no end")
	case !found:
		return fmt.Errorf("%q is not among the targets", d.Target.Address)
	}
	return nil
}
