package storagetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// Snoozes holds an inbox to what it promises of snoozing, and an implementation of
// [signalbox.Snoozes] to its contract. open returns a fixture of its own each time.
func Snoozes(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"what is snoozed is away until its time", snoozeAndReturn},
		{"a snooze is the user's own", snoozeOfOne},
		{"taking a snooze back restores the row", snoozeTakenBack},
		{"a new revision wakes", snoozeRevised},
		{"what is snoozed stays unread", snoozeAndRead},
		{"pages over what came back", snoozePages},
		{"one message for a user and a time", snoozeMessages},
		{"a bounded number of messages for a user", snoozeManyTimes},
		{"one message for a time that is far away", snoozeLong},
		{"no message, no snooze", snoozeUnpublished},
		{"woken is what nobody touched", snoozeWoken},
		{"times that are none", snoozeTimes},
		{"what is snoozed does not expire", snoozeRetention},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// snoozeTime is a number of seconds from now.
func snoozeTime(f Fixture, seconds int) *time.Time {
	until := f.Clock.Now().Add(time.Duration(seconds) * time.Second)
	return &until
}

// wake takes snoozes back.
var wake = &time.Time{}

func snooze(t *testing.T, f Fixture, user string, filter signalbox.Filter, until *time.Time) signalbox.Updated {
	t.Helper()
	return update(t, f.Store, user, filter, signalbox.Change{SnoozedUntil: until})
}

func snoozed(t *testing.T, f Fixture, user string) []signalbox.Notification {
	t.Helper()
	return list(t, f.Store, user, signalbox.Filter{Snoozed: true}, signalbox.Page{})
}

func byID(rows ...signalbox.Notification) signalbox.Filter {
	return signalbox.Filter{IDs: idsOf(rows)}
}

var anyOrder = cmpopts.SortSlices(func(a, b string) bool { return a < b })

func snoozeAndReturn(t *testing.T, f Fixture) {
	own, broadcast, latest := notification(1, alice), notification(2, ""), notification(3, alice)
	own.Payload.Topic, broadcast.Payload.Topic = "own", "everyone's"
	commit(t, f.Store, own, broadcast, latest)
	update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes})
	until := snoozeTime(f, 60)
	equal(t, "snoozed", snooze(t, f, alice, byID(own, broadcast), until),
		signalbox.Updated{SnoozedIDs: idsOf([]signalbox.Notification{own, broadcast}), Snoozed: 2}, anyOrder)
	equal(t, "again", snooze(t, f, alice, byID(own, broadcast), until), signalbox.Updated{})

	for range 2 { // the second time almost at its end
		equal(t, "the inbox", idsOf(inbox(t, f.Store, alice)), []string{latest.ID})
		equal(t, "what is snoozed", idsOf(snoozed(t, f, alice)), []string{broadcast.ID, own.ID})
		topics, err := f.Store.Topics(t.Context(), alice, signalbox.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "topics", topics, []string{})
		got, err := f.Store.Get(t.Context(), alice, own.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "by its identifier", got.SnoozedUntil, *until)
		equal(t, "it is unread", got.Read, time.Time{})
		equal(t, "all", update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Saved: yes}).SavedIDs, []string{latest.ID})
		update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Saved: no})
		recount(t, f.Store, alice, bob)
		f.Clock.Advance(60*time.Second - time.Microsecond - f.Clock.Now().Sub(until.Add(-60*time.Second)))
	}
	f.Clock.Advance(time.Microsecond)

	back := inbox(t, f.Store, alice)
	equal(t, "at its time", idsOf(back), []string{broadcast.ID, own.ID, latest.ID})
	for _, n := range back[:2] {
		if !n.SnoozedUntil.IsZero() || !n.Woken.Equal(*until) || !n.Read.IsZero() || !n.Updated.IsZero() {
			t.Errorf("back: %+v", n)
		}
	}
	equal(t, "nothing is snoozed", snoozed(t, f, alice), []signalbox.Notification{})
	status, err := f.Store.Status(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", status, signalbox.Status{Unread: 2, Read: 1})
	equal(t, "since then", idsOf(list(t, f.Store, alice, signalbox.Filter{CreatedAfter: *until}, signalbox.Page{})), []string{broadcast.ID, own.ID})
	recount(t, f.Store, alice, bob)
	equal(t, "read", update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes}).Read, 2)
	equal(t, "in their places", idsOf(inbox(t, f.Store, alice)), []string{broadcast.ID, own.ID, latest.ID})
	recount(t, f.Store, alice, bob)
}

