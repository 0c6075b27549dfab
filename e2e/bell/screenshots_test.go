package bell

import (
	"fmt"
	"testing"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/tale"
)

// TestScreenshots makes the pictures of the documentation.
func TestScreenshots(t *testing.T) {
	album := browser.NewAlbum(t)
	p, s := newPortal(t, standard, "", binary.Options{Config: tale.Config()})
	tale.Tell(s)
	tale.Pass(s)
	b := open(t, p.base+"/bell-demo.html")
	take := func(name string) { album.Take(b.Tab, name) }
	choose := func(name, value string) {
		b.Evaluate(fmt.Sprintf(`(() => { const s = document.forms[0].elements[%q]; s.value = %q; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, name, value))
	}
	// Animations would make every picture another one.
	b.Media("prefers-reduced-motion", "reduce")
	b.Size(1000, 760)
	b.badge(0, "6")
	b.open(0)
	b.Wait(fmt.Sprintf(`%s.children.length === %d`, in(0, "ul"), tale.Count))
	b.Evaluate(`document.activeElement.blur()`)
	b.Evaluate(`document.querySelector('.place').textContent = 'https://signalbox.example.com/'; null`)
	take("bell-light")
	choose("scheme", "dark")
	take("bell-dark")
	choose("colours", "harbor")
	take("bell-themed")
	choose("scheme", "")
	choose("colours", "")
	b.Size(390, 760)
	take("bell-phone")
}
