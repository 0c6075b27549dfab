package belltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
)

func decode(response *http.Response, into any) error {
	return json.NewDecoder(response.Body).Decode(into)
}

// withoutGuests is an inbox that asks for credentials.
const withoutGuests = "SIGNALBOX_AUTH_GUEST_ENABLED=false"

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
			first, second := s.newToken(jane), s.newToken(jane)
			script := provider + "tokens.push(" + quote(first.Token) + ");" + one.script
			p.script.Store(&script)
			s.send(payload{"title": "For Jane"}, jane)
			b := open(t, p.base)
			b.waitBadge(0, "1")
			s.waitListeners(1)
			s.send(payload{"title": "Live"}, jane)
			b.waitBadge(0, "2")
			if got := value[[]bool](b, `asked`); !slices.Equal(got, []bool{false}) {
				t.Errorf("asked for tokens %v, want once", got)
			}

			t.Log("A token that is refused is replaced by asking once more.")
			b.expect("401")
			b.evaluate(`tokens[0] = ` + quote(second.Token))
			s.revoke(first)
			b.open(0)
			b.waitTitles("*Live", "*For Jane")
			// Other instances may take five seconds to hear of it.
			eventually(t, func() error {
				b.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
				if got := value[[]bool](b, `asked`); !slices.Equal(got, []bool{false, true}) {
					return fmt.Errorf("asked for tokens %v", got)
				}
				return nil
			})
			b.click(in(0, "[part=mark-all]"))
			b.waitBadge(0, "")
			s.send(payload{"title": "Afterwards"}, jane)
			b.waitTitles("*Afterwards", "Live", "For Jane")

			t.Log("Who gets no token that works is signed out, and asked for no more.")
			s.revoke(second)
			eventually(t, func() error {
				b.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
				if text := value[string](b, in(0, "[part=message]")+`.textContent`); text != "You are not signed inSign in to see your notifications.Sign in" {
					return fmt.Errorf("the bell says %q", text)
				}
				return nil
			})
			b.waitBadge(0, "")
			s.waitListeners(0)

			t.Log("Signed in again, it is there again, whatever made it look.")
			third := s.newToken(jane)
			b.evaluate(`tokens[0] = ` + quote(third.Token) + `; document.querySelector('signalbox-bell').setAttribute('limit', 10)`)
			b.waitTitles("*Afterwards", "Live", "For Jane")
			s.waitListeners(1)
		})
	}
}

func TestTokenProviderThatFails(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell token-callback="portal.getToken" poll-interval="1"></signalbox-bell>`, "", withoutGuests)
	token := s.newToken(jane)
	s.send(payload{"title": "For Jane"}, jane)
	b := open(t, p.base)
	b.expect("there is no function portal.getToken", "not now")
	b.open(0)
	b.waitText(".message b", "could not be loaded")
	b.evaluate(`window.portal = { getToken: () => { throw new Error('not now') } }`)
	b.click(in(0, "[part=retry]"))
	b.waitText(".message b", "could not be loaded")
	b.evaluate(`portal.getToken = () => ` + quote(token.Token))
	b.click(in(0, "[part=retry]"))
	b.waitTitles("*For Jane")
	if err := value[string](b, `(() => { try { document.querySelector('signalbox-bell').tokenProvider = 'portal.getToken' } catch (error) { return error.name } })()`); err != "TypeError" {
		t.Errorf("a provider that is no function: %q", err)
	}
}

func TestGuestUser(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell guest-user="jane"></signalbox-bell>`, listener)
	s.send(payload{"title": "For Jane"}, jane)
	b := open(t, p.base)
	b.waitBadge(0, "1")
	s.waitListeners(1)
	s.send(payload{"title": "Live"}, jane)
	b.waitBadge(0, "2")

	t.Log("Another user is another inbox, of which the first one's shows nothing.")
	b.open(0)
	b.waitTitles("*Live", "*For Jane")
	s.send(payload{"title": "For John"}, "user:default/john")
	b.evaluate(`document.querySelector('signalbox-bell').setAttribute('guest-user', 'john')`)
	b.waitTitles("*For John")
	b.waitBadge(0, "1")
	s.waitListeners(1)
}

func TestBadNetwork(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, `<signalbox-bell poll-interval="1"></signalbox-bell>`, "")
	network := p.network(t)
	network.deaf.Store(true)
	b := open(t, p.base)
	b.expect("WebSocket", "ERR_", "Failed to load resource")
	b.open(0)
	b.waitText(".message b", "No notifications yet")

	t.Log("Without a socket it asks, and says so.")
	b.waitText(".notice", "Live updates are interrupted")
	s.send(payload{"title": "By asking"})
	b.waitTitles("*By asking")
	b.waitText("p.sr", "1 new notification")

	t.Log("With one again, all is well by itself.")
	network.deaf.Store(false)
	s.waitListeners(1)
	b.waitShown(".notice", false)
	s.send(payload{"title": "By itself"})
	b.waitTitles("*By itself", "*By asking")

	t.Log("Without a server what is known stays, and what one does is taken back.")
	network.dead.Store(true)
	b.click(in(0, "li:first-child .mark"))
	b.waitText(".notice", "The change was not saved")
	b.waitTitles("*By itself", "*By asking")
	b.waitBadge(0, "2")

	t.Log("Back again.")
	network.dead.Store(false)
	b.click(in(0, "li:first-child .mark"))
	b.waitTitles("By itself", "*By asking")
	b.waitShown(".notice", false)
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	b := open(t, p.base)
	s.waitListeners(1)
	b.expect("WebSocket", "ERR_", "CORS")
	s.send(payload{"title": "Known"})
	b.waitBadge(0, "1")
	_ = s.command.Process.Kill()
	b.open(0)
	b.waitText(".message b", "could not be loaded")
	b.waitBadge(0, "1")
	b.click(in(0, "[part=retry]"))
	b.waitText(".message b", "could not be loaded")
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
	s.send(payload{"title": "One"})
	b := open(t, p.base, watch)
	b.waitBadge(0, "1")
	s.waitListeners(1)
	b.open(0)
	b.waitTitles("*One")
	b.wait(left + ` > 3`)

	t.Log("One that is moved stays connected.")
	b.evaluate(`socket = open_.sockets; there.append(a)`)
	b.wait(`open_.sockets === 1`)
	b.waitBadge(0, "1")
	s.waitListeners(1)

	t.Log("The other one goes on when the first is removed.")
	b.evaluate(`there.replaceChildren()`)
	s.send(payload{"title": "Two"})
	b.waitBadge(0, "2")
	b.open(0)
	b.waitTitles("*Two", "*One")

	t.Log("After the last one nothing is left.")
	b.evaluate(`kept = b; b.remove()`)
	b.wait(left + ` === 0`)
	s.waitListeners(0)

	t.Log("And it comes back.")
	b.evaluate(`here.append(kept)`)
	b.waitBadge(0, "2")
	b.open(0)
	b.waitTitles("*Two", "*One")
	s.waitListeners(1)
	b.evaluate(`kept.remove()`)
	b.wait(left + ` === 0`)
	s.waitListeners(0)
}
