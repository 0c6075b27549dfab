package page

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

// network is what is between the browser and the server, and may misbehave.
type network struct {
	base string
	// mutes counts how often the WebSockets of then fell silent without closing.
	mutes atomic.Int64
	// instead, if there is one, answers what it reports to have answered.
	instead atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	forward *httputil.ReverseProxy
}

func (s *server) network() *network {
	s.T.Helper()
	target, err := url.Parse(s.Base)
	if err != nil {
		s.T.Fatal(err)
	}
	n := &network{}
	n.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// Guest mode answers only to names that it knows.
			r.Out.Host = target.Host
			if r.In.Header.Get("Origin") != "" {
				r.Out.Header.Set("Origin", s.Base)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if socket, ok := r.Body.(io.ReadWriteCloser); ok && r.StatusCode == http.StatusSwitchingProtocols {
				r.Body = &mutable{socket, n, n.mutes.Load()}
			}
			return nil
		},
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if instead := n.instead.Load(); instead != nil && (*instead)(w, r) {
			return
		}
		n.forward.ServeHTTP(w, r)
	}))
	s.T.Cleanup(front.Close)
	n.base = front.URL
	return n
}

// mutable is a WebSocket of which one side may hear nothing any more.
type mutable struct {
	io.ReadWriteCloser
	network *network
	born    int64
}

func (m *mutable) Read(p []byte) (int, error) {
	for {
		n, err := m.ReadWriteCloser.Read(p)
		if err != nil || m.network.mutes.Load() == m.born {
			return n, err
		}
	}
}

// isUpdate reports whether a request changes notifications.
func isUpdate(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/update")
}

// controlledTime lets a page look at the clock often, and go forward in time.
const controlledTime = `
const [real, begin] = [Date.now, setInterval];
window.later = 0;
Date.now = () => real() + later;
window.setInterval = (run, every) => begin(run, Math.min(every, 50));
window.unseen = false;
Object.defineProperty(document, 'hidden', { get: () => unseen });
window.see = (seen) => { unseen = !seen; document.dispatchEvent(new Event('visibilitychange')); };`

// module is the module of the page at a path, for tests that look inside.
func module(path string) string {
	return fmt.Sprintf(`(await import(new URL(%s, document.querySelector('script[type=module]').src)))`, browser.Quote(path))
}

// loadAll loads at least n rows.
func (p *tab) loadAll(n int) {
	p.T.Helper()
	if loaded := browser.Value[int](p, fmt.Sprintf(`(async () => {
		const { list, loadMore } = %s;
		while (list.state.rows.length < %d && !list.state.done) {
			await loadMore();
			await new Promise((resume) => setTimeout(resume)); // the page itself may be loading
		}
		return list.state.rows.length;
	})()`, module("inbox/list.js"), n)); loaded < n {
		p.T.Fatalf("%d rows are loaded, want %d", loaded, n)
	}
}

// TestSilentConnection is about WebSockets that are dead and do not say so.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	n := s.network()
	p := newProfile(t).open(n.base, "/settings")
	p.AtEveryStart(controlledTime)
	p.visit("/")
	for _, one := range []struct{ what, script string }{
		{"it was silent for long, and the server knows more", `later += 61_000`},
		{"the computer slept", `later += 121_000`},
		{"the page is shown again", `see(false); later += 61_000; see(true)`},
		{"the network is there again", `dispatchEvent(new Event('online'))`},
	} {
		t.Log(one.what)
		p.live()
		n.mutes.Add(1)
		s.Send(payload{"title": "Unheard: " + one.what})
		p.Evaluate(one.script)
		p.WaitText(".row", "Unheard: "+one.what)
		p.live()
		// Only another connection can tell of this, within the time that there is.
		s.Send(payload{"title": "Heard: " + one.what})
		p.WaitText(".row", "Heard: "+one.what)
	}
}

// TestOfflineForAMoment is about a connection that outlives what the browser takes for
// the loss of the network.
func TestOfflineForAMoment(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	p.live()
	p.Evaluate(`dispatchEvent(new Event('offline'))`)
	p.WaitCount(".banner", 1)
	p.Evaluate(`dispatchEvent(new Event('online'))`)
	p.live()
	p.WaitCount(".banner", 0)
}

