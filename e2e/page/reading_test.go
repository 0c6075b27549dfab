package page

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

func TestEverythingThatWasSentIsShown(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{
		"title": "Deployed", "topic": "deployments", "link": "https://ci.example.com/runs/1",
		"additionalLinks": []any{
			map[string]any{"title": "Dashboard", "url": "https://grafana.example.com/d/1"},
			map[string]any{"title": "Runbook", "url": "https://wiki.example.com/runbook"},
		},
		"metadata": map[string]any{
			"commit": "9f3ac21", "passed": 214, "canary": false, "log": "https://logs.example.com/1",
			"steps": map[string]any{"build": "ok"},
		},
	})
	p := s.open(t, "/")
	p.Click(".row-main", "Deployed")
	p.WaitText("#detail-title", "Deployed")
	p.WaitText(".detail-meta", "local")
	p.WaitText(".detail-meta", "deployments")
	links := browser.Value[[]string](p, `[...document.querySelectorAll('.detail .links a, .detail .metadata a, .detail a.primary')].map((a) => a.href).sort()`)
	if want := []string{"https://ci.example.com/runs/1", "https://grafana.example.com/d/1", "https://logs.example.com/1", "https://wiki.example.com/runbook"}; !slices.Equal(links, want) {
		t.Errorf("the links are %q, want %q", links, want)
	}
	p.WaitText(".links a", "Dashboard")
	p.WaitText(".links a", "Runbook")
	values := browser.Value[map[string]string](p, `Object.fromEntries([...document.querySelectorAll('.metadata dt')].map((e) => [e.textContent, e.parentElement.querySelector('dd').textContent]))`)
	for name, want := range map[string]string{"commit": "9f3ac21", "passed": "214", "canary": "false", "log": "logs.example.com", "steps": `"build": "ok"`} {
		if got := values[name]; !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}

	t.Log("Its address shows the same to who follows it.")
	other := s.open(t, browser.Value[string](p, `location.pathname + location.search`))
	other.WaitText("#detail-title", "Deployed")
	other.WaitText(".metadata", "9f3ac21")
}

