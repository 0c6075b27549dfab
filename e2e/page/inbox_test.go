package page

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

func TestFirstNotificationArrivesLive(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	p.live()
	p.WaitText("h2", "No notifications yet")
	s.Send(payload{"title": "The first one", "severity": "high"})
	p.WaitText(".row.unread", "The first one")
	p.Wait(`document.title.startsWith('(1) ')`)
	p.Wait(`document.querySelector('link[rel=icon]').href.includes('circle')`)
	p.WaitText(".nav-link[aria-current]", "1")
	p.Wait(`document.querySelector('.row .severity').getAttribute('aria-label') === 'High'`)
}

func TestOpeningMarksAsReadAndTellsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Deployed", "description": "**Two** services", "link": "https://example.com/run", "metadata": map[string]any{"commit": "abc"}})
	p := s.open(t, "/")
	p.Click(".row-main", "Deployed")
	p.WaitText(".prose strong", "Two")
	p.WaitText(".metadata", "abc")
	p.WaitText(".trace", "Inbox: arrived at")
	p.Wait(`document.querySelector('.detail a.primary').rel === 'noopener noreferrer'`)
	patience.Until(t, func() error { return s.WantStatus(0, 1) })
	// It stays in the list until one leaves it.
	p.WaitCount(".row:not(.unread).open", 1)
	p.Click(".nav-link", "Saved")
	p.WaitText("h2", "Nothing is saved")
	p.Click(".nav-link", "Unread")
	p.WaitText("h2", "All caught up")
}

func TestMarkAllAsReadAndUndo(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(130) // more than a page
	p := s.open(t, "/")
	p.WaitText(".bulk-text", "130 notifications")
	p.Click(".bulk .quiet-button", "Mark all as read")
	p.WaitText("h2", "All caught up")
	patience.Until(t, func() error { return s.WantStatus(0, 130) })
	p.Click(".toast-action", "Undo")
	p.WaitText(".bulk-text", "130 notifications")
	patience.Until(t, func() error { return s.WantStatus(130, 0) })
}

func TestSoManyThatItCannotBeUndoneIsAskedFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(1100)
	p := s.open(t, "/?topic=topic-1")
	p.WaitText(".bulk-text", "55 matches")
	p.visit("/")
	p.Click(".bulk .quiet-button", "Mark all as read")
	p.WaitText("dialog h2", "Change 1,100 notifications?")
	p.Click("dialog .button", "Cancel")
	p.WaitCount("dialog", 0)
	if err := s.WantStatus(1100, 0); err != nil {
		t.Fatal(err)
	}
	p.Click(".bulk .quiet-button", "Mark all as read")
	p.Click("dialog .primary", "Mark as read")
	p.WaitText("h2", "All caught up")
	patience.Until(t, func() error { return s.WantStatus(0, 1100) })
}

func TestSelectAllThatMatch(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(300)
	s.Send(payload{"title": "Another", "topic": "other"})
	p := s.open(t, "/?q=Notification")
	p.WaitText(".bulk-text", "300 matches")
	p.ClickAt(`document.querySelector(".bulk .tick")`)
	p.WaitText(".bulk-text", "100 selected")
	p.Click(".bulk .link-button", "Select all 300")
	p.WaitText(".bulk-text", "300 selected")
	p.Click(`.bulk [aria-label="Save"]`, "")
	patience.Until(t, func() error {
		var list struct{ TotalCount int }
		s.Call(http.MethodGet, "/api/notifications?saved=true&limit=0", nil, "", &list)
		if list.TotalCount != 300 {
			return fmt.Errorf("%d are saved", list.TotalCount)
		}
		return nil
	})
}

