package page

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
)

func TestMain(m *testing.M) {
	binary.Main(testChannels)
	code := m.Run()
	browser.Stop()
	os.Exit(code)
}

// payload is what is sent.
type payload = binary.Payload

// server is a running signalbox.
type server struct{ *binary.Server }

// serve starts one with a configuration; "" is none.
func serve(t testing.TB, config string) *server {
	t.Helper()
	return start(t, binary.Options{Config: config})
}

func start(t testing.TB, options binary.Options) *server {
	t.Helper()
	return &server{binary.Start(t, options)}
}

// tab shows the page.
type tab struct {
	*browser.Tab
	// base is where the page is.
	base string
}

// profile is a browser without any memory. Its tabs share what they store.
type profile struct{ *browser.Profile }

func newProfile(t testing.TB) *profile {
	t.Helper()
	return &profile{browser.NewProfile(t)}
}

// open opens the page in a tab of a fresh profile.
func (s *server) open(t testing.TB, path string) *tab {
	t.Helper()
	return newProfile(t).open(s.Base, path)
}

// open opens the page in a tab.
func (f *profile) open(base, path string) *tab {
	f.T.Helper()
	p := &tab{Tab: f.Open(), base: base}
	p.T.Cleanup(func() {
		if p.T.Failed() {
			p.logText()
		}
	})
	p.visit(path)
	return p
}

// visit goes to a page and waits until it has drawn something.
func (p *tab) visit(path string) {
	p.T.Helper()
	p.Navigate(p.base + path)
	p.Wait(`document.querySelector('main') !== null`)
}

// live waits until the socket is connected.
func (p *tab) live() {
	p.T.Helper()
	p.Wait(`document.querySelector('.connection-live')`)
}

// titles are the titles of the rows that are drawn, from top to bottom.
func (p *tab) titles() []string {
	p.T.Helper()
	return browser.Value[[]string](p, `[...document.querySelectorAll('.row-title bdi')].map((e) => e.textContent)`)
}

// choose chooses an option of a select, by its label.
func (p *tab) choose(label, option string) {
	p.T.Helper()
	at := fmt.Sprintf(`[...document.querySelectorAll('select')].find((s) => (s.ariaLabel ?? s.closest('label')?.firstElementChild?.textContent) === %s)`, browser.Quote(label))
	p.Wait(at)
	// Some learn their options only then.
	p.Evaluate(at + `.focus()`)
	p.Wait(fmt.Sprintf(`[...%s.options].some((o) => o.value === %s)`, at, browser.Quote(option)))
	p.Set(at, option)
}

// fill fills in a field, by its label.
func (p *tab) fill(label, text string) {
	p.T.Helper()
	p.Set(fmt.Sprintf(`[...document.querySelectorAll('main label, dialog label')].find((l) => l.firstElementChild?.textContent === %s)?.querySelector('input, textarea')`, browser.Quote(label)), text)
}

// Keys that have no letter.
const (
	enter     = kb.Enter
	escape    = kb.Escape
	tabKey    = kb.Tab
	arrowDown = kb.ArrowDown
)

// logText tells what the tab shows, and what its list holds.
func (p *tab) logText() {
	var text string
	err := p.Try(chromedp.ActionFunc(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return chromedp.Evaluate(`(async () => {
			const { list } = await import(new URL('inbox/list.js', document.querySelector('script[type=module]').src));
			const { rows, filter, state, total, done, failure } = list.state;
			return location.href + '\n' + JSON.stringify({ state, total, done, filter, failure: failure?.message, rows: rows.slice(0, 20).map((n) => [n.payload.title, n.read, n.snoozedUntil]) }) + '\n' + document.body.innerText.slice(0, 1000);
		})()`, &text, browser.Awaited).Do(ctx)
	}))
	p.T.Logf("the tab shows (%v): %s", err, text)
}
