package storagetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// queuedDelivery is a delivery of a notification that a commit makes.
func queuedDelivery(n signalbox.Notification, channel string) signalbox.NewDelivery {
	return signalbox.NewDelivery{DeliveryRecord: signalbox.DeliveryRecord{
		DeliveryKey:    signalbox.DeliveryKey{RequestID: n.RequestID, Audience: signalbox.UserAudience(n.User), Channel: channel},
		NotificationID: n.ID, Origin: n.Origin, Status: signalbox.DeliveryQueued, Created: n.Created, Updated: n.Created,
	}}
}

// addDeliveries commits deliveries and returns the messages that are published then.
func addDeliveries(t *testing.T, f Fixture, list ...signalbox.NewDelivery) []signalbox.Message {
	t.Helper()
	if _, err := f.Store.Commit(t.Context(), signalbox.Commit{
		Deliveries: func([]signalbox.Outcome) ([]signalbox.NewDelivery, error) { return list, nil },
	}); err != nil {
		t.Fatal(err)
	}
	return f.Published(t)
}

func delivery(t *testing.T, f Fixture, key signalbox.DeliveryKey) signalbox.DeliveryRecord {
	t.Helper()
	record, ok, err := f.Other.Delivery(t.Context(), key)
	if err != nil || !ok {
		t.Fatalf("delivery %+v: %v, %v", key, ok, err)
	}
	return record
}

func settle(t *testing.T, f Fixture, settlements ...signalbox.Settlement) {
	t.Helper()
	if err := f.Store.Settle(t.Context(), settlements); err != nil {
		t.Fatal(err)
	}
}

// Deliveries is the contract of [signalbox.DeliveryStore].
func Deliveries(t *testing.T, open func(*testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"added once":                      addedOnce,
		"settled":                         settled,
		"delivered stays delivered":       deliveredStays,
		"settled by somebody else":        settledByOther,
		"split":                           splitDelivery,
		"threads":                         threads,
		"threads under way at once":       concurrentThreads,
		"digests":                         digests,
		"digests claimed at once":         concurrentDigests,
		"held again after its digest":     heldAfterDigest,
		"digests of dead letters":         digestKept,
		"all or nothing":                  settledWhole,
		"trace is forgotten":              traceForgotten,
		"texts that no database can hold": oddTexts,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func addedOnce(t *testing.T, f Fixture) {
	first, second := queuedDelivery(notification(1, alice), "Pager"), queuedDelivery(notification(1, bob), "Pager")
	first.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "1", Payload: []byte("x")}
	second.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "2", Payload: []byte("y")}
	equal(t, "published", addDeliveries(t, f, second, first), []signalbox.Message{*first.Message, *second.Message})
	equal(t, "woken", f.Woken(), []string{"deliveries.Pager", "deliveries.Pager"})
	equal(t, "stored", delivery(t, f, first.DeliveryKey), first.DeliveryRecord)

	// What is there stays as it is.
	again := first
	again.Status, again.Rule = signalbox.DeliverySuppressed, signalbox.RuleUserTopic
	third := queuedDelivery(notification(1, ""), "Pager")
	third.Status, third.Rule = signalbox.DeliverySuppressed, signalbox.RuleMinSeverity
	equal(t, "published again", len(addDeliveries(t, f, again, third)), 2)
	equal(t, "kept", delivery(t, f, first.DeliveryKey), first.DeliveryRecord)
	equal(t, "added", delivery(t, f, third.DeliveryKey), third.DeliveryRecord)
	if _, ok, err := f.Store.Delivery(t.Context(), signalbox.DeliveryKey{RequestID: first.RequestID, Audience: "user:default/none", Channel: "Pager"}); ok || err != nil {
		t.Errorf("an unknown delivery: %v, %v", ok, err)
	}
}

func settled(t *testing.T, f Fixture) {
	one := queuedDelivery(notification(1, alice), "Pager")
	one.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "1", Payload: []byte("x")}
	addDeliveries(t, f, one)
	f.Woken()

	record := one.DeliveryRecord
	record.Attempts, record.Detail, record.Next, record.Updated = 1, "connection refused", start.Add(time.Minute), start.Add(time.Second)
	settle(t, f, signalbox.Settlement{
		Record: record, Lease: signalbox.Lease{Position: f.Position(), Count: 1},
		Postponed: &signalbox.Postponement{Payload: []byte("x2"), Delay: time.Minute},
	})
	equal(t, "waiting", delivery(t, f, one.DeliveryKey), record)
	equal(t, "postponed", f.Published(t), []signalbox.Message{{Topic: "deliveries.Pager", ID: "1", Payload: []byte("x2")}})
	equal(t, "woken", f.Woken(), []string{"deliveries.Pager"})

	letter := &signalbox.DeadLetter{
		ID: "d", Topic: "deliveries.Pager", Payload: []byte("x"), Stage: "Pager", Error: "no such room", Attempts: 2,
		RequestID: one.RequestID, Origin: "ci", Created: start, Died: start.Add(time.Hour), Delivery: one.DeliveryKey,
		History: []signalbox.Failure{{At: start.Add(time.Second), Error: "connection refused"}, {At: start.Add(time.Hour), Error: "no such room"}},
	}
	record.Status, record.Attempts, record.Detail, record.Next = signalbox.DeliveryFailed, 2, "no such room", time.Time{}
	settle(t, f, signalbox.Settlement{Record: record, Lease: signalbox.Lease{Position: f.Position(), Count: 2}, DeadLetter: letter})
	equal(t, "failed", delivery(t, f, one.DeliveryKey), record)
	equal(t, "messages", len(f.Published(t)), 0)
	kept, err := f.Store.DeadLetter(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "dead letter", kept, *letter)
}

