package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"
)

const toJane = `{"recipients":{"type":"entity","entityRef":"user:default/jane"},"payload":{"title":"wire"}}`

// The exchanges captured from Backstage's backend, with its very words; where
// ours differs on purpose, the case says so.
func TestCapturedExchanges(t *testing.T) {
	h := start(t)
	h.inbox.rows = []signalbox.Notification{
		{
			ID: "81fdb6dd-601f-4f69-9c8a-2a58b267f3b3", User: jane, Origin: serviceName, Created: epoch,
			Payload: signalbox.Payload{Title: "wire", Severity: signalbox.SeverityNormal, Topic: "topic-00"},
		},
		{ID: idOf(1), User: "user:default/joe", Origin: serviceName, Created: epoch, Payload: signalbox.Payload{Title: "joe's", Topic: "topic-01"}},
	}
	const (
		post = http.MethodPost
		get  = http.MethodGet
	)
	wire := `{"id":"81fdb6dd-601f-4f69-9c8a-2a58b267f3b3","user":"user:default/jane","created":"2026-11-21T01:58:16.598Z","saved":null,"read":null,"updated":null,"origin":"bench","payload":{"title":"wire","description":null,"link":null,"topic":"topic-00","severity":"normal","scope":null,"icon":null}}`
	accepted := `{"id":"` + idOf(0) + `","status":"accepted"}`
	for _, c := range []struct {
		name                      string
		method, path, token, body string
		status                    int
		want                      string
	}{
		{
			"POST ok (differs: 202 and a receipt)", post, "/notifications", serviceToken,
			`{"recipients":{"type":"entity","entityRef":"user:default/u0000"},"payload":{"title":"wire","metadata":{"a":1},"foo":1}}`, 202,
			`{"id":"` + idOf(0) + `","status":"accepted","warnings":["unknown field 'payload.foo' was ignored"]}`,
		},
		{
			"missing title", post, "/notifications", serviceToken, `{"recipients":{"type":"entity","entityRef":"user:default/jane"},"payload":{}}`, 400,
			`{"error":{"name":"InputError","message":"request/body/payload must have required property 'title'"},"request":{"method":"POST","url":"/notifications"},"response":{"statusCode":400}}`,
		},
		{
			"bad type", post, "/notifications", serviceToken, `{"recipients":{"type":"nope"},"payload":{"title":"t"}}`, 400,
			`{"error":{"name":"InputError","message":"request/body/recipients must have required property 'entityRef', request/body/recipients/type must be equal to one of the allowed values: broadcast, request/body/recipients must match exactly one schema in oneOf"},"request":{"method":"POST","url":"/notifications"},"response":{"statusCode":400}}`,
		},
		{
			"bad link", post, "/notifications", serviceToken, `{"recipients":{"type":"entity","entityRef":"user:default/jane"},"payload":{"title":"t","link":"javascript:alert(1)"}}`, 400,
			`{"error":{"name":"InputError","message":"Invalid link provided; caused by Error: Only HTTP/HTTPS links are allowed","cause":{"name":"Error","message":"Only HTTP/HTTPS links are allowed"}},"request":{"method":"POST","url":"/notifications"},"response":{"statusCode":400}}`,
		},
		{
			"malformed", post, "/notifications", serviceToken, `{nope`, 400,
			`{"error":{"name":"InputError","message":"Expected property name or '}' in JSON at position 1"},"request":{"method":"POST","url":"/notifications"},"response":{"statusCode":400}}`,
		},
		{
			"no token", get, "/status", "", "", 401,
			`{"error":{"name":"AuthenticationError","message":"Missing credentials"},"request":{"method":"GET","url":"/status"},"response":{"statusCode":401}}`,
		},
		{
			"service reads", get, "/status", serviceToken, "", 403,
			`{"error":{"name":"NotAllowedError","message":"This endpoint does not allow 'service' credentials"},"request":{"method":"GET","url":"/status"},"response":{"statusCode":403}}`,
		},
		{
			"user sends", post, "/notifications", userToken, toJane, 403,
			`{"error":{"name":"NotAllowedError","message":"This endpoint does not allow 'user' credentials"},"request":{"method":"POST","url":"/notifications"},"response":{"statusCode":403}}`,
		},
		{"list", get, "/notifications", userToken, "", 200, `{"totalCount":1,"notifications":[` + wire + `]}`},
		{
			"unknown id (differs: 404)", get, "/notifications/nope", userToken, "", 404,
			`{"error":{"name":"NotFoundError","message":"Notification not found"},"request":{"method":"GET","url":"/notifications/nope"},"response":{"statusCode":404}}`,
		},
		{
			"limit -1", get, "/notifications?limit=-1", userToken, "", 400,
			`{"error":{"name":"InputError","message":"request/query/limit must be >= 0"},"request":{"method":"GET","url":"/notifications?limit=-1"},"response":{"statusCode":400}}`,
		},
		{
			"limit abc", get, "/notifications?limit=abc", userToken, "", 400,
			`{"error":{"name":"InputError","message":"request/query/limit must be integer"},"request":{"method":"GET","url":"/notifications?limit=abc"},"response":{"statusCode":400}}`,
		},
		{"limit 0", get, "/notifications?limit=0", userToken, "", 200, `{"totalCount":1,"notifications":[]}`},
		{
			"unknown query", get, "/notifications?foo=1&limit=0", userToken, "", 400,
			`{"error":{"name":"InputError","message":"Unknown query parameter 'foo'"},"request":{"method":"GET","url":"/notifications?foo=1&limit=0"},"response":{"statusCode":400}}`,
		},
		{
			"orderField bad (differs: 400)", get, "/notifications?limit=1&orderField=evil,asc", userToken, "", 400,
			`{"error":{"name":"InputError","message":"Invalid order field 'evil' in request/query/orderField, must be one of created, updated, read, saved, origin, topic, title, severity, id"},"request":{"method":"GET","url":"/notifications?limit=1&orderField=evil,asc"},"response":{"statusCode":400}}`,
		},
		{
			"orderField bad direction", get, "/notifications?limit=1&orderField=created,up", userToken, "", 400,
			`{"error":{"name":"InputError","message":"Invalid order field order, must be asc or desc"},"request":{"method":"GET","url":"/notifications?limit=1&orderField=created,up"},"response":{"statusCode":400}}`,
		},
		{
			"createdAfter bad", get, "/notifications?createdAfter=never", userToken, "", 400,
			`{"error":{"name":"InputError","message":"Unexpected date format"},"request":{"method":"GET","url":"/notifications?createdAfter=never"},"response":{"statusCode":400}}`,
		},
		{
			"severity bad", get, "/notifications?minimumSeverity=mega", userToken, "", 400,
			`{"error":{"name":"InputError","message":"request/query/minimumSeverity must be equal to one of the allowed values: critical, high, normal, low"},"request":{"method":"GET","url":"/notifications?minimumSeverity=mega"},"response":{"statusCode":400}}`,
		},
		{"topics", get, "/topics", userToken, "", 200, `{"topics":["topic-00"]}`},
		{"status (and what is snoozed)", get, "/status", userToken, "", 200, `{"unread":1,"read":0,"snoozed":0}`},
		{"unknown group (differs: the receipt)", post, "/notifications", serviceToken, `{"recipients":{"type":"entity","entityRef":"group:default/none"},"payload":{"title":"t"}}`, 202, accepted},
		{
			"bad ref", post, "/notifications", serviceToken, `{"recipients":{"type":"entity","entityRef":"not a ref"},"payload":{"title":"t"}}`, 400,
			`{"error":{"name":"InputError","message":"Failed to send user notifications; caused by Error: Entity reference \"not a ref\" had missing or empty kind (e.g. did not start with \"component:\" or similar)","cause":{"name":"Error","message":"Entity reference \"not a ref\" had missing or empty kind (e.g. did not start with \"component:\" or similar)"}},"request":{"method":"POST","url":"/notifications"},"response":{"statusCode":400}}`,
		},
		{"broadcast (differs: the receipt)", post, "/notifications", serviceToken, `{"recipients":{"type":"broadcast"},"payload":{"title":"all"}}`, 202, accepted},
		{"update of an unknown id (differs: empty)", post, "/notifications/update", userToken, `{"ids":["nope"],"read":true}`, 200, `[]`},
		{"at the base URL", post, "", serviceToken, toJane, 202, accepted},
		{"list at the base URL", get, "/?search=WIR", userToken, "", 200, `{"totalCount":1,"notifications":[` + wire + `]}`},
		{"one at the base URL", get, "/81FDB6DD-601f-4f69-9c8a-2a58b267f3b3", userToken, "", 200, wire},
		{"one", get, "/notifications/81fdb6dd-601f-4f69-9c8a-2a58b267f3b3", userToken, "", 200, wire},
		{
			"another user's", get, "/notifications/" + idOf(1), userToken, "", 404,
			errorOf(404, "NotFoundError", "Notification not found", get, "/notifications/"+idOf(1)),
		},
		{
			"error at the base URL", get, "?limit=x", userToken, "", 400,
			errorOf(400, "InputError", "request/query/limit must be integer", get, "/?limit=x"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			h.do(request{method: c.method, path: "/api/notifications" + c.path, token: c.token, body: c.body}).want(t, c.status, c.want)
		})
	}
}

