package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// allRecent reads the list of recent deliveries page by page.
func allRecent(t *testing.T, s Store, f signalbox.DeliveryFilter, limit int) (all []signalbox.DeliveryRecord, pages int) {
	t.Helper()
	reached := start.Add(10_000 * time.Hour)
	for cursor := ""; ; {
		page, err := s.RecentDeliveries(t.Context(), f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Deliveries) > limit {
			t.Fatalf("a page of %d has %d deliveries", limit, len(page.Deliveries))
		}
		all = append(all, page.Deliveries...)
		if pages++; page.Next == "" {
			if !page.Reached.IsZero() {
				t.Errorf("the last page reached %s", page.Reached)
			}
			return all, pages
		}
		if page.Reached.After(reached) || page.Reached.IsZero() {
			t.Errorf("page %d reached %s, the one before %s", pages, page.Reached, reached)
		}
		if reached = page.Reached; pages > 1000 {
			t.Fatal("the list does not end")
		}
		cursor = page.Next
	}
}

// inboxRecord is how the list tells of an inbox row.
func inboxRecord(n signalbox.Notification) signalbox.DeliveryRecord {
	record := webDelivered(n)
	record.NotificationID = n.ID
	return record
}

func sentOver(n signalbox.Notification, channel string, status signalbox.DeliveryStatus) signalbox.NewDelivery {
	one := queuedDelivery(n, channel)
	one.Status = status
	return one
}

