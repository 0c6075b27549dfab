package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/slack/slackfake"
)

// resolved is where a delivery leads, or why it leads nowhere.
func resolved(t *testing.T, c *Channel, d channels.Delivery) string {
	t.Helper()
	targets, err := c.Resolve(t.Context(), d, "")
	if rule, reason, ok := channels.AsSuppressed(err); ok {
		if reason == "" {
			t.Error("there is no reason")
		}
		return "not: " + string(rule)
	}
	if signalbox.IsPermanent(err) {
		return "never: " + err.Error()
	}
	if err != nil {
		return "error: " + err.Error()
	}
	var all []string
	for _, target := range targets.Targets {
		all = append(all, target.Address+" as "+target.Display)
	}
	return strings.Join(all, ", ")
}

func TestResolve(t *testing.T) {
	routes := func(c *Config) {
		c.BroadcastChannels = []string{"#General", "general", "joe@example.com", "nobody@example.com"}
		c.BroadcastRoutes = []Route{
			{Topic: "deploys", Channels: []string{"deploys"}},
			{Origin: "ci", Topic: "other", Channels: []string{"#other"}},
			{Origin: "ci", Channels: []string{"C0CI"}},
			{Origin: "ci", Topic: "deploys", Channels: []string{"#ci-deploys", "#ci-more"}},
			{Origin: "ci", Topic: "deploys", Channels: []string{"#never"}},
			{Origin: "lost", Channels: []string{"nobody@example.com"}},
		}
	}
	members := func(c *Config) { c.GroupFallback = FallbackMembers }
	plain := func(*Config) {}
	metadata := func(value string) json.RawMessage { return json.RawMessage(`{"slackChannel":` + value + `}`) }
	team, quiet := "group:default/team", "group:default/quiet"
	for _, c := range []struct {
		name     string
		config   func(*Config)
		audience signalbox.Audience
		named    bool
		via      []string
		origin   string
		topic    string
		metadata json.RawMessage
		address  string
		want     string
	}{
		{name: "an entity's channel", audience: signalbox.Audience(team), want: "#team-a as #team-a"},
		{name: "an entity's channel by id", audience: "group:default/byid", want: "C0TEAMB as Team B (C0TEAMB)"},
		{name: "an entity without a channel", audience: signalbox.Audience(quiet), want: "not: address.none"},
		{name: "an entity that nobody knows", audience: "group:default/gone", want: "not: address.none"},
		{name: "an annotation that is none", audience: "group:default/broken", want: "never: " + errAddress.Error()},

		{name: "a user's annotation", audience: "user:default/jane", named: true, want: "U0JANE as @Jane Doe"},
		{name: "a user's email address", audience: "user:default/joe", named: true, want: "U0JOE as @joe"},
		{name: "an annotation with an email address", audience: "user:default/byemail", named: true, want: "U0JOE as @joe"},
		{name: "an email address that Slack does not know", audience: "user:default/mia", named: true, want: "not: address.none"},
		{name: "a user without an address", audience: "user:default/mute", named: true, want: "not: address.none"},
		{name: "a user that nobody knows", audience: "user:default/gone", named: true, want: "not: address.none"},
		{name: "a user who was not named", audience: "user:default/jane", via: []string{quiet}, want: "not: slack.notNamed"},

		{name: "the group has no channel", config: members, audience: "user:default/joe", via: []string{quiet}, want: "U0JOE as @joe"},
		{name: "the group has a channel", config: members, audience: "user:default/jane", via: []string{team}, want: "not: slack.groupChannel"},
		{name: "one of both, which leads to the user", config: members, audience: "user:default/joe", via: []string{team, quiet}, want: "U0JOE as @joe"},
		{name: "one of both, which does not", config: members, audience: "user:default/jane", via: []string{team, quiet}, want: "not: slack.groupChannel"},
		{name: "what the user owns through", config: members, audience: "user:default/ann", via: []string{team, "component:default/quiet"}, want: "U0ANN as @ann"},
		{name: "the message has a channel", config: members, audience: "user:default/joe", via: []string{quiet}, metadata: metadata(`"#x"`), want: "not: slack.groupChannel"},
		{name: "nobody says through what", config: members, audience: "user:default/joe", want: "U0JOE as @joe"},

		{name: "the sender's channel", audience: signalbox.Audience(team), via: []string{team}, metadata: metadata(`"#Ops"`), want: "#ops as #ops"},
		{name: "the sender's channel, without an annotation", audience: signalbox.Audience(quiet), via: []string{quiet}, metadata: metadata(`"C0OPS"`), want: "C0OPS as C0OPS"},
		{name: "the sender's channel, for the first of two", audience: signalbox.Audience(quiet), via: []string{team, quiet}, metadata: metadata(`"#ops"`), want: "#ops as #ops"},
		{name: "the sender's channel, for the other", audience: signalbox.Audience(team), via: []string{team, quiet}, metadata: metadata(`"#ops"`), want: "not: slack.once"},
		{name: "the sender's channel, if it is none", audience: signalbox.Audience(team), metadata: metadata(`"a b"`), want: "never: metadata.slackChannel: " + errAddress.Error()},
		{name: "the sender's channel is no text", audience: signalbox.Audience(team), metadata: metadata(`7`), want: "#team-a as #team-a"},
		{name: "the sender's channel, for a user", audience: "user:default/jane", named: true, metadata: metadata(`"#ops"`), want: "U0JANE as @Jane Doe"},

		{name: "a broadcast without routes", audience: signalbox.Everyone, want: "not: slack.noRoute"},
		{name: "a broadcast by default", config: routes, audience: signalbox.Everyone, origin: "x", want: "#general as #general, U0JOE as @joe"},
		{name: "a broadcast by origin and topic", config: routes, audience: signalbox.Everyone, origin: "ci", topic: "deploys", want: "#ci-deploys as #ci-deploys, #ci-more as #ci-more"},
		{name: "a broadcast by origin", config: routes, audience: signalbox.Everyone, origin: "ci", topic: "x", want: "C0CI as C0CI"},
		{name: "a broadcast by topic", config: routes, audience: signalbox.Everyone, origin: "x", topic: "deploys", want: "#deploys as #deploys"},
		{name: "origins in other letters are others", config: routes, audience: signalbox.Everyone, origin: "CI", topic: "deploys", want: "#deploys as #deploys"},
		{name: "a route to nobody", config: routes, audience: signalbox.Everyone, origin: "lost", want: "not: slack.noRoute"},
		{name: "a broadcast's metadata", config: routes, audience: signalbox.Everyone, origin: "ci", metadata: metadata(`"#x"`), want: "C0CI as C0CI"},

		{name: "a direct target", address: " #Alerts ", want: "#alerts as #alerts"},
		{name: "a direct target by id", address: "C0123", want: "C0123 as C0123"},
		{name: "a direct target by email", address: "JOE@example.com", want: "U0JOE as @joe"},
		{name: "a direct target of nobody", address: "nobody@example.com", want: "not: address.none"},
		{name: "a direct target that is none", address: "<!channel>", want: "never: " + errAddress.Error()},
		{name: "no direct target", want: "never: " + errAddress.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.config == nil {
				c.config = plain
			}
			b := setUp(t, c.config)
			d := to(c.address)
			d.Audience, d.Named, d.Via = c.audience, c.named, c.via
			d.Notification.Origin, d.Notification.Payload.Topic, d.Notification.Payload.Metadata = c.origin, c.topic, c.metadata
			if got := resolved(t, b.Channel, d); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestResolveWaitsForTheDirectory(t *testing.T) {
	b := setUp(t, func(c *Config) { c.GroupFallback = FallbackMembers })
	b.directory.err = errors.New("directory down")
	for _, d := range []channels.Delivery{
		{Audience: "user:default/jane", Named: true},
		{Audience: "user:default/jane", Via: []string{"group:default/team"}},
		{Audience: "group:default/team"},
	} {
		if _, err := b.Resolve(t.Context(), d, ""); !signalbox.IsTransient(err) || signalbox.IsPermanent(err) {
			t.Errorf("%s: %v", d.Audience, err)
		}
	}
}

func TestResolveExpandsALargeGroupOnce(t *testing.T) {
	b := setUp(t, func(c *Config) { c.GroupFallback = FallbackMembers })
	for range 50 {
		resolved(t, b.Channel, channels.Delivery{Audience: "user:default/joe", Via: []string{"group:default/team", "group:default/quiet"}})
	}
	if b.directory.resolved != 1 {
		t.Errorf("the directory was asked %d times", b.directory.resolved)
	}
}

func TestTakes(t *testing.T) {
	for _, c := range []struct {
		fallback GroupFallback
		audience signalbox.Audience
		named    bool
		want     bool
	}{
		{FallbackNone, "user:default/jane", true, true},
		{FallbackNone, "user:default/jane", false, false},
		{FallbackMembers, "user:default/jane", false, true},
		{FallbackNone, "group:default/team", true, true},
		{FallbackNone, "component:default/x", false, true},
		{FallbackNone, signalbox.Everyone, false, true},
		{FallbackNone, "", false, true},
	} {
		b := setUp(t, func(config *Config) { config.GroupFallback = c.fallback })
		if got := b.Takes(c.audience, c.named); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"C012AB3CD": "C012AB3CD", "U1": "", "#general": "#general", "General": "#general", " #a-b_c.d ": "#a-b_c.d",
		"#général": "#général", "U012AB3CD": "U012AB3CD", "u012ab3cd": "#u012ab3cd", "D0123": "D0123", "XYZ": "#xyz",
		"Jane.Doe+x@Example.com": "jane.doe+x@example.com",
		"":                       "", "#": "", "##a": "", "a b": "", "a\tb": "", "<!channel>": "", "a|b": "", "#a@b": "", "@jane": "", "a@": "", "a@b@c": "", "a,b": "", "\xff": "",
		strings.Repeat("a", 255): "",
	} {
		if want == "" && in == "U1" {
			want = "#u1" // too short for an id
		}
		a, err := parseAddress(in)
		if a.text != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v, want %q", in, a.text, err, want)
		}
		if err == nil {
			if again, err := parseAddress(a.text); err != nil || again != a {
				t.Errorf("%q is not canonical", a.text)
			}
		}
	}
}

func TestPeople(t *testing.T) {
	ask := func(b bench, email string) string {
		found, err := b.people.find(t.Context(), email)
		return fmt.Sprintf("%s %v", found.id, err)
	}
	t.Run("keeps answers, also that there is nobody", func(t *testing.T) {
		b := setUp(t)
		for range 3 {
			for email, want := range map[string]string{"JOE@example.com": "U0JOE <nil>", "joe@example.com": "U0JOE <nil>", "nobody@example.com": " <nil>"} {
				if got := ask(b, email); got != want {
					t.Errorf("%q: %s", email, got)
				}
			}
		}
		if calls := b.server.Calls(methodLookup); calls != 2 {
			t.Errorf("%d calls", calls)
		}
		now := b.people.now()
		b.people.now = func() time.Time { return now.Add(unknownFor + time.Second) }
		b.server.AddUsers(slackfake.User{ID: "U0NEW", Email: "nobody@example.com"})
		if got := ask(b, "nobody@example.com") + ask(b, "joe@example.com"); got != "U0NEW <nil>U0JOE <nil>" {
			t.Errorf("later: %s", got)
		}
		if calls := b.server.Calls(methodLookup); calls != 3 {
			t.Errorf("later: %d calls", calls)
		}
	})
	t.Run("keeps no failures", func(t *testing.T) {
		b := setUp(t)
		b.server.Fail(slackfake.Status(500))
		if got := ask(b, "joe@example.com"); !strings.Contains(got, "500") {
			t.Error(got)
		}
		if got := ask(b, "joe@example.com"); got != "U0JOE <nil>" {
			t.Error(got)
		}
	})
	t.Run("stops asking while Slack limits it", func(t *testing.T) {
		b := setUp(t)
		b.server.Fail(slackfake.RateLimit(time.Minute))
		for range 3 {
			_, err := b.people.find(t.Context(), "joe@example.com")
			after, ok := signalbox.RetryDelay(err)
			if _, _, limited := channels.AsLimited(err); !ok || signalbox.IsPermanent(err) || limited || after < 50*time.Second || after > time.Minute {
				t.Errorf("%v, after %s", err, after)
			}
		}
		if calls := b.server.Calls(methodLookup); calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
	t.Run("asks once for many", func(t *testing.T) {
		b := setUp(t)
		release := make(chan struct{})
		asked := make(chan struct{}, 100)
		b.people.ask = func(context.Context, string) (person, error) {
			asked <- struct{}{}
			<-release
			return person{id: "U0JOE"}, nil
		}
		answers := make(chan string)
		var looked sync.WaitGroup // everyone has looked at what is known
		looked.Add(20)
		var left atomic.Int32
		left.Store(20)
		now := b.people.now
		b.people.now = func() time.Time {
			if left.Add(-1) >= 0 {
				looked.Done()
			}
			return now()
		}
		for range 20 {
			go func() { answers <- ask(b, "joe@example.com") }()
		}
		looked.Wait()
		<-asked
		close(release)
		for range 20 {
			if got := <-answers; got != "U0JOE <nil>" {
				t.Error(got)
			}
		}
		if len(asked) != 0 {
			t.Errorf("asked %d times too often", len(asked))
		}
	})
	t.Run("who asks may be cut off", func(t *testing.T) {
		b := setUp(t)
		leads := make(chan struct{})
		first := true
		b.people.ask = func(ctx context.Context, _ string) (person, error) {
			if first {
				first = false
				close(leads)
				<-ctx.Done()
				return person{}, ctx.Err()
			}
			return person{id: "U0JOE"}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := b.people.find(ctx, "joe@example.com")
			done <- err
		}()
		<-leads
		answer := make(chan string)
		go func() { answer <- ask(b, "joe@example.com") }()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := <-answer; got != "U0JOE <nil>" {
			t.Error(got)
		}
	})
	t.Run("is bounded", func(t *testing.T) {
		p := newPeople(func(_ context.Context, email string) (person, error) { return person{id: email}, nil })
		for i := range maxPeople + 10 {
			if _, err := p.find(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.known) > maxPeople || len(p.calls) != 0 {
			t.Errorf("%d known, %d calls", len(p.known), len(p.calls))
		}
	})
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   channels.Limits
	}{
		"defaults": {func(*Config) {}, channels.Limits{Concurrency: 10, PerTarget: channels.Rate{Every: time.Second, Burst: 1}}},
		"as in Backstage": {
			func(c *Config) { c.ConcurrencyLimit, c.ThrottleInterval = 20, time.Minute },
			channels.Limits{Concurrency: 20, PerChannel: channels.Rate{Every: 3 * time.Second, Burst: 20}, PerTarget: channels.Rate{Every: time.Second, Burst: 1}},
		},
		"much": {
			func(c *Config) { c.ConcurrencyLimit, c.ThrottleInterval, c.TargetInterval = 1_000, time.Minute, -1 },
			channels.Limits{Concurrency: 64, PerChannel: channels.Rate{Every: 60 * time.Millisecond, Burst: 1_000}},
		},
	} {
		if diff := cmp.Diff(c.want, setUp(t, c.change).Limits()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
