package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// testFlags are those of test.
type testFlags struct {
	configFlags

	to      string
	timeout time.Duration
}

func newChannelsTest(e *extras) *cobra.Command {
	var f testFlags
	c := &cobra.Command{
		Use:   "test NAME --to TARGET [flags]",
		Short: "Send a test notification by one channel",
		Long: `Test checks a channel's credentials, finds out where TARGET is, and sends one
notification there, without queue, settings or filters. TARGET is the reference of a
user or another entity, or an address in the channel's own terms. Where it stands for
several places, the first gets it.

Exit codes: 0 sent; 1 failure; 2 it cannot work like this: the configuration or the
target is wrong; 4 the provider cannot be reached, or wants to be asked later.`,
		Example: `  signalbox channels test Slack --to user:default/jane
  signalbox channels test Email --to ops@example.com --config signalbox.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitWith(exitUsage, fmt.Errorf("name one channel, as \"signalbox channels list\" shows it (see %q)", c.CommandPath()+" --help"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, e, args[0]) },
	}
	f.register(c)
	c.Flags().StringVar(&f.to, "to", "", "user:default/jane, group:default/ops, or an address of the channel's")
	c.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "give up after this time")
	return c
}

func (f *testFlags) run(c *cobra.Command, e *extras, name string) error {
	switch {
	case strings.TrimSpace(f.to) == "":
		return exitWith(exitUsage, errors.New("--to is missing: a user, a group, or an address of the channel's"))
	case f.timeout <= 0:
		return exitWith(exitUsage, errors.New("--timeout must be positive"))
	}
	o, err := openOutside(c, &f.configFlags, e)
	if err != nil {
		return err
	}
	channel, err := o.find(name)
	if err == nil {
		ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
		defer cancel()
		t := channelTest{channel: channel, out: c.OutOrStdout(), timeout: f.timeout}
		err = t.run(ctx, strings.TrimSpace(f.to))
		if c.Context().Err() != nil {
			err = errors.New("interrupted: it may have been sent or not")
		}
	}
	return errors.Join(err, o.close())
}

// find returns a channel by its name, in any letter case.
func (o *outside) find(name string) (channels.Channel, error) {
	var names []string
	for _, channel := range o.channels {
		if signalbox.FoldID(channel.Name()) == signalbox.FoldID(name) {
			return channel, nil
		}
		names = append(names, channel.Name())
	}
	slices.Sort(names)
	known := "none is configured"
	if len(names) > 0 {
		known = "there are " + strings.Join(names, ", ")
	}
	return nil, exitWith(exitUsage, fmt.Errorf("there is no channel %q; %s", name, known))
}

// channelTest sends one notification by a channel, and tells of each step.
type channelTest struct {
	channel channels.Channel
	out     io.Writer
	timeout time.Duration
}

func (t *channelTest) run(ctx context.Context, target string) error {
	d := testDelivery(target)
	if d.Audience != "" && !takes(t.channel, d.Audience) {
		return exitWith(exitUsage, fmt.Errorf("%s takes no notifications for %s", t.channel.Name(), d.Audience))
	}
	if checker, ok := t.channel.(channels.Checker); ok {
		begun := time.Now()
		if err := checker.Check(ctx); err != nil {
			return t.failed(ctx, "the check failed", err)
		}
		t.tell("Check", "the credentials are good%s", took(begun))
	} else {
		t.tell("Check", "this channel has none")
	}
	if resolver, ok := t.channel.(channels.Resolver); ok {
		found, err := resolver.Resolve(ctx, d, "")
		if err != nil {
			return t.failed(ctx, target+" cannot be resolved", err)
		}
		if len(found.Targets) == 0 {
			return exitWith(exitUsage, fmt.Errorf("%s stands for no place on %s", target, t.channel.Name()))
		}
		d.Target = found.Targets[0]
		t.tell("Target", "%s%s", targetText(d.Target), others(found))
	} else {
		t.tell("Target", "%s", target)
	}
	begun := time.Now()
	sent, err := t.channel.Deliver(ctx, d)
	if err != nil {
		return t.failed(ctx, "it was not sent", err)
	}
	t.tell("Sent", "\"%s\"%s", d.Notification.Payload.Title, took(begun))
	if sent.ID != "" {
		t.tell("ID", "%s", sent.ID)
	}
	if sent.Reply != "" {
		t.tell("Reply", "%s", sent.Reply)
	}
	return nil
}

// tell prints a step. What cannot be printed changes nothing about it.
func (t *channelTest) tell(step, format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, "%-7s %s\n", step, oneLine(fmt.Sprintf(format, args...)))
}

func took(begun time.Time) string {
	return fmt.Sprintf(" (%s)", time.Since(begun).Round(time.Millisecond))
}

func targetText(target channels.Target) string {
	if target.Display != "" && target.Display != target.Address {
		return fmt.Sprintf("%s (%s)", target.Display, target.Address)
	}
	return target.Address
}

func others(found channels.Targets) string {
	switch n := len(found.Targets); {
	case found.Next != "":
		return fmt.Sprintf(", the first of %d and more", n)
	case n > 1:
		return fmt.Sprintf(", the first of %d", n)
	}
	return ""
}

// failed says what an error of a channel means, by its class.
func (t *channelTest) failed(ctx context.Context, what string, err error) error {
	name := t.channel.Name()
	rule, reason, suppressed := channels.AsSuppressed(err)
	pause, _, limited := channels.AsLimited(err)
	after, delayed := signalbox.RetryDelay(err)
	switch {
	case suppressed:
		return exitWith(exitUsage, fmt.Errorf("%s: %s decided against it (%s): %s", what, name, rule, oneLine(reason)))
	case signalbox.IsPermanent(err):
		return exitWith(exitUsage, fmt.Errorf("%s: %w (permanent: trying again will not help, the configuration or the target has to change)", what, err))
	case limited:
		return exitWith(exitUnavailable, fmt.Errorf("%s: %w (%s asks to wait %s)", what, err, name, pause))
	case ctx.Err() != nil:
		return exitWith(exitUnavailable, fmt.Errorf("%s: no answer within %s: %w", what, t.timeout, err))
	case delayed:
		return exitWith(exitUnavailable, fmt.Errorf("%s: %w (worth trying again after %s)", what, err, after))
	}
	return exitWith(exitUnavailable, fmt.Errorf("%s: %w (may pass: \"serve\" would try again)", what, err))
}

// testDelivery is one to an entity, if target is the reference of one, else to an
// address.
func testDelivery(target string) channels.Delivery {
	now := time.Now().UTC()
	d := channels.Delivery{Attempt: 1}
	if ref, err := signalbox.ParseEntityRef(target); err == nil {
		d.Audience = signalbox.Audience(ref.String())
		d.Named = ref.IsUser()
		if d.Audience.IsUser() {
			d.Notification.User = ref.String()
		}
	} else {
		d.Target.Address = target
	}
	n := &d.Notification
	n.RequestID = uuid.Must(uuid.NewV7()).String()
	n.ID = signalbox.NotificationID(n.RequestID, n.User)
	n.Origin, n.Created, n.Revision = "signalbox:test", now, 1
	n.Payload = signalbox.Payload{
		Title: "Signalbox test", Severity: signalbox.SeverityNormal,
		Description: fmt.Sprintf("Sent by %s with \"signalbox channels test\" at %s.", sender(), moment(now)),
	}
	d.ID = signalbox.DeliveryKey{RequestID: n.RequestID, Audience: d.Audience, Channel: "test", Target: d.Target.Address}.ID()
	return d
}

// sender is who runs the command, as user@host.
func sender() string {
	name, host := "somebody", "somewhere"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		host = h
	}
	return name + "@" + host
}
