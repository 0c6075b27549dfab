package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

func TestDeliveriesOfOneRequest(t *testing.T) {
	store := newTraces()
	store.trace.Request.Origin, store.notification.Origin = "someone", "someone"
	h := start(t, withAdmins(jane), func(d *web.Deps, _ *web.Config) { d.Trace = store })
	for query, want := range map[string]string{
		"?id=" + tracedID:                       `"origin":"someone"`,
		"?id=" + strings.ToUpper(tracedID):      `"origin":"someone"`,
		"?id=" + tracedID + "&cursor=x&limit=3": `"nextCursor":"more"`,
		"?id=" + store.notification.ID:          `"status":"delivered"`,
	} {
		if got := h.get(userToken, adminAPI+"/deliveries/show"+query); got.StatusCode != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
		}
	}
	for query, status := range map[string]int{"": 400, "?id=x": 400, "?id=" + idOf(9): 404, "?id=" + tracedID + "&x=y": 400} {
		if got := h.get(userToken, adminAPI+"/deliveries/show"+query); got.StatusCode != status {
			t.Errorf("%q: %d %s", query, got.StatusCode, got.body)
		}
	}
	t.Log("Others see no more than before.")
	if got := h.get(serviceToken, deliveriesPath+tracedID+"/deliveries"); got.StatusCode != 404 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

func TestRecentDeliveries(t *testing.T) {
	store := newTraces()
	h := start(t, withAdmins(jane), func(d *web.Deps, _ *web.Config) { d.Trace = store })
	store.recent = signalbox.DeliveryPage{Deliveries: store.trace.Deliveries[:2:2], Reached: tracedAt, Next: "more"}
	store.recent.Deliveries[0].Created, store.recent.Deliveries[1].Created = tracedAt, tracedAt
	store.recent.Deliveries[1].RequestID = ""
	const direct = `{"channel":"Web","status":"queued","recipient":null,"notification":"N","target":"#alerts","detail":"429","attempts":2,"nextAttempt":"2026-01-02T03:04:05.678Z","updated":"2026-01-02T03:04:05.678Z","request":"R","origin":"bench","created":"2026-01-02T03:04:05.678Z"}`
	const muted = `{"channel":"Web","status":"suppressed","recipient":"user:default/jane","notification":"N","target":null,"rule":"user.topic","text":"The user's choice for this topic of this origin","attempts":0,"nextAttempt":null,"updated":"2026-01-02T03:04:05.678Z","request":null,"origin":"bench","created":"2026-01-02T03:04:05.678Z"}`
	want := strings.NewReplacer(`"N"`, `"`+store.notification.ID+`"`, `"R"`, `"`+tracedID+`"`).Replace(
		`{"deliveries":[` + direct + `,` + muted + `],"reached":"2026-01-02T03:04:05.678Z","nextCursor":"more"}`)
	got := h.get(userToken, adminAPI+"/deliveries?channel=Slack&status=failed&origin=ci&recipient=User:Jane&before=2026-01-02T03:04:05Z&limit=7&cursor=x")
	if diff := cmp.Diff(want, got.body); got.StatusCode != 200 || diff != "" {
		t.Errorf("%d, (-want +got):\n%s", got.StatusCode, diff)
	}
	asked := recentQuery{signalbox.DeliveryFilter{
		Channel: "Slack", Status: signalbox.DeliveryFailed, Origin: "ci", Audience: jane, Before: tracedAt.Truncate(time.Second),
	}, "x", 7}
	if store.asked != asked {
		t.Errorf("asked for %+v", store.asked)
	}

	store.recent = signalbox.DeliveryPage{}
	if got := h.get(userToken, adminAPI+"/deliveries?recipient=*"); got.body != `{"deliveries":[],"reached":null}` {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if want := (recentQuery{signalbox.DeliveryFilter{Audience: signalbox.Everyone}, "", web.DefaultRecentLimit}); store.asked != want {
		t.Errorf("asked for %+v", store.asked)
	}
	for query, part := range map[string]string{
		"status=lost":   "request/query/status must be",
		"recipient=x:":  "request/query/recipient must be",
		"before=monday": "request/query/before must be",
		"limit=1001":    "request/query/limit",
		"user=jane":     "Unknown query parameter 'user'",
		"cursor=bad":    "request/query/cursor must be",
	} {
		if got := h.get(userToken, adminAPI+"/deliveries?"+query); got.StatusCode != 400 || !strings.Contains(got.body, part) {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
		}
	}
	for token, status := range map[string]int{serviceToken: 403, "": 401} {
		if got := h.get(token, adminAPI+"/deliveries"); got.StatusCode != status {
			t.Errorf("%q: %d", token, got.StatusCode)
		}
	}
}
