package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// Committer holds an implementation of [signalbox.Committer] to its contract.
// open returns a fixture of its own each time.
func Committer(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"nothing", commitNothing},
		{"twice changes nothing", commitTwice},
		{"a revision replaces the content and keeps the row", revision},
		{"an older revision never overwrites", lateRevision},
		{"two revisions in one row", foldedRevisions},
		{"outcomes come in the order of the commit", outcomeOrder},
		{"a scope belongs to user and origin", scopeOwners},
		{"a request that had another scope before", changedScope},
		{"rows are stored as they are reported", reportedAsStored},
		{"callers' mistakes", callersMistakes},
		{"large commits", largeCommit},
		{"messages and dead letters", messagesAndDeadLetters},
		{"messages that follow from the outcomes", furtherMessages},
		{"effects without a row happen once", onceKeys},
		{"all or nothing", allOrNothing},
		{"a context that is done", doneContext},
		{"the newest wins under concurrency", concurrentScope},
		{"the same commit in two places", concurrentDuplicates},
		{"counts stay right under concurrency", concurrentCounts},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func commitNothing(t *testing.T, f Fixture) {
	commit(t, f.Store)
	equal(t, "woken", len(f.Woken()), 0)
}

func commitTwice(t *testing.T, f Fixture) {
	all := []signalbox.Notification{
		notification(1, alice), notification(2, alice, scoped("s")), notification(3, ""), notification(4, "", scoped("s")),
	}
	// Each kind on its own, and all at once.
	for _, rows := range [][]signalbox.Notification{all[:1], all[1:2], all[2:3], all[3:4]} {
		if !commit(t, f.Store, rows...)[0].Changed {
			t.Errorf("%s: a new row is no change", rows[0].ID)
		}
	}
	update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes, Saved: yes})
	before := inbox(t, f.Store, alice)
	for _, rows := range [][]signalbox.Notification{all, all[:1], all[1:2], all[2:3], all[3:4], all} {
		for i, outcome := range commit(t, f.Store, rows...) {
			if outcome.Changed {
				t.Errorf("%s changed by a repetition", rows[i].ID)
			}
			equal(t, "stored", outcome.Notification.ID, rows[i].ID)
		}
	}
	equal(t, "inbox", inbox(t, f.Store, alice), before)
	recount(t, f.Store, alice, bob)
}

func revision(t *testing.T, f Fixture) {
	for _, user := range []string{alice, ""} {
		first := notification(1, user, scoped("deploy"))
		first.Payload = signalbox.Payload{
			Title: "one", Description: "d", Link: "https://one", Severity: signalbox.SeverityLow, Topic: "t", Scope: "deploy",
			Icon: "i", Metadata: []byte(`{"n":1}`), AdditionalLinks: []signalbox.AdditionalLink{{URL: "https://more"}},
		}
		commit(t, f.Store, first)
		update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes, Saved: yes})

		second := notification(9, user, scoped("deploy"))
		second.Payload.Severity = signalbox.SeverityCritical
		outcome := commit(t, f.Store, second)[0]
		want := second
		want.ID, want.Created, want.Updated = first.ID, first.Created, second.Created
		if user != "" {
			want.Saved = f.Clock.Now()
		}
		equal(t, "outcome", outcome, signalbox.Outcome{Notification: want, Changed: true})
		want.Saved = f.Clock.Now() // what alice sees, of a broadcast too
		got, err := f.Store.Get(t.Context(), alice, first.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "row", got, want)
		equal(t, "search of the new title", len(list(t, f.Store, alice, signalbox.Filter{IDs: []string{first.ID}, Search: "build 9"}, signalbox.Page{})), 1)
		recount(t, f.Store, alice, bob)
	}
	commit(t, f.Store, notification(5, alice))
	if top := inbox(t, f.Store, alice)[0]; top.Payload.Scope != "deploy" {
		t.Errorf("a re-sent scope does not rise: %+v", top)
	}
}

