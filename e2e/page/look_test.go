package page

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

func TestOpenedByItsAddressItIsRead(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "From a chat"})
	s.Send(payload{"title": "Another"})
	p := s.open(t, "/")
	p.WaitCount(".row.unread", 2)
	p.Wait(`decodeURIComponent(document.querySelector('link[rel=icon]').href).includes('>2<')`)
	id := browser.Value[string](p, `[...document.querySelectorAll('.row')].find((e) => e.textContent.includes('From a chat')).dataset.id`)
	p.visit("/?id=" + id)
	p.WaitCount(".row.open:not(.unread)", 1)
	patience.Until(t, func() error { return s.WantStatus(1, 1) })

	t.Log("Who then marks it as unread has the last word.")
	p.Click(".detail-actions .button", "Mark as unread")
	p.WaitCount(".row.open.unread", 1)
	patience.Until(t, func() error { return s.WantStatus(2, 0) })
	p.WaitText(".trace", "Inbox")
	p.WaitCount(".row.open.unread", 1)
}

// Whether its row is loaded makes no difference.
func TestOpenedByItsAddressItFollows(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Long ago"})
	s.Fill(150)
	var list struct{ Notifications []struct{ ID string } }
	s.Call(http.MethodGet, "/api/notifications?search=Long+ago", nil, "", &list)
	id := list.Notifications[0].ID
	p := s.open(t, "/?view=all&id="+id)
	p.WaitText("#detail-title", "Long ago")
	p.WaitCount(fmt.Sprintf(`[data-id="%s"]`, id), 0)
	p.WaitText(".detail-actions .button", "Mark as unread")
	p.Click(`.detail-actions [aria-label="Save"]`, "")
	p.WaitCount(`.detail-actions [aria-pressed="true"]`, 1)
	p.Click(".detail-actions .button", "Mark as unread")
	p.WaitText(".detail-actions .button", "Mark as read")
	patience.Until(t, func() error { return s.WantStatus(151, 0) })

	t.Log("Also what another tab does to it.")
	p.live()
	s.Call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"ids":[%q],"saved":false}`, id), nil)
	p.WaitCount(`.detail-actions [aria-pressed="true"]`, 0)

	later := time.Now().Add(30 * time.Hour).UTC().Format(time.RFC3339)
	until := browser.Value[string](p, fmt.Sprintf(`(async () => %s.clock(%q))()`, module("kit/time.js"), later))
	s.Call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"ids":[%q],"snoozedUntil":%q}`, id, later), nil)
	p.WaitText(".detail-meta", until)
	s.Call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"ids":[%q],"snoozedUntil":null}`, id), nil)
	p.Wait(`!document.querySelector('.detail-meta').textContent.includes('Snoozed')`)

	t.Log("What leaves the list by what is done to it stays open, as it is now.")
	s.Call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"ids":[%q],"saved":true}`, id), nil)
	p.visit("/?view=saved")
	p.Click(".row-main", "Long ago")
	p.Click(`.detail-actions [aria-pressed="true"]`, "")
	p.WaitText("h2", "Nothing is saved")
	p.WaitCount(`.detail-actions [aria-pressed="false"]`, 1)
	p.WaitText("#detail-title", "Long ago")
}

// manyTopics is more than are shown unfolded.
func manyTopics(s *server, n int) {
	s.T.Helper()
	var list []any
	for i := range n {
		list = append(list, binary.Request(payload{"title": fmt.Sprintf("N%d", i), "topic": fmt.Sprintf("topic-%02d", i)}))
	}
	s.Post("/api/notifications/batch", list)
}

func TestManyTopicsAreFolded(t *testing.T) {
	t.Parallel()
	s := serve(t, `
notifications:
  mandatory:
    - {channel: Web, origin: security}
`)
	manyTopics(s, 45)
	p := s.open(t, "/settings")
	p.WaitText(".origin-row", "45 topics")
	p.WaitCount(".topic-row", 0)
	p.WaitText(".matrix-notes", "Required: your organisation wants it for everyone.")
	p.Click(`.fold[aria-expanded="false"]`, "")
	p.WaitCount(".topic-row", 45)
	p.flip("Inbox, local / topic-07")
	p.waitSwitch("Inbox, local / topic-07", "Your choice", false)

	t.Log("Where something was chosen, and in what was searched, nothing is hidden.")
	p.visit("/settings")
	p.WaitCount(".topic-row", 45)
	p.Evaluate(`document.getElementById('search').focus()`)
	p.Press("-", "0", "8")
	p.WaitCount(".topic-row", 1)
}

