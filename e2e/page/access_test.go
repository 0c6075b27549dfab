package page

import (
	_ "embed"
	"fmt"
	"testing"
)

// axe is axe-core, see testdata/axe-core.
//
//go:embed testdata/axe-core/axe.min.js
var axe string

// violations lets axe-core judge what the tab shows, by WCAG 2.2 AA and its best
// practices.
func (p *tab) violations() []string {
	p.t.Helper()
	p.run(evaluate(axe + "; null"))
	// Colours that are on their way are not those that will be.
	p.wait(`document.getAnimations().every((a) => a.playState !== 'running' || a.effect.getComputedTiming().iterations === Infinity)`)
	return value[[]string](p, `axe.run(document, {
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
	}).then(({ violations }) => violations.flatMap(({ id, help, nodes }) => nodes.map((n) => id + ': ' + help + ': ' + n.target + ' ' + n.html.slice(0, 200) + ' ' + n.failureSummary)))`)
}

func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, `
notifications:
  mandatory:
    - {channel: Web, origin: security}
    - {channel: Web, topic: incidents, severity: high}
`)
	story(s)
	f := newProfile(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 360} {
			t.Run(fmt.Sprintf("%s %d", theme, width), func(t *testing.T) {
				p := f.open(s.base, "/?view=all&group=topic")
				p.t = t
				p.size(width, 800)
				p.theme(theme)
				check := func(what string) {
					t.Helper()
					for _, violation := range p.violations() {
						t.Errorf("%s: %s", what, violation)
					}
				}
				p.live()
				p.waitText(".row", "Maintenance")
				check("the list")
				p.press("x")
				p.waitText(".bulk-text", "1 selected")
				check("a selection")
				p.press(escape)
				p.click(".row-main", "checkout-api failed")
				p.waitText(".trace", "Inbox")
				check("a notification")
				p.press("e")
				p.waitText(".toast", "Marked as")
				check("a message")
				p.press("?")
				p.waitText("dialog h2", "Keyboard shortcuts")
				check("the list of keys")
				p.press(escape)
				p.click(`[aria-label="Theme"]`, "")
				p.waitCount("[role=menuitemradio]", 3)
				check("a menu")
				p.press(escape)
				p.visit("/?q=nothing+like+that")
				p.waitText("h2", "Nothing matches")
				check("no result")
				p.visit("/settings")
				p.waitText(".matrix", "deployments")
				p.waitText(".schedule", "Digest")
				check("the settings")
				p.visit("/settings")
			})
		}
	}
}

// focused describes what has the focus.
const focused = `(() => { const e = document.activeElement; return (e.closest('[data-id]') ? 'row: ' : '') + (e.getAttribute('aria-label') || e.querySelector?.('.row-title bdi')?.textContent || e.textContent || e.id); })()`

func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	for i := range 5 {
		s.send(payload{"title": fmt.Sprintf("N%d", i)})
	}
	p := s.open(t, "/")
	p.waitCount(".row", 5)
	isFocused := func(what string) {
		t.Helper()
		p.wait(fmt.Sprintf(`%s === %s`, focused, quote(what)))
	}
	p.press(tabKey)
	isFocused("Skip to content")
	p.press(enter)
	isFocused("Inbox")
	p.press("j")
	isFocused("row: N4")
	p.press("j", "j", "k")
	isFocused("row: N3")

	t.Log("What is marked as read leaves, and the next one has the focus.")
	p.press("e")
	p.waitCount(".row", 4)
	isFocused("row: N2")
	p.press("z")
	p.waitCount(".row", 5)

	t.Log("Enter opens, and the focus stays in the list; j goes on.")
	p.press("k", "k", "j", "j", enter)
	p.waitCount(".row.open", 1)
	opened := value[string](p, `document.querySelector('.row.open .row-title bdi').textContent`)
	p.press("j")
	p.wait(fmt.Sprintf(`document.querySelector('.row.open .row-title bdi')?.textContent !== %s`, quote(opened)))
	p.press(escape)
	p.waitCount(".row.open", 0)

	t.Log("Selections.")
	p.press("x", "j", "x")
	p.waitText(".bulk-text", "2 selected")
	p.press("s")
	p.waitCount(`.row-time [aria-label="Saved"]`, 2)
	p.press(escape)
	p.waitCount(".row.ticked", 0)
	p.press("a")
	p.waitText(".bulk-text", "5 selected")
	p.press(escape)

	t.Log("Letters in the search are text.")
	p.press("/")
	p.wait(`document.activeElement.id === 'search'`)
	p.press("e", "s")
	p.wait(`document.getElementById('search').value === 'es'`)
	p.waitText("h2", "Nothing matches")

	t.Log("Menus.")
	p.visit("/")
	p.run(evaluate(`document.querySelector('[aria-label="Theme"]').focus()`))
	p.press(enter)
	isFocused("As the system")
	p.press(arrowDown, arrowDown, enter)
	p.wait(`document.documentElement.dataset.theme === 'dark'`)
	isFocused("Theme")
	p.press("?")
	p.waitText("dialog h2", "Keyboard shortcuts")
	p.press(escape)
	p.waitCount("dialog", 0)
	isFocused("Theme")
}

func TestPhone(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	story(s)
	p := s.open(t, "/")
	p.size(360, 740)
	fits := func(what string) {
		t.Helper()
		if width := value[int](p, `document.scrollingElement.scrollWidth`); width > 360 {
			t.Errorf("%s is %d pixels wide", what, width)
		}
		small := value[[]string](p, `[...document.querySelectorAll('a, button, input, select')].filter((e) => {
			const r = e.getBoundingClientRect();
			return r.width > 0 && (r.width < 24 || r.height < 24) && !e.matches('.tick, .row-main, .skip, .prose a, .metadata a, .trace a, .links a');
		}).map((e) => e.className + ' ' + (e.getAttribute('aria-label') ?? e.textContent))`)
		for _, target := range small {
			t.Errorf("%s: a target is too small: %s", what, target)
		}
	}
	p.waitText(".row", "Certificate")
	fits("the list")
	p.click(".unfold", "")
	p.waitCount(".picks.unfolded", 1)
	fits("the filters")
	p.click(".row-main", "Certificate")
	p.waitText("#detail-title", "Certificate")
	p.wait(`document.querySelector('.pane').checkVisibility() === false`)
	fits("a notification")
	p.click(".detail-close", "")
	p.wait(`document.querySelector('.pane').checkVisibility()`)
	p.visit("/settings")
	p.waitText(".matrix", "deployments")
	fits("the settings")
}

func TestRightToLeft(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	story(s)
	p := s.open(t, "/")
	p.waitText(".row", "Certificate")
	p.run(evaluate(`document.documentElement.dir = 'rtl'`))
	p.wait(`document.querySelector('.bar').getBoundingClientRect().left > document.querySelector('.pane').getBoundingClientRect().left`)
	if width := value[int](p, `document.scrollingElement.scrollWidth`); width > 1440 {
		t.Errorf("it is %d pixels wide", width)
	}
}
