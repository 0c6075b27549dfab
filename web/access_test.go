package web_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/web"
)

func withGuest(_ *web.Deps, config *web.Config) {
	config.Guest = &web.Guest{Hosts: []string{"dev.example.com"}}
	config.AllowedOrigins = []string{"http://localhost:3000"}
}

// allowed tells which kinds of callers may use the routes with a rule; "" has no
// credentials. Nobody is an admin, and users may not send.
var allowed = map[string][]string{
	"public":  {"", "user", "service"},
	"user":    {"user"},
	"service": {"service"},
	"sender":  {"service"},
	"either":  {"user", "service"},
	"own":     {"user"},
	"admin":   {},
}

// Every documented operation, by who may use it. That these are all routes is
// checked in TestRoutesAreDocumented.
func TestAccess(t *testing.T) {
	h := start(t)
	for _, r := range h.server.Routes() {
		path := strings.Replace(r.Path, ":id", idOf(1), 1)
		for kind, token := range map[string]string{"": "", "user": userToken, "service": serviceToken} {
			got := h.do(request{method: r.Method, path: path, token: token, body: map[string]string{"POST": "{"}[r.Method]})
			var want int
			switch {
			case slices.Contains(allowed[r.Access], kind):
				// Allowed: whatever the body or the identifier lead to.
				if got.StatusCode == 401 || got.StatusCode == 403 {
					t.Errorf("%s %s as %q: %d", r.Method, r.Path, kind, got.StatusCode)
				}
				continue
			case kind == "":
				want = 401
			case r.Access == "admin":
				want = 403
				if !strings.Contains(got.body, "This endpoint is for admins") {
					t.Errorf("%s %s: %s", r.Method, r.Path, got.body)
				}
			default:
				want = 403
				if !strings.Contains(got.body, "This endpoint does not allow '"+kind+"' credentials") {
					t.Errorf("%s %s: %s", r.Method, r.Path, got.body)
				}
			}
			if got.StatusCode != want {
				t.Errorf("%s %s as %q: %d, want %d", r.Method, r.Path, kind, got.StatusCode, want)
			}
			if want == 401 && got.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %s: no WWW-Authenticate", r.Method, r.Path)
			}
		}
		if r.Access == "public" {
			continue
		}
		if got := h.do(request{method: r.Method, path: path, token: "wrong-token-entirely"}); got.StatusCode != 401 || strings.Contains(got.body, "wrong-token") {
			t.Errorf("%s %s with a wrong token: %d %s", r.Method, r.Path, got.StatusCode, got.body)
		}
		if got := h.do(request{method: r.Method, path: path, token: otherToken}); got.StatusCode != 403 || !strings.Contains(got.body, "restricted to plugin(s) 'catalog'") {
			t.Errorf("%s %s with a restricted token: %d %s", r.Method, r.Path, got.StatusCode, got.body)
		}
	}
	if log := h.logged.String(); strings.Contains(log, "-token") || strings.Contains(log, userToken) {
		t.Errorf("the log has a token: %s", log)
	}
}

// documented is a path of the table as the document writes it.
func documented(path string) string {
	return strings.NewReplacer(":id", "{id}", ":token", "{token}").Replace(path)
}

// The table is what is mounted, and the table is what is documented.
func TestRoutesAreDocumented(t *testing.T) {
	h := start(t)
	document := description(t).document
	var operations []string
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			operations = append(operations, method+" "+path)
		}
	}
	var table []string
	for _, r := range h.server.Routes() {
		if allowed[r.Access] == nil {
			t.Errorf("%s %s has no access rule: %q", r.Method, r.Path, r.Access)
		}
		table = append(table, r.Method+" "+documented(r.Path))
		security := document.Paths.Value(documented(r.Path)).GetOperation(r.Method).Security
		var schemes []string
		for _, requirement := range *security {
			for name := range requirement {
				schemes = append(schemes, name)
			}
		}
		slices.Sort(schemes)
		want := map[string]string{"public": "", "user": "guest userToken", "service": "serviceToken", "sender": "serviceToken userToken", "own": "guest serviceToken userToken", "either": "guest serviceToken userToken", "admin": "guest serviceToken userToken"}[r.Access]
		if got := strings.Join(schemes, " "); got != want {
			t.Errorf("%s %s: documented for %q, the table says %s", r.Method, r.Path, got, r.Access)
		}
	}
	slices.Sort(operations)
	slices.Sort(table)
	if !slices.Equal(operations, table) {
		t.Errorf("documented: %q\nrouted: %q", operations, table)
	}
	for _, mounted := range h.server.App().GetRoutes(true) {
		key := mounted.Method + " " + documented(mounted.Path)
		if mounted.Method == http.MethodGet || mounted.Method == http.MethodPost {
			path := documented(mounted.Path)
			if document.Paths.Value(path) == nil && mounted.Path != "/" {
				t.Errorf("mounted beside the table: %s", key)
			}
		}
	}
}

