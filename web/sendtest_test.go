package web_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
)

// readers are users who may only read.
type readers struct{}

func (readers) Authenticate(context.Context, auth.Credentials) (signalbox.Principal, error) {
	return signalbox.UserPrincipal{Ref: jane, Ownership: []string{jane}, ReadOnly: true}, nil
}

const testPath = "/api/notifications/test"

func TestSendTest(t *testing.T) {
	h := start(t, func(_ *web.Deps, c *web.Config) { c.Guest = &web.Guest{} })
	got := h.post(userToken, testPath, "")
	got.want(t, 202, `{"id":"`+idOf(0)+`","status":"accepted"}`)
	if location := got.Header.Get("Location"); location != deliveriesPath+idOf(0)+"/deliveries" {
		t.Errorf("Location: %q", location)
	}
	want := signalbox.SendRequest{
		Origin:     "signalbox",
		Recipients: signalbox.Recipients{Type: signalbox.RecipientsEntity, EntityRefs: []string{jane}},
		Payload:    signalbox.Payload{Title: "This is a test", Severity: signalbox.SeverityNormal, Topic: "test"},
	}
	sent := h.submitter.taken()[0].Requests[0]
	want.Payload.Description = sent.Payload.Description
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
	if err := (signalbox.Validator{}).Request(&sent); err != nil {
		t.Errorf("no sender could send it: %v", err)
	}

	again := h.post(userToken, testPath, `{"recipients":{"type":"broadcast"}}`)
	again.want(t, 429, errorOf(429, "TooManyRequestsError", "A test was sent a moment ago: try again later", "POST", "/test"))
	if after, err := strconv.Atoi(again.Header.Get("Retry-After")); err != nil || after < 1 || after > 10 {
		t.Errorf("Retry-After: %q", again.Header.Get("Retry-After"))
	}
	// Others wait for themselves only.
	if got := h.post("", testPath, ""); got.StatusCode != 202 {
		t.Errorf("a guest: %d %s", got.StatusCode, got.body)
	}
	if got := h.post(serviceToken, testPath, ""); got.StatusCode != 403 {
		t.Errorf("a service: %d %s", got.StatusCode, got.body)
	}
	if n := len(h.submitter.taken()); n != 2 {
		t.Errorf("%d were sent, want 2", n)
	}
}

func TestSendTestRefusals(t *testing.T) {
	h := start(t, func(d *web.Deps, _ *web.Config) { d.Authenticator = readers{} })
	h.post(userToken, testPath, "").want(t, 403, errorOf(403, "NotAllowedError", "These credentials may only read", "POST", "/test"))
	if n := len(h.submitter.taken()); n != 0 {
		t.Errorf("%d were sent", n)
	}
	h = start(t)
	h.submitter.answerWith(func(context.Context, signalbox.Submission) (signalbox.Submitted, error) {
		return signalbox.Submitted{}, signalbox.Unavailable("Not now", 0, errors.New("down"))
	})
	if got := h.post(userToken, testPath, ""); got.StatusCode != 503 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}
