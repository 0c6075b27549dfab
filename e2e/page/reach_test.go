package page

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/e2e/browser"

	"github.com/signalbox/signalbox/e2e/binary"
)

// proxy stands before the server at a path prefix, which it takes away, as reverse
// proxies do. While deaf, it lets no WebSocket through.
func (s *server) proxy(prefix string, deaf *atomic.Bool) string {
	s.T.Helper()
	target, err := url.Parse(s.Base)
	if err != nil {
		s.T.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		// Guest mode answers only to names that it knows.
		r.Out.Host = target.Host
		if r.In.Header.Get("Origin") != "" {
			r.Out.Header.Set("Origin", s.Base)
		}
	}}
	front := httptest.NewServer(http.StripPrefix(strings.TrimSuffix(prefix, "/"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if deaf.Load() && r.Header.Get("Upgrade") != "" {
			http.Error(w, "no upgrades", http.StatusBadGateway)
			return
		}
		forward.ServeHTTP(w, r)
	})))
	s.T.Cleanup(front.Close)
	return front.URL
}

func TestBelowAPathPrefix(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ config, taken string }{
		"that the proxy takes away": {"", "/tools/inbox/"},
		"that the proxy leaves":     {"publicUrl: https://example.com/tools/inbox\nauth: {guest: {enabled: true}}", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, test.config)
			s.Send(payload{"title": "Prefixed", "topic": "topic"})
			p := newProfile(t).open(s.proxy(test.taken, new(atomic.Bool)), "/tools/inbox/")
			p.WaitText(".row", "Prefixed")
			p.live()
			p.Click(".nav-link", "Settings")
			p.WaitText(".matrix", "topic")
			p.Wait(`location.pathname === '/tools/inbox/settings'`)
			// A document may be deeper than the others.
			p.visit("/tools/inbox/settings")
			p.WaitText(".matrix", "topic")
			p.Click(".nav-link", "Unread")
			p.Wait(`location.pathname === '/tools/inbox/'`)
			s.Send(payload{"title": "Live"})
			p.WaitText(".row", "Live")
		})
	}
}

func TestWithoutASocketItAsks(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	deaf := new(atomic.Bool)
	deaf.Store(true)
	p := newProfile(t).open(s.proxy("/", deaf), "/")
	p.Expect("WebSocket")
	p.WaitText(".banner", "Live updates are interrupted")
	s.Send(payload{"title": "By asking"})
	p.WaitText(".row", "By asking") // within the 15 seconds that the banner names
	deaf.Store(false)
	p.Evaluate(`window.dispatchEvent(new Event('online'))`)
	p.live()
	p.WaitCount(".banner", 0)
	s.Send(payload{"title": "By itself"})
	p.WaitText(".row", "By itself")
}

func TestServerLossAndReturn(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Before"})
	p := s.open(t, "/")
	p.Expect("net::ERR_")
	p.Expect("WebSocket")
	p.live()
	p.WaitText(".row", "Before")
	s.Kill()
	p.WaitText(".banner", "interrupted")
	p.WaitText(".row", "Before")

	t.Log("What one does meanwhile is taken back, and said.")
	p.Press("j", "e")
	p.WaitText(".toast-error", "cannot be reached")
	p.WaitCount(".row.unread", 1)
	if browser.Value[bool](p, `document.querySelector('.toast-action') !== null`) {
		t.Error("there is nothing to undo, but the page offers it")
	}

	address, err := url.Parse(s.Base)
	if err != nil {
		t.Fatal(err)
	}
	again := binary.Start(t, binary.Options{Data: s.Data, Listen: address.Host})
	again.Send(payload{"title": "After"})
	p.WaitText(".row", "After")
	p.live()
	p.WaitCount(".banner", 0)
}

// TestOfflineAndBack is about a browser that has no network, which tells it at once.
func TestOfflineAndBack(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Before"})
	p := s.open(t, "/")
	p.Expect("net::ERR_", "WebSocket")
	p.live()
	p.WaitText(".row", "Before")
	p.Offline(true)
	p.WaitText(".banner", "You are offline")
	p.WaitText(".row", "Before")

	t.Log("What one does meanwhile is taken back, and said.")
	p.Press("j", "e")
	p.WaitText(".toast-error", "cannot be reached")
	p.WaitCount(".row.unread", 1)
	if browser.Value[bool](p, `document.querySelector('.toast-action') !== null`) {
		t.Error("there is nothing to undo, but the page offers it")
	}
	p.Click(".nav-link", "Saved")
	p.WaitText(".pane h2", "The server cannot be reached")
	s.Send(payload{"title": "Meanwhile"})

	t.Log("Back again, it goes on by itself.")
	p.Offline(false)
	p.WaitText(".pane h2", "Nothing is saved")
	p.live()
	p.WaitCount(".banner", 0)
	p.Click(".nav-link", "Unread")
	p.WaitText(".row", "Meanwhile")
	s.Send(payload{"title": "After"})
	p.WaitText(".row", "After")
}

// TestNobody is about an inbox that asks for credentials.
func TestNobody(t *testing.T) {
	t.Parallel()
	s := serve(t, "auth: {guest: {enabled: false}}\n")
	p := s.open(t, "/")
	p.Expect("401")
	p.Expect("WebSocket")
	p.WaitText("h1", "You are not signed in")
	p.WaitCount(".row", 0)
}

func TestGuestsChooseWhoTheyAre(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "For Jane"}, "user:default/jane")
	p := s.open(t, "/?user=jane")
	p.WaitText(".row", "For Jane")
	p.WaitText(".user-name", "jane")
	p.Wait(`location.search === ''`)
	p.live()
	s.Send(payload{"title": "Again for Jane"}, "user:default/jane")
	p.WaitText(".row", "Again for Jane")
	p.visit("/")
	p.WaitText(".row", "For Jane")
}
