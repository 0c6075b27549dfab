package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// fakeDigester is a channel that knows digests.
type fakeDigester struct {
	fakeChannel
	// actDigest is what it does with a digest; nil takes it.
	actDigest func(ctx context.Context, d channels.Digest) (channels.Sent, error)
	digests   []sentDigest
}

type sentDigest struct {
	at time.Time
	channels.Digest
}

func (f *fakeDigester) DeliverDigest(ctx context.Context, d channels.Digest) (channels.Sent, error) {
	f.mu.Lock()
	f.digests = append(f.digests, sentDigest{time.Now(), d})
	f.mu.Unlock()
	if f.actDigest != nil {
		return f.actDigest(ctx, d)
	}
	return channels.Sent{ID: "digest-" + d.ID, Reply: "ok"}, nil
}

// summary is what tests compare of a digest.
func (f *fakeDigester) summary() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, d := range f.digests {
		var items []string
		for _, item := range d.Items {
			text := item.Notification.Payload.Title
			if item.Updates > 0 {
				text += fmt.Sprintf("+%d", item.Updates)
			}
			items = append(items, text)
		}
		list = append(list, d.at.UTC().Format("02 15:04")+" "+strings.Join(items, ", "))
	}
	return list
}

// users are schedules and settings in memory.
type users struct {
	mu       sync.Mutex
	schedule signalbox.Schedule
	err      error
	mutes    map[string]bool // by title
}

func (u *users) ScheduleOf(context.Context, string) (signalbox.Schedule, bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.schedule, true, u.err
}
func (*users) SaveSchedule(context.Context, string, signalbox.Schedule) error { return nil }
func (*users) ForgetSchedule(context.Context, string) error                   { return nil }

func (u *users) set(change func(*users)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(u)
}

func (u *users) Explain(_ context.Context, list []*signalbox.Notification, _ []string) ([][]signalbox.SettingsDecision, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var decisions [][]signalbox.SettingsDecision
	for _, n := range list {
		decision := signalbox.SettingsDecision{Delivered: true, Rule: signalbox.RuleDefault}
		if u.mutes[n.Payload.Title] {
			decision = signalbox.SettingsDecision{Rule: signalbox.RuleUserTopic}
		}
		decisions = append(decisions, []signalbox.SettingsDecision{decision})
	}
	return decisions, nil
}

func (u *users) engine(t *testing.T, store signalbox.DeliveryStore, list ...channels.Channel) *Engine {
	t.Helper()
	engine, err := New(Deps{Store: store, Channels: list, Schedules: signalbox.NewSchedules(u, signalbox.Schedule{}), Explainer: u}, Config{Lease: testLease})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

const jane = signalbox.Audience("user:default/jane")

var daily = signalbox.Schedule{Digest: signalbox.DigestTimes{Every: signalbox.DigestDaily, At: 8 * 60}}

func severe(s signalbox.Severity) func(*signalbox.Notification, *channels.Target) {
	return func(n *signalbox.Notification, _ *channels.Target) { n.Payload.Severity = s }
}

// until waits for a time of the first days of 2000, when synctest begins.
func until(t *testing.T, text string) {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05", "2000-01-"+text)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(at))
	synctest.Wait()
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// nothingHeld checks that an ended digest leaves nothing behind.
func nothingHeld(t *testing.T, m *memory) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held)+len(m.rows) != 0 {
		t.Errorf("%d are still held, %d messages are on the queue", len(m.held), len(m.rows))
	}
}

func TestDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, u := newMemory(), &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}}, &users{schedule: daily}
		stop := m.consume(u.engine(t, m, c))
		defer stop()
		until(t, "01 10:00:00")
		first := planned(t, "Fake", 1, jane)
		m.plan(first)
		until(t, "01 11:00:00")
		m.plan(planned(t, "Fake", 2, jane, scope("build")), planned(t, "Fake", 3, jane, severe(signalbox.SeverityCritical)),
			planned(t, "Fake", 4, "group:default/team"), planned(t, "Fake", 5, signalbox.Everyone))
		until(t, "01 12:00:00")
		m.plan(planned(t, "Fake", 6, jane, scope("build")), planned(t, "Fake", 7, jane, severe(signalbox.SeverityHigh)), planned(t, "Fake", 8, jane))
		synctest.Wait()
		u.set(func(u *users) { u.mutes = map[string]bool{"title 8": true} })

		// What is critical or nobody's own does not wait.
		same(t, "at once", len(c.made()), 3)
		record := m.record(first.DeliveryKey)
		if record.Status != signalbox.DeliveryQueued || !record.Next.Equal(time.Date(2000, 1, 2, 8, 0, 0, 0, time.UTC)) || record.Rule != signalbox.RuleDigest {
			t.Errorf("held: %+v", record)
		}
		until(t, "02 08:01:00")
		same(t, "digests", c.summary(), []string{"02 08:00 title 7, title 6+1, title 1"})
		same(t, "one by one", len(c.made()), 3)
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 6, signalbox.DeliverySuppressed: 2})
		same(t, "muted", m.record(planned(t, "Fake", 8, jane).DeliveryKey).Rule, signalbox.RuleUserTopic)
		same(t, "updated", m.record(planned(t, "Fake", 2, jane).DeliveryKey).Rule, signalbox.RuleSuperseded)
		record = m.record(first.DeliveryKey)
		if record.Detail != "In a digest of 3: ok" || record.ProviderID == "" || record.Attempts != 1 {
			t.Errorf("carried: %+v", record)
		}
		nothingHeld(t, m)
		// The next window begins anew; what is alone in it goes as it is.
		until(t, "02 09:00:00")
		m.plan(planned(t, "Fake", 9, jane))
		until(t, "03 08:01:00")
		same(t, "digests", len(c.summary()), 1)
		made := c.made()
		if len(made) != 4 || made[3].at.Format("02 15:04") != "03 08:00" {
			t.Errorf("%+v", made)
		}
		nothingHeld(t, m)
	})
}