// row is the row of a notification, and of it what a selector says.
func row(title, selector string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('.row')].find((e) => e.querySelector('.row-title bdi').textContent === %s)?.querySelector(%s)`, browser.Quote(title), browser.Quote(selector))
}

// TestSelectionsAreChangedTogether is about the bar above the list.
func TestSelectionsAreChangedTogether(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	for _, title := range []string{"One", "Two", "Three", "Four"} {
		s.Send(payload{"title": title})
	}
	p := s.open(t, "/?view=all")
	p.WaitCount(".row.unread", 4)
	choose := func(titles ...string) {
		t.Helper()
		for i, title := range titles {
			p.ClickAt(row(title, ".tick"))
			p.WaitText(".bulk-text", fmt.Sprintf("%d selected", i+1))
		}
	}
	choose("One", "Three")
	p.Click(`.bulk [aria-label="Mark as read"]`, "")
	p.WaitCount(".row.unread", 2)
	p.WaitCount(".row.ticked", 0)
	patience.Until(t, func() error { return s.WantStatus(2, 2) })

	choose("One", "Two")
	p.Click(`.bulk [aria-label="Save"]`, "")
	p.WaitCount(`.row-time [aria-label="Saved"]`, 2)

	choose("One", "Three")
	p.Click(`.bulk [aria-label="Mark as unread"]`, "")
	p.WaitCount(".row.unread", 4)
	patience.Until(t, func() error { return s.WantStatus(4, 0) })
	p.Press("z")
	p.WaitCount(".row.unread", 2)
	patience.Until(t, func() error { return s.WantStatus(2, 2) })

	t.Log("In the view of what is saved, it leaves that.")
	p.Click(".nav-link", "Saved")
	p.WaitCount(".row", 2)
	choose("One", "Two")
	p.Click(`.bulk [aria-label="Remove from saved"]`, "")
	p.WaitText("h2", "Nothing is saved")
}

// TestOneClickEach is about the buttons of a row.
func TestOneClickEach(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "One"})
	s.Send(payload{"title": "Two"})
	p := s.open(t, "/?view=all")
	p.WaitCount(".row.unread", 2)
	click := func(name string) {
		t.Helper()
		button := row("One", `.row-actions [aria-label="`+name+`"]`)
		p.Wait(button)
		p.Evaluate(button + ".click()")
	}
	click("Mark as read")
	p.WaitCount(".row.unread", 1)
	patience.Until(t, func() error { return s.WantStatus(1, 1) })
	click("Mark as unread")
	p.WaitCount(".row.unread", 2)
	patience.Until(t, func() error { return s.WantStatus(2, 0) })
	click("Save")
	p.WaitCount(`.row-time [aria-label="Saved"]`, 1)
	click("Save")
	p.WaitCount(`.row-time [aria-label="Saved"]`, 0)
}

func TestFiltersAreInTheAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Low one", "severity": "low", "topic": "a"})
	s.Send(payload{"title": "High one", "severity": "high", "topic": "b"})
	s.Send(payload{"title": "Critical one", "severity": "critical", "topic": "a"})
	p := s.open(t, "/")
	p.WaitCount(".row", 3)
	p.choose("Severity", "high")
	p.Wait(`location.search === '?severity=high'`)
	p.WaitCount(".row", 2)
	p.choose("Topic", "a")
	p.WaitCount(".row", 1)
	p.WaitText(".row", "Critical one")

	t.Log("They outlive a reload, and the browser goes back over them.")
	p.visit(browser.Value[string](p, `location.pathname + location.search`))
	p.WaitText(".row", "Critical one")
	p.WaitCount(".row", 1)
	p.Click(".quiet-button", "Clear filters")
	p.WaitCount(".row", 3)
	p.Evaluate(`history.back()`)
	p.WaitCount(".row", 1)

	t.Log("What arrives is shown only if it fits.")
	p.live()
	s.Send(payload{"title": "Unfitting", "severity": "low", "topic": "a"})
	s.Send(payload{"title": "Fitting", "severity": "critical", "topic": "a"})
	p.WaitText(".row", "Fitting")
	p.WaitCount(".row", 2)

	t.Log("Search is a filter, too.")
	p.visit("/")
	p.WaitText(".row", "Low one")
	p.Press("/")
	p.Wait(`document.activeElement.id === 'search'`)
	p.Press("H", "i", "g", "h")
	p.WaitCount(".row", 1)
	p.Wait(`location.search === '?q=High'`)
	p.visit("/?since=today&origin=nobody")
	p.WaitText("h2", "Nothing matches")
}

func TestGrouping(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	for _, topic := range []string{"beta", "alpha", "beta"} {
		s.Send(payload{"title": "Of " + topic, "topic": topic})
	}
	s.Send(payload{"title": "Without"})
	p := s.open(t, "/?group=topic")
	p.WaitCount(".row", 4)
	headings := browser.Value[[]string](p, `[...document.querySelectorAll('.group h2')].map((e) => e.textContent)`)
	if want := []string{"alpha", "beta", "No topic"}; !slices.Equal(headings, want) {
		t.Errorf("the groups are %q, want %q", headings, want)
	}
	p.live()
	s.Send(payload{"title": "New", "topic": "alpha"})
	p.WaitCount(".row", 5)
	if first := p.titles()[0]; first != "New" {
		t.Errorf("the first of its group is %q", first)
	}
	p.WaitCount(".group", 3)
}

func TestTwoTabsStayInSync(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "One"})
	s.Send(payload{"title": "Two"})
	f := newProfile(t)
	a, b := f.open(s.Base, "/"), f.open(s.Base, "/?view=all")
	for _, p := range []*tab{a, b} {
		p.live()
		p.WaitCount(".row.unread", 2)
	}
	a.Click(".row-main", "One")
	b.WaitCount(".row.unread", 1)
	b.Wait(`document.title.startsWith('(1) ')`)
	b.Press("j", "e") // "Two" is the first
	a.WaitCount(".row.unread", 0)
	b.Press("z")
	a.WaitCount(".row.unread", 1)
	b.Press("s")
	b.WaitCount(`.row-time [aria-label="Saved"]`, 1)
	s.Send(payload{"title": "Three"})
	for _, p := range []*tab{a, b} {
		p.WaitText(".row.unread", "Three")
	}
}

// TestWhatRisesIsShownOnce is about scopes: a revision is no second row.
func TestWhatRisesIsShownOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Build 1", "scope": "build"})
	s.Send(payload{"title": "Other"})
	p := s.open(t, "/?view=all")
	p.WaitCount(".row", 2)
	p.live()
	p.Click(".row-main", "Build 1")
	p.WaitCount(".row.unread", 1)
	s.Send(payload{"title": "Build 2", "scope": "build"})
	p.Wait(`document.querySelector('.row-title bdi')?.textContent === 'Build 2'`)
	p.WaitCount(".row", 2)
	p.WaitText("#detail-title", "Build 2")
	p.WaitText(".detail-meta", "updated")
}

func TestSnooze(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Later"})
	s.Send(payload{"title": "Now"})
	f := newProfile(t)
	p, other := f.open(s.Base, "/"), f.open(s.Base, "/")
	other.live()
	p.WaitCount(".row", 2)
	p.Click(`[aria-label="Snooze"]`, "")
	p.Click("[role=menuitem]", "Tomorrow")
	p.WaitCount(".row", 1)
	other.WaitCount(".row", 1)
	p.Click(".nav-link", "Snoozed")
	p.WaitCount(".row", 1)
	p.WaitText(".nav-link[aria-current]", "1")
	p.Click(".row-main", "")
	p.WaitText(".detail-meta", "Snoozed until")
	p.Press("z")
	p.WaitText("h2", "Nothing is snoozed")
	other.WaitCount(".row", 2)

	t.Log("It comes back by itself, unread, at its time.")
	var list struct{ Notifications []struct{ ID string } }
	s.Call(http.MethodGet, "/api/notifications?search=Later", nil, "", &list)
	other.Click(".row-main", "Later")
	other.WaitCount(".row.unread", 1)
	soon := time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano)
	s.Call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"ids":[%q],"snoozedUntil":%q}`, list.Notifications[0].ID, soon), nil)
	other.WaitCount(".row", 1)
	other.WaitText(".row.unread", "Later")
}