// TestChangesArriveInOrder lets the second of two requests overtake the first.
func TestChangesArriveInOrder(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Back and forth"})
	n := s.network()
	var asked, answered atomic.Int64
	overtaken := make(chan struct{})
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if !isUpdate(r) {
			return false
		}
		defer answered.Add(1)
		if asked.Add(1) == 1 {
			select {
			case <-overtaken:
			case <-time.After(time.Second): // nobody comes
			}
		} else {
			defer close(overtaken)
		}
		n.forward.ServeHTTP(w, r)
		return true
	}))
	p := newProfile(t).open(n.base, "/?view=all")
	p.WaitCount(".row.unread", 1)
	p.live()
	p.Press("j", "e", "z")
	patience.Until(t, func() error {
		if got := answered.Load(); got != 2 {
			return fmt.Errorf("%d changes were stored", got)
		}
		return nil
	})
	p.WaitCount(".row.unread", 1)
	if err := s.WantStatus(1, 0); err != nil {
		t.Errorf("the page shows something else: %v", err)
	}
}

// TestUndoOfOneThingLeavesTheOthers is about changes of the same notification.
func TestUndoOfOneThingLeavesTheOthers(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Read and saved"})
	n := s.network()
	// No signal mends what the page gets wrong.
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Upgrade") == "" {
			return false
		}
		http.Error(w, "no upgrades", http.StatusBadGateway)
		return true
	}))
	p := newProfile(t).open(n.base, "/?view=all")
	p.Expect("WebSocket")
	p.WaitCount(".row.unread", 1)
	p.WaitCount(".banner", 1)
	p.Press("j", "e", "s")
	p.WaitCount(`.row:not(.unread) .row-time [aria-label="Saved"]`, 1)
	p.WaitCount(".toast", 2)
	p.Evaluate(`document.querySelector('.toast-action').click()`)
	p.WaitText(".toast", "Undone")
	p.WaitCount(".row.unread", 1)
	p.WaitCount(`.row .row-time [aria-label="Saved"]`, 1)
	if saved := browser.Value[string](p, `fetch('api/notifications?saved=true').then((r) => r.text())`); !strings.Contains(saved, "Read and saved") {
		t.Errorf("it is not saved: %s", saved)
	}
}

// TestMoreThanOneRequestTakes marks more than one update may name.
func TestMoreThanOneRequestTakes(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(1100)
	p := s.open(t, "/")
	p.Wait(`document.querySelector(".row")`)
	p.loadAll(1100)
	p.Press("a")
	p.WaitText(".bulk-text", "1,100 selected")
	p.Press("e")
	patience.Until(t, func() error { return s.WantStatus(0, 1100) })
	p.WaitCount(".row", 0)
	p.WaitCount(".toast-error", 0)
	p.Press("z")
	patience.Until(t, func() error { return s.WantStatus(1100, 0) })
}

// TestReconnectingKeepsThePlace reads far down when the connection is lost.
func TestReconnectingKeepsThePlace(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(2600)
	n := s.network()
	p := newProfile(t).open(n.base, "/")
	p.Wait(`document.querySelector(".row")`)
	p.live()
	p.loadAll(2500)
	p.Evaluate(`document.querySelector('.scroller').scrollTop = 2400 * 60`)
	const there = `document.querySelector('.row-title bdi') && document.elementFromPoint(500, 500).closest('.row')`
	p.Wait(there)
	title := browser.Value[string](p, `document.elementFromPoint(500, 500).closest('.row').querySelector('bdi').textContent`)
	n.mutes.Add(1)
	s.Send(payload{"title": "While away"})
	p.Evaluate(`dispatchEvent(new Event('online'))`)
	p.WaitText(".bulk-text", "2,601")
	p.live()
	p.Wait(there)
	if now := browser.Value[string](p, `document.elementFromPoint(500, 500).closest('.row').querySelector('bdi').textContent`); now != title {
		t.Errorf("at the place of %q there is %q", title, now)
	}
	p.loadAll(2601)
	if n := browser.Value[int](p, fmt.Sprintf(`(async () => { const { list } = %s; return new Set(list.state.rows.map((n) => n.id)).size; })()`, module("inbox/list.js"))); n != 2601 {
		t.Errorf("there are %d rows", n)
	}
}

