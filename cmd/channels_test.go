package cmd_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/cmd"
)

func TestChannelsList(t *testing.T) {
	run(t, "", "channels", "list").want(t, 0, "No channels besides the inbox.\n")
	options := []cmd.Option{cmd.WithChannel(&roomChannel{fakeChannel: fakeChannel{name: "Rooms"}}), cmd.WithChannel(&fakeChannel{name: "Pager"})}
	o := runWith(t, options, "", "channels", "list")
	o.want(t, 0)
	want := "CHANNEL  TAKES              CHECKS CREDENTIALS  LIMITS\n" +
		"Rooms    groups             yes                 3 at a time, one per 1s, one per 1m0s to a target\n" +
		"Pager    users, broadcasts  no                  -\n"
	if o.stdout != want {
		t.Errorf("got\n%swant\n%s", o.stdout, want)
	}
}

func TestChannelsTest(t *testing.T) {
	pager := &fakeChannel{name: "Pager"}
	o := runWith(t, []cmd.Option{cmd.WithChannel(pager)}, "", "channels", "test", "pager", "--to", "User:Jane")
	o.want(t, 0, "Check   this channel has none\n", "Target  User:Jane\n", `Sent    "Signalbox test" (`, "ID      id-7\n", "Reply   250 taken\n")
	runWith(t, []cmd.Option{cmd.WithChannel(pager)}, "", "channels", "test", "Pager", "--to", "+49 30 1234").want(t, 0, "Target  +49 30 1234\n")
	got := pager.taken()
	if len(got) != 2 {
		t.Fatalf("%d deliveries", len(got))
	}
	if d := got[0]; d.Audience != jane || !d.Named || d.Notification.User != jane || d.Target != (channels.Target{}) || d.Attempt != 1 || d.ID == "" {
		t.Errorf("to a user: %+v", d)
	}
	n := got[0].Notification
	if n.ID == "" || n.Origin != "signalbox:test" || n.Payload.Title != "Signalbox test" || n.Payload.Severity != signalbox.SeverityNormal ||
		!strings.Contains(n.Payload.Description, "@") || time.Since(n.Created) > time.Minute {
		t.Errorf("the notification is %+v", n)
	}
	if d := got[1]; d.Audience != "" || d.Named || d.Notification.User != "" || d.Target.Address != "+49 30 1234" || d.ID == got[0].ID {
		t.Errorf("to an address: %+v", d)
	}
}

func TestChannelsTestResolves(t *testing.T) {
	rooms := &roomChannel{fakeChannel: fakeChannel{name: "Rooms"}}
	rooms.targets = channels.Targets{Targets: []channels.Target{{Address: "C1", Display: "#ops"}, {Address: "C2"}}}
	test := func(to string) outcome {
		t.Helper()
		return runWith(t, []cmd.Option{cmd.WithChannel(rooms)}, "", "channels", "test", "Rooms", "--to", to)
	}
	test("group:ops").want(t, 0, "Check   the credentials are good (", "Target  #ops (C1), the first of 2\n")
	rooms.targets.Next = "more"
	test("group:ops").want(t, 0, "Target  #ops (C1), the first of 2 and more\n")
	test("C9").want(t, 0, "Target  C9\n")
	got := rooms.taken()
	if len(got) != 3 || got[0].Target.Address != "C1" || got[0].Audience != "group:default/ops" || got[0].Notification.User != "" || got[2].Target.Address != "C9" {
		t.Errorf("%+v", got)
	}
}

// Each class of errors has its exit code and its explanation.
func TestChannelsTestFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*roomChannel)
		args   string
		code   int
		want   []string
	}{
		"permanent":    {func(r *roomChannel) { r.err = signalbox.Permanent(errRefused) }, "", 2, []string{"it was not sent: the room is closed", "trying again will not help"}},
		"any other":    {func(r *roomChannel) { r.err = errRefused }, "", 4, []string{"it was not sent: the room is closed (may pass"}},
		"later":        {func(r *roomChannel) { r.err = signalbox.RetryAfter(errRefused, time.Minute) }, "", 4, []string{"worth trying again after 1m0s"}},
		"limited":      {func(r *roomChannel) { r.err = channels.ChannelLimited(errRefused, time.Minute) }, "", 4, []string{"Rooms asks to wait 1m0s"}},
		"limited room": {func(r *roomChannel) { r.err = channels.TargetLimited(errRefused, time.Minute) }, "", 4, []string{"Rooms asks to wait 1m0s"}},
		"suppressed": {func(r *roomChannel) {
			r.resolve = channels.Suppressed(signalbox.RuleNoAddress, "The group has no room")
		}, "", 2, []string{"group:ops cannot be resolved: Rooms decided against it (address.none): The group has no room"}},
		"no room":      {func(r *roomChannel) { r.targets = channels.Targets{} }, "", 2, []string{"group:ops stands for no place on Rooms"}},
		"check":        {func(r *roomChannel) { r.check = signalbox.Permanent(errors.New("invalid_auth: make a new token")) }, "", 2, []string{"the check failed: invalid_auth: make a new token"}},
		"check, later": {func(r *roomChannel) { r.check = errRefused }, "", 4, []string{"the check failed"}},
		"hangs":        {func(r *roomChannel) { r.hangs = true }, "--timeout 50ms", 4, []string{"the check failed: no answer within 50ms"}},
		"not taken":    {func(*roomChannel) {}, "--to user:jane", 2, []string{"Rooms takes no notifications for user:default/jane"}},
		"no target":    {func(*roomChannel) {}, "--to=", 2, []string{"--to is missing"}},
		"no time":      {func(*roomChannel) {}, "--timeout 0s", 2, []string{"--timeout must be positive"}},
		"bad config":   {func(*roomChannel) {}, "--config none.yaml", 2, []string{"none.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			rooms := &roomChannel{fakeChannel: fakeChannel{name: "Rooms"}}
			rooms.targets = channels.Targets{Targets: []channels.Target{{Address: "C1"}}}
			c.change(rooms)
			args := append([]string{"channels", "test", "Rooms", "--to", "group:ops"}, strings.Fields(c.args)...)
			o := runWith(t, []cmd.Option{cmd.WithChannel(rooms)}, "", args...)
			if o.code != c.code {
				t.Errorf("exit code %d, want %d", o.code, c.code)
			}
			for _, text := range c.want {
				if !strings.Contains(o.stderr, text) {
					t.Errorf("%q is missing in: %s", text, o.stderr)
				}
			}
		})
	}
	run(t, "", "channels", "test", "Rooms", "--to", "x").want(t, 2, `there is no channel "Rooms"; none is configured`)
	run(t, "", "channels", "test", "--to", "x").want(t, 2, "name one channel")
	run(t, "", "channels", "test", "a", "b", "--to", "x").want(t, 2, "name one channel")
}
