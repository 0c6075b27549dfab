package belltest

import (
	"fmt"
	"os"
	"testing"
)

// axe is axe-core, which the tests of the page vendor.
func axe(t testing.TB) string {
	t.Helper()
	script, err := os.ReadFile("../../../e2e/page/testdata/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// checkAccessible lets axe-core look at the bells of a page.
func (p *tab) checkAccessible(name, script string) {
	p.t.Helper()
	p.evaluate(script)
	violations := value[[]string](p, `axe.run('signalbox-bell', { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(({ violations, passes }) =>
		passes.length < 5 ? ['nothing was looked at'] : violations.flatMap(({ id, nodes }) => nodes.map((n) => id + ': ' + n.failureSummary + ' ' + n.html)))`)
	for _, violation := range violations {
		p.t.Errorf("%s: %s", name, violation)
	}
}

func TestAccessible(t *testing.T) {
	t.Parallel()
	script := axe(t)
	p, s := newPortal(t, standard, "")
	b := open(t, p.base+"/bell-demo.html")
	b.media("prefers-reduced-motion", "reduce")
	b.checkAccessible("closed", script)
	b.open(0)
	b.waitText(".message b", "No notifications yet")
	b.checkAccessible("empty", script)
	for _, severity := range []string{"low", "normal", "high", "critical"} {
		s.send(payload{"title": severity, "description": "Text", "topic": "topic", "severity": severity})
		s.send(payload{"title": severity + " with a link", "description": "Text", "severity": severity, "link": "/"})
	}
	b.wait(in(0, "ul") + `.children.length === 8`)
	b.click(in(0, "li:nth-child(2) .mark"))
	b.click(in(0, "li:nth-child(3) .mark"))
	b.waitBadge(0, "6")
	for _, page := range []string{"", "dark"} {
		for _, colours := range []string{"", "harbor"} {
			b.evaluate(fmt.Sprintf(`document.documentElement.className = %s; bell.className = %s`, quote(page), quote(colours)))
			b.checkAccessible("list "+page+" "+colours, script)
		}
	}
	b.evaluate(`bell.className = ''; bell.setAttribute('theme', 'light')`)
	if got := value[string](b, `getComputedStyle(`+in(0, ".panel")+`).backgroundColor`); got != "rgb(255, 255, 255)" {
		t.Errorf("a light bell on a dark page is %s", got)
	}
	b.evaluate(`bell.setAttribute('theme', 'dark'); document.documentElement.className = ''`)
	if got := value[string](b, `getComputedStyle(`+in(0, ".panel")+`).backgroundColor`); got == "rgb(255, 255, 255)" {
		t.Error("a dark bell on a light page is white")
	}
	b.size(320, 640)
	b.checkAccessible("phone", script)
}
