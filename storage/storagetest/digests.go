package storagetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// Schedules is the contract of [signalbox.ScheduleStore].
func Schedules(t *testing.T, open func(*testing.T) Fixture) {
	f := open(t)
	ctx := t.Context()
	if _, found, err := f.Store.ScheduleOf(ctx, alice); found || err != nil {
		t.Fatalf("before: %v %v", found, err)
	}
	for _, want := range []signalbox.Schedule{
		{TimeZone: "Europe/Berlin", Digest: signalbox.DigestTimes{Every: signalbox.DigestDaily, At: 450, Below: signalbox.SeverityHigh}},
		{Quiet: &signalbox.QuietHours{From: 1320, To: 420, Below: signalbox.SeverityNormal}},
		{},
	} {
		if err := f.Store.SaveSchedule(ctx, alice, want); err != nil {
			t.Fatal(err)
		}
		got, found, err := f.Other.ScheduleOf(ctx, alice)
		if err != nil || !found {
			t.Fatalf("%v %v", found, err)
		}
		equal(t, "schedule", got, want)
	}
	if _, found, err := f.Store.ScheduleOf(ctx, bob); found || err != nil {
		t.Errorf("somebody else: %v %v", found, err)
	}
	if _, found, err := f.Store.ScheduleOf(ctx, "user:default/\x00"); found || err != nil {
		t.Errorf("a name that no database holds: %v %v", found, err)
	}
	for range 2 {
		if err := f.Store.ForgetSchedule(ctx, alice); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := f.Store.ScheduleOf(ctx, alice); found || err != nil {
		t.Errorf("forgotten: %v %v", found, err)
	}
}

// hold settles a delivery as one that waits for a digest.
func hold(t *testing.T, f Fixture, n signalbox.Notification, channel string, due time.Time) signalbox.DeliveryKey {
	t.Helper()
	d := queuedDelivery(n, channel)
	addDeliveries(t, f, d)
	settle(t, f, signalbox.Settlement{Record: d.DeliveryRecord, Held: &signalbox.HeldDelivery{
		DeliveryKey: d.DeliveryKey, Due: due, Payload: []byte(n.ID),
	}})
	return d.DeliveryKey
}

// digestClaim asks for the part of a delivery, and returns it with the requests that it got.
func digestClaim(t *testing.T, store Store, key signalbox.DeliveryKey, now time.Time) (signalbox.DigestPart, []string) {
	t.Helper()
	part, held, err := store.ClaimDigest(t.Context(), key, now)
	if err != nil {
		t.Fatal(err)
	}
	var requests []string
	for _, h := range held {
		requests = append(requests, h.RequestID)
	}
	slices.Sort(requests)
	return part, requests
}

func digests(t *testing.T, f Fixture) {
	due := start.Add(time.Hour)
	first := hold(t, f, notification(1, alice), "Mail", due)
	second := hold(t, f, notification(2, alice), "Mail", due)
	later := hold(t, f, notification(3, alice), "Mail", due.Add(time.Hour))
	other := hold(t, f, notification(1, bob), "Mail", due)
	elsewhere := hold(t, f, notification(1, alice), "Chat", due)

	part, got := digestClaim(t, f.Store, second, due)
	equal(t, "part", part, signalbox.DigestLeads)
	equal(t, "requests", got, []string{first.RequestID, second.RequestID})
	// What joins the window later is late, and the one that leads keeps what it has.
	late := hold(t, f, notification(4, alice), "Mail", due)
	part, got = digestClaim(t, f.Other, second, due.Add(24*time.Hour))
	equal(t, "again", part, signalbox.DigestLeads)
	equal(t, "requests again", got, []string{first.RequestID, second.RequestID})
	for key, want := range map[signalbox.DeliveryKey]signalbox.DigestPart{
		first: signalbox.DigestTaken, late: signalbox.DigestLate,
		queuedDelivery(notification(9, alice), "Mail").DeliveryKey:     signalbox.DigestGone,
		{RequestID: "no identifier", Audience: alice, Channel: "Mail"}: signalbox.DigestGone,
	} {
		part, got = digestClaim(t, f.Other, key, due)
		equal(t, "part of "+key.RequestID, part, want)
		equal(t, "requests", len(got), 0)
	}
	// Held again, for the next window, it is in that one's digest.
	hold(t, f, notification(4, alice), "Mail", due.Add(time.Hour))
	part, got = digestClaim(t, f.Store, later, due.Add(time.Hour))
	equal(t, "next window", part, signalbox.DigestLeads)
	equal(t, "requests of the next window", got, []string{later.RequestID, late.RequestID})
	for _, key := range []signalbox.DeliveryKey{other, elsewhere} {
		part, got = digestClaim(t, f.Store, key, due)
		equal(t, "another user or channel", part, signalbox.DigestLeads)
		equal(t, "its requests", got, []string{key.RequestID})
	}

	// A digest that ended takes its members with it.
	record, member := queuedDelivery(notification(2, alice), "Mail").DeliveryRecord, queuedDelivery(notification(1, alice), "Mail").DeliveryRecord
	record.Status, member.Status, member.Detail = signalbox.DeliveryDelivered, signalbox.DeliveryDelivered, "In a digest"
	settle(t, f, signalbox.Settlement{Record: record, Members: []signalbox.DeliveryRecord{member}, Unhold: true})
	equal(t, "member", delivery(t, f, first), member)
	for _, key := range []signalbox.DeliveryKey{first, second} {
		part, _ = digestClaim(t, f.Other, key, due)
		equal(t, "after the end", part, signalbox.DigestGone)
	}
	part, _ = digestClaim(t, f.Other, late, due.Add(time.Hour))
	equal(t, "another digest's", part, signalbox.DigestTaken)

	deleted, err := f.Store.DeleteDigests(t.Context(), due.Add(time.Minute), 1)
	// Three windows, and the held ones of bob and of the chat.
	if err != nil || deleted != 5 {
		t.Errorf("%d rows were deleted: %v", deleted, err)
	}
	part, _ = digestClaim(t, f.Store, other, due)
	equal(t, "forgotten", part, signalbox.DigestGone)
	part, _ = digestClaim(t, f.Store, later, due)
	equal(t, "of a later window", part, signalbox.DigestLeads)
}

// concurrentDigests has both instances claim everything that is due at once: each
// delivery is in exactly one digest, and a window has one.
func concurrentDigests(t *testing.T, f Fixture) {
	const windows, each = 4, 10
	due := start.Add(time.Hour)
	var keys []signalbox.DeliveryKey
	for i := range windows * each {
		keys = append(keys, hold(t, f, notification(int64(i+1), alice), "Mail", due.Add(time.Duration(i%windows)*time.Hour)))
	}
	var (
		mu   sync.Mutex
		wait sync.WaitGroup
		// digestOf has the delivery that takes a request along, leads the windows of
		// those that do.
		digestOf = map[string]string{}
		leads    = map[time.Time]string{}
	)
	for i, key := range keys {
		for _, store := range []Store{f.Store, f.Other} {
			wait.Go(func() {
				part, held, err := store.ClaimDigest(t.Context(), key, due.Add(windows*time.Hour))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || part == signalbox.DigestGone {
					t.Errorf("part %d: %v", part, err)
				}
				if part != signalbox.DigestLeads {
					return
				}
				window := due.Add(time.Duration(i%windows) * time.Hour)
				if other, twice := leads[window]; twice && other != key.RequestID {
					t.Errorf("two digests of the window that ends at %s", window)
				}
				leads[window] = key.RequestID
				for _, h := range held {
					if other, twice := digestOf[h.RequestID]; twice && other != key.RequestID {
						t.Errorf("%s is in two digests", h.RequestID)
					}
					digestOf[h.RequestID] = key.RequestID
				}
			})
		}
	}
	wait.Wait()
	if len(digestOf) == 0 {
		t.Error("nothing is in a digest")
	}
	for _, key := range keys {
		want := signalbox.DigestTaken
		switch digestOf[key.RequestID] {
		case "":
			want = signalbox.DigestLate
		case key.RequestID:
			want = signalbox.DigestLeads
		}
		part, _ := digestClaim(t, f.Store, key, due.Add(windows*time.Hour))
		equal(t, "part of "+key.RequestID, part, want)
	}
}

// heldAfterDigest is what a consumer does whose clock is behind: it puts a delivery back
// that a digest has carried along meanwhile. It is in no other digest.
func heldAfterDigest(t *testing.T, f Fixture) {
	due := start.Add(time.Hour)
	leader, member := hold(t, f, notification(1, alice), "Mail", due), hold(t, f, notification(2, alice), "Mail", due)
	if part, got := digestClaim(t, f.Store, leader, due); part != signalbox.DigestLeads || len(got) != 2 {
		t.Fatal(part, got)
	}
	lead, carried := queuedDelivery(notification(1, alice), "Mail").DeliveryRecord, queuedDelivery(notification(2, alice), "Mail").DeliveryRecord
	again := signalbox.Settlement{Record: carried, Held: &signalbox.HeldDelivery{DeliveryKey: member, Due: due, Payload: []byte("again")}}
	lead.Status, carried.Status = signalbox.DeliveryDelivered, signalbox.DeliveryDelivered
	end := signalbox.Settlement{Record: lead, Members: []signalbox.DeliveryRecord{carried}, Unhold: true}

	settle(t, f, again) // while the digest is on its way
	settle(t, f, end)
	settle(t, f, again) // after it
	equal(t, "member", delivery(t, f, member), carried)
	part, _ := digestClaim(t, f.Other, member, due.Add(time.Hour))
	equal(t, "part", part, signalbox.DigestGone)
}

// digestKept: a dead letter can be retried at any time, with all of its digest.
func digestKept(t *testing.T, f Fixture) {
	due := start.Add(time.Hour)
	leader, member := hold(t, f, notification(1, alice), "Mail", due), hold(t, f, notification(2, alice), "Mail", due)
	waiting := hold(t, f, notification(3, bob), "Mail", due)
	if part, got := digestClaim(t, f.Store, leader, due); part != signalbox.DigestLeads || len(got) != 2 {
		t.Fatal(part, got)
	}
	record := queuedDelivery(notification(1, alice), "Mail").DeliveryRecord
	record.Status = signalbox.DeliveryFailed
	letter := signalbox.DeadLetter{
		ID: leader.RequestID + "/mail/" + leader.ID(), Topic: "deliveries.mail", Payload: []byte("{}"), Stage: "mail", Error: "refused",
		RequestID: leader.RequestID, Delivery: leader, Created: start, Died: due,
	}
	settle(t, f, signalbox.Settlement{Record: record, DeadLetter: &letter})
	sweep := func(want int) {
		t.Helper()
		if deleted, err := f.Store.DeleteDigests(t.Context(), due.Add(90*24*time.Hour), 1); err != nil || deleted != want {
			t.Errorf("%d rows were deleted: %v", deleted, err)
		}
	}
	sweep(2) // the window, and what waited for a message that never came
	part, _ := digestClaim(t, f.Store, waiting, due)
	equal(t, "what waited", part, signalbox.DigestGone)
	if n, err := f.Store.Redrive(t.Context(), signalbox.DeadLetterFilter{}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	part, got := digestClaim(t, f.Other, leader, due.Add(91*24*time.Hour))
	equal(t, "part", part, signalbox.DigestLeads)
	equal(t, "requests", got, []string{leader.RequestID, member.RequestID})
	sweep(2) // no letter has them any more
}
