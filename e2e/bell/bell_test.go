package bell

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp/kb"

	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

// listener keeps what the bells of a page tell it, in window.told.
const listener = `
window.told = [];
for (const name of ['signalbox-open', 'signalbox-unread', 'signalbox-notification']) {
  addEventListener(name, ({ target, detail }) => told.push({ name, id: target.id, ...detail, notification: undefined }));
}
`

func TestDemoOnAForeignPage(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	s.Send(payload{"title": "Before"})
	b := open(t, p.base+"/bell-demo.html")
	b.badge(0, "1")
	s.WaitListeners(1)

	t.Log("What comes while it is closed is counted, announced and told.")
	s.Send(payload{"title": "Live"})
	b.badge(0, "2")
	b.says("p.sr", "New notification: Live")
	b.Wait(in(0, ".bell") + `.ariaLabel === 'Notifications, 2 unread'`)
	b.Wait(`document.getElementById('log').textContent.includes('signalbox-unread: 2')`)

	t.Log("What comes while it is open appears on top.")
	b.open(0)
	b.titles("*Live", "*Before")
	s.Send(payload{"title": "On top", "severity": "critical"})
	b.titles("*On top", "*Live", "*Before")
	b.Wait(in(0, "li:first-child .critical"))
	b.Wait(`document.getElementById('log').textContent.includes('signalbox-open')`)

	t.Log("The styles of the page do not reach in, and those of the bell not out.")
	if got := browser.Value[string](b, `getComputedStyle(`+in(0, "h2")+`).textTransform`); got != "none" {
		t.Errorf("the title of the bell is in %s", got)
	}
	if got := browser.Value[string](b, `getComputedStyle(document.querySelector('article button')).textTransform`); got != "uppercase" {
		t.Errorf("a button of the page is in %s", got)
	}
}

// TestDemoOfTheServer is the demo as the binary serves it, under its own policy.
func TestDemoOfTheServer(t *testing.T) {
	t.Parallel()
	_, s := newPortal(t, standard, "")
	s.Send(payload{"title": "For Jane"}, jane)
	b := open(t, s.Base+"/bell-demo.html?guest-user=jane")
	b.badge(0, "1")
	b.open(0)
	b.titles("*For Jane")
	s.Send(payload{"title": "Again for Jane"}, jane)
	b.titles("*Again for Jane", "*For Jane")
}

func TestBellsAgree(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell></signalbox-bell><signalbox-bell></signalbox-bell>`, "")
	s.Send(payload{"title": "One"})
	s.Send(payload{"title": "Two"})
	s.Send(payload{"title": "Three"})
	b, other := open(t, p.base), open(t, p.base)
	for _, one := range []*tab{b, other} {
		one.badge(0, "3")
		one.badge(1, "3")
	}
	// Two tabs, four bells.
	s.WaitListeners(2)
	other.open(0)
	other.titles("*Three", "*Two", "*One")

	b.open(0)
	b.ClickAt(in(0, "li:nth-child(2) .mark"))
	b.titles("*Three", "Two", "*One")
	b.badge(1, "2")
	other.titles("*Three", "Two", "*One")
	other.badge(1, "2")

	t.Log("A click on one without a link reads it, and shows all of it.")
	b.ClickAt(in(0, "li:nth-child(3) .main"))
	other.titles("*Three", "Two", "One")

	other.ClickAt(in(0, "[part=mark-all]"))
	b.titles("Three", "Two", "One")
	b.badge(0, "")
	b.badge(1, "")
	b.shows("[part=mark-all]", false)

	t.Log("And back.")
	b.ClickAt(in(0, "li:nth-child(2) .mark"))
	other.badge(1, "1")
	other.titles("Three", "*Two", "One")
}

func TestManyUnread(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell limit="5"></signalbox-bell>`, "")
	s.Fill(120)
	b := open(t, p.base)
	b.badge(0, "99+")
	b.Wait(in(0, ".bell") + `.ariaLabel === 'Notifications, 120 unread'`)
	b.open(0)
	b.Wait(in(0, "ul") + `.children.length === 5`)
	b.ClickAt(in(0, "[part=mark-all]"))
	b.badge(0, "")
	patience.Until(t, func() error { return s.WantStatus(0, 120) })
}

