package web_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

func TestSubmission(t *testing.T) {
	h := start(t)
	body := `[` + toJane + `,{"recipients":{"type":"broadcast"},"payload":{"title":"all","foo":1}}]`
	h.do(request{method: "POST", path: "/api/notifications/batch", token: serviceToken, body: body}).want(t, 202,
		`[{"id":"`+idOf(0)+`","status":"accepted"},{"id":"`+idOf(1)+`","status":"accepted","warnings":["unknown field 'payload.foo' was ignored"]}]`)
	want := []signalbox.Submission{{Requests: []signalbox.SendRequest{
		{
			Origin:     serviceName,
			Recipients: signalbox.Recipients{Type: signalbox.RecipientsEntity, EntityRefs: []string{jane}},
			Payload:    signalbox.Payload{Title: "wire", Severity: signalbox.SeverityNormal},
		},
		{
			Origin:     serviceName,
			Recipients: signalbox.Recipients{Type: signalbox.RecipientsBroadcast},
			Payload:    signalbox.Payload{Title: "all", Severity: signalbox.SeverityNormal},
		},
	}}}
	if diff := cmp.Diff(want, h.submitter.taken()); diff != "" {
		t.Error(diff)
	}
}

func TestWait(t *testing.T) {
	h := start(t)
	notification := signalbox.Notification{ID: idOf(7), User: jane, Origin: serviceName, Created: epoch, Payload: signalbox.Payload{Title: "wire", Severity: signalbox.SeverityNormal}}
	done := true
	var waited time.Duration
	h.submitter.answerWith(func(ctx context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
		waited = s.Wait
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < s.Wait {
			t.Errorf("wait of %v, but the context ends at %v", s.Wait, deadline)
		}
		submitted := accepted(s)
		if s.Wait > 0 && done {
			submitted.Done, submitted.Notifications = true, []signalbox.Notification{notification}
		}
		return submitted, nil
	})
	list := `[{"id":"` + idOf(7) + `","user":"user:default/jane","created":"2026-11-21T01:58:16.598Z","saved":null,"read":null,"updated":null,"origin":"bench","payload":{"title":"wire","description":null,"link":null,"topic":null,"severity":"normal","scope":null,"icon":null}}]`
	receipt := `{"id":"` + idOf(0) + `","status":"accepted"}`
	for _, c := range []struct {
		path, prefer string
		done         bool
		wait         time.Duration
		status       int
		want         string
	}{
		{"/api/notifications", "wait=5", true, 5 * time.Second, 200, list},
		{"/api/notifications", `respond-async, WAIT="100"`, true, time.Minute, 200, list},
		{"/api/notifications", "wait=5", false, 5 * time.Second, 202, receipt},
		{"/api/notifications", "wait=0", true, 0, 202, receipt},
		{"/api/notifications", "return=minimal", true, 0, 202, receipt},
		{"/api/notifications/batch", "wait=5", true, 5 * time.Second, 200, list},
		{"/api/notifications/batch", "wait=5", false, 5 * time.Second, 202, "[" + receipt + "]"},
	} {
		done = c.done
		body := toJane
		if strings.HasSuffix(c.path, "batch") {
			body = "[" + toJane + "]"
		}
		got := h.do(request{method: "POST", path: c.path, token: serviceToken, body: body, header: http.Header{"Prefer": {c.prefer}}})
		got.want(t, c.status, c.want)
		applied := ""
		if c.wait > 0 {
			applied = fmt.Sprintf("wait=%d", int(c.wait.Seconds()))
		}
		if waited != c.wait || got.Header.Get("Preference-Applied") != applied {
			t.Errorf("%s: waited %v, applied %q", c.prefer, waited, got.Header.Get("Preference-Applied"))
		}
	}
	t.Run("nothing made", func(t *testing.T) {
		h.submitter.answerWith(func(_ context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
			submitted := accepted(s)
			submitted.Done = true
			return submitted, nil
		})
		h.do(request{method: "POST", path: "/api/notifications", token: serviceToken, body: toJane, header: http.Header{"Prefer": {"wait=1"}}}).want(t, 200, `[]`)
	})
}

