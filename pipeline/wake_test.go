package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

// woken are [signalbox.Snoozes] that ended.
type woken struct {
	rows  []signalbox.Notification
	err   error
	asked []signalbox.Wake
}

func (w *woken) Woken(_ context.Context, user string, until time.Time, limit int) ([]signalbox.Notification, error) {
	w.asked = append(w.asked, signalbox.Wake{User: user, Until: until})
	return w.rows[:min(limit, len(w.rows))], w.err
}

func (b *bench) wakes(t *testing.T, payload string, leases int) error {
	t.Helper()
	msg := message.NewMessage(watermill.NewUUID(), []byte(payload))
	msg.SetContext(t.Context())
	msg.Metadata.Set("position", "1")
	msg.Metadata.Set("leases", strings.Repeat("x", leases))
	return b.wake(t.Context(), msg)
}

func TestWakeTellsTheUser(t *testing.T) {
	const jane = "user:default/jane"
	until := time.Now().UTC().Add(-time.Second).Truncate(time.Microsecond)
	w := signalbox.Wake{User: jane, Until: until}
	snoozes := &woken{}
	listening := true
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Snoozes = snoozes
		d.Listening = func() bool { return listening }
	})
	payload := string(w.Message(until).Payload)
	for i := range maxWoken + 1 {
		n := signalbox.Notification{ID: fmt.Sprint(i), User: jane, Woken: until}
		if i%2 == 0 {
			n.User = "" // a broadcast that she had snoozed
		}
		snoozes.rows = append(snoozes.rows, n)
	}
	if err := b.wakes(t, payload, 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]signalbox.Wake{w}, snoozes.asked); diff != "" {
		t.Error(diff)
	}
	if len(b.signals.signals) != maxWoken {
		t.Fatalf("%d signals, want %d", len(b.signals.signals), maxWoken)
	}
	for i, s := range b.signals.signals {
		var body struct {
			Action string `json:"action"`
			ID     string `json:"notification_id"`
		}
		if err := json.Unmarshal(s.Message, &body); err != nil {
			t.Fatal(err)
		}
		// The top of the list comes last.
		if body.Action != "new_notification" || body.ID != fmt.Sprint(maxWoken-1-i) {
			t.Errorf("signal %d is %s", i, s.Message)
		}
		if s.Broadcast || cmp.Diff([]string{jane}, s.Recipients) != "" {
			t.Errorf("signal %d is to %v, broadcast %t", i, s.Recipients, s.Broadcast)
		}
	}

	b.signals.signals, listening = nil, false
	if err := b.wakes(t, payload, 1); err != nil || len(b.signals.signals) > 0 || len(snoozes.asked) != 1 {
		t.Errorf("nobody listens: %v, %d signals, asked %d times", err, len(b.signals.signals), len(snoozes.asked))
	}
}

func TestWakeThatComesEarly(t *testing.T) {
	snoozes := &woken{rows: []signalbox.Notification{{ID: "a", User: "user:default/jane"}}}
	b := newBench(t, func(d *Deps, _ *Config) { d.Snoozes = snoozes })
	w := signalbox.Wake{User: "user:default/jane", Until: time.Now().UTC().Add(time.Minute)}
	if err := b.wakes(t, string(w.Message(time.Now()).Payload), 1); err != nil {
		t.Fatal(err)
	}
	if len(snoozes.asked) > 0 || len(b.signals.signals) > 0 {
		t.Error("told before its time")
	}
	again := b.one(t, signalbox.TopicWake)
	if again.Delay <= 58*time.Second || again.Delay > time.Minute {
		t.Errorf("comes again in %s", again.Delay)
	}
	if got, err := signalbox.DecodeWake(again.Payload); err != nil || !got.Until.Equal(w.Until) || got.User != w.User {
		t.Errorf("%+v, %v, want %+v", got, err, w)
	}
}

func TestWakeThatFails(t *testing.T) {
	snoozes := &woken{}
	b := newBench(t, func(d *Deps, _ *Config) { d.Snoozes = snoozes })
	payload := string(signalbox.Wake{User: "user:default/jane", Until: time.Now().Add(-time.Minute)}.Message(time.Now()).Payload)
	broken := errors.New("broken")
	for _, c := range []struct {
		err    error
		leases int
		back   bool
	}{
		{broken, 1, true},
		{broken, buryAfterLeases + 1, false},
		{signalbox.Transient(broken), buryAfterLeases + 1, true},
	} {
		snoozes.err = c.err
		if err := b.wakes(t, payload, c.leases); errors.Is(err, broken) != c.back {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, payload := range []string{"", "{}", `{"user":"user:default/jane"}`} {
		clear(b.memory.dead)
		if err := b.wakes(t, payload, 1); err != nil || len(b.memory.dead) != 1 {
			t.Errorf("%q: %v, %d dead letters", payload, err, len(b.memory.dead))
		}
	}
}
