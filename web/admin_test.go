package web_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
)

// letters is a [signalbox.DeadLetterStore] in memory.
type letters struct {
	mu   sync.Mutex
	rows []signalbox.DeadLetter
	// redriven and dropped are the filters that were asked for.
	redriven, dropped []signalbox.DeadLetterFilter
	// err fails every call.
	err error
}

func (l *letters) add(more ...signalbox.DeadLetter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(l.rows, more...)
}

func (l *letters) chosen(f signalbox.DeadLetterFilter) []signalbox.DeadLetter {
	var list []signalbox.DeadLetter
	for _, d := range l.rows {
		if (len(f.IDs) == 0 || slices.Contains(f.IDs, d.ID)) && (f.Stage == "" || f.Stage == d.Stage) &&
			(f.Origin == "" || f.Origin == d.Origin) && (f.RequestID == "" || f.RequestID == d.RequestID) &&
			!d.Died.Before(f.After) && (f.Before.IsZero() || d.Died.Before(f.Before)) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b signalbox.DeadLetter) int {
		return cmp.Or(b.Died.Compare(a.Died), cmp.Compare(b.ID, a.ID))
	})
	return list
}

func (l *letters) DeadLetters(_ context.Context, f signalbox.DeadLetterFilter, cursor string, limit int) (signalbox.DeadLetterPage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.chosen(f)
	if cursor != "" {
		n, err := strconv.Atoi(cursor)
		if err != nil {
			return signalbox.DeadLetterPage{}, signalbox.Errorf(signalbox.CodeInput, "bad")
		}
		list = list[n:]
	}
	var page signalbox.DeadLetterPage
	if len(list) > limit {
		page.Next = strconv.Itoa(limit)
	}
	for _, d := range list[:min(limit, len(list))] {
		d.Payload = nil
		page.Letters = append(page.Letters, d)
	}
	return page, l.err
}

func (l *letters) DeadLetter(_ context.Context, id string) (signalbox.DeadLetter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list := l.chosen(signalbox.DeadLetterFilter{IDs: []string{id}}); len(list) > 0 {
		return list[0], l.err
	}
	return signalbox.DeadLetter{}, signalbox.Errorf(signalbox.CodeNotFound, "There is no such dead letter")
}

func (l *letters) Redrive(_ context.Context, f signalbox.DeadLetterFilter) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.redriven = append(l.redriven, f)
	return len(l.chosen(f)), l.err
}

func (l *letters) Drop(_ context.Context, f signalbox.DeadLetterFilter) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped = append(l.dropped, f)
	return len(l.chosen(f)), l.err
}

// asked returns the filters since the last call.
func (l *letters) asked() (redriven, dropped []signalbox.DeadLetterFilter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	redriven, dropped = l.redriven, l.dropped
	l.redriven, l.dropped = nil, nil
	return redriven, dropped
}

// letterOf is a dead letter of a delivery; it died n minutes after epoch.
func letterOf(n int) signalbox.DeadLetter {
	return signalbox.DeadLetter{
		ID: idOf(n) + "/Slack", Topic: "deliveries.Slack", Payload: []byte(`{"n": 12345678901234567890, "html": "<b>"}`),
		Stage: "Slack", Error: "channel_not_found", Attempts: 2, RequestID: idOf(n), Origin: serviceName,
		Delivery: signalbox.DeliveryKey{RequestID: idOf(n), Audience: "group:default/ops", Channel: "Slack", Target: "C1"},
		History:  []signalbox.Failure{{At: epoch, Error: "timeout"}, {At: epoch.Add(time.Minute), Error: "channel_not_found"}},
		Created:  epoch, Died: epoch.Add(time.Duration(n) * time.Minute),
	}
}

// steady is the status of a router that does nothing.
func steady(context.Context) (web.Status, error) { return web.Status{Version: "v1"}, nil }

func withAdmins(names ...string) func(*web.Deps, *web.Config) {
	return func(_ *web.Deps, config *web.Config) { config.Admins = names }
}

const adminAPI = "/api/notifications/admin"