func lateRevision(t *testing.T, f Fixture) {
	for _, user := range []string{alice, ""} {
		newer := notification(9, user, scoped("s"))
		older := notification(3, user, scoped("s"))
		older.Created = newer.Created.Add(time.Hour) // whatever the clocks say
		commit(t, f.Store, newer)
		outcome := commit(t, f.Store, older)[0]
		equal(t, "outcome", outcome, signalbox.Outcome{Notification: newer})
		got, err := f.Store.Get(t.Context(), alice, newer.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "row", got, newer)
	}
}

func foldedRevisions(t *testing.T, f Fixture) {
	folded := notification(1, alice, scoped("s"))
	folded.Revision, folded.Updated = 2, folded.Created.Add(time.Minute)
	equal(t, "outcome", commit(t, f.Store, folded)[0], signalbox.Outcome{Notification: folded, Changed: true})
	equal(t, "row", inbox(t, f.Store, alice), []signalbox.Notification{folded})
	next := notification(1, alice, scoped("s"))
	next.Revision, next.Updated = 3, folded.Updated.Add(time.Minute)
	equal(t, "updated", commit(t, f.Store, next)[0].Notification.Updated, next.Updated)
}

func outcomeOrder(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(200) {
		n := notification(i, []string{bob, "", alice}[i%3])
		if i%2 == 0 {
			n.Payload.Scope = fmt.Sprintf("s%d", 200-i)
		}
		rows = append(rows, n)
	}
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	commit(t, f.Store, rows[:50]...)
	for i, outcome := range commit(t, f.Store, rows...) {
		equal(t, fmt.Sprintf("outcome %d", i), outcome, signalbox.Outcome{Notification: rows[i], Changed: i >= 50})
	}
	recount(t, f.Store, alice, bob)
}

func scopeOwners(t *testing.T, f Fixture) {
	a, b, c, d := notification(1, alice, scoped("s")), notification(2, bob, scoped("s")), notification(3, alice, scoped("s")), notification(4, "", scoped("s"))
	c.Origin = "another"
	for _, outcome := range commit(t, f.Store, a, b, c, d) {
		if !outcome.Changed || outcome.Notification.Payload.Scope != "s" {
			t.Errorf("not stored: %+v", outcome)
		}
	}
	equal(t, "rows", len(inbox(t, f.Store, alice)), 3)
	equal(t, "rows", len(inbox(t, f.Store, bob)), 2)
}

func changedScope(t *testing.T, f Fixture) {
	for _, user := range []string{alice, ""} {
		before := notification(1, user, scoped("one"))
		commit(t, f.Store, before)
		after := notification(1, user, scoped("two"))
		other := notification(2, user, scoped("three"))
		outcomes := commit(t, f.Store, after, other)
		equal(t, "outcomes", outcomes, []signalbox.Outcome{{Notification: before}, {Notification: other, Changed: true}})
		equal(t, "without scope", commit(t, f.Store, notification(1, user))[0], signalbox.Outcome{Notification: before})
	}
	recount(t, f.Store, alice, bob)
}

func reportedAsStored(t *testing.T, f Fixture) {
	n := notification(1, alice)
	n.Created = start.Add(123 * time.Nanosecond).In(time.FixedZone("x", 3600))
	n.Payload.Severity = ""
	n.Payload.Metadata = []byte{}
	n.Payload.AdditionalLinks = []signalbox.AdditionalLink{}
	n.Read, n.Saved = start, start // not the sender's to say
	outcome := commit(t, f.Store, n)[0]
	equal(t, "reported", []signalbox.Notification{outcome.Notification}, inbox(t, f.Store, alice))
	if !outcome.Notification.Read.IsZero() || !outcome.Notification.Saved.IsZero() {
		t.Errorf("a new row has flags: %+v", outcome.Notification)
	}
}

