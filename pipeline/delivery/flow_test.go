package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// A process that dies between the call and its settlement costs one more call, and
// what is recorded costs none.
func TestCrashAfterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake"}
		dying := newEngine(t, &flaky{memory: m, fail: func([]signalbox.Settlement) error { return errDatabase }}, Config{}, c)
		d := planned(t, "Fake", 1, "user:default/anna", scope("s"))
		m.plan(d)
		payload, lease, _, _ := m.lease(Topic("Fake"))
		ctx, cancel := context.WithTimeout(t.Context(), testLease)
		defer cancel()
		began := time.Now()
		if err := dying.Consumers()[0].Handle(ctx, payload, lease); !signalbox.IsTransient(err) {
			t.Fatalf("error %v", err)
		}
		if took := time.Since(began); took < testLease/2 {
			t.Errorf("it stopped trying to record the success after %s", took)
		}
		dying.Close()

		living := newEngine(t, m, Config{}, c)
		stop := m.consume(living)
		m.settled(t, time.Minute)
		if calls := len(c.made()); calls != 2 {
			t.Errorf("%d calls; want 2", calls)
		}
		// The message comes once more, as if its removal had been lost.
		if err := living.Consumers()[0].Handle(t.Context(), payload, signalbox.Lease{Position: lease.Position, Count: 3}); err != nil {
			t.Fatal(err)
		}
		stop()
		if calls := len(c.made()); calls != 2 || m.record(d.DeliveryKey).Status != signalbox.DeliveryDelivered {
			t.Errorf("%d calls; want 2", calls)
		}
	})
}

// An outage of the database, however long, costs no second call as long as the
// process lives.
func TestOutageAfterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		store := &flaky{memory: m, fail: func([]signalbox.Settlement) error { return errDatabase }}
		c := &fakeChannel{name: "Fake"}
		e := newEngine(t, store, Config{}, c)
		for n := range 10 {
			m.plan(planned(t, "Fake", n, "user:default/anna", scope(strconv.Itoa(n))))
		}
		stop := m.consume(e)
		time.Sleep(3 * time.Minute)
		store.setFail(nil)
		m.settled(t, time.Hour)
		stop()
		seen := make(map[string]int)
		for _, call := range c.made() {
			seen[call.Notification.RequestID]++
		}
		for request, n := range seen {
			if n != 1 {
				t.Errorf("%s was sent %d times", request, n)
			}
		}
		if got := m.statuses()[signalbox.DeliveryDelivered]; got != 10 || len(e.consumers[0].unrecorded.byID) != 0 {
			t.Errorf("%d delivered, %d remembered", got, len(e.consumers[0].unrecorded.byID))
		}
	})
}

// Settlements share commits; one that cannot be stored fails alone; what fails for
// a moment is stored after it.
func TestSettler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		bad := errors.New("the data is bad")
		transient := 3
		store := &flaky{memory: m}
		store.fail = func(settlements []signalbox.Settlement) error {
			time.Sleep(10 * time.Millisecond) // others arrive meanwhile
			for _, s := range settlements {
				if s.Record.RequestID == "request-7" {
					return bad
				}
			}
			if transient--; transient >= 0 {
				return errDatabase
			}
			return nil
		}
		e := newEngine(t, store, Config{}, &fakeChannel{name: "Fake"})
		var wait sync.WaitGroup
		for n := range 600 {
			wait.Go(func() {
				d := planned(t, "Fake", n, "user:default/anna")
				err := e.settler.settle(t.Context(), signalbox.Settlement{Record: d.DeliveryRecord})
				if want := d.RequestID == "request-7"; errors.Is(err, bad) != want || err != nil && !want {
					t.Errorf("%s: %v", d.RequestID, err)
				}
			})
		}
		wait.Wait()
		e.Close()
		if len(m.records) != 599 {
			t.Errorf("%d records; want 599", len(m.records))
		}
		if most := slices.Max(m.commits); most < 50 || most > maxSettlements {
			t.Errorf("the largest commit has %d settlements; %d are the most", most, maxSettlements)
		}
	})
}

