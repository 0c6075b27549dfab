package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

func pointer[T any](v T) *T { return &v }

func TestListQuery(t *testing.T) {
	h := start(t)
	for query, want := range map[string]struct {
		filter signalbox.Filter
		page   signalbox.Page
	}{
		"": {page: signalbox.Page{Limit: 1001, HasLimit: true}},
		"search=100%25_&topic=t&origin=plugin:x&read=true&saved=false&snoozed=true&createdAfter=2026-11-21T02:58:16%2B01:00&minimumSeverity=High": {
			filter: signalbox.Filter{
				Search: "100%_", Topic: "t", Origin: "plugin:x", Read: pointer(true), Saved: pointer(false), Snoozed: true,
				CreatedAfter: epoch.Truncate(time.Second), MinimumSeverity: signalbox.SeverityHigh,
			},
			page: signalbox.Page{Limit: 1001, HasLimit: true},
		},
		"offset=7&limit=3&orderField=topic,asc&orderField=created,desc&orderField=title": {
			page: signalbox.Page{
				Offset: 7, Limit: 4, HasLimit: true,
				Order: []signalbox.Order{{Field: signalbox.OrderTopic}, {Field: signalbox.OrderArrived, Descending: true}, {Field: signalbox.OrderTitle}},
			},
		},
		"limit=1000&search=&topic=&snoozed=false": {page: signalbox.Page{Limit: 1001, HasLimit: true}},
	} {
		h.inbox.filters, h.inbox.pages = nil, nil
		if got := h.get(userToken, "/api/notifications?"+query); got.StatusCode != 200 {
			t.Fatalf("%s: %d %s", query, got.StatusCode, got.body)
		}
		if diff := cmp.Diff([]signalbox.Filter{want.filter, want.filter}, h.inbox.filters); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
		if diff := cmp.Diff([]signalbox.Page{want.page}, h.inbox.pages); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	h.inbox.filters = nil
	h.get(userToken, "/api/notifications/topics?topic=t&minimumSeverity=low&read=false")
	want := []signalbox.Filter{{Topic: "t", MinimumSeverity: signalbox.SeverityLow, Read: pointer(false)}}
	if diff := cmp.Diff(want, h.inbox.filters); diff != "" {
		t.Error(diff)
	}
}

func TestCursor(t *testing.T) {
	h := start(t)
	for i := range 10 {
		h.inbox.rows = append(h.inbox.rows, signalbox.Notification{
			ID: idOf(i), User: jane, Origin: serviceName,
			// Three rows of each time: the identifier decides.
			Created: epoch.Add(time.Duration(i/3) * time.Microsecond),
			Payload: signalbox.Payload{Title: fmt.Sprint(i), Severity: signalbox.SeverityNormal},
		})
	}
	var titles []string
	cursor, pages := "", 0
	for {
		got := h.get(userToken, "/api/notifications?limit=4"+cursor)
		var page struct {
			TotalCount    int
			NextCursor    *string
			Notifications []struct{ Payload struct{ Title string } }
		}
		decode(t, got.body, &page)
		if page.TotalCount != 10 {
			t.Errorf("totalCount %d", page.TotalCount)
		}
		for _, n := range page.Notifications {
			titles = append(titles, n.Payload.Title)
		}
		if pages++; page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *page.NextCursor
	}
	if got := strings.Join(titles, ""); got != "9876543210" || pages != 3 {
		t.Errorf("%d pages: %s", pages, got)
	}
	for _, query := range []string{"limit=10", "limit=4&orderField=title,asc", "limit=0", "limit=4&offset=6"} {
		if got := h.get(userToken, "/api/notifications?"+query); strings.Contains(got.body, "nextCursor") || got.StatusCode != 200 {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
		}
	}
	if got := h.get(userToken, "/api/notifications?limit=4&offset=2"); !strings.Contains(got.body, "nextCursor") {
		t.Errorf("offset: %s", got.body)
	}
	for _, with := range []string{"&offset=0", "&orderField=created,desc"} {
		if got := h.get(userToken, "/api/notifications?limit=4"+cursor+with); got.StatusCode != 400 || !strings.Contains(got.body, "request/query/cursor must NOT be used with") {
			t.Errorf("%s: %d %s", with, got.StatusCode, got.body)
		}
	}
}

func TestUpdate(t *testing.T) {
	h := start(t)
	h.inbox.rows = []signalbox.Notification{
		{ID: idOf(0), User: jane, Origin: "a", Created: epoch, Payload: signalbox.Payload{Title: "0"}},
		{ID: idOf(1), User: jane, Origin: "b", Created: epoch, Read: epoch, Payload: signalbox.Payload{Title: "1"}},
		{ID: idOf(2), Origin: "b", Created: epoch, Payload: signalbox.Payload{Title: "broadcast"}},
		{ID: idOf(3), User: "user:default/joe", Origin: "b", Created: epoch, Payload: signalbox.Payload{Title: "joe's"}},
	}
	update := func(body string) response {
		t.Helper()
		return h.post(userToken, "/api/notifications/update", body)
	}
	ids := func(r response) string {
		t.Helper()
		var list []struct{ ID string }
		decode(t, r.body, &list)
		var ids []string
		for _, n := range list {
			ids = append(ids, n.ID[len(n.ID)-1:])
		}
		return strings.Join(ids, "")
	}
	signal := func(action string, total int, ids ...string) signalbox.Signal {
		message, err := json.Marshal(map[string]any{"action": action, "notification_ids": ids, "total": total})
		if err != nil {
			t.Fatal(err)
		}
		return signalbox.Signal{Channel: "notifications", Recipients: []string{jane}, Message: message}
	}
	all := fmt.Sprintf(`["%s","%s","%s","%s","%s","nope"]`, idOf(0), strings.ToUpper(idOf(1)), idOf(2), idOf(3), idOf(0))

	for _, c := range []struct {
		name, body, ids string
		counts          string
		signals         []signalbox.Signal
	}{
		{name: "nothing to set", body: `{"ids":` + all + `}`, ids: "210"},
		{name: "read", body: `{"ids":` + all + `,"read":true}`, ids: "210", signals: []signalbox.Signal{signal("notification_read", 2, idOf(2), idOf(0))}},
		{name: "read again", body: `{"ids":` + all + `,"read":true}`, ids: "210"},
		{name: "unread and saved", body: `{"ids":["` + idOf(0) + `"],"read":false,"saved":true}`, ids: "0", signals: []signalbox.Signal{
			signal("notification_unread", 1, idOf(0)), signal("notification_saved", 1, idOf(0)),
		}},
		{name: "no ids", body: `{"ids":[],"read":false}`, ids: ""},
		{name: "no known ids", body: `{"ids":["nope",""],"read":false}`, ids: ""},
		{name: "another's", body: `{"ids":["` + idOf(3) + `"],"read":true}`, ids: ""},
		{name: "filter", body: `{"filter":{"origin":"b","read":true},"read":false}`, counts: `{"updated":2,"read":2,"saved":0,"snoozed":0}`, signals: []signalbox.Signal{
			signal("notification_unread", 2, idOf(2), idOf(1)),
		}},
		{name: "everything", body: `{"filter":{},"saved":false}`, counts: `{"updated":1,"read":0,"saved":1,"snoozed":0}`, signals: []signalbox.Signal{
			signal("notification_unsaved", 1, idOf(0)),
		}},
		{name: "filter, nothing", body: `{"filter":{"search":"nope"},"read":true}`, counts: `{"updated":0,"read":0,"saved":0,"snoozed":0}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := update(c.body)
			if c.counts != "" {
				got.want(t, 200, c.counts)
			} else if got.StatusCode != 200 || ids(got) != c.ids {
				t.Errorf("%d, ids %q: %s", got.StatusCode, ids(got), got.body)
			}
			canonical := cmp.Transformer("JSON", func(m json.RawMessage) string { return canonicalJSON(t, string(m)) })
			if diff := cmp.Diff(c.signals, h.signaler.take(), canonical); diff != "" {
				t.Error(diff)
			}
		})
	}
	if !h.inbox.rows[3].Read.IsZero() {
		t.Error("another user's row was changed")
	}
	if got := update(`{"ids":["a",1]}`); got.StatusCode != 400 || !strings.Contains(got.body, "request/body/ids/1") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := update(`{"ids":[],"filter":{},"read":true}`); got.StatusCode != 400 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

// A signal has a bounded number of identifiers, and the true total.
func TestUpdateSignalIsBounded(t *testing.T) {
	h := start(t)
	for i := range 1500 {
		h.inbox.rows = append(h.inbox.rows, signalbox.Notification{ID: idOf(i), User: jane, Created: epoch})
	}
	h.post(userToken, "/api/notifications/update", `{"filter":{},"read":true}`).want(t, 200, `{"updated":1500,"read":1500,"saved":0,"snoozed":0}`)
	var message struct {
		IDs   []string `json:"notification_ids"`
		Total int      `json:"total"`
	}
	decode(t, string(h.signaler.take()[0].Message), &message)
	if len(message.IDs) != 1000 || message.Total != 1500 {
		t.Errorf("%d identifiers, total %d", len(message.IDs), message.Total)
	}
}

func TestPublish(t *testing.T) {
	h := start(t)
	h.post(serviceToken, "/api/signals/publish", `{"recipients":{"type":"entity","entityRef":["group:a","Group:A"]},"channel":"c","message":{"x":[1]}}`).
		want(t, 202, `{"status":"accepted"}`)
	want := []signalbox.Signal{{Channel: "c", Recipients: []string{"group:default/a"}, Message: json.RawMessage(`{"x":[1]}`)}}
	if diff := cmp.Diff(want, h.signaler.take()); diff != "" {
		t.Error(diff)
	}
	h.post(serviceToken, "/api/signals/publish", `{"recipients":{"type":"broadcast"},"channel":"c"}`).
		want(t, 400, errorOf(400, "InputError", "request/body must have required property 'message'", "POST", "/publish"))
	h.get("", "/api/signals/health").want(t, 200, `{"status":"ok"}`)
	if sent := h.signaler.take(); len(sent) > 0 {
		t.Errorf("sent %+v", sent)
	}
}
