package bell

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

	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

// mutes puts a network between the portal and Signalbox; adding one silences the
// WebSockets of then, without closing them.
func (p *portal) mutes(t testing.TB) *atomic.Int64 {
	t.Helper()
	mutes := &atomic.Int64{}
	target, err := url.Parse(p.signalbox.Load().Base)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// Guest mode answers only to names that it knows.
			r.Out.Host = target.Host
		},
		ModifyResponse: func(r *http.Response) error {
			if socket, ok := r.Body.(io.ReadWriteCloser); ok && r.StatusCode == http.StatusSwitchingProtocols {
				r.Body = &mutable{socket, mutes, mutes.Load()}
			}
			return nil
		},
	})
	t.Cleanup(front.Close)
	p.front.Store(&front.URL)
	return mutes
}

// mutable is a WebSocket of which one side may hear nothing any more.
type mutable struct {
	io.ReadWriteCloser
	mutes *atomic.Int64
	born  int64
}

func (m *mutable) Read(p []byte) (int, error) {
	for {
		n, err := m.ReadWriteCloser.Read(p)
		if err != nil || m.mutes.Load() == m.born {
			return n, err
		}
	}
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

// TestSilentConnection is about WebSockets that are dead and do not say so.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	mutes := p.mutes(t)
	b := open(t, p.base, controlledTime)
	unread := 0
	for _, one := range []struct{ what, script string }{
		{"it was silent for long, and the server knows more", `later += 61_000`},
		{"the computer slept", `later += 121_000`},
		{"the page is shown again", `see(false); later += 61_000; see(true)`},
		{"the network is there again", `dispatchEvent(new Event('online'))`},
	} {
		t.Log(one.what)
		// One that is dead is still counted by the server.
		b.badge(0, map[bool]string{true: fmt.Sprint(unread)}[unread > 0])
		s.WaitListeners(1)
		mutes.Add(1)
		s.Send(payload{"title": "Unheard"})
		b.Evaluate(one.script)
		unread++
		b.badge(0, fmt.Sprint(unread))
		b.says("p.sr", "1 new notification")
		// Only another connection tells what it is; if it is there already.
		patience.Until(t, func() error {
			s.Send(payload{"title": "Heard: " + one.what})
			unread++
			b.badge(0, fmt.Sprint(unread))
			if text := browser.Value[string](b, in(0, "p.sr")+".textContent"); !strings.Contains(text, "Heard: "+one.what) {
				return fmt.Errorf("it says %q", text)
			}
			return nil
		})
	}
}

// TestMarkAllOfMoreThanAreListed marks what the bell does not show, too.
func TestMarkAllOfMoreThanAreListed(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell limit="3"></signalbox-bell>`, "")
	s.Fill(120)
	b := open(t, p.base)
	b.badge(0, "99+")
	b.open(0)
	b.Wait(in(0, "li:nth-child(3)"))
	b.ClickAt(in(0, "[part=mark-all]"))
	b.badge(0, "")
	patience.Until(t, func() error { return s.WantStatus(0, 120) })
	b.badge(0, "")
}

// TestTheScriptTwice loads it a second time, from another address.
func TestTheScriptTwice(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell></signalbox-bell><signalbox-bell guest-user="jane"></signalbox-bell>`, "")
	s.Send(payload{"title": "One"})
	s.Send(payload{"title": "For Jane"}, jane)
	s.Send(payload{"title": "For Jane, too"}, jane)
	b := open(t, p.base)
	if again := browser.Value[bool](b, `import(document.querySelector('script[src$="bell.js"]').src + '?again').then((m) => m.SignalboxBell !== customElements.get('signalbox-bell'))`); !again {
		t.Fatal("it was not loaded again")
	}
	b.badge(0, "1")
	b.badge(1, "2")
	s.WaitListeners(2)
}

// TestRefusedTokensAreAskedForOnce is about portals whose tokens do not work.
func TestRefusedTokensAreAskedForOnce(t *testing.T) {
	t.Parallel()
	p, _ := newPortal(t, `<signalbox-bell token-callback="portal.getToken"></signalbox-bell><signalbox-bell token-callback="portal.getToken"></signalbox-bell>`,
		`window.asked = 0; window.portal = { getToken: async () => { asked += 1; return 'no token ' + asked; } };`, withoutGuests)
	b := open(t, p.base)
	b.Expect("401", "WebSocket")
	b.open(0)
	b.says(".message b", "not signed in")
	before := browser.Value[int](b, `asked`)
	b.Evaluate(`for (let i = 0; i < 20; i += 1) document.dispatchEvent(new Event('visibilitychange'))`)
	b.says(".message b", "not signed in")
	b.Wait(`asked >= ` + fmt.Sprint(before))
	if asked := browser.Value[int](b, `asked`); asked > before+4 {
		t.Errorf("asked %d times, then %d times", before, asked)
	}
}
