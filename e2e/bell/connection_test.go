package bell

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

// withoutGuests is an inbox that asks for credentials.
var withoutGuests = binary.Options{Environment: []string{"SIGNALBOX_AUTH_GUEST_ENABLED=false"}}

// credential is an API token of a user.
type credential struct{ ID, Token string }

func newToken(s *binary.Server, user string) (c credential) {
	s.T.Helper()
	s.AsSender(http.MethodPost, "/api/notifications/tokens", map[string]any{"name": "bell", "scopes": []string{"inbox"}, "user": user}, &c)
	return c
}

func revoke(s *binary.Server, c credential) {
	s.T.Helper()
	s.AsSender(http.MethodDelete, "/api/notifications/tokens/"+c.ID, nil, nil)
}

// provider is a page whose tokens are in window.tokens; it counts how they are asked
// for in window.asked.
const provider = `
window.tokens = [];
window.asked = [];
window.portal = { getToken: async ({ refresh }) => { asked.push(refresh); return tokens[0]; } };
`

func TestTokenProvider(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct{ page, script string }{
		"attribute": {`<signalbox-bell token-callback="portal.getToken"></signalbox-bell>`, ``},
		// The page's script runs before that of the bell.
		"property": {standard, `document.querySelector('signalbox-bell').tokenProvider = portal.getToken;`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := newPortal(t, one.page, "", withoutGuests)
			first, second := newToken(s, jane), newToken(s, jane)
			script := provider + "tokens.push(" + browser.Quote(first.Token) + ");" + one.script
			p.script.Store(&script)
			s.Send(payload{"title": "For Jane"}, jane)
			b := open(t, p.base)
			b.badge(0, "1")
			s.WaitListeners(1)
			s.Send(payload{"title": "Live"}, jane)
			b.badge(0, "2")
			if got := browser.Value[[]bool](b, `asked`); !slices.Equal(got, []bool{false}) {
				t.Errorf("asked for tokens %v, want once", got)
			}

			t.Log("A token that is refused is replaced by asking once more.")
			b.Expect("401")
			b.Evaluate(`tokens[0] = ` + browser.Quote(second.Token))
			revoke(s, first)
			b.open(0)
			b.titles("*Live", "*For Jane")
			// Other instances may take five seconds to hear of it.
			patience.Until(t, func() error {
				b.Evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
				if got := browser.Value[[]bool](b, `asked`); !slices.Equal(got, []bool{false, true}) {
					return fmt.Errorf("asked for tokens %v", got)
				}
				return nil
			})
			b.ClickAt(in(0, "[part=mark-all]"))
			b.badge(0, "")
			s.Send(payload{"title": "Afterwards"}, jane)
			b.titles("*Afterwards", "Live", "For Jane")

			t.Log("Who gets no token that works is signed out, and asked for no more.")
			revoke(s, second)
			patience.Until(t, func() error {
				b.Evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
				if text := browser.Value[string](b, in(0, "[part=message]")+`.textContent`); text != "You are not signed inSign in to see your notifications.Sign in" {
					return fmt.Errorf("the bell says %q", text)
				}
				return nil
			})
			b.badge(0, "")
			s.WaitListeners(0)

			t.Log("Signed in again, it is there again, whatever made it look.")
			third := newToken(s, jane)
			b.Evaluate(`tokens[0] = ` + browser.Quote(third.Token) + `; document.querySelector('signalbox-bell').setAttribute('limit', 10)`)
			b.titles("*Afterwards", "Live", "For Jane")
			s.WaitListeners(1)
		})
	}
}

func TestTokenProviderThatFails(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell token-callback="portal.getToken" poll-interval="1"></signalbox-bell>`, "", withoutGuests)
	token := newToken(s, jane)
	s.Send(payload{"title": "For Jane"}, jane)
	b := open(t, p.base)
	b.Expect("there is no function portal.getToken", "not now")
	b.open(0)
	b.says(".message b", "could not be loaded")
	b.Evaluate(`window.portal = { getToken: () => { throw new Error('not now') } }`)
	b.ClickAt(in(0, "[part=retry]"))
	b.says(".message b", "could not be loaded")
	b.Evaluate(`portal.getToken = () => ` + browser.Quote(token.Token))
	b.ClickAt(in(0, "[part=retry]"))
	b.titles("*For Jane")
	if err := browser.Value[string](b, `(() => { try { document.querySelector('signalbox-bell').tokenProvider = 'portal.getToken' } catch (error) { return error.name } })()`); err != "TypeError" {
		t.Errorf("a provider that is no function: %q", err)
	}
}

func TestGuestUser(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell guest-user="jane"></signalbox-bell>`, listener)
	s.Send(payload{"title": "For Jane"}, jane)
	b := open(t, p.base)
	b.badge(0, "1")
	s.WaitListeners(1)
	s.Send(payload{"title": "Live"}, jane)
	b.badge(0, "2")

	t.Log("Another user is another inbox, of which the first one's shows nothing.")
	b.open(0)
	b.titles("*Live", "*For Jane")
	s.Send(payload{"title": "For John"}, "user:default/john")
	b.Evaluate(`document.querySelector('signalbox-bell').setAttribute('guest-user', 'john')`)
	b.titles("*For John")
	b.badge(0, "1")
	s.WaitListeners(1)
}