// TestFailuresDoNotAddUp is about a server that is away for long.
func TestFailuresDoNotAddUp(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Known"})
	n := s.network()
	p := newProfile(t).open(n.base, "/settings")
	p.Expect("503")
	p.AtEveryStart(`window.tries = new Set();
const [begin, end] = [setTimeout, clearTimeout];
window.setTimeout = (run, after, ...rest) => {
  const id = begin(() => { tries.delete(id); run(...rest); }, after);
  if (after === 5000) tries.add(id);
  return id;
};
window.clearTimeout = (id) => { tries.delete(id); end(id); };`)
	p.visit("/")
	p.WaitText(".row", "Known")
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/notifications") {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return true
		}
		return false
	}))
	if tries := browser.Value[int](p, fmt.Sprintf(`(async () => {
		const { refresh } = %s;
		for (let i = 0; i < 10; i += 1) await refresh();
		return tries.size;
	})()`, module("inbox/list.js"))); tries != 1 {
		t.Errorf("it is to try again %d times", tries)
	}
	p.WaitText(".row", "Known")
}

// Nothing is read while a change is on its way, also one that came when another was waited
// for: the answer would take it back, and a second click would do the first one's again.
func TestNothingIsReadBeforeAllIsStored(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Known"})
	n := s.network()
	p := newProfile(t).open(n.base, "/")
	p.WaitText(".row", "Known")
	p.live()
	// What is read as the socket opens comes before.
	browser.Value[bool](p, fmt.Sprintf(`(async () => { await %s.refresh(); return true; })()`, module("inbox/list.js")))
	var asked atomic.Int64
	n.instead.Store(new(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/notifications") {
			asked.Add(1)
		}
		return false
	}))
	browser.Value[bool](p, fmt.Sprintf(`(async () => {
		const { holds, refresh } = %s;
		let first;
		holds(new Promise((resolve) => { first = resolve; }));
		window.reading = refresh();
		holds(new Promise((resolve) => { window.stored = resolve; }));
		first();
		await new Promise((resolve) => { setTimeout(resolve, 500); });
		return true;
	})()`, module("inbox/list.js")))
	if asked.Load() > 0 {
		t.Error("the list was read while a change was on its way")
	}
	browser.Value[bool](p, `(async () => {
		window.stored();
		await window.reading;
		return true;
	})()`)
	if asked.Load() == 0 {
		t.Error("the list was not read")
	}
}

// A page that cannot be read is read again when somebody asks for it, not at every
// drawing.
func TestAFailingPageIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(250)
	n := s.network()
	p := newProfile(t).open(n.base, "/")
	p.Expect("503")
	p.WaitText(".bulk-text", "250 notifications")
	var asked atomic.Int64
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("cursor") {
			return false
		}
		asked.Add(1)
		http.Error(w, "away", http.StatusServiceUnavailable)
		return true
	}))
	const bottom = `(() => { const e = document.querySelector('.scroller'); e.scrollTop = e.scrollHeight; })()`
	p.Evaluate(bottom)
	p.WaitText(".more", "Try again")
	if drawn := browser.Value[int](p, `(async () => {
		for (let i = 0; i < 30; i += 1) {
			document.querySelector('.scroller').scrollTop -= 1;
			await new Promise(requestAnimationFrame);
		}
		return 30;
	})()`); drawn != 30 || asked.Load() > 5 { // whenever the list is read anew, it is asked for once
		t.Errorf("it was asked for %d times", asked.Load())
	}
	n.instead.Store(nil)
	p.Click(".more button", "Try again")
	p.WaitCount(".more", 0)
	p.Evaluate(bottom)
	p.Wait(`document.querySelector('.row').getAttribute('aria-setsize') === '250'`)
}

// TestGroupsStayWhole is about arrivals in groups that are not loaded yet.
func TestGroupsStayWhole(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	var list []any
	for i := range 250 {
		list = append(list, binary.Request(payload{"title": fmt.Sprintf("N%d", i), "topic": []string{"apples", "zebras"}[i/200]}))
	}
	s.Post("/api/notifications/batch", list)
	p := s.open(t, "/?group=topic")
	p.WaitText(".group", "apples")
	p.live()
	s.Send(payload{"title": "Later", "topic": "zebras"})
	s.Send(payload{"title": "Between", "topic": "middle"})
	p.WaitText(".bulk-text", "252")
	p.loadAll(252)
	topics := browser.Value[string](p, fmt.Sprintf(`(async () => {
		const { list } = %s;
		const ids = new Set(list.state.rows.map((n) => n.id));
		const topics = list.state.rows.map((n) => n.payload.topic);
		return ids.size + ' ' + topics.filter((one, i) => one !== topics[i - 1]).join(' ');
	})()`, module("inbox/list.js")))
	if topics != "252 apples middle zebras" {
		t.Errorf("the groups are %s", topics)
	}
}