// deliveredStays: a consumer whose lease ran out may come late with less.
func deliveredStays(t *testing.T, f Fixture) {
	one := queuedDelivery(notification(1, alice), "Pager")
	addDeliveries(t, f, one)
	sent, late := one.DeliveryRecord, one.DeliveryRecord
	sent.Status, sent.ProviderID, sent.Address, sent.Attempts = signalbox.DeliveryDelivered, "p1", "#room", 1
	late.Status, late.Detail, late.Attempts = signalbox.DeliveryFailed, "timed out", 1
	settle(t, f, signalbox.Settlement{Record: late}, signalbox.Settlement{Record: sent}, signalbox.Settlement{Record: late})
	equal(t, "in one batch", delivery(t, f, one.DeliveryKey), sent)
	settle(t, f, signalbox.Settlement{Record: late})
	equal(t, "later", delivery(t, f, one.DeliveryKey), sent)
	// A record that was forgotten meanwhile is written anew.
	other := queuedDelivery(notification(2, bob), "Pager").DeliveryRecord
	other.Status = signalbox.DeliveryDelivered
	settle(t, f, signalbox.Settlement{Record: other})
	equal(t, "anew", delivery(t, f, other.DeliveryKey), other)
}

// settledByOther: a consumer whose lease ran out comes late, after who took over has
// settled. Then its word would contradict the queue.
func settledByOther(t *testing.T, f Fixture) {
	change := func(one signalbox.NewDelivery, status signalbox.DeliveryStatus) signalbox.DeliveryRecord {
		record := one.DeliveryRecord
		record.Status, record.Detail, record.Attempts = status, string(status), 1
		return record
	}
	letter := func(one signalbox.NewDelivery) *signalbox.DeadLetter {
		return &signalbox.DeadLetter{ID: one.ID(), Topic: "deliveries.Pager", RequestID: one.RequestID, Delivery: one.DeliveryKey, Created: start, Died: start}
	}
	back := &signalbox.Postponement{Payload: []byte("back")}
	for i, test := range []struct {
		name        string
		first, late func(one signalbox.NewDelivery) signalbox.Settlement
		want        signalbox.DeliveryStatus // none: no record
		messages    int
	}{
		{
			"suppressed, then put back",
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliverySuppressed)}
			},
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliveryQueued), Postponed: back}
			},
			signalbox.DeliverySuppressed, 0,
		},
		{
			"put back, then given up",
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliveryQueued), Postponed: back}
			},
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliveryFailed), DeadLetter: letter(one)}
			},
			signalbox.DeliveryQueued, 1,
		},
		{
			"split, then put back",
			func(one signalbox.NewDelivery) signalbox.Settlement {
				child := one
				child.Target = "a"
				return signalbox.Settlement{Record: one.DeliveryRecord, Children: []signalbox.NewDelivery{child}}
			},
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliveryQueued), Postponed: back}
			},
			"", 1,
		},
		{
			"given up, then delivered",
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliveryFailed)}
			},
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliveryDelivered)}
			},
			signalbox.DeliveryDelivered, 0,
		},
		{
			"given up, then sent as a digest that tells of others",
			func(one signalbox.NewDelivery) signalbox.Settlement {
				return signalbox.Settlement{Record: change(one, signalbox.DeliveryFailed)}
			},
			func(one signalbox.NewDelivery) signalbox.Settlement {
				other := change(one, signalbox.DeliveryDelivered)
				other.Target = "other"
				return signalbox.Settlement{Record: change(one, signalbox.DeliverySuppressed), Members: []signalbox.DeliveryRecord{other}}
			},
			signalbox.DeliverySuppressed, 0,
		},
	} {
		before := len(f.Published(t))
		one := queuedDelivery(notification(int64(i), alice), "Pager")
		one.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "1", Payload: []byte("x")}
		addDeliveries(t, f, one)
		lease := signalbox.Lease{Position: f.Position(), Count: 1}
		for _, settlement := range []signalbox.Settlement{test.first(one), test.late(one)} {
			settlement.Lease = lease
			settle(t, f, settlement)
		}
		record, _, err := f.Other.Delivery(t.Context(), one.DeliveryKey)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, test.name+": status", record.Status, test.want)
		equal(t, test.name+": messages", len(f.Published(t))-before, test.messages)
	}
	count, err := f.Store.CountDeadLetters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "dead letters", count, 0)
}

