package page

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestFirstNotificationArrivesLive(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	p.live()
	p.waitText("h2", "All caught up")
	s.send(payload{"title": "The first one", "severity": "high"})
	p.waitText(".row.unread", "The first one")
	p.wait(`document.title.startsWith('(1) ')`)
	p.wait(`document.querySelector('link[rel=icon]').href.includes('circle')`)
	p.waitText(".nav-link[aria-current]", "1")
	p.wait(`document.querySelector('.row .severity').getAttribute('aria-label') === 'High'`)
}

func TestOpeningMarksAsReadAndTellsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Deployed", "description": "**Two** services", "link": "https://example.com/run", "metadata": map[string]any{"commit": "abc"}})
	p := s.open(t, "/")
	p.click(".row-main", "Deployed")
	p.waitText(".prose strong", "Two")
	p.waitText(".metadata", "abc")
	p.waitText(".trace", "Inbox: arrived at")
	p.wait(`document.querySelector('.detail a.primary').rel === 'noopener noreferrer'`)
	eventually(t, func(ctxDone) error { return s.wantStatus(0, 1) })
	// It stays in the list until one leaves it.
	p.waitCount(".row:not(.unread).open", 1)
	p.click(".nav-link", "Saved")
	p.waitText("h2", "Nothing is saved")
	p.click(".nav-link", "Unread")
	p.waitText("h2", "All caught up")
}

func TestMarkAllAsReadAndUndo(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.fill(130) // more than a page
	p := s.open(t, "/")
	p.waitText(".bulk-text", "130 notifications")
	p.click(".bulk .quiet-button", "Mark all as read")
	p.waitText("h2", "All caught up")
	eventually(t, func(ctxDone) error { return s.wantStatus(0, 130) })
	p.click(".toast-action", "Undo")
	p.waitText(".bulk-text", "130 notifications")
	eventually(t, func(ctxDone) error { return s.wantStatus(130, 0) })
}

func TestSoManyThatItCannotBeUndoneIsAskedFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.fill(1100)
	p := s.open(t, "/?topic=topic-1")
	p.waitText(".bulk-text", "55 matches")
	p.visit("/")
	p.click(".bulk .quiet-button", "Mark all as read")
	p.waitText("dialog h2", "Change 1,100 notifications?")
	p.click("dialog .button", "Cancel")
	p.waitCount("dialog", 0)
	if err := s.wantStatus(1100, 0); err != nil {
		t.Fatal(err)
	}
	p.click(".bulk .quiet-button", "Mark all as read")
	p.click("dialog .primary", "Mark as read")
	p.waitText("h2", "All caught up")
	eventually(t, func(ctxDone) error { return s.wantStatus(0, 1100) })
}

func TestSelectAllThatMatch(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.fill(300)
	s.send(payload{"title": "Another", "topic": "other"})
	p := s.open(t, "/?q=Notification")
	p.waitText(".bulk-text", "300 matches")
	p.run(clickTick(".bulk .tick"))
	p.waitText(".bulk-text", "100 selected")
	p.click(".bulk .link-button", "Select all 300")
	p.waitText(".bulk-text", "300 selected")
	p.click(`.bulk [aria-label="Save"]`, "")
	eventually(t, func(ctxDone) error {
		var list struct{ TotalCount int }
		s.call(http.MethodGet, "/api/notifications?saved=true&limit=0", nil, "", &list)
		if list.TotalCount != 300 {
			return fmt.Errorf("%d are saved", list.TotalCount)
		}
		return nil
	})
}

func TestFiltersAreInTheAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Low one", "severity": "low", "topic": "a"})
	s.send(payload{"title": "High one", "severity": "high", "topic": "b"})
	s.send(payload{"title": "Critical one", "severity": "critical", "topic": "a"})
	p := s.open(t, "/")
	p.waitCount(".row", 3)
	p.choose("Severity", "high")
	p.wait(`location.search === '?severity=high'`)
	p.waitCount(".row", 2)
	p.choose("Topic", "a")
	p.waitCount(".row", 1)
	p.waitText(".row", "Critical one")

	t.Log("They outlive a reload, and the browser goes back over them.")
	p.visit(value[string](p, `location.pathname + location.search`))
	p.waitText(".row", "Critical one")
	p.waitCount(".row", 1)
	p.click(".quiet-button", "Clear filters")
	p.waitCount(".row", 3)
	p.run(evaluate(`history.back()`))
	p.waitCount(".row", 1)

	t.Log("What arrives is shown only if it fits.")
	p.live()
	s.send(payload{"title": "Unfitting", "severity": "low", "topic": "a"})
	s.send(payload{"title": "Fitting", "severity": "critical", "topic": "a"})
	p.waitText(".row", "Fitting")
	p.waitCount(".row", 2)

	t.Log("Search is a filter, too.")
	p.visit("/")
	p.waitText(".row", "Low one")
	p.press("/")
	p.wait(`document.activeElement.id === 'search'`)
	p.press("H", "i", "g", "h")
	p.waitCount(".row", 1)
	p.wait(`location.search === '?q=High'`)
	p.visit("/?since=today&origin=nobody")
	p.waitText("h2", "Nothing matches")
}