func callersMistakes(t *testing.T, f Fixture) {
	for name, rows := range map[string][]signalbox.Notification{
		"scope twice":      {notification(1, alice, scoped("s")), notification(2, alice, scoped("s"))},
		"broadcast twice":  {notification(1, "", scoped("s")), notification(2, "", scoped("s"))},
		"id twice":         {notification(1, alice), notification(1, alice)},
		"no id":            {notification(1, alice, func(n *signalbox.Notification) { n.ID = "x" })},
		"no request id":    {notification(1, alice, func(n *signalbox.Notification) { n.RequestID = "" })},
		"no creation time": {notification(1, alice, func(n *signalbox.Notification) { n.Created = time.Time{} })},
	} {
		_, err := f.Store.Commit(t.Context(), signalbox.Commit{Notifications: append(rows, notification(9, bob))})
		if err == nil || signalbox.IsTransient(err) {
			t.Errorf("%s: %v, want an error of the data", name, err)
		}
	}
	equal(t, "stored", inbox(t, f.Store, bob), []signalbox.Notification{})
}

func largeCommit(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(2500) {
		n := notification(i, fmt.Sprintf("user:default/u%04d", (i*7)%500))
		if i%2 == 0 {
			n.Payload.Scope = fmt.Sprintf("s%d", i)
		}
		rows = append(rows, n)
	}
	for i, outcome := range commit(t, f.Store, rows...) {
		equal(t, "outcome", outcome, signalbox.Outcome{Notification: rows[i], Changed: true})
	}
	recount(t, f.Store, "user:default/u0000", "user:default/u0499")
}

func messagesAndDeadLetters(t *testing.T, f Fixture) {
	letter := signalbox.DeadLetter{
		ID: "d1", Topic: "notifications", Payload: []byte{0, 1, 2}, Stage: "recipients", Error: "first", Attempts: 3,
		RequestID: requestID(start, 1), Origin: "ci", Created: start, Died: start.Add(time.Minute),
	}
	messages := []signalbox.Message{{Topic: "b", ID: "1", Payload: []byte("x")}, {Topic: "a", ID: "2", Payload: []byte("y")}, {Topic: "b", ID: "3", Payload: []byte("z")}}
	c := signalbox.Commit{
		Notifications: []signalbox.Notification{notification(1, alice)},
		Messages:      messages,
		DeadLetters:   []signalbox.DeadLetter{letter},
	}
	if _, err := f.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	equal(t, "published", f.Published(t), messages)
	equal(t, "woken", f.Woken(), []string{"a", "b", "b"})

	// The latest word on the same thing, whose error is not even text.
	again := letter
	again.Error, again.Attempts, again.Died = "second\x00\xff", 4, letter.Died.Add(time.Minute)
	other := letter
	other.ID, other.Payload = "d2", []byte{}
	if _, err := f.Store.Commit(t.Context(), signalbox.Commit{DeadLetters: []signalbox.DeadLetter{again, letter, other}}); err != nil {
		t.Fatal(err)
	}
	again.Error = "second\uFFFD\uFFFD"
	again.Payload, other.Payload = nil, nil // a list has none
	equal(t, "dead letters", letters(t, f.Store, signalbox.DeadLetterFilter{}, 10), []signalbox.DeadLetter{again, other}, cmpopts.EquateEmpty())
	count, err := f.Store.CountDeadLetters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "count", count, 2)
	equal(t, "woken without messages", len(f.Woken()), 0)
}