// What is wrong is answered 4xx with the name of the field, and nothing is
// submitted.
func TestBadInput(t *testing.T) {
	h := start(t)
	send := func(payload string) string {
		return `{"recipients":{"type":"broadcast"},"payload":` + payload + `}`
	}
	to := func(recipients string) string {
		return `{"recipients":` + recipients + `,"payload":{"title":"t"}}`
	}
	bad := map[string]struct {
		body, field string
	}{
		"malformed":           {`{"recipients":{]`, "position 15"},
		"empty":               {``, "Unexpected end of JSON input"},
		"wrong type, title":   {send(`{"title":1}`), "request/body/payload/title"},
		"wrong type, link":    {send(`{"title":"t","link":{}}`), "request/body/payload/link"},
		"wrong type, links":   {send(`{"title":"t","additionalLinks":{}}`), "request/body/payload/additionalLinks"},
		"wrong type, meta":    {send(`{"title":"t","metadata":"x"}`), "request/body/payload/metadata"},
		"wrong type, ref":     {to(`{"type":"entity","entityRef":{}}`), "request/body/recipients/entityRef"},
		"severity":            {send(`{"title":"t","severity":"mega"}`), "request/body/payload/severity"},
		"javascript link":     {send(`{"title":"t","link":"javascript:x"}`), "Invalid link"},
		"javascript in links": {send(`{"title":"t","additionalLinks":["javascript:x"]}`), "request/body/payload/additionalLinks/0"},
		"control character":   {send(`{"title":"a\u0000"}`), "request/body/payload/title"},
		"invalid UTF-8":       {send("{\"title\":\"\xff\"}"), "position 55"},
		"10,000 recipients":   {to(`{"type":"entity","entityRef":[` + strings.Repeat(`"user:a",`, 9_999) + `"user:a"]}`), "request/body/recipients/entityRef"},
		"no recipients":       {to(`{"type":"entity","entityRef":[]}`), "request/body/recipients/entityRef"},
	}
	for name, c := range bad {
		for _, path := range []string{"/api/notifications", "/api/notifications/notifications", "/api/notifications/batch"} {
			t.Run(name+" "+path, func(t *testing.T) {
				h.t = t
				body, field := c.body, c.field
				if strings.HasSuffix(path, "batch") {
					if strings.HasPrefix(field, "position") || field == "Unexpected end of JSON input" {
						t.Skip("positions are those of a single request")
					}
					body, field = "["+to(`{"type":"broadcast"}`)+","+body+"]", strings.Replace(field, "request/body/", "request/body/1/", 1)
				}
				got := h.post(serviceToken, path, body)
				if got.StatusCode != 400 || !strings.Contains(got.body, field) {
					t.Errorf("%d %s, want 400 and %q", got.StatusCode, got.body, field)
				}
			})
		}
	}
	large := send(`{"title":"t","description":"` + strings.Repeat("x", 512<<10) + `"}`)
	h.t = t
	if got := h.post(serviceToken, "/api/notifications", large); got.StatusCode != 413 {
		t.Errorf("large body: %d %s", got.StatusCode, got.body)
	}
	for _, query := range []string{
		"limit=-1", "limit=1001", "limit=99999999999999999999", "limit=-99999999999999999999", "limit=1.5", "limit=", "limit=1&limit=2",
		"offset=-1", "offset=1000001", "offset=x", "read=yes", "read=", "saved=1", "read=true&read=true", "topic=a&topic=b",
		"search=%00", "search=%ff", "search=a%0ab", "topic=" + strings.Repeat("x", 256), "search=" + strings.Repeat("x", 1001), "origin=%7f",
		"createdAfter=", "minimumSeverity=", "cursor=", "cursor=xxxx", "cursor=" + strings.Repeat("A", 34),
		"orderField=", "orderField=title;drop,asc", "orderField=created,", "orderField=created,asc,desc",
		strings.Repeat("orderField=id&", 10), "Limit=1", "%ff=1",
	} {
		for _, path := range []string{"/api/notifications?", "/api/notifications/notifications?"} {
			got := h.get(userToken, path+query)
			name, _, _ := strings.Cut(query, "=")
			if got.StatusCode != 400 || !strings.Contains(got.body, name) && name != "createdAfter" && name != "%ff" {
				t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
			}
		}
	}
	for path, query := range map[string]string{"topics": "limit=1", "status": "search=x"} {
		if got := h.get(userToken, "/api/notifications/"+path+"?"+query); got.StatusCode != 400 {
			t.Errorf("%s?%s: %d", path, query, got.StatusCode)
		}
	}
	if taken := h.submitter.taken(); len(taken) > 0 {
		t.Errorf("%d submissions, first %+v", len(taken), taken[0])
	}
	if len(h.inbox.filters) > 0 {
		t.Errorf("the inbox was asked for %+v", h.inbox.filters[0])
	}
}

