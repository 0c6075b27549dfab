package web_test

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

// Tokens of links, as tests know them.
const (
	goodToken    = "k.good-token.x"
	wholeToken   = "k.whole-origin-token.x"
	hostileToken = "k.hostile-token.x"
)

const unsubscribeAPI = "/api/notifications/unsubscribe/"

var formHeader = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

// withLinks understands these tokens. Errors hold them, which they should not, to
// see that nobody shows them.
func withLinks(deps *web.Deps, config *web.Config) {
	config.SettingsURL = "https://backstage.example.com/settings/notifications"
	if deps.Policy == nil || !slices.Contains(deps.Policy.Channels(), "Email") {
		deps.Policy = signalbox.NewSettingsPolicy(signalbox.SettingsConfig{Channels: []string{"Web", "Email"}})
	}
	deps.Unsubscribe = func(token string) (web.Unsubscription, error) {
		link := web.Unsubscription{User: jane, Channel: "Email", Origin: "plugin:Scaffolder", Topic: "runs"}
		switch {
		case token == goodToken:
		case token == wholeToken:
			link.Topic = ""
		case token == hostileToken:
			link.Origin, link.Topic = `<script>alert(1)</script>`, `"><img src=x>`
		case strings.HasPrefix(token, "k.expired"):
			return link, fmt.Errorf("%s: %w", token, web.ErrLinkExpired)
		case strings.HasPrefix(token, "k.forged"):
			return web.Unsubscription{}, fmt.Errorf("%s: %w", token, web.ErrLinkForged)
		default:
			return web.Unsubscription{}, errors.New("what is " + token)
		}
		return link, nil
	}
}

// topicSwitch is the switch that goodToken is about.
var topicSwitch = signalbox.ChoiceKey{Channel: "email", Origin: "plugin:scaffolder", Topic: "runs"}

func (h *harness) submit(token, form string) response {
	h.t.Helper()
	return h.do(request{method: http.MethodPost, path: unsubscribeAPI + token, body: form, header: formHeader})
}

// own returns jane's choice about a switch: on, off or none.
func (h *harness) own(about signalbox.ChoiceKey) string {
	h.settings.mu.Lock()
	defer h.settings.mu.Unlock()
	choice, chosen := h.settings.byUser[jane][about]
	return map[bool]string{true: map[bool]string{true: "on", false: "off"}[choice.Enabled], false: "none"}[chosen]
}

// shows checks a page, and what every page has to have.
func (r response) shows(t *testing.T, status int, texts ...string) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("status %d, want %d: %s", r.StatusCode, status, r.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"X-Robots-Tag": "noindex, nofollow", "X-Content-Type-Options": "nosniff", "Location": "", "Set-Cookie": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "style-src 'sha256-", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q has no %s", policy, part)
		}
	}
	text := html.UnescapeString(r.body)
	for _, want := range texts {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	for _, never := range []string{"token", jane, "<script", "<img", "http-equiv", "onclick", "action="} {
		if strings.Contains(r.body, never) {
			t.Errorf("the page has %s: %s", never, r.body)
		}
	}
}

