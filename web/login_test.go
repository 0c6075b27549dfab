package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox/signalbox"

	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
	"github.com/signalbox/signalbox/web/auth/oidc"
	"github.com/signalbox/signalbox/web/auth/oidc/oidctest"
	"github.com/signalbox/signalbox/web/auth/proxy"
)

const (
	publicURL  = "https://signalbox.example.com"
	publicHost = "signalbox.example.com"
)

// withLogin lets users of a provider sign in.
func withLogin(t *testing.T, provider *oidctest.Provider, publicURL string) func(*web.Deps, *web.Config) {
	t.Helper()
	db := storagetest.Open(t, storagetest.SQLiteURL(t))
	q, err := queue.New(db, queue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := storage.New(db, q, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := auth.NewPages(publicURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	login, err := oidc.NewLogin(oidc.LoginConfig{
		Issuer: provider.URL, ClientID: oidctest.ClientID, ClientSecret: signalbox.NewSecret(oidctest.ClientSecret), PublicURL: publicURL,
		User: identity.UserRule{Claim: "preferred_username"}, Groups: &identity.GroupRule{Claim: "groups"},
		Pages: pages, Sessions: store, Client: provider.Client,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(login.Close)
	return func(deps *web.Deps, config *web.Config) {
		deps.Login, config.PublicURL = login, publicURL
		deps.Authenticator = auth.Chain{login, deps.Authenticator}
	}
}

// comingBack is the request of a browser that was at the provider.
func comingBack(t *testing.T, h *harness) (path string, header http.Header) {
	t.Helper()
	begun := h.get("", "/auth/login")
	answer, err := h.client.Get(begun.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	back, err := answer.Location()
	if err != nil {
		t.Fatal(err)
	}
	return back.RequestURI(), http.Header{"Cookie": {begun.Cookies()[0].Name + "=" + begun.Cookies()[0].Value}}
}

// browser is a client that keeps cookies, follows redirects and thinks that the server
// is at its public address.
type browser struct {
	*http.Client
	t *testing.T
	h *harness

	mu      sync.Mutex
	cookies []*http.Cookie
}

func newBrowser(t *testing.T, h *harness) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, h: h}
	b.Client = &http.Client{Jar: jar, Transport: b}
	return b
}

// RoundTrip is the TLS of the proxy before the server.
func (b *browser) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r
	if r.URL.Hostname() == publicHost {
		sent = r.Clone(r.Context())
		sent.URL.Scheme, sent.URL.Host, sent.Host = "http", b.h.address, publicHost
	}
	response, err := b.h.client.Transport.RoundTrip(sent)
	if err == nil {
		response.Request = r
		b.mu.Lock()
		b.cookies = append(b.cookies, response.Cookies()...)
		b.mu.Unlock()
	}
	return response, err
}

// send sends a request to the server, as its page would.
func (b *browser) send(method, path, body string, header ...string) response {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, publicURL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := b.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer.Request.URL.Hostname() == publicHost {
		description(b.t).check(b.t, answer.Request, answer, content)
	}
	return response{answer, string(content)}
}

// session is what the server says about the browser.
func (b *browser) session() (known struct {
	User, Login, Logout *string
	Ownership           []string
	SignIn              string
},
) {
	b.t.Helper()
	got := b.send("GET", "/auth/session", "")
	if err := json.Unmarshal([]byte(got.body), &known); err != nil || got.StatusCode != 200 {
		b.t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	return known
}

// user is who the browser is.
func (b *browser) user() string {
	b.t.Helper()
	if user := b.session().User; user != nil {
		return *user
	}
	return ""
}

// cookie is the value of a cookie that the browser has.
func (b *browser) cookie(name string) string {
	b.t.Helper()
	for _, cookie := range b.Jar.Cookies(&url.URL{Scheme: "https", Host: publicHost, Path: "/auth/callback"}) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

const hostSession = "__Host-signalbox_session"

func TestLoginInTheBrowser(t *testing.T) {
	h := start(t, withLogin(t, oidctest.New(t), publicURL))
	b := newBrowser(t, h)
	if known := b.session(); known.User != nil || known.Logout != nil || known.SignIn != "oidc" || known.Login == nil || *known.Login != "/auth/login" {
		t.Errorf("before: %+v", known)
	}
	got := b.send("GET", "/auth/login?returnTo=/healthz?tab=1", "", "Accept", "text/html")
	if got.StatusCode != 200 || got.Request.URL.String() != publicURL+"/healthz?tab=1" {
		t.Fatalf("ended at %s: %d %s", got.Request.URL, got.StatusCode, got.body)
	}
	known := b.session()
	if known.User == nil || *known.User != jane || !slices.Equal(known.Ownership, []string{jane, "group:default/team-a"}) || known.Logout == nil || *known.Logout != "/auth/logout" {
		t.Errorf("after: %+v", known)
	}
	if got := b.send("GET", "/api/notifications/status", ""); got.StatusCode != 200 || h.inbox.users[0] != jane {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	var set []string
	for _, cookie := range b.cookies {
		set = append(set, cookie.Name)
		if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("cookie %s", cookie)
		}
	}
	if !slices.Equal(set, []string{"__Host-signalbox_login", "__Host-signalbox_login", hostSession}) || b.cookie("__Host-signalbox_login") != "" {
		t.Errorf("cookies %q", set)
	}
	if log := h.logged.String(); !strings.Contains(log, "signed in") || strings.Contains(log, b.cookie(hostSession)) {
		t.Errorf("the log: %s", log)
	}

	stolen := b.cookie(hostSession)
	if got := b.send("POST", "/auth/logout", ""); got.StatusCode != 403 || b.user() != jane {
		t.Errorf("signed out from nowhere: %d %s", got.StatusCode, got.body)
	}
	got = b.send("POST", "/auth/logout", "", "Origin", publicURL)
	if got.StatusCode != 200 || !strings.Contains(got.body, `/logout?`) || b.cookie(hostSession) != "" || b.user() != "" {
		t.Errorf("signed out: %d %s", got.StatusCode, got.body)
	}
	if got := h.do(request{method: "GET", path: "/api/notifications/status", header: http.Header{"Cookie": {hostSession + "=" + stolen}}}); got.StatusCode != 401 {
		t.Errorf("the cookie works still: %d", got.StatusCode)
	}
	if got := b.send("POST", "/auth/logout", "", "Origin", publicURL); got.StatusCode != 200 || !strings.Contains(got.body, `"redirect":null`) {
		t.Errorf("signed out twice: %d %s", got.StatusCode, got.body)
	}
}

func TestLogoutByForm(t *testing.T) {
	provider := oidctest.New(t)
	provider.Behave(oidctest.Behaviour{NoEndSession: true})
	h := start(t, withLogin(t, provider, publicURL))
	one, other := newBrowser(t, h), newBrowser(t, h)
	one.send("GET", "/auth/login?returnTo=/healthz", "")
	other.send("GET", "/auth/login?returnTo=/healthz", "")
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html,*/*;q=0.8", "Origin", publicURL}
	one.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if got := one.send("POST", "/auth/logout", "everywhere=true", form...); got.StatusCode != 303 || got.Header.Get("Location") != "/" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if one.user() != "" || other.user() != "" {
		t.Error("somebody is signed in still")
	}
	if got := one.send("POST", "/auth/logout", "{", "Content-Type", "application/json", "Origin", publicURL); got.StatusCode != 400 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

// Whatever a browser had before, it has something else after.
func TestSessionFixation(t *testing.T) {
	h := start(t, withLogin(t, oidctest.New(t), publicURL))
	evil := newBrowser(t, h)
	evil.send("GET", "/auth/login?returnTo=/healthz", "")
	planted := evil.cookie(hostSession)
	for name, value := range map[string]string{"made up": strings.Repeat("A", 43), "of somebody": planted} {
		b := newBrowser(t, h)
		b.Jar.SetCookies(&url.URL{Scheme: "https", Host: publicHost}, []*http.Cookie{{Name: hostSession, Value: value, Path: "/", Secure: true}})
		b.send("GET", "/auth/login?returnTo=/healthz", "")
		if got := b.cookie(hostSession); got == value || b.user() != jane {
			t.Errorf("%s: the session is what it was", name)
		}
		if got := h.do(request{method: "GET", path: "/api/notifications/status", header: http.Header{"Cookie": {hostSession + "=" + value}}}); got.StatusCode != 401 {
			t.Errorf("%s: it works still: %d", name, got.StatusCode)
		}
	}
}

func TestForgedRequests(t *testing.T) {
	h := start(t, withLogin(t, oidctest.New(t), publicURL), func(_ *web.Deps, c *web.Config) {
		c.AllowedOrigins = []string{"*"} // which is for tokens, not for cookies
	})
	b := newBrowser(t, h)
	b.send("GET", "/auth/login?returnTo=/healthz", "")
	const update = "/api/notifications/update"
	for name, test := range map[string]struct {
		method, path, body string
		header             []string
		want               int
	}{
		"own":                 {"POST", update, `{"ids":[],"read":true}`, []string{"Origin", publicURL, "Content-Type", "application/json"}, 200},
		"own, without origin": {"POST", update, `{"ids":[],"read":true}`, []string{"Sec-Fetch-Site", "same-origin", "Content-Type", "application/json"}, 200},
		"foreign":             {"POST", update, `{"ids":[],"read":true}`, []string{"Origin", "https://evil.example.com", "Content-Type", "application/json"}, 403},
		"foreign form":        {"POST", update, `a=b`, []string{"Origin", "https://evil.example.com", "Content-Type", "application/x-www-form-urlencoded"}, 403},
		"own form":            {"POST", update, `a=b`, []string{"Origin", publicURL, "Content-Type", "application/x-www-form-urlencoded"}, 403},
		"from nowhere":        {"POST", update, `{"ids":[],"read":true}`, []string{"Content-Type", "application/json"}, 403},
		"without a body":      {"DELETE", "/api/notifications/schedule", "", []string{"Origin", publicURL, "X-Requested-With", "x"}, 200},
		"without the header":  {"DELETE", "/api/notifications/schedule", "", []string{"Origin", publicURL}, 403},
		"socket":              {"GET", "/api/signals", "", []string{"Origin", publicURL, "Upgrade", "websocket", "Connection", "Upgrade"}, 426},
		"foreign socket":      {"GET", "/api/signals", "", []string{"Origin", "https://evil.example.com", "Upgrade", "websocket", "Connection", "Upgrade"}, 403},
		"socket from nowhere": {"GET", "/api/signals", "", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, 403},
		"foreign logout":      {"POST", "/auth/logout", "", []string{"Origin", "https://evil.example.com"}, 403},
		"sends":               {"POST", "/api/notifications", toJane, []string{"Origin", publicURL, "Content-Type", "application/json"}, 403},
	} {
		if got := b.send(test.method, test.path, test.body, test.header...); got.StatusCode != test.want {
			t.Errorf("%s: %d %s, want %d", name, got.StatusCode, got.body, test.want)
		}
	}
	if b.user() != jane {
		t.Error("somebody signed the user out")
	}
}

func TestCookiesElsewhere(t *testing.T) {
	for _, test := range []struct {
		publicURL, name, path string
		secure                bool
	}{
		{"http://localhost:7080", "signalbox_login", "/", false},
		{"https://example.com/signalbox", "signalbox_login", "/signalbox/", true},
	} {
		h := start(t, withLogin(t, oidctest.New(t), test.publicURL))
		h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		got := h.get("", "/auth/login")
		cookies := got.Cookies()
		if got.StatusCode != 303 || len(cookies) != 1 || cookies[0].Name != test.name || cookies[0].Path != test.path || cookies[0].Secure != test.secure || !cookies[0].HttpOnly {
			t.Errorf("%s: %d %v", test.publicURL, got.StatusCode, cookies)
		}
		back, err := url.Parse(got.Header.Get("Location"))
		if err != nil || back.Query().Get("redirect_uri") != test.publicURL+"/auth/callback" {
			t.Errorf("%s: comes back to %s", test.publicURL, back)
		}
	}
}

func TestLoginFails(t *testing.T) {
	provider := oidctest.New(t)
	h := start(t, withLogin(t, provider, publicURL))
	b := newBrowser(t, h)
	// It is up to the browser whether it sees a page.
	provider.Behave(oidctest.Behaviour{Down: true})
	got := b.send("GET", "/auth/login", "", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || !strings.Contains(got.body, "The identity provider cannot be reached now") ||
		!strings.Contains(got.body, "<h1>") || got.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v %s", got.StatusCode, got.Header, got.body)
	}
	if got := b.send("GET", "/auth/login", ""); got.StatusCode != 503 || !strings.Contains(got.body, "ServiceUnavailableError") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	for _, query := range []string{"", "?state=secret&code=secret", "?error=access_denied&state=secret"} {
		got := b.send("GET", "/auth/callback"+query, "")
		if got.StatusCode != 400 || strings.Contains(got.body, "secret") || b.cookie(hostSession) != "" {
			t.Errorf("%q: %d %s", query, got.StatusCode, got.body)
		}
	}
	if log := h.logged.String(); strings.Contains(log, "secret") {
		t.Errorf("the log: %s", log)
	}
}

// A tab that comes back when another one has signed in goes on.
func TestLateTab(t *testing.T) {
	h := start(t, withLogin(t, oidctest.New(t), publicURL))
	b := newBrowser(t, h)
	b.send("GET", "/auth/login?returnTo=/healthz", "")
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if got := b.send("GET", "/auth/callback?state=old&code=old", ""); got.StatusCode != 303 || got.Header.Get("Location") != "/" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

func TestNoLogin(t *testing.T) {
	h := start(t)
	for _, path := range []string{"/auth/login", "/auth/callback"} {
		if got := h.get("", path); got.StatusCode != 404 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
	if got := h.post("", "/auth/logout", ""); got.StatusCode != 404 {
		t.Errorf("logout: %d", got.StatusCode)
	}
	none := `{"user":null,"ownership":[],"admin":false,"expires":null,"signIn":"none","login":null,"logout":null,"csrf":{"header":"X-Requested-With"}}`
	h.get("", "/auth/session").want(t, 200, none)
	h.get("wrong", "/auth/session").want(t, 200, none)
	h.get(serviceToken, "/auth/session").want(t, 200, none)
	h.get(userToken, "/auth/session").want(t, 200, strings.NewReplacer(`"user":null`, `"user":"`+jane+`"`, `"ownership":[]`, `"ownership":["`+jane+`"]`).Replace(none))
	guests := start(t, withGuest)
	guests.get("", "/auth/session").want(t, 200, strings.NewReplacer(`"user":null`, `"user":"user:default/guest"`, `"ownership":[]`, `"ownership":["user:default/guest"]`, `"none"`, `"guest"`).Replace(none))
}

// A session that has ended makes no guest, and is taken away.
func TestEndedSessionIsNoGuest(t *testing.T) {
	h := start(t, withLogin(t, oidctest.New(t), "http://localhost:7080"), withGuest)
	header := http.Header{"Cookie": {"signalbox_session=" + strings.Repeat("A", 43)}}
	if got := h.do(request{method: "GET", path: "/api/notifications/status", header: header}); got.StatusCode != 401 || !strings.Contains(got.body, "The session has ended") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	got := h.do(request{method: "GET", path: "/auth/session", header: header})
	if cookies := got.Cookies(); got.StatusCode != 200 || len(cookies) != 1 || cookies[0].Value != "" || cookies[0].Expires.Year() > 1990 {
		t.Errorf("%d %v", got.StatusCode, cookies)
	}
	if got := h.get("", "/api/notifications/status"); got.StatusCode != 200 {
		t.Errorf("a guest: %d", got.StatusCode)
	}
}

// Headers of a proxy, over the wire.
func TestProxyHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		cidr   string
		header http.Header
		want   int
	}{
		"from the proxy":   {"127.0.0.1/32", http.Header{"X-Forwarded-User": {"joe"}, "X-Forwarded-Groups": {"a,b"}}, 200},
		"from elsewhere":   {"10.0.0.0/8", http.Header{"X-Forwarded-User": {"joe"}}, 401},
		"whatever it says": {"10.0.0.0/8", http.Header{"X-Forwarded-User": {"joe"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Real-Ip": {"10.0.0.1"}, "Forwarded": {"for=10.0.0.1"}}, 401},
		"with a token":     {"10.0.0.0/8", http.Header{"X-Forwarded-User": {"joe"}, "Authorization": {"Bearer " + userToken}}, 401},
		"twice":            {"127.0.0.1/32", http.Header{"X-Forwarded-User": {"joe", "root"}}, 401},
		"in two letters":   {"127.0.0.1/32", http.Header{"X-Forwarded-User": {"joe"}, "x-forwarded-user": {"root"}}, 401},
		"none":             {"127.0.0.1/32", nil, 401},
	} {
		headers, err := proxy.New(proxy.Config{CIDRs: []netip.Prefix{netip.MustParsePrefix(test.cidr)}, Groups: &identity.GroupRule{}})
		if err != nil {
			t.Fatal(err)
		}
		h := start(t, func(deps *web.Deps, _ *web.Config) { deps.Authenticator = auth.Chain{headers, deps.Authenticator} })
		got := h.do(request{method: "GET", path: "/api/notifications/status", header: test.header})
		if got.StatusCode != test.want || test.want == 200 && h.inbox.users[0] != "user:default/joe" {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
}

func TestLoginNeedsItsAddress(t *testing.T) {
	login := withLogin(t, oidctest.New(t), publicURL)
	if _, err := web.New(func() web.Deps {
		var deps web.Deps
		start(t, func(d *web.Deps, _ *web.Config) { deps = *d })
		login(&deps, &web.Config{})
		return deps
	}(), web.Config{}); err == nil || !strings.Contains(err.Error(), "PublicURL") {
		t.Errorf("got %v", err)
	}
}