// More than can be undone: the server changes them by a filter, which must be that of
// the view.
func TestAllThatIsSnoozedIsChangedTogether(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(1100)
	later := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	s.Call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"filter":{},"snoozedUntil":%q}`, later), nil)
	s.Send(payload{"title": "Awake"})
	p := s.open(t, "/?view=snoozed")
	p.WaitText(".bulk-text", "1,100 notifications")
	p.ClickAt(`document.querySelector(".bulk .tick")`)
	p.Click(".bulk .link-button", "Select all 1,100")
	p.WaitCount(`.bulk [aria-label^="Mark as"]`, 0) // what is snoozed comes back unread
	p.Click(`.bulk [aria-label="Save"]`, "")
	p.Click("dialog .button", "Cancel")
	p.WaitText(".bulk-text", "1,100 selected")
	p.Click(`.bulk [aria-label="Save"]`, "")
	p.Click("dialog .primary", "Save")
	saved := func(query string) int {
		var list struct{ TotalCount int }
		s.Call(http.MethodGet, "/api/notifications?saved=true&limit=0"+query, nil, "", &list)
		return list.TotalCount
	}
	patience.Until(t, func() error {
		if n := saved("&snoozed=true"); n != 1100 {
			return fmt.Errorf("%d that are snoozed are saved", n)
		}
		return nil
	})
	if n := saved(""); n != 0 {
		t.Errorf("%d that are not snoozed are saved", n)
	}
}

func TestSnoozeUntilATimeOfOnesOwn(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Later"})
	p := s.open(t, "/")
	p.Click(`[aria-label="Snooze"]`, "")
	p.Click("[role=menuitem]", "Pick a date and time")
	p.WaitText("dialog h2", "Snooze until")

	t.Log("What has passed is refused.")
	p.Set(`document.querySelector('dialog input')`, "2020-01-01T08:00")
	p.Click("dialog .primary", "Snooze")
	p.Wait(`document.querySelector('dialog input').matches(':invalid')`)

	until := browser.Value[string](p, `(() => { const d = new Date(Date.now() + 3 * 86400e3); d.setUTCSeconds(0, 0); window.until = d.getTime(); return new Date(d - d.getTimezoneOffset() * 60e3).toISOString().slice(0, 16); })()`)
	p.Set(`document.querySelector('dialog input')`, until)
	p.Click("dialog .primary", "Snooze")
	p.WaitCount("dialog", 0)
	p.WaitText("h2", "All caught up")
	patience.Until(t, func() error {
		var list struct {
			Notifications []struct{ SnoozedUntil time.Time }
		}
		s.Call(http.MethodGet, "/api/notifications?snoozed=true", nil, "", &list)
		if want := browser.Value[int64](p, `until`); len(list.Notifications) != 1 || list.Notifications[0].SnoozedUntil.UnixMilli() != want {
			return fmt.Errorf("%+v is snoozed, not until %s", list.Notifications, time.UnixMilli(want))
		}
		return nil
	})
}
