package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
)

func withSenders(t *testing.T, rules ...signalbox.SenderRule) func(*web.Deps, *web.Config) {
	return func(_ *web.Deps, config *web.Config) {
		policy, err := signalbox.NewSenderPolicy(rules)
		if err != nil {
			t.Fatal(err)
		}
		config.Senders = policy
	}
}

func withUsers(_ *web.Deps, config *web.Config) { config.UsersMaySend = true }

// sendTo is a request to some recipients, in JSON.
func sendTo(recipients string) string {
	return `{"recipients":{"type":"entity","entityRef":` + recipients + `},"payload":{"title":"x"}}`
}

const broadcast = `{"recipients":{"type":"broadcast"},"payload":{"title":"x"}}`

// A sender that may not send something is refused before anything is accepted, and
// told what, and where.
func TestSenderRights(t *testing.T) {
	h := start(t, withSenders(t, signalbox.SenderRule{
		Subject: serviceName, Recipients: []string{"user:*"}, Topics: []string{"*"}, MaxSeverity: signalbox.SeverityHigh,
	}))
	for _, c := range []struct {
		path, body string
		status     int
		text       string
	}{
		{"", sendTo(`"user:jane"`), 202, ""},
		{"/notifications", sendTo(`["user:jane","group:ops"]`), 403, `request/body/recipients/entityRef/1 must be a recipient that \"bench\" may send to: user:*`},
		{"", broadcast, 403, `request/body/recipients/type must not be broadcast`},
		{"/batch", "[" + sendTo(`"user:jane"`) + "," + sendTo(`"group:ops"`) + "]", 403, `request/body/1/recipients/entityRef/0 must be`},
		{"", strings.Replace(sendTo(`"user:jane"`), `"x"`, `"x","severity":"critical"`, 1), 403, "request/body/payload/severity must not be more severe than high"},
	} {
		got := h.post(serviceToken, "/api/notifications"+c.path, c.body)
		if got.StatusCode != c.status || !strings.Contains(got.body, c.text) {
			t.Errorf("%s: %d %s, want %s", c.body, got.StatusCode, got.body, c.text)
		}
		if c.status == 403 && !strings.Contains(got.body, `"name":"NotAllowedError"`) {
			t.Errorf("%s: %s", c.body, got.body)
		}
	}
	if n := len(h.submitter.taken()); n != 1 {
		t.Errorf("%d submissions", n)
	}
	if !strings.Contains(h.logged.String(), `msg="send request refused" logger=audit kind=service who=bench`) {
		t.Errorf("it is not in the audit log: %s", h.logged)
	}
	// A signal is no way around it.
	publish := func(recipients string) int {
		return h.post(serviceToken, "/api/signals/publish", `{"recipients":`+recipients+`,"channel":"c","message":1}`).StatusCode
	}
	for recipients, want := range map[string]int{
		`{"type":"broadcast"}`: 403, `{"type":"user","entityRef":"user:jane"}`: 202, `{"type":"user","entityRef":["user:jane","group:ops"]}`: 403,
	} {
		if got := publish(recipients); got != want {
			t.Errorf("a signal to %s: %d", recipients, got)
		}
	}
	if n := len(h.signaler.take()); n != 1 {
		t.Errorf("%d signals", n)
	}
}