// Whatever order revisions come in, and whatever fails: no target gets an older
// one after a newer one, none gets two at a time, and each ends with the newest.
func TestScopeOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testScopeOrder(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func testScopeOrder(t *testing.T, random *rand.Rand) {
	const users, revisions = 3, 40
	var (
		mu    sync.Mutex
		busy  = make(map[signalbox.Audience]bool)
		state = make(map[signalbox.Audience]int64)
	)
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	act := func(_ context.Context, d channels.Delivery) (channels.Sent, error) {
		mu.Lock()
		revision, last := d.Notification.Revision, state[d.Audience]
		if busy[d.Audience] {
			t.Errorf("two calls at a time for %s", d.Audience)
		}
		if revision < last {
			t.Errorf("%s: revision %d after %d", d.Audience, revision, last)
		}
		if last != 0 && (d.Previous == nil || d.Previous.State != fmt.Sprint(last)) && revision != last {
			t.Errorf("%s: revision %d got %v of %d", d.Audience, revision, d.Previous, last)
		}
		busy[d.Audience] = true
		mu.Unlock()
		time.Sleep(time.Duration(roll(2000)) * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		busy[d.Audience] = false
		if random.IntN(4) == 0 {
			return channels.Sent{}, errors.New("broken")
		}
		state[d.Audience] = revision
		return channels.Sent{State: fmt.Sprint(revision)}, nil
	}
	m := newMemory()
	unsteady := func([]signalbox.Settlement) error {
		if roll(5) == 0 {
			return errDatabase
		}
		return nil
	}
	for n := range users * revisions {
		m.plan(planned(t, "Fake", 1+n/users, signalbox.Audience(fmt.Sprintf("user:default/%d", n%users)), scope("s")))
	}
	// The queue gives no order.
	random.Shuffle(int(m.last), func(i, j int) {
		a, b := m.rows[int64(i+1)], m.rows[int64(j+1)]
		a.payload, b.payload = b.payload, a.payload
	})
	config := Config{BreakerFailures: 1 << 20, Retry: retry.Policy{Max: 10 * time.Second}}
	for range 2 {
		defer m.consume(newEngine(t, &flaky{memory: m, fail: unsteady}, config, &fakeChannel{name: "Fake", act: act}))()
	}
	m.settled(t, 12*time.Hour)
	mu.Lock()
	defer mu.Unlock()
	for audience, revision := range state {
		if revision != revisions {
			t.Errorf("%s ended with revision %d; want %d", audience, revision, revisions)
		}
	}
	statuses := m.statuses()
	if len(state) != users || statuses[signalbox.DeliveryDelivered]+statuses[signalbox.DeliverySuppressed] != users*revisions {
		t.Errorf("%v", statuses)
	}
	for _, record := range m.records {
		if record.Status == signalbox.DeliverySuppressed && record.Rule != signalbox.RuleSuperseded {
			t.Errorf("%+v", record)
		}
	}
}

// pages are targets in pages of 500, as of a channel that lists a directory.
func pages(total int) func(context.Context, channels.Delivery, string) (channels.Targets, error) {
	return func(_ context.Context, _ channels.Delivery, cursor string) (channels.Targets, error) {
		from, _ := strconv.Atoi(cursor)
		var found channels.Targets
		for n := from; n < min(from+channels.MaxTargets, total); n++ {
			found.Targets = append(found.Targets, channels.Target{Address: fmt.Sprintf("a%d@example.com", n), Display: fmt.Sprint(n)})
		}
		if next := from + channels.MaxTargets; next < total {
			found.Next = strconv.Itoa(next)
		}
		return found, nil
	}
}

// A broadcast becomes 1,200 deliveries, page by page; a process that dies in the
// middle makes no doubles.
func TestExpansion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: 16}}, resolve: pages(1200)}
		d := planned(t, "Fake", 1, signalbox.Everyone)
		m.plan(d)
		splits := 0
		dying := newEngine(t, &flaky{memory: m, fail: func(list []signalbox.Settlement) error {
			if len(list[0].Children) > 0 {
				if splits++; splits > 1 {
					return errDatabase
				}
			}
			return nil
		}}, Config{}, c)
		stop := m.consume(dying)
		time.Sleep(time.Second)
		stop()
		if got := len(m.records); got != 501 {
			t.Errorf("%d records after the first page; want 501", got)
		}

		defer m.consume(newEngine(t, m, Config{}, c))()
		m.settled(t, time.Hour)
		seen := make(map[string]bool)
		for _, call := range c.made() {
			if seen[call.Target.Address] || call.Audience != signalbox.Everyone || call.ID == d.ID() {
				t.Errorf("twice, or wrong: %+v", call.Delivery)
			}
			seen[call.Target.Address] = true
		}
		if got := m.statuses(); len(seen) != 1200 || len(got) != 1 || got[signalbox.DeliveryDelivered] != 1200 {
			t.Errorf("%d targets, records %v", len(seen), got)
		}
		if got := m.record(signalbox.DeliveryKey{RequestID: "request-1", Audience: "*", Channel: "Fake", Target: "a7@example.com"}); got.Address != "7" || got.Attempts != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestResolve(t *testing.T) {
	one := channels.Target{Address: "U1", Display: "anna@example.com"}
	tests := []struct {
		name   string
		pages  map[string]channels.Targets
		err    error
		status map[signalbox.DeliveryStatus]int
		calls  int
		dead   string
	}{
		{name: "one", pages: map[string]channels.Targets{"": {Targets: []channels.Target{one}}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 1}, calls: 1},
		{name: "the same twice", pages: map[string]channels.Targets{"": {Targets: []channels.Target{one, one, {Address: "U2"}}}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 2}, calls: 2},
		{name: "the last part is empty", pages: map[string]channels.Targets{"": {Targets: []channels.Target{one}, Next: "x"}, "x": {}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 1}, calls: 1},
		{name: "all parts are empty", pages: map[string]channels.Targets{"": {Next: "x"}, "x": {}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliverySuppressed: 1}},
		{name: "a part is empty", pages: map[string]channels.Targets{"": {Next: "x"}, "x": {Targets: []channels.Target{one}}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryDelivered: 1}, calls: 1},
		{name: "none", pages: map[string]channels.Targets{"": {}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliverySuppressed: 1}},
		{name: "suppressed", err: channels.Suppressed(signalbox.RuleNoAddress, "no email"), status: map[signalbox.DeliveryStatus]int{signalbox.DeliverySuppressed: 1}},
		{name: "permanent", err: signalbox.Permanent(errors.New("bad token")), status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryFailed: 1}, dead: "bad token"},
		{name: "round and round", pages: map[string]channels.Targets{"": {Next: "x"}, "x": {Next: "x"}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryFailed: 1}, dead: "the channel returned the same part of its targets twice"},
		{name: "no address", pages: map[string]channels.Targets{"": {Targets: []channels.Target{{Display: "x"}}}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryFailed: 1}, dead: "the channel returned a target without an address"},
		{name: "too many", pages: map[string]channels.Targets{"": {Targets: make([]channels.Target, channels.MaxTargets+1)}}, status: map[signalbox.DeliveryStatus]int{signalbox.DeliveryFailed: 1}, dead: "the channel returned 501 targets at a time; 500 are the most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake"}}
				c.resolve = func(_ context.Context, _ channels.Delivery, cursor string) (channels.Targets, error) {
					return tt.pages[cursor], tt.err
				}
				defer m.consume(newEngine(t, m, Config{}, c))()
				m.plan(planned(t, "Fake", 1, "user:default/anna"))
				m.settled(t, time.Minute)
				if diff := cmp.Diff(tt.status, m.statuses()); diff != "" || len(c.made()) != tt.calls {
					t.Errorf("%d calls\n%s", len(c.made()), diff)
				}
				if tt.dead != "" {
					if letter := m.letter(t); letter.Error != tt.dead {
						t.Errorf("%q", letter.Error)
					}
				}
			})
		})
	}
}