func snoozeOfOne(t *testing.T, f Fixture) {
	first, second := notification(1, ""), notification(2, "")
	his := notification(3, bob)
	commit(t, f.Store, first, second, his)
	equal(t, "bob's", snooze(t, f, alice, byID(his), snoozeTime(f, 60)), signalbox.Updated{})
	snooze(t, f, alice, byID(first), snoozeTime(f, 60))
	equal(t, "alice's inbox", idsOf(inbox(t, f.Store, alice)), []string{second.ID})
	equal(t, "bob's inbox", idsOf(inbox(t, f.Store, bob)), []string{his.ID, second.ID, first.ID})
	f.Clock.Advance(time.Minute)
	equal(t, "alice's inbox", idsOf(inbox(t, f.Store, alice)), []string{first.ID, second.ID})
	equal(t, "bob's inbox", idsOf(inbox(t, f.Store, bob)), []string{his.ID, second.ID, first.ID})
	recount(t, f.Store, alice, bob)
}

func snoozeTakenBack(t *testing.T, f Fixture) {
	for _, user := range []string{alice, ""} {
		read, unread := notification(1, user), notification(2, user)
		commit(t, f.Store, read, unread)
		update(t, f.Store, alice, byID(read), signalbox.Change{Read: yes})
	}
	before := inbox(t, f.Store, alice)
	same := func(what string) {
		t.Helper()
		equal(t, what, inbox(t, f.Store, alice), before)
		recount(t, f.Store, alice)
	}
	all := idsOf(before)
	snooze(t, f, alice, signalbox.Filter{}, snoozeTime(f, 60))
	f.Clock.Advance(time.Second)
	snooze(t, f, alice, signalbox.Filter{Snoozed: true}, snoozeTime(f, 600))
	equal(t, "taken back", snooze(t, f, alice, signalbox.Filter{Snoozed: true}, wake).SnoozedIDs, all, anyOrder)
	same("as before")
	equal(t, "once more", snooze(t, f, alice, signalbox.Filter{IDs: all}, wake), signalbox.Updated{})

	// The second snooze of what came back from a first.
	snooze(t, f, alice, byID(before[3]), snoozeTime(f, 60))
	f.Clock.Advance(time.Minute)
	update(t, f.Store, alice, byID(before[3]), signalbox.Change{Read: yes})
	before = inbox(t, f.Store, alice)
	snooze(t, f, alice, byID(before[0]), snoozeTime(f, 60))
	snooze(t, f, alice, byID(before[0]), wake)
	same("as after the first")
	// What came back by time does not go back.
	equal(t, "not snoozed", snooze(t, f, alice, signalbox.Filter{IDs: all}, wake), signalbox.Updated{})
	same("still as after the first")

	// With a read flag that flag holds.
	for _, n := range before {
		for _, to := range []*bool{yes, no} {
			snooze(t, f, alice, byID(n), snoozeTime(f, 60))
			update(t, f.Store, alice, byID(n), signalbox.Change{SnoozedUntil: wake, Read: to, Saved: yes})
			got, err := f.Store.Get(t.Context(), alice, n.ID)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "read as asked", !got.Read.IsZero(), *to)
			equal(t, "saved as asked", got.Saved.IsZero(), false)
			recount(t, f.Store, alice)
		}
	}
}