func splitDelivery(t *testing.T, f Fixture) {
	parent := queuedDelivery(notification(1, ""), "Pager")
	parent.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "p", Payload: []byte("p")}
	addDeliveries(t, f, parent)
	child := func(target string) signalbox.NewDelivery {
		one := parent
		one.Target = target
		one.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: target, Payload: []byte("c")}
		return one
	}
	lease := signalbox.Lease{Position: f.Position(), Count: 1}
	page := signalbox.Settlement{
		Record: parent.DeliveryRecord, Lease: lease, Children: []signalbox.NewDelivery{child("a"), child("b")},
		Postponed: &signalbox.Postponement{Payload: []byte("p2")},
	}
	settle(t, f, signalbox.Settlement{Children: page.Children[:1]}) // ahead of the others
	settle(t, f, page)
	lease.Position += 2 // where it was put back, behind one child and before the other
	// The same page once more, as after a crash before the second: no doubles.
	last := signalbox.Settlement{Record: parent.DeliveryRecord, Children: []signalbox.NewDelivery{child("b"), child("c")}, Lease: lease}
	settle(t, f, last, last) // by two consumers, in one transaction
	var ids []string
	for _, m := range f.Published(t) {
		ids = append(ids, m.ID)
	}
	equal(t, "messages", ids, []string{"a", "b", "c"})
	if _, ok, err := f.Store.Delivery(t.Context(), parent.DeliveryKey); ok || err != nil {
		t.Errorf("the delivery that was split is there: %v, %v", ok, err)
	}
	trace, err := f.Store.RequestTrace(t.Context(), parent.RequestID, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "summary", trace.Summary, []signalbox.TraceCount{{Channel: "Pager", Status: signalbox.DeliveryQueued, Count: 3}})

	// The last page of another one has no children.
	other := queuedDelivery(notification(2, ""), "Pager")
	other.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "o", Payload: []byte("o")}
	addDeliveries(t, f, other)
	settle(t, f, signalbox.Settlement{Record: other.DeliveryRecord, Lease: signalbox.Lease{Position: f.Position(), Count: 1}, Replaced: true})
	if _, ok, err := f.Store.Delivery(t.Context(), other.DeliveryKey); ok || err != nil {
		t.Errorf("the delivery that was split before is there: %v, %v", ok, err)
	}
	equal(t, "left", len(f.Published(t)), 3)
}