func TestItemsAndEvents(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, listener)
	s.Send(payload{"title": "Kept", "link": "https://elsewhere.example/"})
	s.Send(payload{"title": "Within", "link": "/#within"})
	s.Send(payload{"title": "Long", "description": "## Much\n\n- **to** read\n- and `more`"})
	b := open(t, p.base)
	b.open(0)
	b.titles("*Long", "*Within", "*Kept")

	t.Log("Without a link it unfolds, with Markdown's marks left out.")
	b.says("li:nth-child(1) .text", "Much\nto read\nand more")
	b.ClickAt(in(0, "li:nth-child(1) .main"))
	b.Wait(in(0, "li:nth-child(1) .main") + `.ariaExpanded === 'true'`)
	b.titles("Long", "*Within", "*Kept")

	t.Log("The page may keep a click to itself.")
	b.Evaluate(`addEventListener('signalbox-notification', (event) => event.preventDefault(), { once: true })`)
	b.ClickAt(in(0, "li:nth-child(3) .main"))
	b.shows(".panel", false)
	b.Wait(`told.some(({ name, link }) => name === 'signalbox-notification' && link === 'https://elsewhere.example/')`)
	b.open(0)
	b.titles("Long", "*Within", "Kept")

	t.Log("A link of the page itself is followed in place, another one beside it.")
	link := func(n int) string {
		return browser.Value[string](b, fmt.Sprintf(`(({ href, target, rel }) => [href, target, rel].join())(%s)`, in(0, fmt.Sprintf("li:nth-child(%d) .main", n))))
	}
	if got, want := link(2), p.base+"/#within,,noopener noreferrer"; got != want {
		t.Errorf("link is %q, want %q", got, want)
	}
	if got, want := link(3), "https://elsewhere.example/,_blank,noopener noreferrer"; got != want {
		t.Errorf("link is %q, want %q", got, want)
	}
	b.ClickAt(in(0, "li:nth-child(2) .main"))
	b.Wait(`location.hash === '#within'`)
	b.shows(".panel", false)
	b.badge(0, "")
	if got, want := browser.Value[[]any](b, `told.filter(({ name }) => name === 'signalbox-unread').map(({ unread }) => unread)`), []any{3.0, 2.0, 1.0, 0.0}; !slices.Equal(got, want) {
		t.Errorf("told of %v unread, want %v", got, want)
	}

	t.Log("Links to Signalbox, which may be others or none.")
	b.open(0)
	addresses := func() []string {
		return browser.Value[[]string](b, `['settings', 'inbox'].map((part) => document.querySelector('signalbox-bell').shadowRoot.querySelector('[part=' + part + ']')).map((e) => e.checkVisibility() ? e.href : '')`)
	}
	if got, want := addresses(), []string{s.Base + "/settings", s.Base + "/"}; !slices.Equal(got, want) {
		t.Errorf("links are %q, want %q", got, want)
	}
	b.Evaluate(`bell = document.querySelector('signalbox-bell'); bell.setAttribute('settings-url', '/mine'); bell.setAttribute('inbox-url', '')`)
	if got, want := addresses(), []string{p.base + "/mine", ""}; !slices.Equal(got, want) {
		t.Errorf("links are %q, want %q", got, want)
	}
	b.Evaluate(`bell.setAttribute('settings-url', 'javascript:alert(1)')`)
	if got, want := addresses(), []string{"", ""}; !slices.Equal(got, want) {
		t.Errorf("links are %q, want %q", got, want)
	}
}