func TestMalformedAuthorization(t *testing.T) {
	h := start(t, withGuest)
	for _, header := range []string{"Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Bearer a b", serviceToken, "Token " + serviceToken} {
		got := h.do(request{method: "GET", path: "/api/notifications/status", header: http.Header{"Authorization": {header}}})
		if got.StatusCode != 401 {
			t.Errorf("%q: %d %s", header, got.StatusCode, got.body)
		}
	}
	for _, header := range []string{"bearer " + userToken, "BEARER   " + userToken} {
		got := h.do(request{method: "GET", path: "/api/notifications/status", header: http.Header{"Authorization": {header}}})
		if got.StatusCode != 200 {
			t.Errorf("%q: %d %s", header, got.StatusCode, got.body)
		}
	}
}

func TestGuestMode(t *testing.T) {
	h := start(t, withGuest)
	who := func(r request) string {
		t.Helper()
		h.inbox.users = nil
		r.method, r.path = "GET", "/api/notifications/status"
		if got := h.do(r); got.StatusCode != 200 {
			t.Fatalf("%d %s", got.StatusCode, got.body)
		}
		return h.inbox.users[0]
	}
	if got := who(request{}); got != "user:default/guest" {
		t.Errorf("a guest is %s", got)
	}
	if got := who(request{header: http.Header{"X-Signalbox-User": {"User:Joe"}}}); got != "user:default/joe" {
		t.Errorf("a switched guest is %s", got)
	}
	if got := who(request{token: userToken, header: http.Header{"X-Signalbox-User": {"user:joe"}}}); got != jane {
		t.Errorf("a token with a switch is %s", got)
	}
	for name, c := range map[string]struct {
		r      request
		status int
		text   string
	}{
		"sends":                {request{method: "POST", path: "/api/notifications", body: toJane}, 403, "This endpoint does not allow 'user' credentials"},
		"query is no switch":   {request{method: "GET", path: "/api/notifications?user=user:joe"}, 400, "Unknown query parameter 'user'"},
		"wrong token":          {request{method: "GET", path: "/api/notifications", token: "wrong-token"}, 401, "Invalid token"},
		"bad user":             {request{method: "GET", path: "/api/notifications", header: http.Header{"X-Signalbox-User": {"joe"}}}, 400, "guest user"},
		"rebound host":         {request{method: "GET", path: "/api/notifications", header: http.Header{"Host": {"evil.example.com"}}}, 403, "host name"},
		"configured host":      {request{method: "GET", path: "/api/notifications/status", header: http.Header{"Host": {"dev.example.com:80"}}}, 200, "unread"},
		"foreign page":         {request{method: "GET", path: "/api/notifications", header: http.Header{"Origin": {"https://evil.example.com"}}}, 403, "origin"},
		"allowed page":         {request{method: "GET", path: "/api/notifications/status", header: http.Header{"Origin": {"http://localhost:3000"}}}, 200, "unread"},
		"form":                 {request{method: "POST", path: "/api/notifications/update", body: `{"filter":{},"read":true}`, header: http.Header{"Content-Type": {"text/plain"}}}, 400, "Content-Type"},
		"health, any host":     {request{method: "GET", path: "/healthz", header: http.Header{"Host": {"10.1.2.3"}}}, 200, "ok"},
		"socket":               {request{method: "GET", path: "/api/signals/?x=1"}, 426, "user:default/guest"},
		"socket, switched":     {request{method: "GET", path: "/api/signals?user=user:joe&groups=group:a,group:b"}, 426, "user:default/joe group:default/a group:default/b"},
		"socket, token":        {request{method: "GET", path: "/api/signals?user=user:joe", header: http.Header{"Sec-Websocket-Protocol": {userToken}}}, 426, jane},
		"socket, foreign page": {request{method: "GET", path: "/api/signals", header: http.Header{"Origin": {"http://localhost:9999"}}}, 403, "origin"},
		"socket, bad token":    {request{method: "GET", path: "/api/signals", header: http.Header{"Sec-Websocket-Protocol": {"x.y.z"}}}, 401, "Invalid token"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			if got := h.do(c.r); got.StatusCode != c.status || !strings.Contains(got.body, c.text) {
				t.Errorf("%d %s, want %d and %q", got.StatusCode, got.body, c.status, c.text)
			}
		})
	}
}