// A target that was found out is kept between attempts, and looked for again when
// a person puts the delivery back.
func TestResolvedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		asked := 0
		c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake"}}
		c.resolve = func(context.Context, channels.Delivery, string) (channels.Targets, error) {
			asked++
			return channels.Targets{Targets: []channels.Target{{Address: "U1"}}}, nil
		}
		c.act = func(_ context.Context, d channels.Delivery) (channels.Sent, error) {
			if d.Attempt < 3 {
				return channels.Sent{}, errors.New("broken")
			}
			return channels.Sent{}, signalbox.Permanent(errors.New("gone"))
		}
		defer m.consume(newEngine(t, m, Config{}, c))()
		m.plan(planned(t, "Fake", 1, "user:default/anna"))
		m.settled(t, time.Minute)
		letter := m.letter(t)
		if asked != 1 || len(letter.History) != 3 || letter.Attempts != 3 {
			t.Errorf("asked %d times, %+v", asked, letter)
		}
		m.redrive(letter.ID)
		m.settled(t, time.Minute)
		if asked != 2 {
			t.Errorf("asked %d times; want 2", asked)
		}
	})
}

// Two dead letters of one delivery, or one put back twice, send it once.
func TestRedriveTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: 1}}
		c.act = func(context.Context, channels.Delivery) (channels.Sent, error) {
			if len(c.made()) == 1 {
				return channels.Sent{}, signalbox.Permanent(errors.New("gone"))
			}
			return channels.Sent{}, nil
		}
		defer m.consume(newEngine(t, m, Config{}, c))()
		m.plan(planned(t, "Fake", 1, "user:default/anna"))
		m.settled(t, time.Minute)
		letter := m.letter(t)
		m.redrive(letter.ID)
		m.mu.Lock()
		m.publish(letter.Topic, letter.Payload, 0)
		m.mu.Unlock()
		m.settled(t, time.Minute)
		if calls := len(c.made()); calls != 2 {
			t.Errorf("%d calls; want 2", calls)
		}
	})
}