// Each kind of principal at each route for admins.
func TestAdmins(t *testing.T) {
	groups := authenticatorFunc(func(credentials auth.Credentials) (signalbox.Principal, error) {
		switch credentials.Token {
		case "joe-of-ops":
			return signalbox.UserPrincipal{Ref: "user:default/joe", Ownership: []string{"user:default/joe", "group:default/ops"}}, nil
		case "bare-jim":
			return signalbox.UserPrincipal{Ref: "user:default/jim"}, nil
		}
		return nil, auth.ErrNotMine
	})
	for name, c := range map[string]struct {
		admins []string
		token  string
		header http.Header
		guest  bool
		allows bool
	}{
		"nobody is configured, service":    {nil, serviceToken, nil, false, false},
		"nobody is configured, user":       {nil, userToken, nil, false, false},
		"nobody is configured, guest":      {nil, "", nil, true, false},
		"service":                          {[]string{"other", serviceName}, serviceToken, nil, false, true},
		"another service":                  {[]string{"other"}, serviceToken, nil, false, false},
		"a service compares verbatim":      {[]string{"Bench"}, serviceToken, nil, false, false},
		"user":                             {[]string{jane}, userToken, nil, false, true},
		"user, in any form":                {[]string{"User:Jane"}, userToken, nil, false, true},
		"user without ownership":           {[]string{"user:jim"}, "bare-jim", nil, false, true},
		"another user":                     {[]string{"user:default/joe"}, userToken, nil, false, false},
		"group":                            {[]string{"group:ops"}, "joe-of-ops", nil, false, true},
		"another group":                    {[]string{"group:default/ops-2", "group:other/ops"}, "joe-of-ops", nil, false, false},
		"a user is no service":             {[]string{serviceName}, userToken, nil, false, false},
		"guest":                            {[]string{auth.DefaultGuest}, "", nil, true, true},
		"a guest who is somebody else":     {[]string{auth.DefaultGuest}, "", http.Header{"X-Signalbox-User": {"user:joe"}}, true, false},
		"a guest's name outside the mode":  {[]string{auth.DefaultGuest}, userToken, http.Header{"X-Signalbox-User": {auth.DefaultGuest}}, false, false},
		"a restricted token":               {[]string{"catalog"}, otherToken, nil, false, false},
		"nobody, although there is a list": {[]string{jane}, "", nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, withAdmins(c.admins...), func(deps *web.Deps, config *web.Config) {
				deps.Authenticator = auth.Chain{groups, deps.Authenticator}
				if c.guest {
					config.Guest = &web.Guest{}
				}
			})
			h.letters.add(letterOf(1))
			routes := 0
			for _, r := range h.server.Routes() {
				if r.Access != "admin" {
					continue
				}
				routes++
				call := request{method: r.Method, path: r.Path, token: c.token, header: c.header}
				switch {
				case strings.Contains(r.Path, "/dead-letters/") && r.Method == http.MethodPost:
					call.body = `{"all":true}`
				case strings.HasSuffix(r.Path, "/sessions/end"):
					call.body = `{"user":"` + jane + `"}`
				case r.Method == http.MethodPost:
					call.body = toJane
				case strings.HasSuffix(r.Path, "/deliveries/show"):
					call.path += "?id=" + tracedID
				case strings.HasSuffix(r.Path, "/show"):
					call.path += "?id=" + url.QueryEscape(letterOf(1).ID)
				}
				got := h.do(call)
				if allowed := got.StatusCode == 200 || got.StatusCode == 202; allowed != c.allows {
					t.Errorf("%s %s: %d %s", r.Method, r.Path, got.StatusCode, got.body)
				}
				if !c.allows && got.StatusCode != 401 && got.StatusCode != 403 {
					t.Errorf("%s %s: refused with %d", r.Method, r.Path, got.StatusCode)
				}
			}
			if routes != 10 {
				t.Errorf("%d routes for admins", routes)
			}
			if redriven, dropped := h.letters.asked(); !c.allows && len(redriven)+len(dropped)+len(h.submitter.taken()) > 0 {
				t.Errorf("refused, and done: %v %v", redriven, dropped)
			}
		})
	}
}

// authenticatorFunc is an [auth.Authenticator].
type authenticatorFunc func(auth.Credentials) (signalbox.Principal, error)

func (f authenticatorFunc) Authenticate(_ context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	return f(credentials)
}