func threads(t *testing.T, f Fixture) {
	key := signalbox.ThreadKey{Channel: "Pager", Address: "#room", Origin: "ci", Scope: "build"}
	first, second := queuedDelivery(notification(1, alice), "Pager").DeliveryRecord, queuedDelivery(notification(2, alice), "Pager").DeliveryRecord
	claim := func(store Store, by signalbox.DeliveryRecord) (signalbox.Thread, bool) {
		t.Helper()
		last, held, err := store.ClaimThread(t.Context(), key, by.ID(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return last, held
	}
	if last, held := claim(f.Store, first); !held || last != (signalbox.Thread{}) {
		t.Fatalf("first claim: %+v, %v", last, held)
	}
	if _, held := claim(f.Other, second); held {
		t.Fatal("two deliveries hold a thread")
	}
	if _, held := claim(f.Other, first); !held {
		t.Fatal("the holder cannot claim again")
	}
	sent := signalbox.Thread{Revision: 1, State: `{"ts":"1"}`}
	settle(t, f, signalbox.Settlement{Record: first, Thread: &key, Sent: &sent})
	if last, held := claim(f.Other, second); !held || last != sent {
		t.Fatalf("after the first was sent: %+v, %v", last, held)
	}
	settle(t, f, signalbox.Settlement{Record: second, Thread: &key}) // it failed
	if last, held := claim(f.Store, second); !held || last != sent {
		t.Fatalf("after the second failed: %+v, %v", last, held)
	}
	// Late news of an older revision do not hide a newer one, nor take its claim.
	settle(t, f, signalbox.Settlement{Record: second, Thread: &key, Sent: &signalbox.Thread{Revision: 2, State: "2"}})
	third := queuedDelivery(notification(3, alice), "Pager").DeliveryRecord
	claim(f.Store, third)
	settle(t, f, signalbox.Settlement{Record: first, Thread: &key, Sent: &signalbox.Thread{Revision: 1, State: "1"}})
	if _, held := claim(f.Store, first); held {
		t.Fatal("somebody else's claim was released")
	}
	if last, held := claim(f.Store, third); !held || last != (signalbox.Thread{Revision: 2, State: "2"}) {
		t.Fatalf("after late news: %+v, %v", last, held)
	}
	// They end the claim of who brings them, whose turn came after the newer one's.
	settle(t, f, signalbox.Settlement{Record: third, Thread: &key, Sent: &signalbox.Thread{Revision: 1, State: "1"}})
	if last, held := claim(f.Store, first); !held || last != (signalbox.Thread{Revision: 2, State: "2"}) {
		t.Fatalf("after late news of the holder: %+v, %v", last, held)
	}
	settle(t, f, signalbox.Settlement{Record: first, Thread: &key})
	claim(f.Store, third)
	// Claims go by PostgreSQL's own clock, what was sent by the store's.
	for _, test := range []struct {
		what string
		want int
	}{{"deleted while something is sent there", 0}, {"deleted", 1}} {
		deleted, err := f.Store.DeleteThreads(t.Context(), start.AddDate(1000, 0, 0), 1)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, test.what, deleted, test.want)
		settle(t, f, signalbox.Settlement{Record: third, Thread: &key})
	}
}

// concurrentThreads: of many that want a thread, one at a time has it.
func concurrentThreads(t *testing.T, f Fixture) {
	key := signalbox.ThreadKey{Channel: "Pager", Address: "#room", Origin: "ci", Scope: "build"}
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		held int
	)
	for i := range int64(16) {
		store := f.Store
		if i%2 == 0 {
			store = f.Other
		}
		wait.Go(func() {
			_, ok, err := store.ClaimThread(t.Context(), key, queuedDelivery(notification(i, alice), "Pager").ID(), time.Hour)
			if err != nil {
				t.Error(err)
			}
			if ok {
				mu.Lock()
				held++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	equal(t, "holders", held, 1)
}

func settledWhole(t *testing.T, f Fixture) {
	one := queuedDelivery(notification(1, alice), "Pager")
	one.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "1", Payload: []byte("x")}
	addDeliveries(t, f, one)
	child := one
	child.Target = "a"
	f.FailPublishing(fmt.Errorf("no"))
	err := f.Store.Settle(t.Context(), []signalbox.Settlement{{
		Record: one.DeliveryRecord, Children: []signalbox.NewDelivery{child}, Lease: signalbox.Lease{Position: f.Position(), Count: 1},
		DeadLetter: &signalbox.DeadLetter{ID: "d", Created: start, Died: start},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	f.FailPublishing(nil)
	equal(t, "kept", delivery(t, f, one.DeliveryKey), one.DeliveryRecord)
	equal(t, "message", len(f.Published(t)), 1)
	count, err := f.Store.CountDeadLetters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "dead letters", count, 0)
}

func traceForgotten(t *testing.T, f Fixture) {
	var list []signalbox.NewDelivery
	for i := range int64(7) {
		list = append(list, queuedDelivery(notification(i*3600, alice), "Pager"))
		list[i].Status = signalbox.DeliveryDelivered
	}
	underway := queuedDelivery(notification(0, bob), "Pager")
	list = append(list, underway)
	addDeliveries(t, f, list...)
	if _, err := f.Store.Commit(t.Context(), signalbox.Commit{Requests: []signalbox.RequestRecord{
		{ID: list[0].RequestID, Origin: "ci", Status: signalbox.RequestProcessed, Created: start, Updated: start},
	}}); err != nil {
		t.Fatal(err)
	}
	deleted, err := f.Store.DeleteTrace(t.Context(), start.Add(150*time.Minute), 2)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", deleted, 4)
	delivery(t, f, underway.DeliveryKey) // its message is still on the queue
	if _, err := f.Store.RequestTrace(t.Context(), list[1].RequestID, "", 10); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
		t.Errorf("a forgotten request: %v", err)
	}
	delivery(t, f, list[3].DeliveryKey)
}

// oddTexts: errors and addresses are anybody's.
func oddTexts(t *testing.T, f Fixture) {
	one := queuedDelivery(notification(1, alice), "Pager")
	one.Target, one.Address, one.Detail, one.ProviderID = "a\x00\xff", "b\x00", "c\xff", "d\x00"
	one.Message = &signalbox.Message{Topic: "deliveries.Pager", ID: "1", Payload: []byte("x")}
	equal(t, "published", len(addDeliveries(t, f, one)), 1)
	record := delivery(t, f, one.DeliveryKey)
	settle(t, f, signalbox.Settlement{Record: one.DeliveryRecord})
	equal(t, "the same", delivery(t, f, one.DeliveryKey), record)
}
