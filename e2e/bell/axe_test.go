package bell

import (
	"fmt"
	"testing"

	"github.com/signalbox/signalbox/e2e/browser"
)

// check lets axe-core look at the bells of a page.
func (p *tab) check(name string) {
	p.T.Helper()
	for _, violation := range p.Violations("'signalbox-bell'") {
		p.T.Errorf("%s: %s", name, violation)
	}
}

func TestAccessible(t *testing.T) {
	t.Parallel()
	p, s := newPortal(t, standard, "")
	b := open(t, p.base+"/bell-demo.html")
	b.Media("prefers-reduced-motion", "reduce")
	b.check("closed")
	b.open(0)
	b.says(".message b", "No notifications yet")
	b.check("empty")
	for _, severity := range []string{"low", "normal", "high", "critical"} {
		s.Send(payload{"title": severity, "description": "Text", "topic": "topic", "severity": severity})
		s.Send(payload{"title": severity + " with a link", "description": "Text", "severity": severity, "link": "/"})
	}
	b.Wait(in(0, "ul") + `.children.length === 8`)
	b.ClickAt(in(0, "li:nth-child(2) .mark"))
	b.ClickAt(in(0, "li:nth-child(3) .mark"))
	b.badge(0, "6")
	for _, page := range []string{"", "dark"} {
		for _, colours := range []string{"", "harbor"} {
			b.Evaluate(fmt.Sprintf(`document.documentElement.className = %s; bell.className = %s`, browser.Quote(page), browser.Quote(colours)))
			b.check("list " + page + " " + colours)
		}
	}
	b.Evaluate(`bell.className = ''; bell.setAttribute('theme', 'light')`)
	if got := browser.Value[string](b, `getComputedStyle(`+in(0, ".panel")+`).backgroundColor`); got != "rgb(255, 255, 255)" {
		t.Errorf("a light bell on a dark page is %s", got)
	}
	b.Evaluate(`bell.setAttribute('theme', 'dark'); document.documentElement.className = ''`)
	if got := browser.Value[string](b, `getComputedStyle(`+in(0, ".panel")+`).backgroundColor`); got == "rgb(255, 255, 255)" {
		t.Error("a dark bell on a light page is white")
	}
	b.Size(320, 640)
	b.check("phone")
}