// A mail program knocks twice, as they do.
func TestOneClick(t *testing.T) {
	var multi bytes.Buffer
	writer := multipart.NewWriter(&multi)
	if err := errors.Join(writer.WriteField("List-Unsubscribe", "One-Click"), writer.Close()); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]request{
		"form":      {body: "List-Unsubscribe=One-Click", header: formHeader},
		"charset":   {body: "List-Unsubscribe=one-click", header: http.Header{"Content-Type": {"Application/x-www-form-urlencoded; charset=utf-8"}}},
		"multipart": {body: multi.String(), header: http.Header{"Content-Type": {writer.FormDataContentType()}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, withLinks)
			r.method, r.path = http.MethodPost, unsubscribeAPI+goodToken
			for range 2 {
				h.do(r).shows(t, 200, "You are unsubscribed", "plugin:Scaffolder", "runs", `href="https://backstage.example.com/settings/notifications"`)
			}
			if got := h.own(topicSwitch); got != "off" || h.settings.saves != 1 || len(h.settings.byUser) != 1 || len(h.settings.byUser[jane]) != 1 {
				t.Errorf("the choice is %s, %d saves, %v", got, h.settings.saves, h.settings.byUser)
			}
			if stored := h.settings.byUser[jane][topicSwitch]; stored != (signalbox.Choice{Channel: "Email", Origin: "plugin:Scaffolder", Topic: "runs"}) {
				t.Errorf("stored %+v", stored)
			}
			sent := h.signaler.take()
			if len(sent) != 1 || !slices.Equal(sent[0].Recipients, []string{jane}) || string(sent[0].Message) != `{"action":"settings_changed"}` {
				t.Errorf("signals %+v", sent)
			}
			log := h.logged.String()
			for _, text := range []string{
				`msg="settings changed by unsubscribe link"`, "level=INFO", "logger=audit", "user=" + jane,
				"channel=Email", "origin=plugin:Scaffolder", "topic=runs", "address=127.0.0.1", "what=off",
			} {
				if strings.Count(log, text) != 1 {
					t.Errorf("not once %s in: %s", text, log)
				}
			}
			if strings.Contains(log, "token") {
				t.Errorf("the log has the token: %s", log)
			}
		})
	}
}

// Neither what looks at links nor what is no decision changes anything.
func TestUnsubscribeOnlyOnPurpose(t *testing.T) {
	h := start(t, withLinks)
	h.get("", unsubscribeAPI+goodToken).shows(t, 200, "Stop these emails?", `<button name="confirm" value="1">Unsubscribe</button>`)
	h.get("", strings.ToUpper(unsubscribeAPI)+goodToken+"/?utm_source=x").shows(t, 200, "Stop these emails?")
	head := h.do(request{method: http.MethodHead, path: unsubscribeAPI + goodToken})
	head.Header.Set("Content-Type", "text/html; charset=utf-8")
	if head.shows(t, 200); head.body != "" {
		t.Errorf("HEAD has a body: %q", head.body)
	}
	for name, r := range map[string]request{
		"no field":        {body: "a=b", header: formHeader},
		"another value":   {body: "List-Unsubscribe=Two-Clicks", header: formHeader},
		"in the query":    {path: "?List-Unsubscribe=One-Click&confirm=1", body: "a=b", header: formHeader},
		"nothing":         {header: formHeader},
		"bad escape":      {body: "confirm=1&x=%zz", header: formHeader},
		"json":            {body: `{"List-Unsubscribe":"One-Click"}`},
		"plain":           {body: "List-Unsubscribe=One-Click", header: http.Header{"Content-Type": {"text/plain"}}},
		"no boundary":     {body: "List-Unsubscribe=One-Click", header: http.Header{"Content-Type": {"multipart/form-data"}}},
		"odd type":        {body: "List-Unsubscribe=One-Click", header: http.Header{"Content-Type": {";"}}},
		"cut multipart":   {body: "--b\r\nContent-Disposition: form-data; name=\"confirm\"\r\n\r\n1", header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}},
		"empty multipart": {body: "--b--\r\n", header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			r.method, r.path = http.MethodPost, unsubscribeAPI+goodToken+r.path
			h.do(r).shows(t, 400, "That did not work")
		})
	}
	h.t = t
	h.submit(goodToken, "confirm=1&x="+strings.Repeat("x", 8<<10)).shows(t, 413, "too large")
	if got := h.submit(goodToken, "confirm=1&x="+strings.Repeat("x", 600<<10)); got.StatusCode != 413 || strings.Contains(got.body, "token") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if h.settings.saves != 0 || len(h.signaler.take()) != 0 || h.logged.String() != "" {
		t.Errorf("%d saves, logged %s", h.settings.saves, h.logged)
	}
}

