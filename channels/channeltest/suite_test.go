package channeltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

const secret = "hunter2-hunter2"

// model is a channel together with its provider. Each flaw breaks one promise.
type model struct {
	flaw string

	mu        sync.Mutex
	behaviour Behaviour
	received  []string
	log       strings.Builder
}

func (m *model) Name() string {
	if m.flaw == "name" {
		return "Web"
	}
	return "Model"
}

func (m *model) Limits() channels.Limits {
	if m.flaw == "limits" {
		return channels.Limits{Concurrency: 65}
	}
	return channels.Limits{Concurrency: 2}
}

func (m *model) Takes(audience signalbox.Audience, _ bool) bool {
	return audience == "" && m.flaw != "audiences"
}

func (m *model) Resolve(context.Context, channels.Delivery, string) (channels.Targets, error) {
	if m.flaw == "endless list" {
		return channels.Targets{Targets: []channels.Target{{Address: "room"}}, Next: "x"}, nil
	}
	if m.flaw == "another target" {
		return channels.Targets{Targets: []channels.Target{{Address: "other"}}}, nil
	}
	return channels.Targets{Targets: []channels.Target{{Address: "room"}}}, nil
}

func (m *model) Check(ctx context.Context) error {
	if m.flaw == "blind check" {
		return nil
	}
	if m.flaw == "check that sends" {
		m.received = append(m.received, "check")
	}
	return m.answer(ctx)
}

func (m *model) answer(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	failed := errors.New("failed")
	switch m.behaviour {
	case Hangs:
		if m.flaw == "deaf" {
			<-time.After(soon + time.Second)
		}
		<-ctx.Done()
		return ctx.Err()
	case RefusesTarget:
		if m.flaw == "hopeful" {
			return failed
		}
		return signalbox.Permanent(failed)
	case RateLimits:
		if m.flaw == "impatient" {
			return channels.ChannelLimited(failed, time.Second)
		}
		return channels.ChannelLimited(failed, time.Minute)
	case Fails, Cuts, Unreachable, RefusesCredentials:
		switch m.flaw {
		case "hopeless":
			return signalbox.Permanent(failed)
		case "talkative":
			return fmt.Errorf("hidden: %w", quiet{errors.New("password " + secret)})
		case "silent":
			return nil
		}
		return failed
	}
	return nil
}

// quiet hides the text of what it wraps.
type quiet struct{ error }

func (quiet) Error() string   { return "quiet" }
func (quiet) String() string  { return "quiet" }
func (q quiet) Unwrap() error { return q.error }

func (q quiet) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("quiet")) }

