package page

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/fetch"
	cdpnetwork "github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/web/auth/oidc/oidctest"
)

// requests collects where a tab asks.
type requests struct {
	mu   sync.Mutex
	urls []string
}

func (p *tab) requests() *requests {
	p.T.Helper()
	r := &requests{}
	p.listen(func(event any) {
		if e, ok := event.(*cdpnetwork.EventRequestWillBeSent); ok {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.urls = append(r.urls, e.Request.URL)
		}
	})
	p.Run(cdpnetwork.Enable())
	return r
}

// listen hears what happens in the tab.
func (p *tab) listen(hear func(event any)) {
	p.T.Helper()
	p.Run(chromedp.ActionFunc(func(ctx context.Context) error {
		chromedp.ListenTarget(context.WithoutCancel(ctx), hear)
		return nil
	}))
}

// TestNothingForeignIsAsked is about senders who want to know who reads.
func TestNothingForeignIsAsked(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	const spy = "https://spy.example/"
	s.Send(payload{
		"title": "Look ![x](" + spy + "1.png)", "icon": spy + "2.png", "link": spy + "3",
		"description":     "![picture](" + spy + "4.png) ![](//spy.example/5.png)\n\n<img src=" + spy + "6.png> " + spy + "7.png\n\n[css](" + spy + "8.css)",
		"additionalLinks": []any{spy + "9.png"},
		"metadata":        map[string]any{"picture": spy + "10.png", "html": "<link rel=preload href=" + spy + "11>", "style": "url(" + spy + "12)"},
	})
	p := s.open(t, "/settings")
	asked := p.requests()
	p.visit("/?view=all")
	p.Click(".row-main", "Look")
	p.WaitText(".trace", "Inbox")
	p.WaitText(".metadata", "spy.example/10.png")
	asked.mu.Lock()
	defer asked.mu.Unlock()
	if len(asked.urls) == 0 {
		t.Fatal("no requests were seen")
	}
	for _, one := range asked.urls {
		if !strings.HasPrefix(one, s.Base+"/") && !strings.HasPrefix(one, "data:image/svg+xml") && !strings.HasPrefix(one, "ws://"+strings.TrimPrefix(s.Base, "http://")+"/") {
			t.Errorf("%s was asked", one)
		}
	}
}

// TestAddressesInDisguise are those that look like others, or like none.
func TestAddressesInDisguise(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	type seen struct{ Href, Label string }
	for text, want := range map[string]seen{
		"java\tscript:alert(1)":                     {},
		"java\nscript:alert(1)":                     {},
		"\x01javascript:alert(1)":                   {},
		"\x20javascript:alert(1)":                   {},
		"vbscript:x":                                {},
		"data:text/html,x":                          {},
		"blob:https://example.com/x":                {},
		"filesystem:http://x/y":                     {},
		"view-source:https://x":                     {},
		"https://":                                  {},
		"https://bank.example@evil.test":            {"https://bank.example@evil.test/", "evil.test"},
		"https://bank.example%2F@evil.test/x":       {"https://bank.example%2F@evil.test/x", "evil.test/x"},
		"//evil.test/bank.example":                  {"http://evil.test/bank.example", "evil.test/bank.example"},
		`\\evil.test\x`:                             {"http://evil.test/x", "evil.test/x"},
		"https://evil.test/\u202egpj.exe":           {"https://evil.test/%E2%80%AEgpj.exe", "evil.test/%E2%80%AEgpj.exe"},
		"https://b\u0430nk.example/":                {"https://xn--bnk-6cd.example/", "xn--bnk-6cd.example"},
		"https://evil.test\u200b.bank.example/":     {"https://evil.test.bank.example/", "evil.test.bank.example"},
		"https://x.test/" + strings.Repeat("a", 99): {"https://x.test/" + strings.Repeat("a", 99), "x.test/" + strings.Repeat("a", 50) + "…"},
	} {
		got := browser.Value[seen](p, fmt.Sprintf(`(async () => {
			const { safeURL, linkLabel } = %s;
			const url = safeURL(%s);
			return url ? { href: url.href, label: linkLabel(url) } : { href: '', label: '' };
		})()`, module("kit/links.js"), browser.Quote(text)))
		if got != want {
			t.Errorf("%q leads to %q as %q, want %q as %q", text, got.Href, got.Label, want.Href, want.Label)
		}
	}
}