func TestUsersMaySend(t *testing.T) {
	h := start(t, withUsers, withGuest)
	got := h.post(userToken, "/api/notifications", sendTo(`["user:joe","group:ops"]`))
	if got.StatusCode != 202 || got.Header.Get("Location") != "" {
		t.Errorf("%d %s %v", got.StatusCode, got.body, got.Header)
	}
	if s := h.submitter.taken(); len(s) != 1 || s[0].Requests[0].Origin != jane {
		t.Errorf("%+v", s)
	}
	for body, text := range map[string]string{
		broadcast:                  "request/body/recipients/type must not be broadcast",
		sendTo(`"component:shop"`): "request/body/recipients/entityRef/0 must be a recipient that",
	} {
		if got := h.post(userToken, "/api/notifications", body); got.StatusCode != 403 || !strings.Contains(got.body, text) {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.body)
		}
	}
	if got := h.post(userToken, "/api/notifications/batch", "["+sendTo(`"user:joe"`)+"]"); got.StatusCode != 202 {
		t.Errorf("a batch: %d %s", got.StatusCode, got.body)
	}
	if got := h.post(userToken, "/api/signals/publish", "{}"); got.StatusCode != 403 || !strings.Contains(got.body, "'user' credentials") {
		t.Errorf("a signal: %d %s", got.StatusCode, got.body)
	}
	if got := h.post("", "/api/notifications", sendTo(`"user:joe"`)); got.StatusCode != 403 || !strings.Contains(got.body, "Guests may not send") {
		t.Errorf("a guest: %d %s", got.StatusCode, got.body)
	}
	readOnly := start(t, withUsers, func(deps *web.Deps, _ *web.Config) {
		deps.Authenticator = authenticatorFunc(func(auth.Credentials) (signalbox.Principal, error) {
			return signalbox.UserPrincipal{Ref: jane, ReadOnly: true}, nil
		})
	})
	if got := readOnly.post("any", "/api/notifications", sendTo(`"user:joe"`)); got.StatusCode != 403 || !strings.Contains(got.body, "only read") {
		t.Errorf("who may only read: %d %s", got.StatusCode, got.body)
	}
	yes := true
	announcer := start(t, withUsers, withSenders(t, signalbox.SenderRule{Subject: jane, Broadcast: &yes}))
	if got := announcer.post(userToken, "/api/notifications", broadcast); got.StatusCode != 202 {
		t.Errorf("a user who may: %d %s", got.StatusCode, got.body)
	}
}

func TestSendRate(t *testing.T) {
	instances := 1
	h := start(t, withSenders(t, signalbox.SenderRule{Subject: "*", Rate: signalbox.SendRate{Count: 6, Per: time.Hour, Burst: 4}}),
		withUsers, func(deps *web.Deps, _ *web.Config) { deps.Instances = func() int { return instances } })
	batch := func(n int) string {
		return "[" + strings.Repeat(sendTo(`"user:jane"`)+",", n-1) + sendTo(`"user:jane"`) + "]"
	}
	send := func(token string, n int) response { return h.post(token, "/api/notifications/batch", batch(n)) }
	if got := send(serviceToken, 3); got.StatusCode != 202 {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	got := send(serviceToken, 2)
	var body struct {
		Error    struct{ Name, Message string }
		Response struct{ StatusCode int }
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.StatusCode != http.StatusTooManyRequests ||
		body.Error.Name != "TooManyRequestsError" || body.Error.Message != `"bench" may send 6 requests in 1h0m0s, and has: try again later` || body.Response.StatusCode != 429 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	// One is missing, of which there is one in ten minutes.
	if after, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || after < 590 || after > 600 {
		t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
	}
	// What was refused took nothing; a signal counts, too; and then nothing is left.
	if got := h.post(serviceToken, "/api/signals/publish", `{"recipients":{"type":"broadcast"},"channel":"c","message":1}`); got.StatusCode != 202 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := h.post(serviceToken, "/api/notifications", sendTo(`"user:jane"`)); got.StatusCode != 429 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := h.post(serviceToken, "/api/notifications", `{}`); got.StatusCode != 400 {
		t.Errorf("what is wrong: %d %s", got.StatusCode, got.body)
	}
	// Somebody else has a rate of its own, of which this is half an instance's; more
	// than the burst passes at once, and is owed.
	instances = 2
	if got := send(userToken, 7); got.StatusCode != 202 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	// Two were there, five are owed, one is wanted; one comes in twenty minutes.
	after, err := strconv.Atoi(send(userToken, 1).Header.Get("Retry-After"))
	if err != nil || after < 6*1200-30 || after > 6*1200 {
		t.Errorf("Retry-After %d, %v", after, err)
	}
	if n := len(h.submitter.taken()); n != 2 {
		t.Errorf("%d submissions", n)
	}
	if !strings.Contains(h.logged.String(), `msg="send request refused" logger=audit`) {
		t.Errorf("it is not in the audit log: %s", h.logged)
	}
}

// Without a rule, nothing is limited.
func TestNoSenderRules(t *testing.T) {
	h := start(t)
	for i := range 20 {
		if got := h.post(serviceToken, "/api/notifications", strings.Replace(broadcast, "x", fmt.Sprint(i), 1)); got.StatusCode != 202 {
			t.Fatalf("%d %s", got.StatusCode, got.body)
		}
	}
}
