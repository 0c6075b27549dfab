package delivery

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// Each kind of answer, and what is settled after one attempt.
func TestOutcomes(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name   string
		act    func(ctx context.Context, d channels.Delivery) (channels.Sent, error)
		config Config
		want   signalbox.DeliveryRecord
		// again is the least and the most time to the next attempt.
		again [2]time.Duration
		dead  string
	}{
		{
			name: "delivered",
			act: func(context.Context, channels.Delivery) (channels.Sent, error) {
				return channels.Sent{ID: "42.1", Reply: "ok"}, nil
			},
			want: signalbox.DeliveryRecord{Status: signalbox.DeliveryDelivered, Rule: signalbox.RuleDefault, ProviderID: "42.1", Detail: "ok", Attempts: 1},
		},
		{
			name: "suppressed",
			act:  failing(channels.Suppressed("email.denylist", "The address is on the deny list")),
			want: signalbox.DeliveryRecord{Status: signalbox.DeliverySuppressed, Rule: "email.denylist", Detail: "The address is on the deny list", Attempts: 1},
		},
		{
			name: "permanent",
			act:  failing(signalbox.Permanent(broken)),
			want: signalbox.DeliveryRecord{Status: signalbox.DeliveryFailed, Rule: signalbox.RuleDefault, Detail: "broken", Attempts: 1},
			dead: "broken",
		},
		{
			name:   "plain",
			act:    failing(broken),
			config: Config{Retry: retry.Policy{Min: time.Minute, Max: time.Minute}},
			want:   signalbox.DeliveryRecord{Status: signalbox.DeliveryQueued, Rule: signalbox.RuleDefault, Detail: "broken", Attempts: 1},
			again:  [2]time.Duration{0, time.Minute},
		},
		{
			name:  "asked for a delay",
			act:   failing(signalbox.RetryAfter(broken, time.Hour)),
			want:  signalbox.DeliveryRecord{Status: signalbox.DeliveryQueued, Rule: signalbox.RuleDefault, Detail: "broken", Attempts: 1},
			again: [2]time.Duration{time.Hour, 66 * time.Minute},
		},
		{
			name:  "channel limited",
			act:   failing(channels.ChannelLimited(broken, 10*time.Minute)),
			want:  signalbox.DeliveryRecord{Status: signalbox.DeliveryQueued, Rule: signalbox.RuleDefault, Detail: "broken", Attempts: 1},
			again: [2]time.Duration{10 * time.Minute, 10*time.Minute + spread},
		},
		{
			name:  "target limited",
			act:   failing(channels.TargetLimited(broken, 10*time.Minute)),
			want:  signalbox.DeliveryRecord{Status: signalbox.DeliveryQueued, Rule: signalbox.RuleDefault, Detail: "broken", Attempts: 1},
			again: [2]time.Duration{10 * time.Minute, 10*time.Minute + spread},
		},
		{
			name: "panic",
			act: func(context.Context, channels.Delivery) (channels.Sent, error) {
				panic("oh no")
			},
			want:  signalbox.DeliveryRecord{Status: signalbox.DeliveryQueued, Rule: signalbox.RuleDefault, Detail: "panic: oh no", Attempts: 1},
			again: [2]time.Duration{0, time.Second},
		},
		{
			name: "hang until the context ends",
			act: func(ctx context.Context, _ channels.Delivery) (channels.Sent, error) {
				<-ctx.Done()
				return channels.Sent{}, ctx.Err()
			},
			want:  signalbox.DeliveryRecord{Status: signalbox.DeliveryQueued, Rule: signalbox.RuleDefault, Detail: "context deadline exceeded", Attempts: 1},
			again: [2]time.Duration{0, time.Second},
		},
		{
			name: "a little late, and it counts",
			act: func(ctx context.Context, _ channels.Delivery) (channels.Sent, error) {
				<-ctx.Done()
				time.Sleep(lateness / 2)
				return channels.Sent{ID: "42.1"}, nil
			},
			want: signalbox.DeliveryRecord{Status: signalbox.DeliveryDelivered, Rule: signalbox.RuleDefault, ProviderID: "42.1", Attempts: 1},
		},
		{
			name: "text that cannot be stored",
			act:  failing(signalbox.Permanent(errors.New("bad\x00\xff" + strings.Repeat("x", 2*maxDetail)))),
			want: signalbox.DeliveryRecord{
				Status: signalbox.DeliveryFailed, Rule: signalbox.RuleDefault, Attempts: 1,
				Detail: "bad\uFFFD" + strings.Repeat("x", maxDetail-9) + "…",
			},
			dead: "bad\uFFFD" + strings.Repeat("x", 2*maxDetail),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				c := &fakeChannel{name: "Fake", act: tt.act}
				e := newEngine(t, m, tt.config, c)
				d := planned(t, "Fake", 1, "user:default/anna")
				m.plan(d)
				payload, lease, _, _ := m.lease(Topic("Fake"))
				if err := e.Consumers()[0].Handle(t.Context(), payload, lease); err != nil {
					t.Fatal(err)
				}
				e.Close()

				got := m.record(d.DeliveryKey)
				want := tt.want
				want.DeliveryKey, want.NotificationID, want.Origin, want.Created = d.DeliveryKey, d.NotificationID, "ci", d.Created
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(signalbox.DeliveryRecord{}, "Next", "Updated")); diff != "" {
					t.Error(diff)
				}
				_, _, next, _ := m.lease(Topic("Fake"))
				if queued := len(m.rows) == 1; queued != (want.Status == signalbox.DeliveryQueued) {
					t.Errorf("on the queue: %v", queued)
				} else if delay := time.Until(next); queued && (delay < tt.again[0] || delay > tt.again[1]) {
					t.Errorf("next attempt in %v; want %v", delay, tt.again)
				} else if queued && got.Next.Sub(next).Abs() > time.Millisecond {
					t.Errorf("the trace says %v, the queue %v", got.Next, next)
				}
				if tt.dead == "" && len(m.dead) != 0 {
					t.Errorf("dead letters: %v", m.dead)
				} else if tt.dead != "" {
					letter := m.letter(t)
					if letter.Error != tt.dead || letter.Stage != "Fake" || letter.Topic != Topic("Fake") || letter.Delivery != d.DeliveryKey ||
						letter.Attempts != 1 || len(letter.History) != 1 || !strings.HasPrefix(letter.ID, "request-1/Fake/") || !letter.Created.Equal(d.Created) {
						t.Errorf("%+v", letter)
					}
				}
			})
		})
	}
}