func TestHostileContent(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	const script = `<img src=x onerror="alert(1)"><script>alert(2)</script>`
	for _, one := range []payload{
		{"title": script, "description": script + "\n[a](javascript:alert(3))", "topic": script, "metadata": map[string]any{"x": script}, "icon": script},
		{"title": "\u202egnihton seod siht", "description": strings.Repeat("*_`[", 400)},
		{"title": strings.Repeat("wide", 200), "description": strings.Repeat("W", 5000), "link": "https://e.example/" + strings.Repeat("x", 1000)},
	} {
		s.Send(one)
	}
	b := open(t, p.base)
	b.open(0)
	b.says("li:nth-child(3) .title", script)
	if n := browser.Value[int](b, in(0, "ul")+`.querySelectorAll('img, script, iframe, [onerror]').length`); n != 0 {
		t.Errorf("%d elements were made of what was sent", n)
	}
	if over := browser.Value[bool](b, in(0, "ul")+`.scrollWidth > `+in(0, "ul")+`.clientWidth`); over {
		t.Error("a long word makes the list wider than it is")
	}

	t.Log("A server that was taken over cannot make a link of a script.")
	honest, err := url.Parse(s.Base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(honest)
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", p.base)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/notifications/status":
			fmt.Fprint(w, `{"unread":2,"read":0}`)
		case "/api/notifications":
			fmt.Fprint(w, `{"totalCount":2,"notifications":[
				{"id":"1","origin":"x","created":"2026-11-21T01:58:16.598Z","payload":{"title":"Script","severity":"normal","link":"javascript:alert(4)"}},
				{"id":"2","origin":"x","created":"2026-11-21T01:58:16.598Z","payload":{"title":"Data","severity":"x y","link":"data:text/html,<script>alert(5)</script>"}}]}`)
		case "/bell.js":
			w.Header().Del("Access-Control-Allow-Origin")
			proxy.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(fake.Close)
	p.front.Store(&fake.URL)
	other := open(t, p.base)
	other.Expect("/api/signals", "404", "CORS", "ERR_FAILED")
	other.open(0)
	other.titles("*Script", "*Data")
	if n := browser.Value[int](other, in(0, "ul")+`.querySelectorAll('a').length`); n != 0 {
		t.Errorf("%d of them are links", n)
	}
	other.ClickAt(in(0, "li:first-child .main"))
}

func TestKeyboard(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, listener)
	s.Send(payload{"title": "Third", "scope": "third"})
	s.Send(payload{"title": "Second", "link": "#second"})
	s.Send(payload{"title": "First"})
	b := open(t, p.base)
	b.badge(0, "3")
	b.Press(kb.Tab)
	b.focus(".bell")
	b.Wait(in(0, ".bell") + `.ariaExpanded === 'false'`)
	b.Press(kb.Enter)
	b.titles("*First", "*Second", "*Third")
	b.focus(".panel")
	b.Wait(in(0, ".bell") + `.ariaExpanded === 'true'`)

	t.Log("Arrows go through the list, and stop at its ends.")
	for _, step := range []struct{ key, at string }{
		{kb.ArrowDown, "li:nth-child(1) .main"},
		{kb.ArrowDown, "li:nth-child(2) .main"},
		{kb.End, "li:nth-child(3) .main"},
		{kb.ArrowDown, "li:nth-child(3) .main"},
		{kb.ArrowUp, "li:nth-child(2) .main"},
		{kb.Home, "li:nth-child(1) .main"},
		{kb.ArrowUp, "li:nth-child(1) .main"},
	} {
		b.Press(step.key)
		b.focus(step.at)
	}

	t.Log("The tab order has one notification, its button, and what is around the list.")
	b.Press(kb.ArrowDown, kb.Tab)
	b.focus("li:nth-child(2) .mark")
	b.Press(" ")
	b.titles("*First", "Second", "*Third")
	b.focus("li:nth-child(2) .mark")
	b.Press(kb.Tab)
	b.focus("[part=inbox]")
	b.TabBack()
	b.TabBack()
	b.focus("li:nth-child(2) .main")
	b.TabBack()
	b.focus("[part=settings]")
	b.TabBack()
	b.focus("[part=mark-all]")

	t.Log("What arrives does not take the focus away.")
	b.Press(kb.Tab, kb.Tab)
	b.focus("li:nth-child(2) .main")
	s.Send(payload{"title": "Newest"})
	b.titles("*Newest", "*First", "Second", "*Third")
	b.focus("li:nth-child(3) .main")

	t.Log("Nor does what is sent again and rises: the focus rises with it.")
	b.Press(kb.End)
	b.focus("li:nth-child(4) .main")
	s.Send(payload{"title": "Third again", "scope": "third"})
	b.titles("*Third again", "*Newest", "*First", "Second")
	b.focus("li:nth-child(1) .main")

	t.Log("Escape closes, and the focus goes back.")
	b.Press(kb.Escape)
	b.shows(".panel", false)
	b.focus(".bell")
	b.Wait(in(0, ".bell") + `.ariaExpanded === 'false'`)

	t.Log("An arrow opens, and who tabs on leaves it.")
	b.Press(kb.ArrowDown)
	b.focus(".panel")
	b.Press(kb.Tab, kb.Tab, kb.Tab, kb.Tab, kb.Tab, kb.Tab)
	b.Wait(`document.activeElement.id === 'after'`)
	b.shows(".panel", false)

	t.Log("Enter follows a link.")
	b.TabBack()
	b.focus(".bell")
	b.Press(kb.Enter)
	b.focus(".panel")
	b.Press(kb.End, kb.Enter)
	b.Wait(`location.hash === '#second'`)
	b.shows(".panel", false)

	t.Log("What is left of a key that went down elsewhere does not open it.")
	b.focus(".bell")
	b.Run(input.DispatchKeyEvent(input.KeyChar).WithKey("Enter").WithText("\r"))
	b.shows(".panel", false)
	b.Press(kb.Enter)
	b.shows(".panel", true)
}