func recentDeliveries(t *testing.T, f Fixture) {
	var want []signalbox.DeliveryRecord
	for i := range int64(6) {
		n := notification(i, []string{alice, bob, ""}[i%3])
		commit(t, f.Store, n)
		// Of the same request: what was recorded comes first.
		mail := sentOver(n, "Email", signalbox.DeliveryDelivered)
		addDeliveries(t, f, mail)
		want = append([]signalbox.DeliveryRecord{mail.DeliveryRecord, inboxRecord(n)}, want...)
	}
	for _, limit := range []int{1, 2, 5, 12, 100} {
		got, pages := allRecent(t, f.Other, signalbox.DeliveryFilter{}, limit)
		equal(t, fmt.Sprintf("by %d", limit), got, want)
		if most := (12+limit-1)/limit + 1; pages > most {
			t.Errorf("by %d: %d pages", limit, pages)
		}
	}

	t.Log("A row that was sent again does not know its first request.")
	first := notification(10, alice, scoped("s"))
	again := notification(11, alice, scoped("s"))
	commit(t, f.Store, first)
	commit(t, f.Store, again)
	nameless := inboxRecord(first)
	nameless.RequestID = ""
	got, _ := allRecent(t, f.Store, signalbox.DeliveryFilter{}, 1)
	equal(t, "sent again", got[0], nameless)

	for _, cursor := range []string{"x", "%", "W10", "W1siYSJdLFtdLFtdXQ", "bnVsbA"} {
		if _, err := f.Store.RecentDeliveries(t.Context(), signalbox.DeliveryFilter{}, cursor, 10); signalbox.ErrorCode(err) != signalbox.CodeInput {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func recentChosen(t *testing.T, f Fixture) {
	one, two, everyone := notification(1, alice), notification(2, bob), notification(3, "")
	two.Origin = "cron"
	commit(t, f.Store, one, two, everyone)
	failed := sentOver(one, "Email", signalbox.DeliveryFailed)
	muted := sentOver(two, "Slack", signalbox.DeliverySuppressed)
	unwanted := sentOver(two, signalbox.ChannelWeb, signalbox.DeliverySuppressed)
	room := sentOver(everyone, "Slack", signalbox.DeliveryDelivered)
	addDeliveries(t, f, failed, muted, unwanted, room)
	type records = []signalbox.DeliveryRecord
	for name, c := range map[string]struct {
		filter signalbox.DeliveryFilter
		want   records
	}{
		"by channel":        {signalbox.DeliveryFilter{Channel: "Slack"}, records{room.DeliveryRecord, muted.DeliveryRecord}},
		"by the inbox":      {signalbox.DeliveryFilter{Channel: signalbox.ChannelWeb}, records{inboxRecord(everyone), unwanted.DeliveryRecord, inboxRecord(two), inboxRecord(one)}},
		"by status":         {signalbox.DeliveryFilter{Status: signalbox.DeliveryFailed}, records{failed.DeliveryRecord}},
		"by origin":         {signalbox.DeliveryFilter{Origin: "cron"}, records{unwanted.DeliveryRecord, muted.DeliveryRecord, inboxRecord(two)}},
		"by audience":       {signalbox.DeliveryFilter{Audience: alice}, records{failed.DeliveryRecord, inboxRecord(one)}},
		"to everyone":       {signalbox.DeliveryFilter{Audience: signalbox.Everyone}, records{room.DeliveryRecord, inboxRecord(everyone)}},
		"before":            {signalbox.DeliveryFilter{Before: two.Created}, records{failed.DeliveryRecord, inboxRecord(one)}},
		"by several things": {signalbox.DeliveryFilter{Channel: "Slack", Audience: bob, Origin: "cron", Status: signalbox.DeliverySuppressed}, records{muted.DeliveryRecord}},
		"nothing":           {signalbox.DeliveryFilter{Channel: "Slack", Audience: alice}, nil},
		"what cannot be":    {signalbox.DeliveryFilter{Channel: "\x00"}, nil},
	} {
		for _, limit := range []int{1, 3, 50} {
			got, _ := allRecent(t, f.Store, c.filter, limit)
			equal(t, name, got, c.want)
		}
	}
}

// recentFarBack looks for what is behind much that does not match.
func recentFarBack(t *testing.T, f Fixture) {
	wanted := sentOver(notification(0, alice), "Pager", signalbox.DeliveryFailed)
	list := []signalbox.NewDelivery{wanted}
	other := notification(1, bob)
	for i := range 5_000 {
		one := sentOver(other, "Email", signalbox.DeliveryDelivered)
		one.Target = fmt.Sprint(i)
		list = append(list, one)
	}
	addDeliveries(t, f, list...)
	row := notification(0, alice)
	commit(t, f.Store, row)
	first, err := f.Store.RecentDeliveries(t.Context(), signalbox.DeliveryFilter{Audience: alice}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Deliveries) != 0 || first.Next == "" || !first.Reached.Equal(other.Created.Truncate(time.Millisecond)) {
		t.Errorf("the first page has %d deliveries and reached %s", len(first.Deliveries), first.Reached)
	}
	got, pages := allRecent(t, f.Store, signalbox.DeliveryFilter{Audience: alice}, 10)
	equal(t, "found", got, []signalbox.DeliveryRecord{wanted.DeliveryRecord, inboxRecord(row)})
	if pages != 2 {
		t.Errorf("%d pages", pages)
	}
}

// recentMeanwhile reads on while deliveries come in: they belong before the pages that
// were read, whichever table has them.
func recentMeanwhile(t *testing.T, f Fixture) {
	for i := range int64(4) {
		commit(t, f.Store, notification(i, alice))
	}
	filters := []signalbox.DeliveryFilter{{}, {Origin: "ci"}, {Before: start.Add(time.Hour)}}
	cursors := make([]string, len(filters))
	for i, filter := range filters {
		page, err := f.Store.RecentDeliveries(t.Context(), filter, "", 2)
		if err != nil || len(page.Deliveries) != 2 {
			t.Fatal(page, err)
		}
		cursors[i] = page.Next
	}
	for i := range int64(3) {
		n := notification(100+i, []string{"", bob}[i%2])
		commit(t, f.Store, n)
		addDeliveries(t, f, sentOver(n, "Email", signalbox.DeliveryDelivered))
	}
	for i, filter := range filters {
		rest, err := f.Other.RecentDeliveries(t.Context(), filter, cursors[i], 10)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("the rest of %+v", filter), rest.Deliveries,
			[]signalbox.DeliveryRecord{inboxRecord(notification(1, alice)), inboxRecord(notification(0, alice))})
	}
}