func snoozeRevised(t *testing.T, f Fixture) {
	for i, user := range []string{alice, ""} {
		n := int64(i*10 + 1)
		commit(t, f.Store, notification(n, user, scoped("s")))
		id := list(t, f.Store, alice, signalbox.Filter{}, signalbox.Page{})[0].ID
		filter := signalbox.Filter{IDs: []string{id}}
		snooze(t, f, alice, filter, snoozeTime(f, 60))
		snooze(t, f, bob, filter, snoozeTime(f, 60))
		// An older one is no news.
		commit(t, f.Store, notification(n-1, user, scoped("s")))
		equal(t, "still away", idsOf(snoozed(t, f, alice)), []string{id})

		news := notification(n+1, user, scoped("s"))
		outcome := commit(t, f.Store, news)[0]
		equal(t, "the outcome is not snoozed", outcome.Notification.SnoozedUntil, time.Time{})
		row := inbox(t, f.Store, alice)[0]
		if row.ID != id || !row.Updated.Equal(news.Created) || !row.Read.IsZero() || !row.SnoozedUntil.IsZero() {
			t.Errorf("revised: %+v", row)
		}
		recount(t, f.Store, alice, bob)
		f.Clock.Advance(time.Hour)
		row = inbox(t, f.Store, alice)[0]
		equal(t, "the old snooze does not end", row.Woken, time.Time{})
		woken, err := f.Store.Woken(t.Context(), alice, f.Clock.Now().Add(-time.Hour+time.Minute), 10)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "nobody is told of its end", woken, []signalbox.Notification{})
		equal(t, "it can be snoozed anew", snooze(t, f, alice, filter, snoozeTime(f, 60)).Snoozed, 1)
		equal(t, "and taken back", snooze(t, f, alice, filter, wake).Snoozed, 1)
		equal(t, "to the news", inbox(t, f.Store, alice)[0], row)
		recount(t, f.Store, alice, bob)
	}
}

func snoozeAndRead(t *testing.T, f Fixture) {
	for _, user := range []string{alice, ""} {
		n := notification(1, user)
		commit(t, f.Store, n)
		until := snoozeTime(f, 60)
		// Both at once: it comes back unread.
		equal(t, "read and snoozed", update(t, f.Store, alice, byID(n), signalbox.Change{Read: yes, SnoozedUntil: until}),
			signalbox.Updated{SnoozedIDs: []string{n.ID}, Snoozed: 1})
		equal(t, "read meanwhile", update(t, f.Store, alice, byID(n), signalbox.Change{Read: yes, Saved: yes}),
			signalbox.Updated{SavedIDs: []string{n.ID}, Saved: 1})
		equal(t, "read, all that is snoozed", update(t, f.Store, alice, signalbox.Filter{Snoozed: true}, signalbox.Change{Read: yes}), signalbox.Updated{})
		recount(t, f.Store, alice)
		f.Clock.Advance(time.Minute)
		got, err := f.Store.Get(t.Context(), alice, n.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Read.IsZero() || got.Saved.IsZero() {
			t.Errorf("back: %+v", got)
		}
		recount(t, f.Store, alice)
	}
}

func snoozePages(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(30) {
		rows = append(rows, notification(i, []string{alice, ""}[i%2]))
	}
	commit(t, f.Store, rows...)
	for i := 0; i < len(rows); i += 3 {
		snooze(t, f, alice, byID(rows[i]), snoozeTime(f, 60+i%2))
	}
	paged := func(filter signalbox.Filter) []string {
		t.Helper()
		ids := []string{}
		for page := (signalbox.Page{Limit: 4, HasLimit: true}); ; {
			part := list(t, f.Store, alice, filter, page)
			if len(part) == 0 {
				return ids
			}
			ids = append(ids, idsOf(part)...)
			last := part[len(part)-1]
			page.After = &signalbox.Cursor{Arrived: last.Arrived(), ID: last.ID}
		}
	}
	asleep := snoozed(t, f, alice)
	equal(t, "rows that are snoozed", len(asleep), 10)
	equal(t, "pages of what is snoozed", paged(signalbox.Filter{Snoozed: true}), idsOf(asleep))
	for range 3 {
		equal(t, "pages", paged(signalbox.Filter{}), idsOf(inbox(t, f.Store, alice)))
		f.Clock.Advance(59 * time.Second)
	}
	equal(t, "rows that are back", len(inbox(t, f.Store, alice)), 30)
}

// wakes reads the messages that were published for ends of snoozes.
func wakes(t *testing.T, f Fixture) []signalbox.Wake {
	t.Helper()
	var list []signalbox.Wake
	for _, m := range f.Published(t) {
		if m.Topic != signalbox.TopicWake {
			continue
		}
		w, err := signalbox.DecodeWake(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, w)
	}
	return list
}

func snoozeMessages(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(2500) {
		rows = append(rows, notification(i, alice))
	}
	rows = append(rows, notification(9000, ""), notification(9001, ""))
	commit(t, f.Store, rows...)
	f.Woken()
	until, later := snoozeTime(f, 60), snoozeTime(f, 61)
	update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes})
	equal(t, "snoozed", snooze(t, f, alice, signalbox.Filter{}, until).Snoozed, 2502)
	equal(t, "consumers are woken", f.Woken(), []string{signalbox.TopicWake})
	snooze(t, f, alice, byID(rows[1]), wake)
	snooze(t, f, alice, byID(rows[1]), until)
	snooze(t, f, bob, signalbox.Filter{}, until)
	snooze(t, f, alice, byID(rows[2]), later)
	equal(t, "messages", wakes(t, f), []signalbox.Wake{
		{User: alice, Until: *until}, {User: bob, Until: *until}, {User: alice, Until: *later},
	})
	f.Clock.Advance(time.Minute)
	woken, err := f.Store.Woken(t.Context(), alice, *until, 10)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "as lists show them", woken, list(t, f.Store, alice, signalbox.Filter{}, signalbox.Page{Limit: 10, HasLimit: true}))
	recount(t, f.Store, alice, bob)
}