func failing(err error) func(context.Context, channels.Delivery) (channels.Sent, error) {
	return func(context.Context, channels.Delivery) (channels.Sent, error) { return channels.Sent{}, err }
}

// A delivery ends by its age, with its history; put back, it has all its time
// again.
func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", act: failing(signalbox.RetryAfter(errors.New("not now"), 5*time.Minute))}
		e := newEngine(t, m, Config{MaxAge: 2 * time.Hour}, c)
		began := time.Now()
		d := planned(t, "Fake", 1, "user:default/anna")
		m.plan(d)
		stop := m.consume(e)
		defer stop()
		m.settled(t, 3*time.Hour)
		if took := time.Since(began); took < 2*time.Hour || took > 2*time.Hour+time.Second {
			t.Errorf("it ended after %s", took)
		}
		calls := len(c.made())
		letter := m.letter(t)
		if len(letter.History) != maxHistory || letter.Attempts != calls || calls < 20 {
			t.Errorf("%d failures kept, %d attempts, %d calls", len(letter.History), letter.Attempts, calls)
		}
		if want := "it could not be delivered within 2h0m0s, the last error: not now"; letter.Error != want {
			t.Errorf("%q; want %q", letter.Error, want)
		}
		if got := m.record(d.DeliveryKey); got.Status != signalbox.DeliveryFailed || got.Detail != letter.Error {
			t.Errorf("%+v", got)
		}

		message, err := Decode(letter.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if message.Calls != 0 || message.History != nil || message.Tries != (retry.Tries{}) || !message.Since.IsZero() {
			t.Errorf("the payload does not start afresh: %+v", message)
		}
		time.Sleep(24 * time.Hour)
		m.redrive(letter.ID)
		began = time.Now()
		m.settled(t, 3*time.Hour)
		if took := time.Since(began); took < 2*time.Hour {
			t.Errorf("put back, it ended after %s", took)
		}
		if letter := m.letter(t); letter.Attempts < 20 || letter.Attempts > calls+5 || !letter.Created.Equal(d.Created) {
			t.Errorf("put back, it ended with %+v", letter)
		}
	})
}

// What waited too long on the queue is not sent any more.
func TestTooOldForAnyAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake"}
		e := newEngine(t, m, Config{}, c)
		m.plan(planned(t, "Fake", 1, "user:default/anna"))
		time.Sleep(24 * time.Hour)
		defer m.consume(e)()
		m.settled(t, time.Minute)
		if letter := m.letter(t); letter.Error != "it could not be tried within 24h0m0s" || len(letter.History) != 1 || len(c.made()) != 0 {
			t.Errorf("%+v after %d calls", letter, len(c.made()))
		}
	})
}

// A message whose consumers die is given up.
func TestTooManyLeases(t *testing.T) {
	m := newMemory()
	c := &fakeChannel{name: "Fake"}
	e := newEngine(t, m, Config{}, c)
	defer e.Close()
	m.plan(planned(t, "Fake", 1, "user:default/anna"))
	payload, lease, _, _ := m.lease(Topic("Fake"))
	lease.Count = maxLeases + 1
	if err := e.Consumers()[0].Handle(t.Context(), payload, lease); err != nil {
		t.Fatal(err)
	}
	if letter := m.letter(t); letter.Error != errLeases.Error() || len(c.made()) != 0 || len(m.rows) != 0 {
		t.Errorf("%+v after %d calls", letter, len(c.made()))
	}
}