func furtherMessages(t *testing.T, f Fixture) {
	c := signalbox.Commit{
		Notifications: []signalbox.Notification{notification(1, alice), notification(2, alice, scoped("s"))},
		Messages:      []signalbox.Message{{Topic: "a", ID: "always", Payload: []byte("x")}},
		Deliveries: func(outcomes []signalbox.Outcome) ([]signalbox.NewDelivery, error) {
			var list []signalbox.NewDelivery
			for _, o := range outcomes {
				if o.Changed {
					one := queuedDelivery(o.Notification, "Pager")
					one.Message = &signalbox.Message{Topic: "b", ID: o.Notification.ID, Payload: []byte("y")}
					list = append(list, one)
				}
			}
			return list, nil
		},
	}
	for range 2 {
		if _, err := f.Store.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, m := range f.Published(t) {
		ids = append(ids, m.ID)
	}
	equal(t, "published", ids, []string{"always", c.Notifications[0].ID, c.Notifications[1].ID, "always"})
	equal(t, "woken", f.Woken(), []string{"a", "b", "b", "a"})

	c.Messages = nil // nothing but rows, and what follows from them
	c.Notifications = []signalbox.Notification{notification(3, alice)}
	if _, err := f.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	equal(t, "woken by a single row", f.Woken(), []string{"b"})
}

func onceKeys(t *testing.T, f Fixture) {
	var wait sync.WaitGroup
	errs := make(chan error, 16)
	for i := range cap(errs) {
		store := f.Store
		if i%2 == 0 {
			store = f.Other
		}
		keys := []string{"k1", "k2"}
		if i%3 == 0 { // in the other order, which must not deadlock
			keys = []string{"k2", "k1"}
		}
		var once []signalbox.OnceMessages
		for _, key := range keys {
			once = append(once, signalbox.OnceMessages{Key: key, Messages: []signalbox.Message{{Topic: "a", ID: key, Payload: []byte("x")}}})
		}
		wait.Go(func() {
			_, err := store.Commit(context.Background(), signalbox.Commit{
				Once: once,
			})
			errs <- err
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	equal(t, "published", len(f.Published(t)), 2)

	f.Clock.Advance(time.Hour)
	deleted, err := f.Store.DeleteOnceKeys(t.Context(), f.Clock.Now(), 1)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", deleted, 2)
}

func allOrNothing(t *testing.T, f Fixture) {
	broken := errors.New("no")
	f.FailPublishing(broken)
	_, err := f.Store.Commit(t.Context(), signalbox.Commit{
		Notifications: []signalbox.Notification{notification(1, alice), notification(2, "", scoped("s"))},
		DeadLetters:   []signalbox.DeadLetter{{ID: "d", Created: start, Died: start}},
		Messages:      []signalbox.Message{{Topic: "a", Payload: []byte("x")}},
	})
	if !errors.Is(err, broken) || signalbox.IsTransient(err) {
		t.Fatalf("commit: %v, want the publisher's error", err)
	}
	f.FailPublishing(nil)
	equal(t, "inbox", inbox(t, f.Store, alice), []signalbox.Notification{})
	equal(t, "woken", len(f.Woken()), 0)
	count, err := f.Store.CountDeadLetters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "dead letters", count, 0)
	recount(t, f.Store, alice)
}

func doneContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, rows := range [][]signalbox.Notification{{notification(1, alice)}, {notification(2, alice), notification(3, "")}} {
		if _, err := f.Store.Commit(ctx, signalbox.Commit{Notifications: rows}); !signalbox.IsTransient(err) {
			t.Errorf("commit: %v, want a transient error", err)
		}
	}
	equal(t, "inbox", inbox(t, f.Store, alice), []signalbox.Notification{})
}

// concurrentScope sends revisions of few scopes from two stores at once.
func concurrentScope(t *testing.T, f Fixture) {
	const senders, each = 6, 15
	users := []string{alice, bob, ""}
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		changed = map[string]int{}
	)
	for sender := range int64(senders) {
		store := []Store{f.Store, f.Other}[sender%2]
		group.Go(func() {
			for i := range int64(each) {
				number := i*senders + sender + 1
				var rows []signalbox.Notification
				for _, user := range users {
					rows = append(rows, notification(number, user, scoped("s")))
				}
				rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
				outcomes, err := store.Commit(t.Context(), signalbox.Commit{Notifications: rows})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, outcome := range outcomes {
					if outcome.Changed {
						changed[outcome.Notification.User]++
					}
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for _, user := range []string{alice, bob} {
		rows := inbox(t, f.Store, user)
		equal(t, "rows", len(rows), 2)
		for _, n := range rows {
			equal(t, "revision", n.Revision, int64(senders*each))
			if changed[n.User] < 1 {
				t.Errorf("no commit says that it changed the row of %q", n.User)
			}
		}
	}
	recount(t, f.Store, alice, bob)
}

// concurrentDuplicates runs the same commits in two stores at once: exactly one
// of them makes each row.
func concurrentDuplicates(t *testing.T, f Fixture) {
	for round := range int64(20) {
		var rows []signalbox.Notification
		for i := range int64(30) {
			n := notification(round*100+i, fmt.Sprintf("user:default/r%d-u%d", round, i%5)) // new users: no counts to lock
			switch i % 3 {
			case 0:
				n.Payload.Scope = fmt.Sprintf("s%d", i)
			case 1:
				n.User = ""
				n.ID = signalbox.NotificationID(n.RequestID, "")
				if i%2 == 0 {
					n.Payload.Scope = n.ID
				}
			}
			if round%2 == 0 {
				n.Payload.Scope = n.ID // one kind: one statement
				if n.User == "" {
					n.User = alice
				}
			}
			rows = append(rows, n)
		}
		var (
			group   sync.WaitGroup
			results [4][]signalbox.Outcome
		)
		for i := range results {
			store := []Store{f.Store, f.Other}[i%2]
			group.Go(func() {
				outcomes, err := store.Commit(t.Context(), signalbox.Commit{Notifications: rows})
				if err != nil {
					t.Error(err)
				}
				results[i] = outcomes
			})
		}
		group.Wait()
		if t.Failed() {
			return
		}
		for i := range rows {
			changed := 0
			for _, outcomes := range results {
				equal(t, "row", outcomes[i].Notification, rows[i])
				if outcomes[i].Changed {
					changed++
				}
			}
			equal(t, "commits that made "+rows[i].ID, changed, 1)
		}
	}
	recount(t, f.Store, alice, "user:default/r1-u0", "user:default/r1-u3")
}

// concurrentCounts does everything at once, on the same few users.
func concurrentCounts(t *testing.T, f Fixture) {
	users := []string{alice, bob, "user:default/carol", "user:default/dave"}
	var group sync.WaitGroup
	work := func(run func(random *rand.Rand, i int64) error) {
		worker := rand.Int64N(1 << 30)
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 2))
			for i := range int64(25) {
				if err := run(random, i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for worker := range int64(4) {
		store := []Store{f.Store, f.Other}[worker%2]
		work(func(random *rand.Rand, i int64) error {
			var c signalbox.Commit
			for k := range int64(8) {
				n := notification(worker*100_000+i*10+k, choose(random, append(users, "")))
				if k%2 == 0 {
					n.Payload.Scope = fmt.Sprintf("s%d", k) // others have it too
				}
				if random.IntN(2) == 0 || n.Payload.Scope == "" {
					c.Notifications = append(c.Notifications, n)
				}
			}
			if i%3 == 0 {
				c.Messages = []signalbox.Message{{Topic: "a", Payload: []byte("x")}}
			}
			_, err := store.Commit(t.Context(), c)
			return err
		})
	}
	for worker := range 2 {
		store := []Store{f.Store, f.Other}[worker]
		work(func(random *rand.Rand, _ int64) error {
			change := choose(random, []signalbox.Change{{Read: yes}, {Read: no}, {Saved: yes}, {Read: yes, Saved: no}})
			_, err := store.Update(t.Context(), choose(random, users), signalbox.Filter{}, change, 10)
			return err
		})
	}
	work(func(random *rand.Rand, _ int64) error {
		_, err := f.Other.DeleteExpired(t.Context(), start.Add(time.Duration(random.IntN(200_000))*time.Second), 20)
		return err
	})
	group.Wait()
	recount(t, f.Store, users...)
}