func (m *model) Deliver(ctx context.Context, d channels.Delivery) (channels.Sent, error) {
	if m.flaw != "ignores the context" && ctx.Err() != nil {
		return channels.Sent{}, ctx.Err()
	}
	if m.flaw == "logs" {
		m.mu.Lock()
		m.log.WriteString(secret)
		m.mu.Unlock()
	}
	if err := m.answer(ctx); err != nil {
		return channels.Sent{}, err
	}
	if d.Previous != nil && m.flaw == "trusts state" && d.Previous.State != "state" {
		return channels.Sent{}, errors.New("bad state")
	}
	if m.flaw == "picky" && len(d.Notification.Payload.Title) > 500 {
		return channels.Sent{}, signalbox.Permanent(errors.New("too long"))
	}
	if m.flaw == "loses" && strings.Contains(d.Notification.Payload.Title, "7") {
		return channels.Sent{}, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received = append(m.received, d.Notification.Payload.Title)
	state := "state"
	if m.flaw == "big state" {
		state = strings.Repeat("x", 5_000)
	}
	return channels.Sent{ID: "1", State: state}, nil
}

func (m *model) DeliverDigest(ctx context.Context, d channels.Digest) (channels.Sent, error) {
	if m.flaw != "digest ignores the context" && ctx.Err() != nil {
		return channels.Sent{}, ctx.Err()
	}
	if err := m.answer(ctx); err != nil {
		switch m.flaw {
		case "hopeless digest":
			return channels.Sent{}, signalbox.Permanent(err)
		case "talkative digest":
			return channels.Sent{}, fmt.Errorf("%w: %s", err, secret)
		case "silent digest":
			return channels.Sent{}, nil
		}
		return channels.Sent{}, err
	}
	if m.flaw == "small digest" && len(d.Items) > 100 || m.flaw == "picky digest" && len(d.Items[3].Notification.Payload.Link) > 20 {
		return channels.Sent{}, signalbox.Permanent(errors.New("too much"))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var text strings.Builder
	for i := range d.Items {
		title := d.Items[i].Notification.Payload.Title
		if m.flaw == "digest in parts" {
			m.received = append(m.received, title)
		}
		text.WriteString(title + "\n")
		if m.flaw == "digest loses" {
			break
		}
	}
	m.received = append(m.received, text.String())
	sent := channels.Sent{ID: d.ID}
	switch m.flaw {
	case "another digest":
		sent.ID += fmt.Sprint(len(m.received))
	case "any digest":
		sent.ID = "digest"
	}
	return sent, nil
}

func harness(flaw string) Harness {
	m := &model{flaw: flaw}
	return Harness{
		Channel: m,
		Delivery: func(d channels.Delivery) channels.Delivery {
			d.Target = channels.Target{Address: "room"}
			return d
		},
		Behave: func(b Behaviour) bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.behaviour = b
			return true
		},
		Received: func() []string {
			m.mu.Lock()
			defer m.mu.Unlock()
			return slices.Clone(m.received)
		},
		RetryAfter: time.Minute,
		Secrets:    []string{secret},
		Logs: func() string {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.log.String()
		},
	}
}

func TestAGoodChannelPasses(t *testing.T) {
	Run(t, func(*testing.T) Harness { return harness("") })
}

func TestDigestsAreOptional(t *testing.T) {
	h := harness("")
	h.Channel = struct{ channels.Channel }{h.Channel}
	ran := 0
	for _, c := range checks() {
		if strings.HasPrefix(c.name, "digest") {
			ran++
			if err := c.run(t.Context(), h); !errors.Is(err, errNoDigests) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	if ran == 0 {
		t.Error("nothing is checked of digests")
	}
}

// TestEveryFlawIsFound keeps the suite from passing whatever a channel does.
func TestEveryFlawIsFound(t *testing.T) {
	for flaw, finder := range map[string]string{
		"name":                "name",
		"limits":              "limits",
		"audiences":           "audiences",
		"loses":               "delivers concurrently",
		"big state":           "delivers",
		"trusts state":        "delivers again",
		"picky":               "delivers everything valid",
		"endless list":        "resolves",
		"another target":      "resolves",
		"ignores the context": "is done when the context is",
		"deaf":                "provider hangs",
		"hopeless":            "provider fails",
		"silent":              "provider is unreachable",
		"talkative":           "provider cuts the connection",
		"hopeful":             "provider refuses the target",
		"impatient":           "provider limits the rate",
		"blind check":         "checks itself",
		"check that sends":    "checks itself",

		"digest loses":               "digest",
		"digest in parts":            "digest",
		"another digest":             "digest again",
		"any digest":                 "digest again",
		"picky digest":               "digest of everything valid",
		"small digest":               "digest of the largest size",
		"digest ignores the context": "digest: is done when the context is",
		"hopeless digest":            "digest: provider fails",
		"silent digest":              "digest: provider is unreachable",
		"talkative digest":           "digest: provider refuses the credentials",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			i := slices.IndexFunc(checks(), func(c check) bool { return c.name == finder })
			err := checks()[i].run(ctx, harness(flaw))
			if err == nil || errors.Is(err, errCannot) {
				t.Fatalf("%q lets it pass: %v", finder, err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the suite tells the secret: %v", err)
			}
		})
	}
}

func TestSecretsAreFoundInEveryForm(t *testing.T) {
	for name, text := range map[string]string{
		"plain":  "x hunter2/hunter 2 x",
		"query":  "password=hunter2%2Fhunter+2",
		"path":   "/hunter2%2Fhunter%202/",
		"base64": "aHVudGVyMi9odW50ZXIgMg==",
	} {
		if secretIn("it", text, []string{"", "hunter2/hunter 2"}) == nil {
			t.Errorf("%s is not found", name)
		}
	}
	if err := secretIn("it", "nothing here", []string{"", "hunter2/hunter 2"}); err != nil {
		t.Error(err)
	}
	joined := errors.Join(errors.New("a"), fmt.Errorf("b: %w", quiet{errors.New(secret)}))
	if secretInError(joined, []string{secret}) == nil {
		t.Error("a secret below a join is not found")
	}
}
