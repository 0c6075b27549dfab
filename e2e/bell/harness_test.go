package bell

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/cmd"
	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

func TestMain(m *testing.M) {
	binary.Main(func() []cmd.Option { return nil })
	code := m.Run()
	browser.Stop()
	os.Exit(code)
}

// payload is what is sent.
type payload = binary.Payload

// jane is a user of some tests; others have the reader that a bell shows by default.
const jane = "user:default/jane"

// tab shows a page with bells.
type tab struct{ *browser.Tab }

// open opens a page in a tab of a fresh profile. Scripts run ahead of all those of the
// page.
func open(t testing.TB, address string, before ...string) *tab {
	t.Helper()
	p := &tab{browser.NewProfile(t).Open()}
	p.Size(1280, 800)
	for _, script := range before {
		p.AtEveryStart(script)
	}
	p.Navigate(address)
	p.Wait(`customElements.get('signalbox-bell')`)
	return p
}

// in is the element in the shadow of the nth bell of the page.
func in(n int, selector string) string {
	return fmt.Sprintf(`document.querySelectorAll('signalbox-bell')[%d]?.shadowRoot.querySelector(%s)`, n, browser.Quote(selector))
}

// says waits until an element in the first bell contains a text.
func (p *tab) says(selector, text string) {
	p.T.Helper()
	p.Wait(fmt.Sprintf(`%s?.textContent.includes(%s)`, in(0, selector), browser.Quote(text)))
}

// shows waits until an element in the first bell is shown, or is not.
func (p *tab) shows(selector string, shown bool) {
	p.T.Helper()
	p.Wait(fmt.Sprintf(`(%s?.checkVisibility() ?? false) === %t`, in(0, selector), shown))
}

// badge waits until the nth bell's badge shows a text; "" is no badge.
func (p *tab) badge(n int, text string) {
	p.T.Helper()
	badge := in(n, ".badge")
	p.Wait(fmt.Sprintf(`%[1]s && (%[1]s.checkVisibility() ? %[1]s.textContent : '') === %[2]s`, badge, browser.Quote(text)))
}

// titles waits until the first bell lists just these, from top to bottom; unread ones
// have a star.
func (p *tab) titles(want ...string) {
	p.T.Helper()
	patience.Until(p.T, func() error {
		got := browser.Value[[]string](p, `[...document.querySelector('signalbox-bell').shadowRoot.querySelectorAll('li')].map((e) =>
			(e.classList.contains('unread') ? '*' : '') + e.querySelector('.title bdi').textContent)`)
		if !slices.Equal(got, want) {
			return fmt.Errorf("titles are %q, want %q", got, want)
		}
		return nil
	})
}

// focus waits until an element in the first bell has the focus.
func (p *tab) focus(selector string) {
	p.T.Helper()
	p.Wait(fmt.Sprintf(`document.querySelector('signalbox-bell').shadowRoot.activeElement?.matches(%s)`, browser.Quote(selector)))
}

// open opens the nth bell with the mouse.
func (p *tab) open(n int) {
	p.T.Helper()
	p.ClickAt(in(n, ".bell"))
	p.Wait(in(n, ".panel") + ".matches(':popover-open')")
}