func TestListDeadLetters(t *testing.T) {
	h := start(t, withAdmins(serviceName))
	h.get(serviceToken, adminAPI+"/dead-letters").want(t, 200, `{"deadLetters":[]}`)
	early := signalbox.DeadLetter{
		ID: "notifications/7", Topic: "notifications", Payload: []byte{0, 255}, Stage: "decode", Error: "bad", Attempts: 1,
		Created: epoch, Died: epoch.Add(-time.Hour),
	}
	h.letters.add(letterOf(1), letterOf(2), early)
	second := `{"id":"` + idOf(2) + `/Slack","died":"2026-11-21T02:00:16.598Z","created":"2026-11-21T01:58:16.598Z","stage":"Slack","origin":"bench","request":"` + idOf(2) + `",
		"delivery":{"channel":"Slack","audience":"group:default/ops","target":"C1"},"topic":"deliveries.Slack","attempts":2,"error":"channel_not_found"}`
	h.get(serviceToken, adminAPI+"/dead-letters?limit=1").want(t, 200, `{"deadLetters":[`+second+`],"nextCursor":"1"}`)
	h.get(serviceToken, adminAPI+"/dead-letters?stage=decode").want(t, 200, `{"deadLetters":[{"id":"notifications/7","died":"2026-11-21T00:58:16.598Z",
		"created":"2026-11-21T01:58:16.598Z","stage":"decode","origin":"","request":"","delivery":null,"topic":"notifications","attempts":1,"error":"bad"}]}`)
	for query, want := range map[string]int{
		"":                                   3,
		"?cursor=1":                          2,
		"?limit=0":                           0,
		"?origin=bench":                      2,
		"?request=" + idOf(1):                1,
		"?after=2026-11-21T01:59:16.598Z":    2,
		"?before=2026-11-21T01:59:16.598Z":   1,
		"?origin=none&stage=decode":          0,
		"?before=2026-11-21&after=2026-11-2": -1,
		"?cursor=x":                          -1,
		"?limit=501":                         -1,
		"?stage=":                            -1,
		"?origins=x":                         -1,
		"?origin=a&origin=b":                 -1,
	} {
		got := h.get(serviceToken, adminAPI+"/dead-letters"+query)
		if want < 0 {
			if got.StatusCode != 400 || !strings.Contains(got.body, "InputError") {
				t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
			}
		} else if n := strings.Count(got.body, `"died"`); got.StatusCode != 200 || n != want {
			t.Errorf("%s: %d, %d letters", query, got.StatusCode, n)
		}
	}
	h.letters.err = signalbox.Transient(errors.New("gone"))
	if got := h.get(serviceToken, adminAPI+"/dead-letters"); got.StatusCode != 503 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

func TestShowDeadLetter(t *testing.T) {
	h := start(t, withAdmins(serviceName))
	binary := letterOf(2)
	binary.ID, binary.Payload, binary.History = `a/b?c=d&e %2F"ü`, []byte{0, 255}, nil
	h.letters.add(letterOf(1), binary)
	show := func(id string) response {
		return h.get(serviceToken, adminAPI+"/dead-letters/show?id="+url.QueryEscape(id))
	}
	got := show(letterOf(1).ID)
	got.want(t, 200, `{"id":"`+idOf(1)+`/Slack","died":"2026-11-21T01:59:16.598Z","created":"2026-11-21T01:58:16.598Z","stage":"Slack","origin":"bench","request":"`+idOf(1)+`",
		"delivery":{"channel":"Slack","audience":"group:default/ops","target":"C1"},"topic":"deliveries.Slack","attempts":2,"error":"channel_not_found",
		"history":[{"at":"2026-11-21T01:58:16.598Z","error":"timeout"},{"at":"2026-11-21T01:59:16.598Z","error":"channel_not_found"}],
		"payload":{"n":12345678901234567890,"html":"<b>"}}`)
	if !strings.Contains(got.body, `"n":12345678901234567890`) { // which the comparison rounds
		t.Error(got.body)
	}
	if got := show(binary.ID); !strings.Contains(got.body, `"payloadBase64":"AP8="`) || strings.Contains(got.body, `"payload":`) {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := show("none"); got.StatusCode != 404 || !strings.Contains(got.body, "There is no such dead letter") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	for _, query := range []string{"", "?id=", "?id=a&id=b", "?x=y"} {
		if got := h.get(serviceToken, adminAPI+"/dead-letters/show"+query); got.StatusCode != 400 {
			t.Errorf("%q: %d %s", query, got.StatusCode, got.body)
		}
	}
}

func TestTakeDeadLetters(t *testing.T) {
	h := start(t, withAdmins(serviceName))
	h.letters.add(letterOf(1), letterOf(2))
	many := make([]string, web.MaxLetterIDs+1)
	for i := range many {
		many[i] = strconv.Quote(strconv.Itoa(i))
	}
	type filter = signalbox.DeadLetterFilter
	for body, c := range map[string]struct {
		want  filter
		fault string
	}{
		`{"all":true}`: {filter{}, ""},
		`{"all":true,"stage":"Slack","origin":"ci","request":"r","before":"2026-11-21T02:58:16+01:00","after":"2026-11-20"}`: {
			filter{Stage: "Slack", Origin: "ci", RequestID: "r", Before: epoch.Truncate(time.Second), After: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}, "",
		},
		`{"ids":["a/b","c"]}`:                           {filter{IDs: []string{"a/b", "c"}}, ""},
		`{"ids":["a"],"all":false,"stage":null}`:        {filter{IDs: []string{"a"}}, ""},
		`{"ids":[` + strings.Join(many[1:], ",") + `]}`: {filter{IDs: unquoted(many[1:])}, ""},
		`{"ids":[` + strings.Join(many, ",") + `]}`:     {filter{}, "more than 200"},
		``:                                  {filter{}, "request must have required property 'body'"},
		`{}`:                                {filter{}, "must have ids, or all: true"},
		`null`:                              {filter{}, "must have ids, or all: true"},
		`{"ids":[]}`:                        {filter{}, "must have ids, or all: true"},
		`{"all":false}`:                     {filter{}, "must have ids, or all: true"},
		`{"stage":"Slack"}`:                 {filter{}, "must have ids, or all: true"},
		`{"all":true,"ids":[]}`:             {filter{}, "either ids or all"},
		`{"all":true,"ids":["a"]}`:          {filter{}, "either ids or all"},
		`{"ids":["a"],"stage":"Slack"}`:     {filter{}, "request/body/stage goes with all"},
		`{"all":true,"stage":""}`:           {filter{}, "request/body/stage must NOT have fewer than 1"},
		`{"all":true,"origins":"ci"}`:       {filter{}, `unknown field \"origins\"`},
		`{"all":true,"before":"yesterday"}`: {filter{}, "request/body/before must be a time"},
		`{"all":"true"}`:                    {filter{}, "request/body/all must be boolean"},
		`[]`:                                {filter{}, "request/body must be object"},
		`{"all":true} {"all":true}`:         {filter{}, "one JSON object"},
		`{"all":true`:                       {filter{}, "InputError"},
	} {
		for _, verb := range []string{"retry", "drop"} {
			got := h.post(serviceToken, adminAPI+"/dead-letters/"+verb, body)
			redriven, dropped := h.letters.asked()
			done, other := redriven, dropped
			if verb == "drop" {
				done, other = dropped, redriven
			}
			if c.fault != "" {
				if got.StatusCode != 400 || !strings.Contains(got.body, c.fault) || len(done)+len(other) > 0 {
					t.Errorf("%s %.80s: %d %s, done %v", verb, body, got.StatusCode, got.body, done)
				}
				continue
			}
			if got.StatusCode != 200 || len(done) != 1 || len(other) > 0 {
				t.Errorf("%s %.80s: %d %s, done %v", verb, body, got.StatusCode, got.body, done)
				continue
			}
			if diff := gocmp.Diff(c.want, done[0]); diff != "" {
				t.Errorf("%s %.80s: %s", verb, body, diff)
			}
		}
	}
	h.post(serviceToken, adminAPI+"/dead-letters/retry", `{"all":true}`).want(t, 200, `{"count":2}`)
	// A page of another origin can POST this without asking.
	form := request{method: "POST", path: adminAPI + "/dead-letters/drop", token: serviceToken, body: `{"all":true}`, header: http.Header{"Content-Type": {"text/plain"}}}
	h.letters.asked()
	if got := h.do(form); got.StatusCode != 400 || !strings.Contains(got.body, "Content-Type must be application/json") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if _, dropped := h.letters.asked(); len(dropped) > 0 {
		t.Error("dropped by a form")
	}
}

func unquoted(quoted []string) []string {
	list := make([]string, len(quoted))
	for i := range quoted {
		list[i], _ = strconv.Unquote(quoted[i])
	}
	return list
}

func TestAudit(t *testing.T) {
	h := start(t, withAdmins(serviceName))
	h.letters.add(letterOf(1))
	last := func() string {
		t.Helper()
		line := ""
		for l := range strings.Lines(h.logged.String()) {
			if strings.Contains(l, "logger=audit") {
				line = l
			}
		}
		return line
	}
	has := func(texts ...string) {
		t.Helper()
		for _, text := range append(texts, "address=127.0.0.1") {
			if !strings.Contains(last(), text) {
				t.Errorf("no %s in: %s", text, last())
			}
		}
	}
	h.post(serviceToken, adminAPI+"/dead-letters/retry", `{"ids":["`+letterOf(1).ID+`","b"]}`)
	has(`what="retry dead letters"`, "kind=service", "who=bench", fmt.Sprintf(`ids="[%s b]"`, letterOf(1).ID), "count=1")
	h.post(serviceToken, adminAPI+"/dead-letters/drop", `{"all":true,"stage":"Slack","after":"2026-11-20"}`)
	has(`what="drop dead letters"`, "selection.all=true", "selection.stage=Slack", "selection.after=2026-11-20T00:00:00.000Z", "count=1")
	h.letters.err = signalbox.Transient(errors.New("gone"))
	if got := h.post(serviceToken, adminAPI+"/dead-letters/drop", `{"all":true}`); got.StatusCode != 503 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	has(`what="drop dead letters"`, "count=1", "err=gone")

	h.post(userToken, adminAPI+"/dead-letters/drop", `{"all":true}`)
	has("what=refused", "kind=user", "who="+jane, "method=POST", "route="+adminAPI+"/dead-letters/drop")
	before := strings.Count(h.logged.String(), "logger=audit")
	for range 20 {
		h.get("wrong-token-entirely", adminAPI+"/status")
	}
	has("what=refused", "kind=unknown", "method=GET", "route="+adminAPI+"/status")
	if n := strings.Count(h.logged.String(), "logger=audit") - before; n < 1 || n > 10 {
		t.Errorf("%d entries for 20 requests without credentials", n)
	}
	// Looking is no action.
	before = len(h.logged.String())
	h.get(serviceToken, adminAPI+"/status")
	if log := h.logged.String(); len(log) != before || strings.Contains(log, "-token") {
		t.Error(log)
	}
}

func TestAdminStatus(t *testing.T) {
	var (
		status  web.Status
		failure error
	)
	h := start(t, withAdmins(serviceName), func(deps *web.Deps, _ *web.Config) {
		deps.Status = func(context.Context) (web.Status, error) { return status, failure }
	})
	status.Version, status.Instances = "v2", 1
	h.get(serviceToken, adminAPI+"/status").want(t, 200, `{"version":"v2","instances":1,"queues":[],"channels":[],"deadLetters":0}`)
	status = web.Status{
		Version:     "v2",
		Instances:   3,
		Queues:      []web.QueueStatus{{Topic: "notifications", Ready: 1, Leased: 2, Scheduled: 3, OldestReady: 1234567 * time.Microsecond}},
		DeadLetters: 7,
		Channels: []web.ChannelStatus{
			{Name: "Slack", State: web.ChannelPaused, PausedUntil: epoch, LastSuccess: epoch, LastFailure: epoch, LastError: "503", Consecutive: 5, InFlight: 1},
			{Name: "Email", State: web.ChannelUp},
		},
	}
	h.get(serviceToken, adminAPI+"/status").want(t, 200, `{"version":"v2","instances":3,"deadLetters":7,
		"queues":[{"topic":"notifications","ready":1,"leased":2,"scheduled":3,"oldestReadySeconds":1.235}],
		"channels":[
			{"name":"Slack","state":"paused","pausedUntil":"2026-11-21T01:58:16.598Z","lastSuccess":"2026-11-21T01:58:16.598Z","lastFailure":"2026-11-21T01:58:16.598Z","lastError":"503","consecutiveFailures":5,"inFlight":1},
			{"name":"Email","state":"up","pausedUntil":null,"lastSuccess":null,"lastFailure":null,"lastError":null,"consecutiveFailures":0,"inFlight":0}]}`)
	failure = signalbox.Transient(errors.New("gone"))
	if got := h.get(serviceToken, adminAPI+"/status"); got.StatusCode != 503 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}