func TestUnsubscribeRefuses(t *testing.T) {
	h := start(t, withLinks)
	for token, want := range map[string]struct {
		status int
		title  string
	}{
		"x":                                   {400, "This link is not complete"},
		"k.good-token":                        {400, "This link is not complete"},
		"k.good-token.x%20":                   {400, "This link is not complete"},
		"k.token" + strings.Repeat("A", 9000): {400, "This link is not complete"},
		"k.forged-token":                      {403, "This link is not valid"},
		"k.expired-token":                     {410, "This link has expired"},
	} {
		for _, r := range []request{
			{method: http.MethodGet},
			{method: http.MethodPost, body: "List-Unsubscribe=One-Click", header: formHeader},
			{method: http.MethodPost, body: "confirm=1", header: formHeader},
			{method: http.MethodPost, body: "undo=1&before=on", header: formHeader},
		} {
			r.path = unsubscribeAPI + token
			got := h.do(r)
			got.shows(t, want.status, want.title, "Nothing has been changed.", "notification settings", `href="https://backstage.example.com/settings/notifications"`)
			// Not even of an expired link it is said what it was about.
			if strings.Contains(got.body, "Scaffolder") || strings.Contains(got.body, "<form") {
				t.Errorf("%.20s: %s", token, got.body)
			}
		}
		if head := h.do(request{method: http.MethodHead, path: unsubscribeAPI + token}); head.StatusCode != want.status {
			t.Errorf("HEAD %.20s: %d", token, head.StatusCode)
		}
	}
	if h.settings.saves != 0 || h.logged.String() != "" {
		t.Errorf("%d saves, logged %s", h.settings.saves, h.logged)
	}

	none := start(t)
	none.get("", unsubscribeAPI+goodToken).shows(t, 404, "This link is not valid")
	none.submit(goodToken, "List-Unsubscribe=One-Click").shows(t, 404, "not in use here")
}

var formOf = regexp.MustCompile(`<input type="hidden" name="before" value="(\w*)">\n<button(?: class="quiet")? name="(\w+)" value="1">`)

// press sends the form of a page.
func (h *harness) press(token string, r response) response {
	h.t.Helper()
	found := formOf.FindStringSubmatch(r.body)
	if found == nil {
		h.t.Fatalf("no form in %s", r.body)
	}
	return h.submit(token, "before="+found[1]+"&"+found[2]+"=1")
}

// What a person does, from whatever was chosen before: every form may be sent twice.
func TestUnsubscribeAndUndo(t *testing.T) {
	for before, choices := range map[string][]signalbox.Choice{
		"none": {{Channel: "Web", Origin: "plugin:scaffolder", Topic: "runs"}},
		"on":   {{Channel: "Email"}, {Channel: "EMAIL", Origin: "plugin:scaffolder", Topic: "RUNS", Enabled: true}},
	} {
		t.Run(before, func(t *testing.T) {
			h := start(t, withLinks)
			if err := h.settings.SaveChoices(t.Context(), jane, choices); err != nil {
				t.Fatal(err)
			}
			ask := h.get("", unsubscribeAPI+goodToken)
			h.press(goodToken, ask)
			off := h.press(goodToken, ask)
			off.shows(t, 200, "You are unsubscribed", ">Undo<")
			if got := h.own(topicSwitch); got != "off" {
				t.Fatalf("after the button: %s", got)
			}
			h.get("", unsubscribeAPI+goodToken).shows(t, 200, "You are unsubscribed", ">Undo<")
			undone := h.press(goodToken, off)
			undone.shows(t, 200, "You get these emails again", ">Unsubscribe<")
			h.press(goodToken, off).shows(t, 200, "You get these emails again")
			if got := h.own(topicSwitch); got != before {
				t.Errorf("after undo: %s", got)
			}
			if n := strings.Count(h.logged.String(), "what=undone"); n != 1 {
				t.Errorf("%d entries of undo: %s", n, h.logged)
			}
			if sent := h.signaler.take(); len(sent) != 2 {
				t.Errorf("%d signals", len(sent))
			}
			h.press(goodToken, undone).shows(t, 200, "You are unsubscribed")
			if got := h.own(topicSwitch); got != "off" {
				t.Errorf("once more: %s", got)
			}
		})
	}
}