func TestGrouping(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	for _, topic := range []string{"beta", "alpha", "beta"} {
		s.send(payload{"title": "Of " + topic, "topic": topic})
	}
	s.send(payload{"title": "Without"})
	p := s.open(t, "/?group=topic")
	p.waitCount(".row", 4)
	headings := value[[]string](p, `[...document.querySelectorAll('.group h2')].map((e) => e.textContent)`)
	if want := []string{"alpha", "beta", "No topic"}; !slices.Equal(headings, want) {
		t.Errorf("the groups are %q, want %q", headings, want)
	}
	p.live()
	s.send(payload{"title": "New", "topic": "alpha"})
	p.waitCount(".row", 5)
	if first := p.titles()[0]; first != "New" {
		t.Errorf("the first of its group is %q", first)
	}
	p.waitCount(".group", 3)
}

func TestTwoTabsStayInSync(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "One"})
	s.send(payload{"title": "Two"})
	f := newProfile(t)
	a, b := f.open(s.base, "/"), f.open(s.base, "/?view=all")
	for _, p := range []*tab{a, b} {
		p.live()
		p.waitCount(".row.unread", 2)
	}
	a.click(".row-main", "One")
	b.waitCount(".row.unread", 1)
	b.wait(`document.title.startsWith('(1) ')`)
	b.press("j", "e") // "Two" is the first
	a.waitCount(".row.unread", 0)
	b.press("z")
	a.waitCount(".row.unread", 1)
	b.press("s")
	b.waitCount(`.row-time [aria-label="Saved"]`, 1)
	s.send(payload{"title": "Three"})
	for _, p := range []*tab{a, b} {
		p.waitText(".row.unread", "Three")
	}
}

// TestWhatRisesIsShownOnce is about scopes: a revision is no second row.
func TestWhatRisesIsShownOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Build 1", "scope": "build"})
	s.send(payload{"title": "Other"})
	p := s.open(t, "/?view=all")
	p.waitCount(".row", 2)
	p.live()
	p.click(".row-main", "Build 1")
	p.waitCount(".row.unread", 1)
	s.send(payload{"title": "Build 2", "scope": "build"})
	p.wait(`document.querySelector('.row-title bdi')?.textContent === 'Build 2'`)
	p.waitCount(".row", 2)
	p.waitText("#detail-title", "Build 2")
	p.waitText(".detail-meta", "updated")
}

func TestSnooze(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Later"})
	s.send(payload{"title": "Now"})
	f := newProfile(t)
	p, other := f.open(s.base, "/"), f.open(s.base, "/")
	other.live()
	p.waitCount(".row", 2)
	p.click(`[aria-label="Snooze"]`, "")
	p.click("[role=menuitem]", "Tomorrow")
	p.waitCount(".row", 1)
	other.waitCount(".row", 1)
	p.click(".nav-link", "Snoozed")
	p.waitCount(".row", 1)
	p.waitText(".nav-link[aria-current]", "1")
	p.click(".row-main", "")
	p.waitText(".detail-meta", "Snoozed until")
	p.press("z")
	p.waitText("h2", "Nothing is snoozed")
	other.waitCount(".row", 2)

	t.Log("It comes back by itself, unread, at its time.")
	var list struct{ Notifications []struct{ ID string } }
	s.call(http.MethodGet, "/api/notifications?search=Later", nil, "", &list)
	other.click(".row-main", "Later")
	other.waitCount(".row.unread", 1)
	soon := time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano)
	s.call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"ids":[%q],"snoozedUntil":%q}`, list.Notifications[0].ID, soon), nil)
	other.waitCount(".row", 1)
	other.waitText(".row.unread", "Later")
}