// Two deliveries of one revision to the same place send it once.
func TestSamePlaceTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake"}}
		c.resolve = func(context.Context, channels.Delivery, string) (channels.Targets, error) {
			return channels.Targets{Targets: []channels.Target{{Address: "C1"}}}, nil
		}
		c.act = func(context.Context, channels.Delivery) (channels.Sent, error) {
			time.Sleep(time.Second)
			return channels.Sent{ID: "1"}, nil
		}
		defer m.consume(newEngine(t, m, Config{}, c))()
		m.plan(planned(t, "Fake", 1, "group:default/a", scope("s")), planned(t, "Fake", 1, "group:default/b", scope("s")))
		m.settled(t, time.Minute)
		if got := m.statuses()[signalbox.DeliveryDelivered]; got != 2 || len(c.made()) != 1 {
			t.Errorf("%d delivered by %d calls", got, len(c.made()))
		}
	})
}

// A channel's state that is too long is dropped, for the message was sent.
func TestLongState(t *testing.T) {
	m := newMemory()
	c := &fakeChannel{name: "Fake", act: func(context.Context, channels.Delivery) (channels.Sent, error) {
		return channels.Sent{State: strings.Repeat("x", maxState+1)}, nil
	}}
	e := newEngine(t, m, Config{}, c)
	defer e.Close()
	m.plan(planned(t, "Fake", 5, "user:default/anna", scope("s")))
	payload, lease, _, _ := m.lease(Topic("Fake"))
	if err := e.Consumers()[0].Handle(t.Context(), payload, lease); err != nil {
		t.Fatal(err)
	}
	for _, got := range m.threads {
		if got.Revision != 5 || got.State != "" || got.by != "" {
			t.Errorf("%+v", got)
		}
	}
}

// A message that is interrupted stays on the queue, and nothing is recorded of it.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", act: func(ctx context.Context, _ channels.Delivery) (channels.Sent, error) {
			<-ctx.Done()
			return channels.Sent{}, ctx.Err()
		}}
		e := newEngine(t, m, Config{}, c)
		d := planned(t, "Fake", 1, "user:default/anna")
		m.plan(d)
		payload, lease, _, _ := m.lease(Topic("Fake"))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := e.Consumers()[0].Handle(ctx, payload, lease); !errors.Is(err, context.Canceled) || len(c.made()) != 1 {
			t.Errorf("error %v after %d calls", err, len(c.made()))
		}
		e.Close()
		if got := m.record(d.DeliveryKey); got.Attempts != 0 || len(m.rows) != 1 || e.Health()[0].Failures != 0 {
			t.Errorf("%+v, %d rows, health %+v", got, len(m.rows), e.Health())
		}
	})
}