func TestMouse(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	s.Send(payload{"title": "One"})
	b := open(t, p.base)
	b.open(0)
	b.titles("*One")
	b.ClickAt(in(0, ".bell"))
	b.shows(".panel", false)
	b.open(0)
	b.ClickAt(`document.querySelector('h1')`)
	b.shows(".panel", false)
	// A click elsewhere is no reason to take the focus.
	b.Wait(`document.activeElement === document.body`)
	b.open(0)
	b.ClickAt(`document.getElementById('after')`)
	b.Wait(`document.activeElement.id === 'after'`)
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	p, _ := newPortal(t, `<div lang="de-AT"><signalbox-bell></signalbox-bell></div><signalbox-bell locale="en"></signalbox-bell><signalbox-bell locale="x y"></signalbox-bell>`, "")
	b := open(t, p.base)
	for i, want := range []string{"Mitteilungen", "Notifications", "Notifications"} {
		b.Wait(fmt.Sprintf(`%s.ariaLabel === %s`, in(i, ".bell"), browser.Quote(want)))
	}
	b.open(0)
	b.says(".message b", "Noch keine Mitteilungen")
	b.Evaluate(`customElements.get('signalbox-bell').texts.fr = { title: 'Notifications', empty: 'Rien de neuf' }; document.querySelector('signalbox-bell').setAttribute('locale', 'fr')`)
	b.says(".message b", "Rien de neuf")
	b.says(".message span", "What is sent to you")
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	s.Fill(20)
	b := open(t, p.base)
	b.open(0)
	b.Wait(in(0, "ul") + `.children.length === 20`)
	box := func() string {
		return browser.Value[string](b, `(() => {
			const [bell, panel] = [...document.querySelector('signalbox-bell').shadowRoot.querySelectorAll('.bell, .panel')].map((e) => e.getBoundingClientRect());
			const inside = panel.left >= 7 && panel.right <= innerWidth - 7 && panel.top >= 7 && panel.bottom <= innerHeight - 7;
			const side = panel.top >= bell.bottom ? 'below' : panel.bottom <= bell.top ? 'above' : 'over';
			const edge = Math.abs(panel.right - bell.right) < 2 ? 'right' : Math.abs(panel.left - bell.left) < 2 ? 'left' : 'shifted';
			return [inside ? 'inside' : 'outside', side, edge].join(' ');
		})()`)
	}
	check := func(want string) {
		t.Helper()
		patience.Until(t, func() error {
			if got := box(); got != want {
				return fmt.Errorf("the panel is %s, want %s", got, want)
			}
			return nil
		})
	}
	check("inside below right")
	b.Evaluate(`document.documentElement.dir = 'rtl'; dispatchEvent(new Event('resize'))`)
	check("inside below left")
	b.Evaluate(`document.documentElement.dir = 'ltr'`)
	b.Size(320, 640)
	check("inside below right")
	b.Size(1280, 400)
	check("inside below right")
	b.Size(1280, 800)
	b.Evaluate(`bell = document.querySelector('signalbox-bell'); bell.className = 'moved'; s = new CSSStyleSheet(); s.replaceSync('.moved { position: fixed; inset: 740px auto auto 60px }'); document.adoptedStyleSheets = [s]; dispatchEvent(new Event('resize'))`)
	check("inside above shifted")
	b.Evaluate(`bell.setAttribute('placement', 'top-start'); dispatchEvent(new Event('resize'))`)
	check("inside above left")
}

func TestMotion(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	b := open(t, p.base)
	s.WaitListeners(1)
	const moves = `(() => { bell = document.querySelector('signalbox-bell'); bell.ring(); return bell.shadowRoot.getAnimations().length; })()`
	if n := browser.Value[int](b, moves); n != 1 {
		t.Errorf("%d animations as something comes, want 1", n)
	}
	b.Media("prefers-reduced-motion", "reduce")
	if n := browser.Value[int](b, moves); n != 0 {
		t.Errorf("%d animations although none are wanted", n)
	}
}