// A digest that fails is tried again with the same content under the same ID,
// whatever comes meanwhile.
func TestDigestIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, u := newMemory(), &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}}, &users{schedule: daily}
		c.actDigest = func(context.Context, channels.Digest) (channels.Sent, error) {
			if len(c.digests) < 3 {
				return channels.Sent{}, errors.New("down")
			}
			return channels.Sent{}, nil
		}
		stop := m.consume(u.engine(t, m, c))
		defer stop()
		until(t, "01 10:00:00")
		m.plan(planned(t, "Fake", 1, jane), planned(t, "Fake", 2, jane))
		until(t, "02 08:00:00")
		m.plan(planned(t, "Fake", 3, jane))
		until(t, "02 09:00:00")
		if len(c.digests) != 3 || c.digests[0].ID != c.digests[2].ID || c.digests[2].Attempt != 3 {
			t.Errorf("%+v", c.digests)
		}
		for _, text := range c.summary() {
			if !strings.HasSuffix(text, "title 1, title 2") && !strings.HasSuffix(text, "title 2, title 1") {
				t.Error(text)
			}
		}
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 2, signalbox.DeliveryQueued: 1})
		until(t, "03 09:00:00")
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 3})
		nothingHeld(t, m)
	})
}

// Quiet hours that begin while a digest is being tried hold it back, as it is.
func TestDigestRunsIntoQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := daily
		both.Quiet = &signalbox.QuietHours{From: 8*60 + 1, To: 9 * 60}
		m, c, u := newMemory(), &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}}, &users{schedule: both}
		c.actDigest = func(context.Context, channels.Digest) (channels.Sent, error) {
			if time.Now().Hour() == 8 {
				return channels.Sent{}, signalbox.RetryAfter(errors.New("down"), 2*time.Minute)
			}
			return channels.Sent{}, nil
		}
		stop := m.consume(u.engine(t, m, c))
		defer stop()
		until(t, "01 10:00:00")
		m.plan(planned(t, "Fake", 1, jane), planned(t, "Fake", 2, jane))
		until(t, "02 08:30:00")
		same(t, "tries before", len(c.summary()), 1)
		until(t, "02 09:00:01")
		if len(c.digests) != 2 || c.digests[0].ID != c.digests[1].ID || len(c.digests[1].Items) != 2 {
			t.Errorf("%+v", c.digests)
		}
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 2})
		nothingHeld(t, m)
	})
}

// A process that dies after the digest was sent costs a repetition under the same
// ID, and one that dies before costs nothing.
func TestDigestAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, u := newMemory(), &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}}, &users{schedule: daily}
		broken := &flaky{memory: m}
		dying := u.engine(t, broken, c)
		stop := m.consume(dying)
		until(t, "01 10:00:00")
		m.plan(planned(t, "Fake", 1, jane), planned(t, "Fake", 2, jane), planned(t, "Fake", 3, jane))
		until(t, "02 07:00:00")
		broken.setFail(func([]signalbox.Settlement) error { return errDatabase })
		until(t, "02 08:00:10")
		stop() // its lease is not over, and the success is not stored
		living := u.engine(t, m, c)
		stop = m.consume(living)
		defer stop()
		until(t, "02 09:00:00")
		if len(c.digests) != 2 || c.digests[0].ID != c.digests[1].ID {
			t.Errorf("%+v", c.digests)
		}
		same(t, "the same twice", c.digests[1].Items, c.digests[0].Items)
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 3})
		nothingHeld(t, m)
	})
}

func TestDigestIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, u := newMemory(), &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}}, &users{schedule: daily}
		refuse := true
		c.actDigest = func(context.Context, channels.Digest) (channels.Sent, error) {
			if refuse {
				return channels.Sent{}, signalbox.Permanent(errors.New("no such mailbox"))
			}
			return channels.Sent{}, nil
		}
		stop := m.consume(u.engine(t, m, c))
		defer stop()
		until(t, "01 10:00:00")
		m.plan(planned(t, "Fake", 1, jane), planned(t, "Fake", 2, jane))
		until(t, "02 09:00:00")
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryFailed: 2})
		refuse = false
		m.redrive(m.letter(t).ID)
		until(t, "02 10:00:00")
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 2})
		nothingHeld(t, m)
	})
}

// What comes too late for the digest of its window is in the next one.
func TestLateForDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, u := newMemory(), &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}}, &users{schedule: daily}
		engine := u.engine(t, m, c)
		until(t, "01 10:00:00")
		m.plan(planned(t, "Fake", 1, jane), planned(t, "Fake", 2, jane))
		m.mu.Lock()
		m.digests[window{jane, "Fake", time.Date(2000, 1, 2, 8, 0, 0, 0, time.UTC)}] = true
		m.mu.Unlock()
		stop := m.consume(engine)
		defer stop()
		until(t, "02 09:00:00")
		same(t, "digests", len(c.summary()), 0)
		until(t, "03 09:00:00")
		same(t, "digests", len(c.summary()), 1)
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 2})
		nothingHeld(t, m)
	})
}

// What a digest carried along, or was to, does not wait for the end of quiet hours that
// begin before its own message is looked at.
func TestQuietHoursAfterDigest(t *testing.T) {
	for status, answer := range map[signalbox.DeliveryStatus]error{
		signalbox.DeliveryDelivered: nil,
		signalbox.DeliveryFailed:    signalbox.Permanent(errors.New("no such mailbox")),
	} {
		synctest.Test(t, func(t *testing.T) {
			m, c, u := newMemory(), &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}}, &users{schedule: daily}
			c.actDigest = func(context.Context, channels.Digest) (channels.Sent, error) { return channels.Sent{}, answer }
			engine := u.engine(t, m, c)
			defer engine.Close()
			until(t, "01 10:00:00")
			m.plan(planned(t, "Fake", 1, jane), planned(t, "Fake", 2, jane))
			next := func() {
				t.Helper()
				payload, lease, _, _ := m.lease(Topic("Fake"))
				if err := engine.Consumers()[0].Handle(t.Context(), payload, lease); err != nil {
					t.Fatal(err)
				}
			}
			next()
			next()
			until(t, "02 08:00:00")
			next()
			same(t, "digests", len(c.summary()), 1)
			same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{status: 2})
			u.set(func(u *users) { u.schedule.Quiet = &signalbox.QuietHours{From: 8 * 60, To: 9 * 60} })
			next()
			same(t, "statuses afterwards", m.statuses(), map[signalbox.DeliveryStatus]int{status: 2})
			same(t, "messages", len(m.rows), 0)
		})
	}
}

func TestQuietHours(t *testing.T) {
	night := signalbox.Schedule{TimeZone: "Europe/Berlin", Quiet: &signalbox.QuietHours{From: 22 * 60, To: 7 * 60, Below: signalbox.SeverityHigh}}
	synctest.Test(t, func(t *testing.T) {
		m, u := newMemory(), &users{schedule: night}
		plain, digester := &fakeChannel{name: "Plain"}, &fakeDigester{fakeChannel: fakeChannel{name: "Digester"}}
		stop := m.consume(u.engine(t, m, plain, digester))
		defer stop()
		until(t, "01 22:30:00") // 23:30 there
		for i, channel := range []string{"Plain", "Digester"} {
			m.plan(planned(t, channel, 10*i+1, jane), planned(t, channel, 10*i+2, jane), planned(t, channel, 10*i+3, jane, severe(signalbox.SeverityHigh)))
		}
		synctest.Wait()
		same(t, "at once", len(plain.made())+len(digester.made()), 2)
		record := m.record(planned(t, "Plain", 1, jane).DeliveryKey)
		if record.Status != signalbox.DeliveryQueued || record.Rule != signalbox.RuleQuietHours {
			t.Errorf("held: %+v", record)
		}
		u.set(func(u *users) { u.mutes = map[string]bool{"title 2": true} })
		until(t, "02 05:59:59")
		same(t, "before the end", len(plain.made())+len(digester.made()), 2)
		until(t, "02 06:00:01")
		same(t, "one by one", len(plain.made()), 2)
		same(t, "together", len(digester.summary()), 1)
		same(t, "muted", m.record(planned(t, "Plain", 2, jane).DeliveryKey).Rule, signalbox.RuleUserTopic)
		same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 5, signalbox.DeliverySuppressed: 1})
		nothingHeld(t, m)
	})
}