// Undo does not touch what the user chose elsewhere since then, and does not say
// that mails come when another setting keeps them.
func TestUndoIsCareful(t *testing.T) {
	h := start(t, withLinks)
	off := h.submit(goodToken, "List-Unsubscribe=One-Click")
	if err := h.settings.SaveChoices(t.Context(), jane, []signalbox.Choice{{Channel: "Email", Origin: "plugin:scaffolder", Topic: "runs", Enabled: true}}); err != nil {
		t.Fatal(err)
	}
	h.press(goodToken, off).shows(t, 200, "You get these emails again")
	if got := h.own(topicSwitch); got != "on" {
		t.Errorf("undo made of the user's on: %s", got)
	}
	h.submit(goodToken, "confirm=1&before=nonsense")
	if err := h.settings.SaveChoices(t.Context(), jane, []signalbox.Choice{{Channel: "Email"}}); err != nil {
		t.Fatal(err)
	}
	h.submit(goodToken, "undo=1&before=nonsense").shows(t, 200, "These emails are off", "because of another setting")
	if got := h.own(topicSwitch); got != "none" {
		t.Errorf("after undo: %s", got)
	}
	got := h.get("", unsubscribeAPI+goodToken)
	if got.shows(t, 200, "These emails are off"); strings.Contains(got.body, "<form") {
		t.Error("a button without an effect")
	}
}

func TestUnsubscribeFromOrigin(t *testing.T) {
	h := start(t, withLinks)
	if got := h.get("", unsubscribeAPI+wholeToken); strings.Contains(got.body, "Topic</dt>") {
		t.Error(got.body)
	}
	h.submit(wholeToken, "List-Unsubscribe=One-Click").shows(t, 200, "Topics that are switched on by themselves still come")
	if got := h.own(signalbox.ChoiceKey{Channel: "email", Origin: "plugin:scaffolder"}); got != "off" || h.own(topicSwitch) != "none" {
		t.Errorf("the origin is %s", got)
	}
}

func TestUnsubscribeFromMandatory(t *testing.T) {
	with := func(severity signalbox.Severity, filter signalbox.PayloadFilter) func(*web.Deps, *web.Config) {
		return withPolicy(signalbox.SettingsConfig{
			Channels:  []string{"Web", "Email"},
			Mandatory: []signalbox.MandatoryRule{{Channel: "Email", Topic: "runs", Severity: severity}},
			Filters:   map[string]signalbox.PayloadFilter{"Email": filter},
		})
	}
	for _, severity := range []signalbox.Severity{"", signalbox.SeverityLow} {
		h := start(t, with(severity, signalbox.PayloadFilter{}), withLinks)
		h.get("", unsubscribeAPI+goodToken).shows(t, 200, "These emails cannot be switched off", "Your organisation requires them")
		for _, form := range []string{"List-Unsubscribe=One-Click", "confirm=1"} {
			got := h.submit(goodToken, form)
			if got.shows(t, 403, "These emails cannot be switched off", "Nothing has been changed"); strings.Contains(got.body, "<form") {
				t.Error("there is a button")
			}
		}
		if h.settings.saves != 0 {
			t.Errorf("%d saves", h.settings.saves)
		}
	}
	for severity, note := range map[signalbox.Severity]string{
		signalbox.SeverityCritical: "Critical ones still come",
		signalbox.SeverityHigh:     "Those of severity high and above still come",
	} {
		h := start(t, with(severity, signalbox.PayloadFilter{}), withLinks)
		h.press(goodToken, h.get("", unsubscribeAPI+goodToken)).shows(t, 200, "You are unsubscribed", note)
		if got := h.own(topicSwitch); got != "off" {
			t.Errorf("%s: %s", severity, got)
		}
	}
	// What the channel does not take anyway is said to be off, not on.
	h := start(t, with(signalbox.SeverityCritical, signalbox.PayloadFilter{ExcludedTopics: []string{"runs"}}), withLinks)
	h.get("", unsubscribeAPI+goodToken).shows(t, 200, "These emails are off", "Critical ones still come")
}