// What cannot be read is kept, and does not come back.
func TestUnreadable(t *testing.T) {
	for name, payload := range map[string]string{
		"no JSON":         "{",
		"another version": `{"v":3}`,
		"no key":          `{"v":2}`,
		"other channel":   `{"v":2,"key":{"request":"r","audience":"*","channel":"Other"},"notification":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			e := newEngine(t, m, Config{}, &fakeChannel{name: "Fake"})
			defer e.Close()
			m.publish(Topic("Fake"), []byte(payload), 0)
			_, lease, _, _ := m.lease(Topic("Fake"))
			if err := e.Consumers()[0].Handle(t.Context(), []byte(payload), lease); err != nil {
				t.Fatal(err)
			}
			letter := m.letter(t)
			if letter.Stage != "decode" || string(letter.Payload) != payload || letter.ID != "deliveries.Fake/1" || len(m.rows) != 0 || len(m.records) != 0 {
				t.Errorf("%+v, rows %v, records %v", letter, m.rows, m.records)
			}
		})
	}
}

// A record does not wait for a message that cannot be read, such as one of a newer
// program; and what cannot even be recorded is kept all the same.
func TestUnreadableRecord(t *testing.T) {
	for _, storable := range []bool{true, false} {
		m := newMemory()
		store := &flaky{memory: m, fail: func(list []signalbox.Settlement) error {
			if !storable && list[0].Record.RequestID != "" {
				return errors.New("no such identifier")
			}
			return nil
		}}
		e := newEngine(t, store, Config{}, &fakeChannel{name: "Fake"})
		defer e.Close()
		d := planned(t, "Fake", 1, "user:default/anna")
		d.Message.Payload = bytes.Replace(d.Message.Payload, []byte(`"v":2`), []byte(`"v":3`), 1)
		m.plan(d)
		payload, lease, _, _ := m.lease(Topic("Fake"))
		if err := e.Consumers()[0].Handle(t.Context(), payload, lease); err != nil {
			t.Fatal(err)
		}
		letter, record := m.letter(t), m.record(d.DeliveryKey)
		if (letter.Delivery == d.DeliveryKey) != storable || (record.Status == signalbox.DeliveryFailed) != storable || len(m.rows) != 0 {
			t.Errorf("storable %v: %+v, record %+v, rows %v", storable, letter, record, m.rows)
		}
	}
}

// A processor after storing goes the same way, and ends by its attempts.
func TestProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var calls int
		p := &fakeProcessor{name: "audit", act: func(_ context.Context, n signalbox.Notification) error {
			calls++
			switch {
			case n.RequestID == "request-1":
				return nil
			case calls < 4:
				return signalbox.Transient(errors.New("no directory"))
			}
			return errors.New("broken")
		}}
		e, err := New(Deps{Store: m, Processors: []signalbox.PostProcessor{p}}, Config{Retry: retry.Policy{MaxAttempts: 3}, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.consume(e)()
		for n := range 2 {
			d := planned(t, "audit", n+1, "user:default/anna", scope("s"))
			if d, err = PlanProcessor(d.DeliveryRecord, signalbox.Notification{RequestID: d.RequestID, Payload: signalbox.Payload{Scope: "s"}}); err != nil {
				t.Fatal(err)
			}
			if d.Message.Topic != "post.audit" {
				t.Errorf("topic %q", d.Message.Topic)
			}
			m.plan(d)
			m.settled(t, time.Hour)
		}
		want := map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 1, signalbox.DeliveryFailed: 1}
		if diff := cmp.Diff(want, m.statuses()); diff != "" {
			t.Error(diff)
		}
		// The first, two that waited for the infrastructure, three that failed.
		if letter := m.letter(t); calls != 6 || letter.Attempts != 5 || letter.Error != "broken" || len(m.threads) != 0 {
			t.Errorf("%d calls, %+v, threads %v", calls, letter, m.threads)
		}
	})
}

// A channel that ignores its context does not pile up goroutines.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		release := make(chan struct{})
		c := &fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: 8, Timeout: time.Second}}
		c.act = func(context.Context, channels.Delivery) (channels.Sent, error) {
			<-release
			return channels.Sent{}, nil
		}
		e := newEngine(t, m, Config{BreakerFailures: 1 << 20, Retry: retry.Policy{Min: time.Second, Max: time.Second}}, c)
		for n := range 100 {
			m.plan(planned(t, "Fake", n, "user:default/anna"))
		}
		stop := m.consume(e)
		time.Sleep(10 * time.Minute)
		if calls := len(c.made()); calls < maxStuck || calls > maxStuck+8 {
			t.Errorf("%d calls hang; %d are the most", calls, maxStuck)
		}
		if got := metric(t, e.metrics.retried.WithLabelValues("Fake")); got > maxStuck+16 {
			t.Errorf("%v calls failed in 10 minutes", got)
		}
		close(release)
		m.settled(t, time.Hour)
		stop()
		if got := m.statuses()[signalbox.DeliveryDelivered]; got != 100 {
			t.Errorf("%d delivered", got)
		}
	})
}