// Outside guest mode nothing but a token makes a user.
func TestNoGuestMode(t *testing.T) {
	h := start(t)
	for _, r := range []request{
		{method: "GET", path: "/api/notifications", header: http.Header{"X-Signalbox-User": {"user:joe"}}},
		{method: "GET", path: "/api/signals?user=user:joe"},
		{method: "GET", path: "/api/signals"},
	} {
		if got := h.do(r); got.StatusCode != 401 {
			t.Errorf("%s: %d %s", r.path, got.StatusCode, got.body)
		}
	}
	for header, status := range map[string]int{userToken: 426, userToken + ", other": 426, serviceToken: 403, "wrong-token": 401} {
		got := h.do(request{method: "GET", path: "/api/signals/", header: http.Header{"Sec-Websocket-Protocol": {header}}})
		if got.StatusCode != status {
			t.Errorf("subprotocol %s: %d %s", header, got.StatusCode, got.body)
		}
	}
	if got := h.do(request{method: "GET", path: "/api/notifications/status", header: http.Header{"Sec-Websocket-Protocol": {userToken}}}); got.StatusCode != 401 {
		t.Errorf("a subprotocol is a token off the WebSocket: %d", got.StatusCode)
	}
}

func TestCrossOrigin(t *testing.T) {
	h := start(t, withGuest)
	preflight := func(origin string) response {
		return h.do(request{method: "OPTIONS", path: "/api/notifications", header: http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"},
		}})
	}
	got := preflight("http://localhost:3000")
	if got.StatusCode != 204 || got.Header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" ||
		!strings.Contains(got.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if got := preflight("https://evil.example.com"); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", got.Header)
	}
	// Errors must be readable to the page as well.
	got = h.do(request{method: "GET", path: "/api/notifications?limit=x", token: userToken, header: http.Header{"Origin": {"http://localhost:3000"}}})
	if got.StatusCode != 400 || got.Header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	off := start(t)
	if got := off.do(request{method: "GET", path: "/api/notifications/status", token: userToken, header: http.Header{"Origin": {"http://localhost:3000"}}}); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("CORS is on: %v", got.Header)
	}
}

func TestConfigIsChecked(t *testing.T) {
	deps := needed()
	if _, err := web.New(deps, web.Config{}); err != nil {
		t.Fatal(err)
	}
	if _, err := web.New(web.Deps{}, web.Config{}); err == nil {
		t.Error("no deps: no error")
	}
	deps.Trace = nil
	if _, err := web.New(deps, web.Config{}); err == nil || !strings.Contains(err.Error(), "Deps.Trace") {
		t.Errorf("without a trace: %v", err)
	}
	deps = needed()
	for _, config := range []web.Config{
		{MaxBody: -1},
		{MaxHeader: 8 << 10},
		{ReadTimeout: -1},
		{AllowedOrigins: []string{"localhost:3000"}},
		{AllowedOrigins: []string{"https://*.example.com"}},
		{AllowedOrigins: []string{"https://a/b"}},
		{Guest: &web.Guest{User: "jane"}},
		{Guest: &web.Guest{}, AllowedOrigins: []string{"*"}},
		{Admins: []string{"ci", ""}},
	} {
		if _, err := web.New(deps, config); err == nil {
			t.Errorf("%+v: no error", config)
		}
	}
}