func TestContentType(t *testing.T) {
	h := start(t)
	for _, path := range []string{"/api/notifications", "/api/notifications/batch", "/api/notifications/update", "/api/signals/publish"} {
		for _, header := range []http.Header{
			{"Content-Type": {"text/plain"}},
			{"Content-Type": {"application/x-www-form-urlencoded"}},
			{"Content-Type": {"multipart/form-data; boundary=x"}},
			{"Content-Type": {"application/jsonp"}},
			{"Content-Encoding": {"gzip"}},
		} {
			token := serviceToken
			if strings.HasSuffix(path, "update") {
				token = userToken
			}
			got := h.do(request{method: http.MethodPost, path: path, token: token, body: `{}`, header: header})
			if got.StatusCode != 400 || !strings.Contains(got.body, "Content-") {
				t.Errorf("%s %v: %d %s", path, header, got.StatusCode, got.body)
			}
		}
	}
	got := h.do(request{method: http.MethodPost, path: "/api/notifications", token: serviceToken, body: toJane, header: http.Header{"Content-Type": {"Application/JSON ; charset=utf-8"}}})
	if got.StatusCode != 202 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

// An error without a code is shown to nobody, and found by its identifier.
func TestInternalErrors(t *testing.T) {
	h := start(t)
	h.inbox.err = errors.New("relation secret_table does not exist")
	got := h.get(userToken, "/api/notifications/status?")
	match := regexp.MustCompile(`^An internal error occurred logId=([0-9a-f]{8})$`)
	var body struct {
		Error struct{ Name, Message string }
	}
	decode(t, got.body, &body)
	found := match.FindStringSubmatch(body.Error.Message)
	if got.StatusCode != 500 || body.Error.Name != "Error" || found == nil {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	if log := h.logged.String(); !strings.Contains(log, found[1]) || !strings.Contains(log, "secret_table") {
		t.Errorf("log: %s", log)
	}
}

func TestPanicIsRecovered(t *testing.T) {
	h := start(t)
	h.submitter.answerWith(func(context.Context, signalbox.Submission) (signalbox.Submitted, error) { panic("boom") })
	got := h.post(serviceToken, "/api/notifications", toJane)
	if got.StatusCode != 500 || strings.Contains(got.body, "boom") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if log := h.logged.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "wire_test.go") {
		t.Errorf("log: %s", log)
	}
}

func TestUnavailable(t *testing.T) {
	h := start(t)
	for name, c := range map[string]struct {
		err        error
		retryAfter string
		message    string
	}{
		"coded":     {signalbox.Unavailable("The queue is full", 1500e6, errors.New("internal")), "2", "The queue is full"},
		"transient": {signalbox.Transient(errors.New("connection to 10.0.0.1 refused")), "1", "The server cannot do this now, try again later"},
		"deadline":  {context.DeadlineExceeded, "1", "The server cannot do this now, try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			h.submitter.answerWith(func(context.Context, signalbox.Submission) (signalbox.Submitted, error) {
				return signalbox.Submitted{}, c.err
			})
			got := h.post(serviceToken, "/api/notifications", toJane)
			got.want(t, 503, errorOf(503, "ServiceUnavailableError", c.message, "POST", "/"))
			if after := got.Header.Get("Retry-After"); after != c.retryAfter {
				t.Errorf("Retry-After %q", after)
			}
		})
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	h := start(t)
	for _, c := range []struct{ method, path, url string }{
		{"GET", "/", "/"},
		{"GET", "/api", "/api"},
		{"POST", "/api/other?x=1", "/api/other?x=1"},
		{"GET", "/api/notificationsx", "/api/notificationsx"},
		{"GET", "/api/signals/nope", "/nope"},
	} {
		h.do(request{method: c.method, path: c.path}).want(t, 404, errorOf(404, "NotFoundError", "Not found", c.method, c.url))
	}
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/api/notifications", "POST, GET, HEAD"},
		{"GET", "/api/notifications/batch", "POST"},
		{"GET", "/api/notifications/update", "POST"},
		{"PUT", "/api/notifications/" + idOf(1), "GET, HEAD"},
		{"POST", "/api/signals", "GET"},
		{"OPTIONS", "/healthz", "GET, HEAD"},
	} {
		got := h.do(request{method: c.method, path: c.path})
		if got.StatusCode != 405 || got.Header.Get("Allow") != c.allow || !strings.Contains(got.body, `"MethodNotAllowedError"`) {
			t.Errorf("%s %s: %d, Allow %q, %s", c.method, c.path, got.StatusCode, got.Header.Get("Allow"), got.body)
		}
	}
	if got := h.do(request{method: "HEAD", path: "/healthz"}); got.StatusCode != 200 || got.body != "" {
		t.Errorf("HEAD: %d %q", got.StatusCode, got.body)
	}
}

func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}