// snoozeManyTimes: nobody can fill the queue, and what is snoozed comes back all the
// same.
func snoozeManyTimes(t *testing.T, f Fixture) {
	n, other := notification(1, alice), notification(2, "user:default/alice2")
	commit(t, f.Store, n, other)
	const most = 500
	for i := range most + 20 {
		snooze(t, f, alice, byID(n), snoozeTime(f, 10+i))
	}
	if got := len(wakes(t, f)); got != most {
		t.Errorf("%d messages, want %d", got, most)
	}
	snooze(t, f, other.User, byID(other), snoozeTime(f, 10))
	if got := len(wakes(t, f)); got != most+1 {
		t.Errorf("%d messages with that of another user, want %d", got, most+1)
	}
	if got := len(snoozed(t, f, alice)); got != 1 {
		t.Errorf("%d are snoozed, want 1", got)
	}
	f.Clock.Advance(time.Duration(10+most+20) * time.Second)
	if got := inbox(t, f.Store, alice); len(got) != 1 || got[0].Woken.IsZero() {
		t.Errorf("the inbox is %+v", got)
	}
}

// snoozeLong: the mark of a message stays as long as the message is to come, however
// long ago it was made.
func snoozeLong(t *testing.T, f Fixture) {
	n := notification(1, alice)
	commit(t, f.Store, n)
	const keep = 30 * 24 * time.Hour
	sweep := func(want int) {
		t.Helper()
		deleted, err := f.Store.DeleteOnceKeys(t.Context(), f.Clock.Now().Add(-keep), 0)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "marks deleted", deleted, want)
	}
	until := f.Clock.Now().Add(2 * keep)
	snooze(t, f, alice, byID(n), &until)
	f.Clock.Advance(keep + time.Second)
	sweep(0)
	snooze(t, f, alice, byID(n), wake)
	snooze(t, f, alice, byID(n), &until)
	equal(t, "messages", wakes(t, f), []signalbox.Wake{{User: alice, Until: until}})
	f.Clock.Advance(2 * keep)
	sweep(1)
}