// TestHeldKey goes through many notifications faster than addresses may change.
func TestHeldKey(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(500)
	p := s.open(t, "/settings")
	// As browsers do that are not under test.
	p.AtEveryStart(`const replace = history.replaceState;
let replaced = [];
history.replaceState = function (...rest) {
  replaced = [...replaced.filter((at) => at > performance.now() - 10_000), performance.now()];
  if (replaced.length > 100) throw new DOMException('more than 100 times in 10 seconds', 'SecurityError');
  return replace.apply(this, rest);
};`)
	p.visit("/?view=all")
	p.Wait(`document.querySelector(".row")`)
	p.live()
	p.loadAll(500)
	p.Press("j", enter)
	p.WaitCount(".row.open", 1)
	browser.Value[bool](p, `(async () => {
		for (let i = 0; i < 300; i += 1) {
			document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'j', bubbles: true }));
			await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
		}
		return true;
	})()`)
	p.Wait(`document.querySelector('.row.open')?.ariaPosInSet > 250`)
	p.Wait(`document.querySelector('.row.open').dataset.id === new URLSearchParams(location.search).get('id')`)
	p.Wait(`document.querySelector('.row.open bdi').textContent === document.querySelector('#detail-title bdi').textContent`)
}

// TestAProxyAnswers is about a session that ended at a proxy, which then sends everybody
// to where one signs in, or says so with a page.
func TestAProxyAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Known"})
	n := s.network()
	p := newProfile(t).open(n.base, "/?view=all")
	p.WaitCount(".row.unread", 1)
	p.live()

	t.Log("A page instead of an answer: nothing was stored.")
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if isUpdate(r) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<h1>Please sign in</h1>")
			return true
		}
		return false
	}))
	p.Press("j", "e")
	p.WaitText(".toast-error", "cannot be reached")
	p.WaitCount(".row.unread", 1)

	t.Log("Sent elsewhere.")
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/api/") {
			http.Redirect(w, r, "https://login.example/", http.StatusFound)
			return true
		}
		return false
	}))
	p.Press("e")
	p.WaitText("h1", "You are not signed in")
}

// TestAFileIsGone is about a page that is older than the server, in a browser that keeps
// nothing.
func TestAFileIsGone(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Known"})
	n := s.network()
	var documents atomic.Int64
	var gone, away atomic.Bool
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/js/settings/") && gone.Load() {
			http.NotFound(w, r)
			return true
		}
		if away.Load() {
			panic(http.ErrAbortHandler)
		}
		if strings.HasSuffix(r.URL.Path, "/settings") && r.Header.Get("Sec-Fetch-Dest") == "document" {
			documents.Add(1)
		}
		return false
	}))
	p := newProfile(t).open(n.base, "/")
	p.Expect("404", "ERR_", "WebSocket")
	p.AtEveryStart(`for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });`)
	p.visit("/")
	p.WaitText(".row", "Known")

	t.Log("Without a server the page stays, and says so.")
	gone.Store(true)
	away.Store(true)
	p.Click(".nav-link", "Settings")
	p.WaitText("h1", "That did not work")
	p.Click(".nav-link", "Unread")
	p.WaitText(".row", "Known")

	t.Log("With one it reloads itself once.")
	away.Store(false)
	p.Click(".nav-link", "Settings")
	p.WaitText("h1", "That did not work")
	if got := documents.Load(); got != 1 {
		t.Errorf("it reloaded %d times", got)
	}
	gone.Store(false)
	p.Click("main button", "Try again")
	p.WaitText(".matrix", "Inbox")
}

// TestAnOldAnswerUndoesNothing is about a list that is read again while one changes what
// is in it, again and again.
func TestAnOldAnswerUndoesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "One"})
	n := s.network()
	p := newProfile(t).open(n.base, "/?view=all")
	p.WaitCount(".row.unread", 1)
	p.live()
	// Each answer is from before the change that follows it, and comes after.
	saved := browser.Value[[]bool](p, fmt.Sprintf(`(async () => {
		const { change, list, refresh } = %s;
		const ask = fetch;
		window.fetch = async (...rest) => {
			const response = await ask(...rest);
			if (String(rest[0]).includes('/notifications?')) change([list.state.rows[0].id], { saved: new Date().toISOString() });
			return response;
		};
		await refresh();
		window.fetch = ask;
		return list.state.rows.map((n) => Boolean(n.saved)).concat(list.state.total === 1);
	})()`, module("inbox/list.js")))
	if len(saved) != 2 || !saved[0] || !saved[1] {
		t.Errorf("saved, and one in total: %v", saved)
	}
}