// TestSpacesTakeNoTime is about texts that are mostly white space, marks, or both.
func TestSpacesTakeNoTime(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	slowest := browser.Value[string](p, fmt.Sprintf(`(async () => {
		const { markdown, plain } = %s;
		const n = 20000;
		const fill = (part) => part.repeat(n / part.length);
		let [worst, which] = [0, ''];
		for (const text of [
			'# a' + fill(' ') + 'b', '# ' + fill('# ') + 'b', '# ' + fill('#'), '# a ' + fill('#') + 'b', '#' + fill(' ') + '\u2028',
			'- ' + fill(' ') + '\u2028', fill('\t'), fill('\n'), fill(' \n'), fill('> \n'), fill('- \n'), '-' + fill(' -') + 'x', fill('\u0060') + 'a',
			fill('[a](b '), fill('[a](http://b "'), fill('**a'), fill('**a '), fill('\u202e'), fill('\u200b'), fill('~~~\n'), fill('>'), fill('  - a\n'), fill('1) '),
		]) {
			const start = performance.now();
			markdown(text); plain(text);
			const took = performance.now() - start;
			if (took > worst) [worst, which] = [took, text.slice(0, 10)];
		}
		return worst > 1000 ? JSON.stringify(which) + ' took ' + worst + ' ms' : '';
	})()`, module("kit/markdown.js")))
	if slowest != "" {
		t.Error(slowest)
	}
	if title := browser.Value[string](p, fmt.Sprintf(`(async () => {
		const { markdown } = %s;
		return ['# C#', '## Two ##', '# # three #', '#four', '# '].map((text) => [markdown(text)[0].type, ...[markdown(text)[0].props.children].flat(9)].join(':')).join(' ');
	})()`, module("kit/markdown.js"))); title != "h4:C# h5:Two h4:# three p:#four h4:" {
		t.Errorf("headings are %s", title)
	}
}

// TestOddAddresses opens the page at addresses that no page makes.
func TestOddAddresses(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "There"})
	p := s.open(t, "/")
	p.Expect("404")
	p.Expect("400")
	p.Expect("401")
	p.Expect("403")
	for _, one := range []struct{ address, wanted string }{
		{"/?id=../../auth/session", "somebody else"},
		{"/?id=%00%22%27%5D", ""},
		{"/?id=" + strings.Repeat("x", 3000), ""},
		{"/?view=constructor&group=__proto__", "There"},
		{"/?since=0000-99-99&severity=toString", "There"},
		{"/?since=2026-02-31", "There"},
		{"/?since=9999d", "There"},
		{"/?topic=%F0%9F%92%A9%00&origin=%zz&q=%", ""},
		{"/?q=" + strings.Repeat("x", 10_000), "That did not work"},
		{"/?id=a&id=b&view=all&view=saved", "There"},
		{"/?user=%0Ajane%E6%97%A5", ""},
		{"/?user=", "There"},
	} {
		p.visit(one.address)
		p.Wait(`document.querySelector('main') && !document.querySelector('[aria-busy=true]')`)
		if one.wanted != "" {
			p.WaitText("main", one.wanted)
		}
		if text := browser.Value[string](p, `document.body.innerText`); strings.Contains(text, "cannot be reached") {
			t.Errorf("%.60s: the page says that the server cannot be reached", one.address)
		}
	}
}

// TestWithoutStorage is about browsers that keep nothing, and about pages of which a
// file is gone.
func TestWithoutStorage(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "There"})
	p := s.open(t, "/settings")
	p.AtEveryStart(`for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });
Object.defineProperty(Navigator.prototype, 'locks', { get: () => ({ request: () => Promise.reject(new DOMException('no', 'SecurityError')) }) });
window.AudioContext = class { constructor() { throw new Error('no sound'); } };`)
	p.visit("/?user=guest")
	p.WaitText(".row", "There")
	p.Click(`[aria-label="Theme"]`, "")
	p.Click("[role=menuitemradio]", "Dark")
	p.Wait(`document.documentElement.dataset.theme === 'dark'`)
	p.live()
	s.Send(payload{"title": "Live"})
	p.WaitText(".row", "Live")
	p.Click(".nav-link", "Settings")
	p.WaitText(".matrix", "Inbox")
}

// TestDesktopNotificationsThatFail is about systems that have the API and refuse it.
func TestDesktopNotificationsThatFail(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/settings")
	p.AtEveryStart(`localStorage.setItem('signalbox.desktop', 'on'); localStorage.setItem('signalbox.sound', 'on');
window.tried = 0;
window.Notification = class { static permission = 'granted'; constructor() { window.tried += 1; throw new TypeError('Illegal constructor'); } };
document.hasFocus = () => false;`)
	p.visit("/")
	p.live()
	s.Send(payload{"title": "First"})
	p.WaitText(".row", "First")
	p.Wait(`tried === 1 && document.title.startsWith('(1)')`)
	s.Send(payload{"title": "Second"})
	p.WaitText(".row", "Second")
	p.Wait(`tried === 2 && document.title.startsWith('(2)')`)
}