func TestBadNetwork(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell poll-interval="1"></signalbox-bell>`, "")
	network := p.network(t)
	network.deaf.Store(true)
	b := open(t, p.base)
	b.Expect("WebSocket", "ERR_", "Failed to load resource")
	b.open(0)
	b.says(".message b", "No notifications yet")

	t.Log("Without a socket it asks, and says so.")
	b.says(".notice", "Live updates are interrupted")
	s.Send(payload{"title": "By asking"})
	b.titles("*By asking")
	b.says("p.sr", "1 new notification")

	t.Log("With one again, all is well by itself.")
	network.deaf.Store(false)
	s.WaitListeners(1)
	b.shows(".notice", false)
	s.Send(payload{"title": "By itself"})
	b.titles("*By itself", "*By asking")

	t.Log("Without a server what is known stays, and what one does is taken back.")
	network.dead.Store(true)
	b.ClickAt(in(0, "li:first-child .mark"))
	b.says(".notice", "The change was not saved")
	b.titles("*By itself", "*By asking")
	b.badge(0, "2")

	t.Log("Back again.")
	network.dead.Store(false)
	b.ClickAt(in(0, "li:first-child .mark"))
	b.titles("By itself", "*By asking")
	b.shows(".notice", false)
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	b := open(t, p.base)
	s.WaitListeners(1)
	b.Expect("WebSocket", "ERR_", "CORS")
	s.Send(payload{"title": "Known"})
	b.badge(0, "1")
	s.Kill()
	b.open(0)
	b.says(".message b", "could not be loaded")
	b.badge(0, "1")
	b.ClickAt(in(0, "[part=retry]"))
	b.says(".message b", "could not be loaded")
}

// watch counts what a page has open: timers, listeners of the window and the document,
// and sockets.
const watch = `
window.open_ = { timers: new Set(), listeners: 0, sockets: 0 };
for (const [start, stop] of [['setTimeout', 'clearTimeout'], ['setInterval', 'clearInterval']]) {
  const [begin, end] = [window[start], window[stop]];
  window[start] = (run, ...rest) => {
    const id = begin(() => { if (start === 'setTimeout') open_.timers.delete(id); run(); }, ...rest);
    open_.timers.add(id);
    return id;
  };
  window[stop] = (id) => { open_.timers.delete(id); end(id); };
}
for (const target of [window, document]) {
  const add = target.addEventListener;
  target.addEventListener = function (name, run, options) {
    open_.listeners += 1;
    options?.signal?.addEventListener('abort', () => { open_.listeners -= 1; });
    return add.call(this, name, run, options);
  };
}
const Socket = WebSocket;
window.WebSocket = class extends Socket {
  constructor(...rest) {
    super(...rest);
    open_.sockets += 1;
    this.addEventListener('close', () => { open_.sockets -= 1; });
  }
};
`

const left = `(open_.timers.size + open_.listeners + open_.sockets)`

func TestRemovalCleansUp(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<div id="here"><signalbox-bell id="a"></signalbox-bell><signalbox-bell id="b"></signalbox-bell></div><div id="there"></div>`, "")
	s.Send(payload{"title": "One"})
	b := open(t, p.base, watch)
	b.badge(0, "1")
	s.WaitListeners(1)
	b.open(0)
	b.titles("*One")
	b.Wait(left + ` > 3`)

	t.Log("One that is moved stays connected.")
	b.Evaluate(`socket = open_.sockets; there.append(a)`)
	b.Wait(`open_.sockets === 1`)
	b.badge(0, "1")
	s.WaitListeners(1)

	t.Log("The other one goes on when the first is removed.")
	b.Evaluate(`there.replaceChildren()`)
	s.Send(payload{"title": "Two"})
	b.badge(0, "2")
	b.open(0)
	b.titles("*Two", "*One")

	t.Log("After the last one nothing is left.")
	b.Evaluate(`kept = b; b.remove()`)
	b.Wait(left + ` === 0`)
	s.WaitListeners(0)

	t.Log("And it comes back.")
	b.Evaluate(`here.append(kept)`)
	b.badge(0, "2")
	b.open(0)
	b.titles("*Two", "*One")
	s.WaitListeners(1)
	b.Evaluate(`kept.remove()`)
	b.Wait(left + ` === 0`)
	s.WaitListeners(0)
}
