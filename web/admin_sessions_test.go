package web_test

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/web/auth/oidc/oidctest"
)

func TestAdminsEndSessions(t *testing.T) {
	h := start(t, withLogin(t, oidctest.New(t), publicURL), withAdmins(serviceName))
	one, other := newBrowser(t, h), newBrowser(t, h)
	for _, b := range []*browser{one, other} {
		b.send("GET", "/auth/login?returnTo=/healthz", "")
		if b.user() != jane {
			t.Fatal("nobody is signed in")
		}
	}
	const end = adminAPI + "/sessions/end"
	for body, part := range map[string]string{
		`{}`:                             "request/body/user must be the reference of a user",
		`{"user":"nobody knows"}`:        "request/body/user must be the reference of a user",
		`{"user":"user:jane","all":1}`:   "unknown field",
		`{"user":["user:default/jane"]}`: "request/body/user must be string",
	} {
		if got := h.post(serviceToken, end, body); got.StatusCode != 400 || !strings.Contains(got.body, part) {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.body)
		}
	}
	if got := one.send("POST", end, `{"user":"user:default/jane"}`, "Content-Type", "application/json", "Origin", publicURL); got.StatusCode != 403 {
		t.Errorf("no admin: %d %s", got.StatusCode, got.body)
	}
	h.post(serviceToken, end, `{"user":"user:default/joe"}`).want(t, 200, `{"count":0}`)
	if one.user() != jane {
		t.Error("another user's sessions ended hers")
	}
	h.post(serviceToken, end, `{"user":"User:Jane"}`).want(t, 200, `{"count":2}`)
	if one.user() != "" || other.user() != "" {
		t.Error("somebody is signed in still")
	}
	if log := h.logged.String(); !strings.Contains(log, `what="end sessions" user=user:default/jane count=2`) {
		t.Errorf("the audit log: %s", log)
	}
}

func TestWithoutALoginThereAreNoSessionsToEnd(t *testing.T) {
	h := start(t, withAdmins(serviceName))
	h.post(serviceToken, adminAPI+"/sessions/end", `{"user":"user:jane"}`).want(t, 200, `{"count":0}`)
}