// A night that is longer than deliveries are tried does not end what failed once before
// it; what fails all the time ends with the time that it was tried.
func TestQuietHoursLongerThanAge(t *testing.T) {
	night := signalbox.Schedule{Quiet: &signalbox.QuietHours{From: 22 * 60, To: 7 * 60}}
	for _, c := range []struct {
		recovers bool
		want     signalbox.DeliveryStatus
		late     string
	}{
		{true, signalbox.DeliveryDelivered, "02 07:00:01"},
		{false, signalbox.DeliveryQueued, "02 07:40:00"},
		{false, signalbox.DeliveryFailed, "02 08:00:00"},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, u := newMemory(), &users{schedule: night}
			ch := &fakeChannel{name: "Fake"}
			ch.act = func(context.Context, channels.Delivery) (channels.Sent, error) {
				if c.recovers && time.Now().Hour() < 12 {
					return channels.Sent{}, nil
				}
				return channels.Sent{}, signalbox.RetryAfter(errors.New("down"), 5*time.Minute)
			}
			e, err := New(Deps{Store: m, Channels: []channels.Channel{ch}, Schedules: signalbox.NewSchedules(u, signalbox.Schedule{}), Explainer: u}, Config{Lease: testLease, MaxAge: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			stop := m.consume(e)
			defer stop()
			until(t, "01 21:50:00")
			m.plan(planned(t, "Fake", 1, jane))
			until(t, c.late)
			same(t, "statuses", m.statuses(), map[signalbox.DeliveryStatus]int{c.want: 1})
		})
	}
}

// An outage of the database that has the schedules loses nothing.
func TestScheduleOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c, u := newMemory(), &fakeChannel{name: "Fake"}, &users{err: errDatabase}
		stop := m.consume(u.engine(t, m, c))
		defer stop()
		m.plan(planned(t, "Fake", 1, jane))
		time.Sleep(time.Minute)
		same(t, "during", len(c.made()), 0)
		u.set(func(u *users) { u.err = nil })
		time.Sleep(time.Minute)
		same(t, "after", len(c.made()), 1)
		nothingHeld(t, m)
	})
}

// A digest whose consumers die again and again takes those that it carried along with
// it: their own messages are gone.
func TestDigestOfDeadConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, u := newMemory(), &users{schedule: daily}
		e := u.engine(t, m, &fakeDigester{fakeChannel: fakeChannel{name: "Fake"}})
		defer e.Close()
		first, second := planned(t, "Fake", 1, jane), planned(t, "Fake", 2, jane)
		m.plan(first, second)
		handle := e.Consumers()[0].Handle
		for range 2 {
			payload, lease, _, _ := m.lease(Topic("Fake"))
			if err := handle(t.Context(), payload, lease); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(24 * time.Hour)
		payload, lease, _, _ := m.lease(Topic("Fake"))
		if part, _, err := m.ClaimDigest(t.Context(), first.DeliveryKey, time.Now()); part != signalbox.DigestLeads || err != nil {
			t.Fatal(part, err)
		}
		m.rows[lease.Position].leases, lease.Count = maxLeases+1, maxLeases+1
		if err := handle(t.Context(), payload, lease); err != nil {
			t.Fatal(err)
		}
		payload, lease, _, _ = m.lease(Topic("Fake"))
		if err := handle(t.Context(), payload, lease); err != nil {
			t.Fatal(err)
		}
		if got := m.statuses(); got[signalbox.DeliveryFailed] != 2 || len(m.rows) != 0 {
			t.Errorf("%v with %d messages", got, len(m.rows))
		}
		m.redrive(m.letter(t).ID)
		payload, lease, _, _ = m.lease(Topic("Fake"))
		if err := handle(t.Context(), payload, lease); err != nil {
			t.Fatal(err)
		}
		if got := m.statuses(); got[signalbox.DeliveryDelivered] != 2 {
			t.Errorf("%v after it was put back", got)
		}
	})
}

// answers are the decisions of an Explainer.
type answers [][]signalbox.SettingsDecision

func (a answers) Explain(context.Context, []*signalbox.Notification, []string) ([][]signalbox.SettingsDecision, error) {
	return a, nil
}

// TestDecisionsThatAreMissing are no leave to send.
func TestDecisionsThatAreMissing(t *testing.T) {
	for _, c := range []struct {
		given answers
		want  string
	}{
		{answers{}, "delivery: settings: 0 decisions about 1 notifications"},
		{answers{{}}, "delivery: settings: 0 decisions about one channel"},
	} {
		consumer := &consumer{name: "Fake", engine: &Engine{explainer: c.given}}
		if rules, err := consumer.muted(t.Context(), []*signalbox.Notification{{}}); err == nil || err.Error() != c.want {
			t.Errorf("%v, %v; want %q", rules, err, c.want)
		}
	}
}
