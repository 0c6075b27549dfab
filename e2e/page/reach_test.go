package page

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// proxy stands before the server at a path prefix, which it takes away, as reverse
// proxies do. While deaf, it lets no WebSocket through.
func (s *server) proxy(prefix string, deaf *atomic.Bool) string {
	s.t.Helper()
	target, err := url.Parse(s.base)
	if err != nil {
		s.t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		// Guest mode answers only to names that it knows.
		r.Out.Host = target.Host
		if r.In.Header.Get("Origin") != "" {
			r.Out.Header.Set("Origin", s.base)
		}
	}}
	front := httptest.NewServer(http.StripPrefix(strings.TrimSuffix(prefix, "/"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if deaf.Load() && r.Header.Get("Upgrade") != "" {
			http.Error(w, "no upgrades", http.StatusBadGateway)
			return
		}
		forward.ServeHTTP(w, r)
	})))
	s.t.Cleanup(front.Close)
	return front.URL
}

func TestBelowAPathPrefix(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Prefixed", "topic": "topic"})
	p := newProfile(t).open(s.proxy("/tools/inbox/", new(atomic.Bool)), "/tools/inbox/")
	p.waitText(".row", "Prefixed")
	p.live()
	p.click(".nav-link", "Settings")
	p.waitText(".matrix", "topic")
	p.wait(`location.pathname === '/tools/inbox/settings'`)
	// A document may be deeper than the others.
	p.visit("/tools/inbox/settings")
	p.waitText(".matrix", "topic")
	p.click(".nav-link", "Unread")
	p.wait(`location.pathname === '/tools/inbox/'`)
	s.send(payload{"title": "Live"})
	p.waitText(".row", "Live")
}

func TestWithoutASocketItAsks(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	deaf := new(atomic.Bool)
	deaf.Store(true)
	p := newProfile(t).open(s.proxy("/", deaf), "/")
	p.expect("WebSocket")
	p.waitText(".banner", "Live updates are interrupted")
	s.send(payload{"title": "By asking"})
	p.waitText(".row", "By asking") // within the 15 seconds that the banner names
	deaf.Store(false)
	p.run(evaluate(`window.dispatchEvent(new Event('online'))`))
	p.live()
	p.waitCount(".banner", 0)
	s.send(payload{"title": "By itself"})
	p.waitText(".row", "By itself")
}

func TestServerLossAndReturn(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Before"})
	p := s.open(t, "/")
	p.expect("net::ERR_")
	p.expect("WebSocket")
	p.live()
	p.waitText(".row", "Before")
	s.kill()
	p.waitText(".banner", "interrupted")
	p.waitText(".row", "Before")

	t.Log("What one does meanwhile is taken back, and said.")
	p.press("j", "e")
	p.waitText(".toast-error", "cannot be reached")
	p.waitCount(".row.unread", 1)

	address, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	again := serveAt(t, s.data, address.Host, "")
	again.send(payload{"title": "After"})
	p.waitText(".row", "After")
	p.live()
	p.waitCount(".banner", 0)
}

// TestNobody is about an inbox that asks for credentials.
func TestNobody(t *testing.T) {
	t.Parallel()
	s := serve(t, "auth: {guest: {enabled: false}}\n")
	p := s.open(t, "/")
	p.expect("401")
	p.expect("WebSocket")
	p.waitText("h1", "You are not signed in")
	p.waitCount(".row", 0)
}

func TestGuestsChooseWhoTheyAre(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.post("/api/notifications", map[string]any{
		"recipients": map[string]any{"type": "entity", "entityRef": "user:default/jane"}, "payload": payload{"title": "For Jane"},
	})
	p := s.open(t, "/?user=jane")
	p.waitText(".row", "For Jane")
	p.waitText(".user-name", "jane")
	p.wait(`location.search === ''`)
	p.live()
	s.post("/api/notifications", map[string]any{
		"recipients": map[string]any{"type": "entity", "entityRef": "user:default/jane"}, "payload": payload{"title": "Again for Jane"},
	})
	p.waitText(".row", "Again for Jane")
	p.visit("/")
	p.waitText(".row", "For Jane")
}