func TestIdempotencyKey(t *testing.T) {
	h := start(t)
	post := func(path, body string, keys ...string) response {
		return h.do(request{method: "POST", path: path, token: serviceToken, body: body, header: http.Header{"Idempotency-Key": keys, "Prefer": {"wait=1"}}})
	}
	for _, keys := range [][]string{{""}, {"a", "b"}, {"ü"}, {strings.Repeat("x", 256)}} {
		if got := post("/api/notifications", toJane, keys...); got.StatusCode != 400 || !strings.Contains(got.body, "Idempotency-Key") {
			t.Errorf("%q: %d %s", keys, got.StatusCode, got.body)
		}
	}
	if n := len(h.submitter.taken()); n > 0 {
		t.Fatalf("%d submissions", n)
	}
	post("/api/notifications", toJane, "key 1")
	post("/api/notifications/notifications", toJane, "key 1")
	post("/api/notifications", toJane+" ", "key 1")
	post("/api/notifications/batch", "["+toJane+"]", "key 1")
	h.post(serviceToken, "/api/notifications", toJane)
	taken := h.submitter.taken()
	if taken[0].IdempotencyKey != "key 1" || len(taken[0].Fingerprint) != 64 || taken[0].Fingerprint != taken[1].Fingerprint {
		t.Errorf("the same content: %+v, %+v", taken[0], taken[1])
	}
	if taken[2].Fingerprint == taken[0].Fingerprint || taken[3].Fingerprint == taken[0].Fingerprint {
		t.Error("other content has the same fingerprint")
	}
	if taken[4].IdempotencyKey != "" || taken[4].Fingerprint != "" {
		t.Errorf("without a key: %+v", taken[4])
	}

	h.submitter.answerWith(func(_ context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
		submitted := accepted(s)
		submitted.Repeated = true
		return submitted, nil
	})
	got := post("/api/notifications", toJane, "key 1")
	got.want(t, 202, `{"id":"`+idOf(0)+`","status":"accepted"}`)
	if got.Header.Get("Idempotency-Replayed") != "true" || got.Header.Get("Preference-Applied") != "" {
		t.Errorf("headers %v", got.Header)
	}
	h.submitter.answerWith(func(context.Context, signalbox.Submission) (signalbox.Submitted, error) {
		return signalbox.Submitted{}, signalbox.Errorf(signalbox.CodeConflict, "used before")
	})
	post("/api/notifications", toJane, "key 1").want(t, 409, errorOf(409, "ConflictError", "used before", "POST", "/"))
}

// Fiber reuses the memory of requests: what was kept from one must survive the
// next ones on the same connection.
func TestNothingKeptAliasesARequest(t *testing.T) {
	h := start(t, withGuest)
	const n = 30
	want := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 20) }
	for i := range n {
		x := want(i)
		h.do(request{
			method: "POST", path: "/api/notifications", token: serviceToken, header: http.Header{"Idempotency-Key": {x}},
			body: fmt.Sprintf(`{"recipients":{"type":"entity","entityRef":"user:default/%s"},"payload":{"title":"%s","topic":"%s","metadata":{"x":"%s"},"additionalLinks":["/%s"]}}`, x, x, x, x, x),
		})
		h.do(request{method: "GET", path: "/api/notifications?topic=" + x + "&search=" + x, header: http.Header{"X-Signalbox-User": {"user:default/" + x}}})
		h.do(request{method: "POST", path: "/api/notifications/update", token: userToken, body: fmt.Sprintf(`{"filter":{"origin":"%s"},"read":true}`, x)})
		h.do(request{method: "POST", path: "/api/signals/publish", token: serviceToken, body: fmt.Sprintf(`{"recipients":{"type":"user","entityRef":"user:default/%s"},"channel":"%s","message":"%s"}`, x, x, x)})
	}
	for i, s := range h.submitter.taken() {
		x, r := want(i), s.Requests[0]
		if s.IdempotencyKey != x || r.Payload.Title != x || r.Payload.Topic != x || r.Recipients.EntityRefs[0] != "user:default/"+x ||
			string(r.Payload.Metadata) != `{"x":"`+x+`"}` || r.Payload.AdditionalLinks[0].URL != "/"+x {
			t.Errorf("submission %d: %+v", i, s)
		}
	}
	for i, s := range h.signaler.take() {
		if x := want(i); s.Channel != x || string(s.Message) != `"`+x+`"` || s.Recipients[0] != "user:default/"+x {
			t.Errorf("signal %d: %+v", i, s)
		}
	}
	h.inbox.mu.Lock()
	defer h.inbox.mu.Unlock()
	for i := range n {
		// Count, List and Update leave a filter each.
		x, f := want(i), h.inbox.filters[3*i:3*i+3]
		if f[0].Topic != x || f[1].Search != x || f[2].Origin != x || h.inbox.users[3*i] != "user:default/"+x {
			t.Errorf("filters %d: %+v", i, f)
		}
	}
}
