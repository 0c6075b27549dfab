package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// Trace is the contract of [signalbox.TraceStore].
func Trace(t *testing.T, open func(*testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"inbox alone":          traceInbox,
		"broadcast":            traceBroadcast,
		"records and rows":     tracePages,
		"of a request":         traceRequest,
		"of a user":            traceUser,
		"nothing":              traceNothing,
		"looked up":            lookedUp,
		"neighbours in time":   traceNeighbours,
		"the latest word":      latestWord,
		"a part that failed":   failedPart,
		"cursors from outside": oddCursors,
		"recent":               recentDeliveries,
		"recent and chosen":    recentChosen,
		"recent but far back":  recentFarBack,
		"recent and growing":   recentMeanwhile,
		"while it is stored":   traceMeanwhile,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// sentTo makes what one request becomes for users.
func sentTo(n int64, users ...string) []signalbox.Notification {
	var rows []signalbox.Notification
	for _, user := range users {
		rows = append(rows, notification(n, user))
	}
	return rows
}

func trace(t *testing.T, s Store, request, cursor string, limit int) signalbox.Trace {
	t.Helper()
	found, err := s.RequestTrace(t.Context(), request, cursor, limit)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func webDelivered(n signalbox.Notification) signalbox.DeliveryRecord {
	record := queuedDelivery(n, signalbox.ChannelWeb).DeliveryRecord
	record.Status, record.Attempts = signalbox.DeliveryDelivered, 1
	return record
}

func traceInbox(t *testing.T, f Fixture) {
	rows := sentTo(1, alice, bob)
	commit(t, f.Store, rows...)
	commit(t, f.Store, sentTo(2, alice)...)
	got := trace(t, f.Other, rows[0].RequestID, "", 10)
	equal(t, "request", got.Request, signalbox.RequestRecord{
		ID: rows[0].RequestID, Origin: "ci", Created: rows[0].Created, Updated: rows[0].Created,
		Status: signalbox.RequestProcessed, Recipients: 2,
	})
	equal(t, "summary", got.Summary, []signalbox.TraceCount{{Channel: signalbox.ChannelWeb, Status: signalbox.DeliveryDelivered, Count: 2}})
	want := []signalbox.DeliveryRecord{webDelivered(rows[0]), webDelivered(rows[1])}
	equal(t, "deliveries", got.Deliveries, want, cmpopts.SortSlices(func(a, b signalbox.DeliveryRecord) bool { return a.Audience < b.Audience }))
	equal(t, "next", got.Next, "")
}

func traceBroadcast(t *testing.T, f Fixture) {
	rows := sentTo(1, "")
	commit(t, f.Store, rows...)
	got := trace(t, f.Store, rows[0].RequestID, "", 10)
	equal(t, "deliveries", got.Deliveries, []signalbox.DeliveryRecord{webDelivered(rows[0])})
	equal(t, "audience", got.Deliveries[0].Audience, signalbox.Everyone)
}

// tracePages reads a trace of both sources page by page.
func tracePages(t *testing.T, f Fixture) {
	users := []string{"user:default/u1", "user:default/u2", "user:default/u3", "user:default/u4", "user:default/u5"}
	rows := sentTo(1, users...)
	var list []signalbox.NewDelivery
	for _, n := range rows[:4] {
		one := queuedDelivery(n, "Pager")
		one.Status, one.Rule = signalbox.DeliverySuppressed, signalbox.RuleUserTopic
		list = append(list, one)
	}
	list[3].Rule = signalbox.RuleNoAddress
	if _, err := f.Store.Commit(t.Context(), signalbox.Commit{
		Notifications: rows,
		Deliveries:    func([]signalbox.Outcome) ([]signalbox.NewDelivery, error) { return list, nil },
		Requests: []signalbox.RequestRecord{{
			ID: rows[0].RequestID, Origin: "ci", Status: signalbox.RequestProcessed, Recipients: 5, Created: start, Updated: start,
		}},
	}); err != nil {
		t.Fatal(err)
	}
	var (
		all    []signalbox.DeliveryRecord
		cursor string
		pages  int
	)
	for {
		page := trace(t, f.Store, rows[0].RequestID, cursor, 2)
		if pages == 0 {
			equal(t, "summary", page.Summary, []signalbox.TraceCount{
				{Channel: signalbox.ChannelWeb, Status: signalbox.DeliveryDelivered, Count: 5},
				{Channel: "Pager", Status: signalbox.DeliverySuppressed, Rule: signalbox.RuleNoAddress, Count: 1},
				{Channel: "Pager", Status: signalbox.DeliverySuppressed, Rule: signalbox.RuleUserTopic, Count: 3},
			})
		} else if page.Summary != nil {
			t.Error("a further page has a summary")
		}
		all = append(all, page.Deliveries...)
		if pages++; page.Next == "" || pages > 10 {
			break
		}
		cursor = page.Next
	}
	equal(t, "pages", pages, 5)
	want := []signalbox.DeliveryRecord{}
	for _, one := range list {
		want = append(want, one.DeliveryRecord)
	}
	slices.SortFunc(rows, func(a, b signalbox.Notification) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	for _, n := range rows {
		want = append(want, webDelivered(n))
	}
	equal(t, "deliveries", all, want)
}

func traceRequest(t *testing.T, f Fixture) {
	record := signalbox.RequestRecord{
		ID: requestID(start, 1), Origin: "ci", Status: signalbox.RequestProcessed, Created: start, Updated: start.Add(time.Second),
		Recipients: 0, Unknown: []string{"group:default/none"},
	}
	if _, err := f.Store.Commit(t.Context(), signalbox.Commit{Requests: []signalbox.RequestRecord{record}}); err != nil {
		t.Fatal(err)
	}
	got := trace(t, f.Store, record.ID, "", 10)
	equal(t, "request", got.Request, record)
	equal(t, "deliveries", len(got.Deliveries), 0)
}

// latestWord: a part that failed, and came through, does not know of the whole.
func latestWord(t *testing.T, f Fixture) {
	whole := signalbox.RequestRecord{
		ID: requestID(start, 1), Origin: "ci", Status: signalbox.RequestProcessed, Recipients: 5000,
		Unknown: []string{"group:default/none"}, Created: start, Updated: start,
	}
	part := signalbox.RequestRecord{
		ID: whole.ID, Origin: "ci", Status: signalbox.RequestRetrying, Stage: "settings", Error: "away\x00", Attempts: 2,
		Created: start, Updated: start.Add(time.Minute),
	}
	for _, record := range []signalbox.RequestRecord{whole, part} {
		if _, err := f.Store.Commit(t.Context(), signalbox.Commit{Requests: []signalbox.RequestRecord{record}}); err != nil {
			t.Fatal(err)
		}
	}
	part.Recipients, part.Unknown, part.Error = whole.Recipients, whole.Unknown, "away\uFFFD"
	equal(t, "request", trace(t, f.Store, whole.ID, "", 10).Request, part)
}

// failedPart: what other parts of a request say does not hide a failure, of which
// there is a dead letter.
func failedPart(t *testing.T, f Fixture) {
	id := requestID(start, 1)
	say := func(n int, status signalbox.RequestStatus) signalbox.RequestRecord {
		t.Helper()
		record := signalbox.RequestRecord{
			ID: id, Origin: "ci", Status: status, Attempts: n, Created: start, Updated: start.Add(time.Duration(n) * time.Second),
		}
		if status != signalbox.RequestProcessed {
			record.Stage, record.Error = fmt.Sprintf("stage%d", n), fmt.Sprintf("error %d", n)
		}
		if _, err := f.Store.Commit(t.Context(), signalbox.Commit{Requests: []signalbox.RequestRecord{record}}); err != nil {
			t.Fatal(err)
		}
		return record
	}
	want := func(what string, record signalbox.RequestRecord) {
		t.Helper()
		equal(t, what, trace(t, f.Other, id, "", 10).Request, record, cmpopts.EquateEmpty())
	}
	say(1, signalbox.RequestRetrying)
	failed := say(2, signalbox.RequestFailed)
	say(3, signalbox.RequestRetrying)
	want("another part is tried again", failed)
	say(4, signalbox.RequestProcessed)
	want("another part is through", failed)
	want("another part failed, too", say(5, signalbox.RequestFailed))
}

// traceMeanwhile reads a trace while its request is stored: it is never told without
// what the same commit said of the request.
func traceMeanwhile(t *testing.T, f Fixture) {
	for n := int64(1); n <= 100; n++ {
		rows := sentTo(n, alice, bob)
		c := signalbox.Commit{Notifications: rows, Requests: []signalbox.RequestRecord{{
			ID: rows[0].RequestID, Origin: "ci", Status: signalbox.RequestProcessed, Recipients: 2,
			Unknown: []string{"group:default/nobody"}, Created: rows[0].Created, Updated: rows[0].Created,
		}}}
		stored := make(chan error)
		go func() {
			_, err := f.Store.Commit(t.Context(), c)
			stored <- err
		}()
		// One that is told while the commit is under way, or else the one after it.
		for told, done := false, false; !told || !done; {
			select {
			case err := <-stored:
				if err != nil {
					t.Fatal(err)
				}
				done = true
			default:
			}
			got, err := f.Other.RequestTrace(t.Context(), rows[0].RequestID, "", 10)
			if !done && signalbox.ErrorCode(err) == signalbox.CodeNotFound {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if told = true; len(got.Request.Unknown) != 1 {
				t.Fatalf("request %d: %+v", n, got.Request)
			}
		}
	}
}

func traceUser(t *testing.T, f Fixture) {
	n := notification(1, alice)
	var list []signalbox.NewDelivery
	for _, audience := range []signalbox.Audience{alice, bob, signalbox.Everyone, "group:default/team", "component:default/api", ""} {
		one := queuedDelivery(n, "Pager")
		one.Audience = audience
		list = append(list, one)
	}
	addDeliveries(t, f, list...)
	found, err := f.Store.UserDeliveries(t.Context(), n.RequestID, alice)
	if err != nil {
		t.Fatal(err)
	}
	var audiences []signalbox.Audience
	for _, r := range found {
		audiences = append(audiences, r.Audience)
	}
	equal(t, "audiences", audiences, []signalbox.Audience{signalbox.Everyone, "component:default/api", "group:default/team", alice})
}

func traceNothing(t *testing.T, f Fixture) {
	for _, id := range []string{requestID(start, 9), "nope", ""} {
		if _, err := f.Store.RequestTrace(t.Context(), id, "", 10); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func lookedUp(t *testing.T, f Fixture) {
	rows := []signalbox.Notification{notification(1, alice), notification(2, "")}
	commit(t, f.Store, rows...)
	for _, n := range rows {
		got, err := f.Store.Lookup(t.Context(), n.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "notification", got, n)
	}
	for _, id := range []string{rows[0].RequestID, "nope"} {
		if _, err := f.Store.Lookup(t.Context(), id); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// traceNeighbours: rows of other requests of the same millisecond are theirs.
func traceNeighbours(t *testing.T, f Fixture) {
	mine, theirs := notification(1, alice), notification(1, alice)
	theirs.RequestID = requestID(theirs.Created, 77)
	theirs.ID = signalbox.NotificationID(theirs.RequestID, alice)
	commit(t, f.Store, mine, theirs)
	equal(t, "deliveries", trace(t, f.Store, mine.RequestID, "", 10).Deliveries, []signalbox.DeliveryRecord{webDelivered(mine)})
	equal(t, "deliveries", trace(t, f.Store, theirs.RequestID, "", 10).Deliveries, []signalbox.DeliveryRecord{webDelivered(theirs)})
}

func oddCursors(t *testing.T, f Fixture) {
	n := notification(1, alice)
	commit(t, f.Store, n)
	for _, cursor := range []string{"x", "eyJyIjoibm9wZSJ9", "eyJkIjp7ImNoYW5uZWwiOiJcdTAwMDAifX0", "%"} {
		if _, err := f.Store.RequestTrace(t.Context(), n.RequestID, cursor, 10); signalbox.ErrorCode(err) != signalbox.CodeInput {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}