func TestUnsubscribeFails(t *testing.T) {
	h := start(t, withLinks)
	for name, c := range map[string]struct {
		err    error
		status int
		text   string
	}{
		"away":     {signalbox.Transient(errors.New("dial 10.0.0.1")), 503, "try again later"},
		"too many": {signalbox.Errorf(signalbox.CodeInput, "more than 10000 choices"), 400, "more than 10000 choices"},
		"broken":   {errors.New("secret detail"), 500, "logId="},
	} {
		h.settings.err = c.err
		for _, got := range []response{h.get("", unsubscribeAPI+goodToken), h.submit(goodToken, "confirm=1")} {
			got.shows(t, c.status, "That did not work", c.text)
			if strings.Contains(got.body, "10.0.0.1") || strings.Contains(got.body, "secret") {
				t.Errorf("%s: %s", name, got.body)
			}
		}
	}
	if len(h.signaler.take()) != 0 || strings.Contains(h.logged.String(), "good-token") || !strings.Contains(h.logged.String(), "secret detail") {
		t.Error(h.logged)
	}
}

func TestUnsubscribePageEscapes(t *testing.T) {
	h := start(t, withLinks)
	h.get("", unsubscribeAPI+hostileToken).shows(t, 200, `<dd dir="auto"><script>alert(1)</script></dd>`) // unescaped by shows
}

// The token is a credential: no error, log line or metric has it.
func TestUnsubscribeTokenStaysSecret(t *testing.T) {
	h := start(t, withLinks, func(deps *web.Deps, _ *web.Config) {
		parse := deps.Unsubscribe
		deps.Unsubscribe = func(token string) (web.Unsubscription, error) {
			if strings.HasPrefix(token, "panic") {
				panic("boom")
			}
			return parse(token)
		}
	})
	for path, status := range map[string]int{
		"PUT " + unsubscribeAPI + goodToken:                   405,
		"GET " + unsubscribeAPI + goodToken + "/more?x=y":     404,
		"GET /API/notifications/UNSUBSCRIBE/a/" + goodToken:   404,
		"GET /proxied" + unsubscribeAPI + goodToken:           404,
		"GET " + unsubscribeAPI + "panic-token":               500,
		"POST " + unsubscribeAPI + goodToken + "/":            400,
		"GET " + unsubscribeAPI + goodToken + "?secret=token": 200,
	} {
		method, path, _ := strings.Cut(path, " ")
		got := h.do(request{method: method, path: path})
		if got.StatusCode != status || strings.Contains(got.body, "token") {
			t.Errorf("%s %s: %d %s", method, path, got.StatusCode, got.body)
		}
		if status == 404 && !strings.Contains(got.body, `[redacted]"`) {
			t.Errorf("not redacted: %s", got.body)
		}
	}
	if metrics := h.get("", "/metrics").body; strings.Contains(metrics, "good-token") ||
		!strings.Contains(metrics, `signalbox_http_requests_total{method="GET",route="/api/notifications/unsubscribe/:token",status="200"} 1`) {
		t.Error("the metrics")
	}
	for line := range strings.Lines(h.logged.String()) {
		if strings.Contains(strings.ReplaceAll(line, ":token", ""), "-token") {
			t.Errorf("logged: %s", line)
		}
	}
}