// TestPublishedNonsense is about other services, which may publish what they like.
func TestPublishedNonsense(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	p.live()
	for _, message := range []any{
		"text", 1,
		[]any{},
		map[string]any{},
		map[string]any{"action": 1},
		map[string]any{"action": "new_notification"},
		map[string]any{"action": "new_notification", "notification": 5},
		map[string]any{"action": "new_notification", "notification": map[string]any{"id": "x"}},
		map[string]any{"action": "notification_read", "notification_ids": "all"},
		map[string]any{"action": "notification_read", "notification_ids": map[string]any{}},
		map[string]any{"action": "constructor", "notification_ids": []any{1, nil}},
	} {
		s.Post("/api/signals/publish", map[string]any{"channel": "notifications", "recipients": map[string]any{"type": "user", "entityRef": binary.Reader}, "message": message})
	}
	p.Expect("404")
	s.Send(payload{"title": "Afterwards"})
	p.WaitText(".row", "Afterwards")
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestSigningInAndOut goes by an identity provider, which is of another origin.
func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	provider := oidctest.New(t)
	address := freeAddress(t)
	start(t, binary.Options{Listen: address, Config: fmt.Sprintf(`
publicUrl: http://%s
auth:
  oidc: {issuer: %q, clientId: %q, clientSecret: %q, user: {claim: preferred_username}}
`, address, provider.URL, oidctest.ClientID, oidctest.ClientSecret)})
	f := newProfile(t)
	p := f.open("http://"+address, "/settings?x=1")
	p.Expect("401")
	p.Expect("WebSocket")
	p.WaitText("h1", "You are not signed in")

	t.Log("One comes back to where one was.")
	p.Click(".button", "Sign in")
	p.WaitText(".user-name", "jane")
	p.Wait(`location.pathname + location.search === '/settings?x=1'`)
	p.live()

	t.Log("Whoever signs out in one tab is out in the other, and in again likewise.")
	other := f.open("http://"+address, "/")
	other.Expect("401")
	other.Expect("WebSocket")
	other.live()
	// The provider has no page of its own for this.
	answerWith(p, provider.URL+"/logout*", "<title>Signed out</title><link rel=icon href=data:,><main>Signed out</main>")
	p.Click(".user button", "Sign out")
	p.WaitText("main", "Signed out")
	p.Wait(`location.origin === ` + browser.Quote(provider.URL))
	show := `document.dispatchEvent(new Event('visibilitychange'))`
	other.Evaluate(show)
	other.WaitText("h1", "You are not signed in")
	p.visit("/auth/login?returnTo=/")
	p.WaitText(".user-name", "jane")
	other.Evaluate(show)
	other.WaitText(".user-name", "jane")
	other.WaitCount(".row", 0)
	other.live()

	t.Log("Another user in the other tab: nothing of the first one stays.")
	provider.SignIn(map[string]any{"sub": "5678", "preferred_username": "john"})
	p.visit("/auth/login?returnTo=/")
	p.WaitText(".user-name", "john")
	other.Evaluate(show)
	other.WaitText(".user-name", "john")
}

// answerWith answers requests of a tab for other places with a page.
func answerWith(p *tab, pattern, text string) {
	p.T.Helper()
	p.listen(func(event any) {
		if e, ok := event.(*fetch.EventRequestPaused); ok {
			go func() {
				_ = p.Try(chromedp.ActionFunc(func(ctx context.Context) error {
					return fetch.FulfillRequest(e.RequestID, http.StatusOK).WithResponseHeaders([]*fetch.HeaderEntry{{Name: "Content-Type", Value: "text/html"}}).WithBody(base64.StdEncoding.EncodeToString([]byte(text))).Do(ctx)
				}))
			}()
		}
	})
	p.Run(fetch.Enable().WithPatterns([]*fetch.RequestPattern{{URLPattern: pattern}}))
}

// TestNoOpenRedirect is about addresses to come back to that are elsewhere.
func TestNoOpenRedirect(t *testing.T) {
	t.Parallel()
	provider := oidctest.New(t)
	address := freeAddress(t)
	start(t, binary.Options{Listen: address, Config: fmt.Sprintf(`
publicUrl: http://%s
auth:
  oidc: {issuer: %q, clientId: %q, clientSecret: %q, user: {claim: preferred_username}}
`, address, provider.URL, oidctest.ClientID, oidctest.ClientSecret)})
	p := newProfile(t).open("http://"+address, "/")
	p.Expect("401", "400", "404", "WebSocket")
	for _, to := range []string{"//evil.test/", "https://evil.test/", `/\evil.test`, "/\t/evil.test", "javascript:alert(1)", "/..//evil.test"} {
		_ = p.Try(chromedp.Navigate("http://" + address + "/auth/login?returnTo=" + url.QueryEscape(to)))
		p.Wait(`document.readyState === 'complete'`)
		if host := browser.Value[string](p, `location.host`); host != address {
			t.Errorf("%q leads to %s", to, host)
		}
	}
}
