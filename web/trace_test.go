package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

// traces is a [signalbox.TraceStore] of one request of the service "ci".
type traces struct {
	trace        signalbox.Trace
	notification signalbox.Notification
	recent       signalbox.DeliveryPage
	asked        recentQuery
}

// recentQuery is what was asked of the list of deliveries.
type recentQuery struct {
	filter signalbox.DeliveryFilter
	cursor string
	limit  int
}

func (s *traces) RecentDeliveries(_ context.Context, filter signalbox.DeliveryFilter, cursor string, limit int) (signalbox.DeliveryPage, error) {
	if cursor == "bad" {
		return signalbox.DeliveryPage{}, signalbox.Errorf(signalbox.CodeInput, "bad")
	}
	s.asked = recentQuery{filter, cursor, limit}
	return s.recent, nil
}

const (
	tracedID = "019a0000-0000-7000-8000-000000000001"
	tracedBy = serviceName
)

var tracedAt = time.Date(2026, 1, 2, 3, 4, 5, 678000000, time.UTC)

func newTraces() *traces {
	key := signalbox.DeliveryKey{RequestID: tracedID, Audience: "user:default/jane", Channel: "Web"}
	other := signalbox.DeliveryKey{RequestID: tracedID, Audience: "user:default/jane", Channel: "audit"}
	direct := signalbox.DeliveryKey{RequestID: tracedID, Channel: "Web", Target: "#alerts"}
	n := signalbox.NotificationID(tracedID, "user:default/jane")
	return &traces{
		notification: signalbox.Notification{
			ID: n, User: "user:default/jane", Origin: tracedBy, RequestID: tracedID, Created: tracedAt,
			Payload: signalbox.Payload{Title: "t", Severity: signalbox.SeverityNormal},
		},
		trace: signalbox.Trace{
			Request: signalbox.RequestRecord{
				ID: tracedID, Origin: tracedBy, Created: tracedAt, Updated: tracedAt, Status: signalbox.RequestProcessed,
				Recipients: 2, Unknown: []string{"group:default/none"}, Stage: "earlier", Error: "earlier", Attempts: 3,
			},
			Summary: []signalbox.TraceCount{{Channel: "Web", Status: signalbox.DeliverySuppressed, Rule: signalbox.RuleUserTopic, Count: 1}},
			Deliveries: []signalbox.DeliveryRecord{
				{DeliveryKey: direct, NotificationID: n, Origin: tracedBy, Status: signalbox.DeliveryQueued, Detail: "429", Attempts: 2, Next: tracedAt, Updated: tracedAt},
				{DeliveryKey: key, NotificationID: n, Origin: tracedBy, Status: signalbox.DeliverySuppressed, Rule: signalbox.RuleUserTopic, Updated: tracedAt},
				{DeliveryKey: other, NotificationID: n, Origin: tracedBy, Status: signalbox.DeliveryDelivered, Attempts: 1, Updated: tracedAt},
			},
			Next: "more",
		},
	}
}

func (s *traces) RequestTrace(_ context.Context, id, cursor string, limit int) (signalbox.Trace, error) {
	if cursor != "" && (cursor != "x" || limit != 3) {
		return signalbox.Trace{}, signalbox.Errorf(signalbox.CodeInput, "cursor %q, limit %d", cursor, limit)
	}
	if id != tracedID {
		return signalbox.Trace{}, signalbox.Errorf(signalbox.CodeNotFound, "nothing known")
	}
	return s.trace, nil
}

func (s *traces) UserDeliveries(_ context.Context, id, user string) ([]signalbox.DeliveryRecord, error) {
	if id != tracedID || user != "user:default/jane" {
		return nil, nil
	}
	return s.trace.Deliveries[1:], nil
}

func (s *traces) Lookup(_ context.Context, id string) (signalbox.Notification, error) {
	if id != s.notification.ID {
		return signalbox.Notification{}, signalbox.Errorf(signalbox.CodeNotFound, "no")
	}
	return s.notification, nil
}

const deliveriesPath = "/api/notifications/notifications/"

