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

func TestSnooze(t *testing.T) {
	h := start(t)
	for i := range 3 {
		h.inbox.rows = append(h.inbox.rows, signalbox.Notification{
			ID: idOf(i), User: jane, Origin: "ci", Created: epoch, Payload: signalbox.Payload{Title: fmt.Sprint(i), Topic: fmt.Sprint("t", i)},
		})
	}
	update := func(body string) response {
		t.Helper()
		return h.post(userToken, "/api/notifications/update", body)
	}
	signals := func(want ...string) {
		t.Helper()
		var got []string
		for _, s := range h.signaler.take() {
			if diff := cmp.Diff([]string{jane}, s.Recipients); diff != "" || s.Broadcast {
				t.Errorf("recipients: %s", diff)
			}
			var m struct {
				Action string   `json:"action"`
				IDs    []string `json:"notification_ids"`
			}
			if err := json.Unmarshal(s.Message, &m); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(m.Action, len(m.IDs)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("signals: %s", diff)
		}
	}
	until := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)
	wire := until.Format(signalbox.TimeFormat)

	got := update(fmt.Sprintf(`{"ids":[%q],"snoozedUntil":%q,"saved":true}`, idOf(1), until.In(time.FixedZone("", 3600)).Format(time.RFC3339Nano)))
	if got.StatusCode != 200 || strings.Count(got.body, `"snoozedUntil":"`+wire+`"`) != 1 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	signals("notification_saved1", "notification_snoozed1")
	update(fmt.Sprintf(`{"ids":[%q],"snoozedUntil":%q}`, idOf(1), wire))
	signals()

	titles := func(query string) string {
		t.Helper()
		var page struct {
			TotalCount    int
			Notifications []struct{ Payload struct{ Title string } }
		}
		body := h.get(userToken, "/api/notifications?"+query).body
		decode(t, body, &page)
		list := ""
		for _, n := range page.Notifications {
			list += n.Payload.Title
		}
		if page.TotalCount != len(list) {
			t.Errorf("%s: totalCount %d of %q", query, page.TotalCount, list)
		}
		if strings.Contains(body, "snoozedUntil") != (query == "snoozed=true") {
			t.Errorf("%s: %s", query, body)
		}
		return list
	}
	if got := titles("") + " " + titles("snoozed=false") + " " + titles("snoozed=true"); got != "20 20 1" {
		t.Errorf("lists: %s", got)
	}
	h.get(userToken, "/api/notifications/topics?snoozed=true").want(t, 200, `{"topics":["t1"]}`)
	h.get(userToken, "/api/notifications/topics").want(t, 200, `{"topics":["t0","t2"]}`)
	h.get(userToken, "/api/notifications/status").want(t, 200, `{"unread":2,"read":0,"snoozed":1}`)
	if got := h.get(userToken, "/api/notifications/"+idOf(1)); got.StatusCode != 200 || !strings.Contains(got.body, wire) {
		t.Errorf("by its identifier: %d %s", got.StatusCode, got.body)
	}

	update(`{"filter":{},"snoozedUntil":"`+wire+`"}`).want(t, 200, `{"updated":2,"read":0,"saved":0,"snoozed":2}`)
	signals("notification_snoozed2")
	update(`{"filter":{"snoozed":true},"snoozedUntil":null}`).want(t, 200, `{"updated":3,"read":0,"saved":0,"snoozed":3}`)
	signals("notification_unsnoozed3")
	if got := titles(""); got != "210" {
		t.Errorf("awake: %s", got)
	}

	for until, want := range map[string]string{
		`"2026-01-01T00:00:00Z"`: "request/body/snoozedUntil must be in the future",
		`"` + time.Now().Add(signalbox.MaxSnooze+time.Minute).Format(time.RFC3339) + `"`: "request/body/snoozedUntil must NOT be more than a year ahead",
		`"tomorrow"`: "request/body/snoozedUntil must be a date: Unexpected date format",
		`17`:         "request/body/snoozedUntil must be string",
	} {
		update(`{"ids":["`+idOf(0)+`"],"snoozedUntil":`+until+`}`).want(t, 400, errorOf(400, "InputError", want, "POST", "/update"))
	}
	h.get(userToken, "/api/notifications?snoozed=maybe").want(t, 400,
		errorOf(400, "InputError", "request/query/snoozed must be boolean", "GET", "/?snoozed=maybe"))
	signals()
}

// The place of what came back is that of its return, for cursors, too.
func TestCursorOfWhatCameBack(t *testing.T) {
	h := start(t)
	h.inbox.rows = []signalbox.Notification{
		{ID: idOf(0), User: jane, Created: epoch, Woken: epoch.Add(2 * time.Hour)},
		{ID: idOf(1), User: jane, Created: epoch.Add(time.Hour)},
		{ID: idOf(2), User: jane, Created: epoch.Add(-time.Hour), Woken: epoch.Add(3 * time.Hour)},
	}
	var ids []string
	cursor := ""
	for range 3 {
		var page struct {
			NextCursor    string
			Notifications []struct{ ID, Woken string }
		}
		decode(t, h.get(userToken, "/api/notifications?limit=1"+cursor).body, &page)
		for _, n := range page.Notifications {
			ids = append(ids, n.ID+" "+n.Woken)
		}
		cursor = "&cursor=" + page.NextCursor
	}
	want := []string{idOf(2) + " 2026-11-21T04:58:16.598Z", idOf(0) + " 2026-11-21T03:58:16.598Z", idOf(1) + " "}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
}
