package page

import (
	"fmt"
	"testing"

	"github.com/signalbox/signalbox/e2e/browser"
)

func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, `
notifications:
  mandatory:
    - {channel: Web, origin: security}
    - {channel: Web, topic: incidents, severity: high}
`)
	story(s)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 360} {
			t.Run(fmt.Sprintf("%s %d", theme, width), func(t *testing.T) {
				p := s.open(t, "/?view=all&group=topic")
				p.Size(width, 800)
				p.Theme(theme)
				check := func(what string) {
					t.Helper()
					for _, violation := range p.Violations("document") {
						t.Errorf("%s: %s", what, violation)
					}
				}
				p.live()
				p.WaitText(".row", "Maintenance")
				check("the list")
				p.Press("x")
				p.WaitText(".bulk-text", "1 selected")
				check("a selection")
				p.Press(escape)
				p.Click(".row-main", "checkout-api failed")
				p.WaitText(".trace", "Inbox")
				check("a notification")
				p.Press("e")
				p.WaitText(".toast", "Marked as")
				check("a message")
				p.Press("?")
				p.WaitText("dialog h2", "Keyboard shortcuts")
				check("the list of keys")
				p.Press(escape)
				p.Click(`[aria-label="Theme"]`, "")
				p.WaitCount("[role=menuitemradio]", 3)
				check("a menu")
				p.Press(escape)
				p.visit("/?q=nothing+like+that")
				p.WaitText("h2", "Nothing matches")
				check("no result")
				p.visit("/settings")
				p.WaitText(".matrix", "deployments")
				p.WaitText(".schedule", "Digest")
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
		s.Send(payload{"title": fmt.Sprintf("N%d", i)})
	}
	p := s.open(t, "/")
	p.WaitCount(".row", 5)
	isFocused := func(what string) {
		t.Helper()
		p.Wait(fmt.Sprintf(`%s === %s`, focused, browser.Quote(what)))
	}
	p.Press(tabKey)
	isFocused("Skip to content")
	p.Press(enter)
	isFocused("Inbox")
	p.Press("j")
	isFocused("row: N4")
	p.Press("j", "j", "k")
	isFocused("row: N3")

	t.Log("What is marked as read leaves, and the next one has the focus.")
	p.Press("e")
	p.WaitCount(".row", 4)
	isFocused("row: N2")
	p.Press("z")
	p.WaitCount(".row", 5)

	t.Log("Enter opens, and the focus stays in the list; j goes on.")
	p.Press("k", "k", "j", "j", enter)
	p.WaitCount(".row.open", 1)
	opened := browser.Value[string](p, `document.querySelector('.row.open .row-title bdi').textContent`)
	p.Press("j")
	p.Wait(fmt.Sprintf(`document.querySelector('.row.open .row-title bdi')?.textContent !== %s`, browser.Quote(opened)))
	p.Press(escape)
	p.WaitCount(".row.open", 0)

	t.Log("Selections.")
	p.Press("x", "j", "x")
	p.WaitText(".bulk-text", "2 selected")
	p.Press("s")
	p.WaitCount(`.row-time [aria-label="Saved"]`, 2)
	p.Press(escape)
	p.WaitCount(".row.ticked", 0)
	p.Press("a")
	p.WaitText(".bulk-text", "5 selected")
	p.Press(escape)

	t.Log("Letters in the search are text.")
	p.Press("/")
	p.Wait(`document.activeElement.id === 'search'`)
	p.Press("e", "s")
	p.Wait(`document.getElementById('search').value === 'es'`)
	p.WaitText("h2", "Nothing matches")

	t.Log("Menus.")
	p.visit("/")
	p.Evaluate(`document.querySelector('[aria-label="Theme"]').focus()`)
	p.Press(enter)
	isFocused("As the system")
	p.Press(arrowDown, arrowDown, enter)
	p.Wait(`document.documentElement.dataset.theme === 'dark'`)
	isFocused("Theme")
	p.Press("?")
	p.WaitText("dialog h2", "Keyboard shortcuts")
	p.Press(escape)
	p.WaitCount("dialog", 0)
	isFocused("Theme")
}

// Keys are about the row that has the focus, however it got it.
func TestKeysFollowTheFocus(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	for _, title := range []string{"Third", "Second", "First"} {
		s.Send(payload{"title": title})
	}
	p := s.open(t, "/")
	p.WaitCount(".row", 3)
	p.Evaluate(row("Second", ".row-main") + `.focus()`)
	p.Press("x")
	p.WaitText(".row.ticked", "Second")
	p.ClickAt(row("Third", ".row-lead"))
	p.WaitCount(".row.ticked", 2)
	p.Wait(`document.activeElement === ` + row("Third", ".tick"))
	p.Press("x")
	p.WaitCount(".row.ticked", 1)
	p.WaitText(".row.ticked", "Second")
}

func TestPhone(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	story(s)
	p := s.open(t, "/")
	p.Size(360, 740)
	fits := func(what string) {
		t.Helper()
		if width := browser.Value[int](p, `document.scrollingElement.scrollWidth`); width > 360 {
			t.Errorf("%s is %d pixels wide", what, width)
		}
		small := browser.Value[[]string](p, `[...document.querySelectorAll('a, button, input, select')].filter((e) => {
			const r = e.getBoundingClientRect();
			return r.width > 0 && (r.width < 24 || r.height < 24) && !e.matches('.tick, .row-main, .skip, .prose a, .metadata a, .trace a, .links a');
		}).map((e) => e.className + ' ' + (e.getAttribute('aria-label') ?? e.textContent))`)
		for _, target := range small {
			t.Errorf("%s: a target is too small: %s", what, target)
		}
	}
	p.WaitText(".row", "Certificate")
	fits("the list")
	p.Click(".unfold", "")
	p.WaitCount(".picks.unfolded", 1)
	fits("the filters")
	p.Click(".row-main", "Certificate")
	p.WaitText("#detail-title", "Certificate")
	p.Wait(`document.querySelector('.pane').checkVisibility() === false`)
	fits("a notification")
	p.Click(".detail-close", "")
	p.Wait(`document.querySelector('.pane').checkVisibility()`)
	p.visit("/settings")
	p.WaitText(".matrix", "deployments")
	fits("the settings")
}

func TestRightToLeft(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	story(s)
	p := s.open(t, "/")
	p.WaitText(".row", "Certificate")
	p.Evaluate(`document.documentElement.dir = 'rtl'`)
	p.Wait(`document.querySelector('.bar').getBoundingClientRect().left > document.querySelector('.pane').getBoundingClientRect().left`)
	if width := browser.Value[int](p, `document.scrollingElement.scrollWidth`); width > 1440 {
		t.Errorf("it is %d pixels wide", width)
	}
}