// TestReflow is about the narrowest window that WCAG 2.2 knows (1.4.10).
func TestReflow(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	story(s)
	s.Send(payload{
		"title": strings.Repeat("Donaudampfschifffahrt", 8), "topic": strings.Repeat("long-", 30), "description": "https://example.com/" + strings.Repeat("way/", 60),
		"link": "https://example.com/" + strings.Repeat("a", 200), "metadata": map[string]any{strings.Repeat("k", 80): strings.Repeat("v", 300)},
	})
	p := s.open(t, "/settings")
	p.Size(320, 640)
	for _, language := range []string{"en", "de"} {
		p.visit("/settings")
		p.Set(`[...document.querySelectorAll('.toggles select')].find((e) => [...e.options].some((o) => o.value === 'de'))`, language)
		p.Wait(fmt.Sprintf(`document.documentElement.lang === %s`, browser.Quote(language)))
		fits := func(what string) {
			t.Helper()
			for _, wide := range browser.Value[[]string](p, `document.scrollingElement.scrollWidth <= 320 ? [] : [...document.querySelectorAll('body *')]
				.filter((e) => e.getBoundingClientRect().right > 320.5).slice(0, 5).map((e) => e.tagName + ' ' + e.className)`) {
				t.Errorf("%s in %s: too wide: %s", what, language, wide)
			}
		}
		p.WaitText(".matrix", "deployments")
		fits("the settings")
		if at := browser.Value[float64](p, `Math.max(...[...document.querySelectorAll('.nav-pages a, .matrix .switch')].map((e) => e.getBoundingClientRect().right))`); at > 320 {
			t.Errorf("a link or a switch ends at %v in %s", at, language)
		}
		p.visit("/?view=all")
		p.WaitText(".row", "Donau")
		fits("the list")
		p.Click(".row-main", "Donau")
		p.WaitText(".trace", ":")
		fits("a notification")
	}
}

// TestLargeText is for readers whose browser shows text twice as large as others.
func TestLargeText(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	story(s)
	p := s.open(t, "/")
	p.AtEveryStart(`new MutationObserver((_, all) => {
		if (!document.documentElement) return;
		document.documentElement.style.fontSize = '200%';
		all.disconnect();
	}).observe(document, { childList: true, subtree: true })`)
	p.visit("/")
	p.WaitText(".row", "Maintenance")
	if size := browser.Value[string](p, `getComputedStyle(document.querySelector('.row-title')).fontSize`); size != "28px" {
		t.Errorf("a title has %s", size)
	}
	// Nothing in a row is cut off, or runs into the next one.
	for _, cut := range browser.Value[[]string](p, `[...document.querySelectorAll('.row')].flatMap((row) => [...row.querySelectorAll('.row-title, .row-about, .row-time')]
		.filter((e) => e.getBoundingClientRect().top < row.getBoundingClientRect().top || e.getBoundingClientRect().bottom > row.getBoundingClientRect().bottom)
		.map((e) => e.className + ' ' + e.textContent))`) {
		t.Errorf("cut off: %s", cut)
	}
}

// TestForcedColours is about systems that take away the colours of pages.
func TestForcedColours(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Build", "topic": "builds"})
	p := s.open(t, "/settings")
	p.Media("forced-colors", "active")
	p.flip("Inbox, local / builds")
	p.waitSwitch("Inbox, local / builds", "Your choice", false)
	knob := func(on bool) string {
		return fmt.Sprintf(`getComputedStyle(document.querySelector('.matrix .switch[aria-checked="%t"] .knob')).backgroundColor`, on)
	}
	for _, on := range []bool{true, false} {
		p.Wait(fmt.Sprintf(`%s !== getComputedStyle(document.querySelector('.matrix .switch[aria-checked="%t"]'), '::before').backgroundColor`, knob(on), on))
	}
	p.visit("/")
	p.WaitCount(".row.unread", 1)
	p.Wait(`getComputedStyle(document.querySelector('.unread-dot')).backgroundColor !== getComputedStyle(document.querySelector('.row')).backgroundColor`)
	p.Wait(`getComputedStyle(document.querySelector('.nav-link[aria-current]')).outlineStyle === 'solid'`)
}