func snoozeUnpublished(t *testing.T, f Fixture) {
	n := notification(1, alice)
	commit(t, f.Store, n)
	broken := errors.New("broken")
	f.FailPublishing(broken)
	_, err := f.Store.Update(t.Context(), alice, signalbox.Filter{}, signalbox.Change{SnoozedUntil: snoozeTime(f, 60), Saved: yes}, 10)
	if !errors.Is(err, broken) {
		t.Fatalf("%v, want %v", err, broken)
	}
	equal(t, "nothing was done", inbox(t, f.Store, alice), []signalbox.Notification{n})
	f.FailPublishing(nil)
	snooze(t, f, alice, signalbox.Filter{}, snoozeTime(f, 60))
	equal(t, "messages", len(wakes(t, f)), 1)
}

func snoozeWoken(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(12) {
		rows = append(rows, notification(i, []string{alice, ""}[i%2]))
	}
	commit(t, f.Store, rows...)
	until := snoozeTime(f, 60)
	snooze(t, f, alice, byID(rows[:10]...), until)
	snooze(t, f, alice, byID(rows[0], rows[1]), wake)
	snooze(t, f, alice, byID(rows[2], rows[3]), snoozeTime(f, 120))
	f.Clock.Advance(time.Minute)
	update(t, f.Store, alice, byID(rows[4], rows[5]), signalbox.Change{Read: yes})
	snooze(t, f, alice, byID(rows[6]), snoozeTime(f, 1))
	for _, store := range []Store{f.Store, f.Other} {
		woken, err := store.Woken(t.Context(), alice, *until, 10)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "woken", woken, list(t, f.Store, alice, byID(rows[7], rows[8], rows[9]), signalbox.Page{}))
	}
	for _, other := range []string{bob, "\x00"} {
		woken, err := f.Store.Woken(t.Context(), other, *until, 10)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "woken for "+other, woken, []signalbox.Notification{})
	}
	if woken, err := f.Store.Woken(t.Context(), "", *until, 10); err == nil {
		t.Errorf("the empty user has %d rows", len(woken))
	}
}

func snoozeTimes(t *testing.T, f Fixture) {
	n := notification(1, alice)
	commit(t, f.Store, n)
	now := f.Clock.Now()
	for _, until := range []time.Time{now, now.Add(-time.Hour), now.Add(signalbox.MaxSnooze + time.Second)} {
		_, err := f.Store.Update(t.Context(), alice, signalbox.Filter{}, signalbox.Change{SnoozedUntil: &until}, 10)
		if signalbox.ErrorCode(err) != signalbox.CodeInput {
			t.Errorf("%s: %v, want an input error", until, err)
		}
	}
	equal(t, "inbox", inbox(t, f.Store, alice), []signalbox.Notification{n})
	// Databases keep microseconds, here and in the message.
	until := now.Add(time.Minute + 999*time.Nanosecond)
	snooze(t, f, alice, signalbox.Filter{}, &until)
	want := now.Add(time.Minute)
	equal(t, "until", snoozed(t, f, alice)[0].SnoozedUntil, want)
	equal(t, "message", wakes(t, f), []signalbox.Wake{{User: alice, Until: want}})
}

func snoozeRetention(t *testing.T, f Fixture) {
	own, broadcast := notification(1, alice), notification(2, "")
	revised := notification(3, "", scoped("s"))
	commit(t, f.Store, own, broadcast, revised)
	until := snoozeTime(f, 3600)
	snooze(t, f, alice, byID(own, broadcast, revised), until)
	equal(t, "away", expire(t, f, f.Clock.Now(), 10), 0)
	// The snooze of an earlier revision keeps nothing.
	commit(t, f.Store, notification(4, "", scoped("s")))
	equal(t, "revised", expire(t, f, f.Clock.Now(), 10), 1)
	f.Clock.Advance(2 * time.Hour)
	equal(t, "the edge", expire(t, f, *until, 10), 0)
	recount(t, f.Store, alice, bob)
	equal(t, "long after", expire(t, f, until.Add(time.Microsecond), 10), 2)
	equal(t, "left", inbox(t, f.Store, alice), []signalbox.Notification{})
	recount(t, f.Store, alice, bob)
}