func TestDeliveries(t *testing.T) {
	store := newTraces()
	h := start(t, func(d *web.Deps, _ *web.Config) { d.Trace = store })
	h.inbox.rows = []signalbox.Notification{store.notification}
	n := store.notification.ID
	const web = `{"channel":"Web","status":"delivered","recipient":"user:default/jane","notification":"N","target":null,"attempts":1,"nextAttempt":null,"updated":"2026-01-02T03:04:05.678Z"}`
	const muted = `{"channel":"Web","status":"suppressed","recipient":"user:default/jane","notification":"N","target":null,"rule":"user.topic","text":"The user's choice for this topic of this origin","attempts":0,"nextAttempt":null,"updated":"2026-01-02T03:04:05.678Z"}`
	const audit = `{"channel":"audit","status":"delivered","recipient":"user:default/jane","notification":"N","target":null,"attempts":1,"nextAttempt":null,"updated":"2026-01-02T03:04:05.678Z"}`
	const direct = `{"channel":"Web","status":"queued","recipient":null,"notification":"N","target":"#alerts","detail":"429","attempts":2,"nextAttempt":"2026-01-02T03:04:05.678Z","updated":"2026-01-02T03:04:05.678Z"}`
	for _, c := range []struct {
		name, path, token string
		status            int
		body              string
	}{
		{"a user its own", n + "/deliveries", userToken, 200, `{"deliveries":[` + web + `,` + muted + `]}`},
		{"a user what is not its own", signalbox.NotificationID(tracedID, "user:default/joe") + "/deliveries", userToken, 404, ""},
		{"a user its part of a request", tracedID + "/deliveries", userToken, 200, `{"deliveries":[` + web + `,` + muted + `]}`},
		{
			"the sender its request", tracedID + "/deliveries?limit=3&cursor=x", serviceToken, 200,
			`{"request":{"id":"` + tracedID + `","origin":"bench","created":"2026-01-02T03:04:05.678Z","status":"processed","recipients":2,"unknown":["group:default/none"]},` +
				`"summary":[{"channel":"Web","status":"suppressed","rule":"user.topic","text":"The user's choice for this topic of this origin","count":1}],` +
				`"deliveries":[` + direct + `,` + muted + `,` + audit + `],"nextCursor":"more"}`,
		},
		{"the sender a notification", n + "/deliveries", serviceToken, 200, `{"deliveries":[` + web + `,` + muted + `,` + audit + `]}`},
		{"what is no id", "nope/deliveries", serviceToken, 404, ""},
		{"what is not there", "019a0000-0000-7000-8000-0000000000ff/deliveries", serviceToken, 404, ""},
		{"too much", tracedID + "/deliveries?limit=1001", serviceToken, 400, ""},
		{"an unknown parameter", tracedID + "/deliveries?foo=1", serviceToken, 400, ""},
		{"nobody", tracedID + "/deliveries", "", 401, ""},
	} {
		got := h.get(c.token, deliveriesPath+c.path)
		if c.status != http.StatusOK {
			if got.StatusCode != c.status {
				t.Errorf("%s: %d %s", c.name, got.StatusCode, got.body)
			}
			continue
		}
		t.Run(c.name, func(t *testing.T) { got.want(t, c.status, strings.ReplaceAll(c.body, `"N"`, `"`+n+`"`)) })
	}
	// What is not in the inbox has deliveries, too; those of groups are not the user's.
	h.inbox.rows = nil
	store.trace.Deliveries = append(store.trace.Deliveries, store.trace.Deliveries[1])
	store.trace.Deliveries[3].Audience = "group:default/ops"
	h.get(userToken, deliveriesPath+tracedID+"/deliveries").want(t, 200, strings.ReplaceAll(`{"deliveries":[`+muted+`]}`, `"N"`, `"`+n+`"`))
	store.trace.Deliveries = store.trace.Deliveries[2:]
	store.trace.Deliveries[0].Audience = "group:default/ops"
	if got := h.get(userToken, deliveriesPath+tracedID+"/deliveries"); got.StatusCode != http.StatusNotFound {
		t.Errorf("what only a group got: %d %s", got.StatusCode, got.body)
	}
	// What another service sent is not there, for this one.
	store.trace.Request.Origin, store.notification.Origin = "other", "other"
	for _, id := range []string{tracedID, n} {
		if got := h.get(serviceToken, deliveriesPath+id+"/deliveries"); got.StatusCode != http.StatusNotFound {
			t.Errorf("another's %s: %d %s", id, got.StatusCode, got.body)
		}
	}
}

func TestReceiptPointsToItsDeliveries(t *testing.T) {
	h := start(t)
	got := h.post(serviceToken, "/api/notifications", `{"recipients":{"type":"broadcast"},"payload":{"title":"t"}}`)
	if location := got.Header.Get("Location"); location != deliveriesPath+idOf(0)+"/deliveries" {
		t.Errorf("Location: %q", location)
	}
}

func TestDirectTargets(t *testing.T) {
	direct, err := signalbox.NewDirectTargets([]string{"Web", "Email", "Slack"}, []string{"email:*@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, func(_ *web.Deps, c *web.Config) { c.Rules.Direct = direct })
	send := func(ref string) response {
		t.Helper()
		return h.post(serviceToken, "/api/notifications", `{"recipients":{"type":"entity","entityRef":["user:jane","`+ref+`"]},"payload":{"title":"t"}}`)
	}
	if got := send("EMAIL:Ops@Example.com"); got.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	if diff := cmp.Diff(signalbox.Recipients{
		Type: signalbox.RecipientsEntity, EntityRefs: []string{jane},
		Targets: []signalbox.DirectTarget{{Channel: "Email", Address: "Ops@Example.com"}},
	}, h.submitter.taken()[0].Requests[0].Recipients); diff != "" {
		t.Error(diff)
	}
	for ref, want := range map[string]int{
		"email:ops@evil.com": http.StatusForbidden, "slack:#alerts": http.StatusForbidden,
		"email:":        http.StatusBadRequest,
		"pager:#alerts": http.StatusBadRequest, "Web:jane": http.StatusAccepted,
	} {
		if got := send(ref); got.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", ref, got.StatusCode, got.body, want)
		}
	}
}