// A revision that waits for its next attempt does not hold up a newer one, and is
// not sent after it.
func TestNewerRevisionOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", act: func(_ context.Context, d channels.Delivery) (channels.Sent, error) {
			if d.Notification.Revision == 1 {
				return channels.Sent{}, signalbox.RetryAfter(errors.New("not now"), time.Hour)
			}
			return channels.Sent{}, nil
		}}
		older, newer := planned(t, "Fake", 1, "user:default/anna", scope("s")), planned(t, "Fake", 2, "user:default/anna", scope("s"))
		m.plan(older)
		stop := m.consume(newEngine(t, m, Config{}, c))
		time.Sleep(time.Second)
		m.plan(newer)
		time.Sleep(time.Second)
		if got := m.record(newer.DeliveryKey); got.Status != signalbox.DeliveryDelivered {
			t.Errorf("%+v", got)
		}
		m.settled(t, 2*time.Hour)
		stop()
		if got := m.record(older.DeliveryKey); got.Rule != signalbox.RuleSuperseded || len(c.made()) != 2 {
			t.Errorf("%+v after %d calls", got, len(c.made()))
		}
	})
}

// What a delivery becomes that was put back long after its request has all its time
// again, too.
func TestRedriveExpands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake"}}
		refuse := true
		c.resolve = func(ctx context.Context, d channels.Delivery, cursor string) (channels.Targets, error) {
			if refuse {
				refuse = false
				return channels.Targets{}, signalbox.Permanent(errors.New("bad token"))
			}
			return pages(3)(ctx, d, cursor)
		}
		defer m.consume(newEngine(t, m, Config{}, c))()
		m.plan(planned(t, "Fake", 1, signalbox.Everyone))
		m.settled(t, time.Minute)
		time.Sleep(48 * time.Hour)
		m.redrive(m.letter(t).ID)
		m.settled(t, time.Minute)
		if got := m.statuses(); got[signalbox.DeliveryDelivered] != 3 || len(got) != 1 {
			t.Errorf("%v", got)
		}
	})
}

// A message that is handed over again, after an error, has only what is left of its
// lease. If a call would end with it, or after it, there is none.
func TestResentMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		ctx, cancel := context.WithTimeout(t.Context(), testLease)
		defer cancel()
		c := &fakeChannel{name: "Fake"}
		e := newEngine(t, m, Config{}, c)
		m.plan(planned(t, "Fake", 1, "user:default/anna"))
		payload, lease, _, _ := m.lease(Topic("Fake"))
		time.Sleep(testLease / 2) // the first time the store failed
		if err := e.Consumers()[0].Handle(ctx, payload, lease); !signalbox.IsTransient(err) || len(c.made()) != 0 {
			t.Errorf("error %v after %d calls", err, len(c.made()))
		}
		time.Sleep(testLease) // the row's lease is longer than the consumer's
		stop := m.consume(e)
		m.settled(t, time.Minute)
		stop()
		if calls := len(c.made()); calls != 1 {
			t.Errorf("%d calls; want 1, in the next lease", calls)
		}
	})
}

// A large broadcast is not in memory as a whole.
func TestSplitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		most := 0
		store := &flaky{memory: m, fail: func(list []signalbox.Settlement) error {
			size := 0
			for _, one := range list {
				for _, child := range one.Children {
					size += len(child.Message.Payload)
				}
			}
			most = max(most, size)
			return nil
		}}
		c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: 16}}, resolve: pages(1200)}
		m.plan(planned(t, "Fake", 1, signalbox.Everyone, func(n *signalbox.Notification, _ *channels.Target) {
			n.Payload.Description = strings.Repeat("x", 100_000)
		}))
		defer m.consume(newEngine(t, store, Config{}, c))()
		m.settled(t, time.Hour)
		if got := m.statuses(); got[signalbox.DeliveryDelivered] != 1200 {
			t.Errorf("records %v", got)
		}
		if most > 5<<20 {
			t.Errorf("%d bytes in one transaction", most)
		}
	})
}