func TestTables(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Results", "description": "Of **main**:\n| suite | failed |\n|:--|--:|\n| unit | `0` |\n| e2e \\| ui | **3** | more |\n| short |\n\nA | B\n\n- a | b\n"})
	p := s.open(t, "/")
	p.WaitText(".row-preview", "Of main: suite | failed unit")
	p.Click(".row-main", "Results")
	p.WaitCount(".prose table", 1)
	rows := browser.Value[[][]string](p, `[...document.querySelectorAll('.prose tr')].map((r) => [...r.cells].map((c) => c.innerHTML))`)
	want := [][]string{{"suite", "failed"}, {"unit", "<code>0</code>"}, {"e2e | ui", "<strong>3</strong>"}, {"short", ""}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
	p.WaitText(".prose p", "Of main:")
	p.WaitText(".prose p", "A | B")
	p.WaitText(".prose li", "a | b")
}

func TestSeveritiesDifferInShape(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	for _, severity := range []string{"low", "normal", "high", "critical"} {
		s.Send(payload{"title": severity, "severity": severity})
	}
	p := s.open(t, "/")
	p.WaitCount(".row", 4)
	names := browser.Value[[]string](p, `[...document.querySelectorAll('.row .severity[role=img]')].map((e) => e.getAttribute('aria-label'))`)
	if want := []string{"Critical", "High", "Normal", "Low"}; !slices.Equal(names, want) {
		t.Errorf("the severities are called %q, want %q", names, want)
	}
	for what, script := range map[string]string{
		"shapes":  `[...document.querySelectorAll('.row .severity')].map((e) => [...e.querySelectorAll('path, circle')].map((s) => s.getAttribute('d') ?? s.getAttribute('stroke-dasharray')).join())`,
		"colours": `[...document.querySelectorAll('.row .severity')].map((e) => getComputedStyle(e).color)`,
	} {
		list := browser.Value[[]string](p, script)
		slices.Sort(list)
		if got := len(slices.Compact(list)); got != 4 {
			t.Errorf("four severities have %d %s", got, what)
		}
	}
}

func TestTimesAreRelativeAndExactOnHover(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	ages := map[string]time.Duration{"now": 0, "5 min": 5 * time.Minute, "3 h": 3 * time.Hour, "2 d": 48 * time.Hour}
	for title, age := range ages {
		s.Send(payload{"title": title})
		s.Age(title, age)
	}
	p := s.open(t, "/")
	p.WaitCount(".row", 4)
	for title, age := range ages {
		row := fmt.Sprintf(`[...document.querySelectorAll('.row')].find((e) => e.querySelector('.row-title bdi').textContent === %s).querySelector('time')`, browser.Quote(title))
		if got := browser.Value[string](p, row+`.textContent`); got != title {
			t.Errorf("what is %s old is %q, want %q", age, got, title)
		}
		// As the browser writes the whole of it, to the second.
		if !browser.Value[bool](p, fmt.Sprintf(`((e) => new Date(e.title.replace(' at ', ' ')).getTime() === Math.floor(new Date(e.dateTime).getTime() / 1000) * 1000)(%s)`, row)) {
			t.Errorf("who hovers over %q sees %q", title, browser.Value[string](p, row+`.title`))
		}
		shown := browser.Value[float64](p, row+`.dateTime && Date.now() - new Date(`+row+`.dateTime)`)
		if off := time.Duration(shown)*time.Millisecond - age; off < 0 || off > time.Minute {
			t.Errorf("what is %s old is off by %s", age, off)
		}
	}
}

func TestDatesAndOriginsFilter(t *testing.T) {
	t.Parallel()
	s := serve(t, binary.Senders("ci", "security"))
	s.As("ci").Send(payload{"title": "Of today"})
	s.As("ci").Send(payload{"title": "Of three days ago"})
	s.As("security").Send(payload{"title": "Of ten days ago"})
	s.As("security").Send(payload{"title": "Of long ago"})
	const day = 24 * time.Hour
	s.Age("Of three days ago", 3*day)
	s.Age("Of ten days ago", 10*day)
	s.Age("Of long ago", 90*day)
	p := s.open(t, "/")
	wait := func(titles ...string) {
		t.Helper()
		patience.Until(t, func() error {
			if got := p.titles(); !slices.Equal(got, titles) {
				return fmt.Errorf("the titles are %q, want %q", got, titles)
			}
			return nil
		})
	}
	wait("Of today", "Of three days ago", "Of ten days ago", "Of long ago")
	p.choose("Date", "today")
	wait("Of today")
	p.choose("Date", "7d")
	wait("Of today", "Of three days ago")
	p.Wait(`location.search === '?since=7d'`)
	p.choose("Date", "30d")
	wait("Of today", "Of three days ago", "Of ten days ago")

	t.Log("A date of one's own.")
	p.choose("Date", "date")
	date := time.Now().Add(-5 * day).Format(time.DateOnly)
	p.Set(`document.querySelector('.filters [type=date]')`, date)
	wait("Of today", "Of three days ago")
	p.Wait(`location.search === ` + browser.Quote("?since="+date))
	p.Click(".quiet-button", "Clear filters")

	t.Log("An origin, alone and with a date.")
	p.choose("Origin", "security")
	wait("Of ten days ago", "Of long ago")
	p.choose("Date", "30d")
	wait("Of ten days ago")
	p.visit("/?group=origin")
	p.WaitCount(".row", 4)
	headings := browser.Value[[]string](p, `[...document.querySelectorAll('.group h2')].map((e) => e.textContent)`)
	if want := []string{"ci", "security"}; !slices.Equal(headings, want) {
		t.Errorf("the groups are %q, want %q", headings, want)
	}
}

// Browsers tell of every digit of a year, as if it were the whole.
func TestADateIsTyped(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Today"})
	p := s.open(t, "/")
	p.WaitCount(".row", 1)
	p.choose("Date", "date")
	p.Wait(`document.querySelector('input[type=date]')`)
	p.Evaluate(`document.querySelector('input[type=date]').focus()`)
	p.Press("1", "1", "0", "1", "2", "0", "2", "6")
	p.Wait(`location.search === '?since=2026-11-01'`)
	p.WaitCount(".row", 1)
	p.Press("\b")
	p.Wait(`location.search === ''`)
	p.Press("2", "0", "2", "5")
	p.Wait(`location.search === '?since=2025-11-01'`)
}

func TestEveryEmptyViewSaysWhy(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	for path, title := range map[string]string{
		"/": "No notifications yet", "/?view=saved": "Nothing is saved", "/?view=snoozed": "Nothing is snoozed",
		"/?view=all": "No notifications yet", "/?q=none": "Nothing matches",
	} {
		p.visit(path)
		p.WaitText(".pane h2", title)
		p.WaitCount(".row", 0)
	}
	p.visit("/?q=none")
	p.Click(".pane .button", "Clear filters")
	p.WaitText(".pane h2", "No notifications yet")
	p.visit("/settings")
	p.WaitText("main", "Nothing was sent to you yet")
	p.visit("/?id=01a5a8a4-0000-8000-8000-000000000000")
	p.Expect("404")
	p.WaitText(".detail-pane h2", "There is no such notification")

	t.Log("Who has never got anything can try it out.")
	p.visit("/")
	p.live()
	p.Click(".pane .button", "Send me a test")
	p.WaitCount(".row.unread", 1)
	p.Click(".bulk .quiet-button", "Mark all as read")
	p.WaitText(".pane h2", "All caught up")
	p.WaitCount(".pane .blank .button", 0)
}

func TestGermanForWhoReadsGerman(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(1500)
	s.Send(payload{"title": "Kaputt", "severity": "critical"})
	p := s.open(t, "/settings")
	agent := browser.Value[string](p, `navigator.userAgent`)
	p.Run(emulation.SetUserAgentOverride(agent).WithAcceptLanguage("de-AT,de;q=0.9"), emulation.SetLocaleOverride().WithLocale("de-AT"))
	p.visit("/")
	p.Wait(`document.documentElement.lang === 'de'`)
	p.WaitText(".nav-link", "Ungelesen")
	p.WaitText(".row", "Kaputt")
	p.Wait(`document.querySelector('.row .severity').getAttribute('aria-label') === 'Kritisch'`)
	// Numbers and dates are as written there, too.
	p.Wait(`document.querySelector('.bulk-text').textContent.includes(new Intl.NumberFormat('de-AT').format(1501) + ' Benachrichtigungen')`)
	p.Wait(`/^\S+tag|^Mittwoch/.test(document.querySelector('.row time').title)`)
	p.visit("/?view=saved")
	p.WaitText("h2", "Nichts gemerkt")
	p.visit("/settings")
	p.WaitText("h1", "Einstellungen")
	for _, violation := range p.Violations("document") {
		t.Error(violation)
	}
}
