package page

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

// outcome is what the trace says of the pager once a notification is shown that has a
// title.
func (p *tab) outcome(title string) string {
	p.T.Helper()
	p.visit("/?view=all")
	p.Click(".row-main", title)
	p.WaitText("#detail-title", title)
	p.WaitText(".trace", "Pager")
	return browser.Value[string](p, `[...document.querySelectorAll('.trace li')].map((e) => e.textContent.trim()).find((text) => text.startsWith('Pager'))`)
}

// What the trace says of the pager.
const (
	held = "Pager: held until your quiet hours end "
	sent = "Pager: sent "
)

// field is the field of the schedule that has a label, within a group.
func field(group, label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('.schedule fieldset')].find((e) => e.querySelector('legend').textContent === %s)
		?.querySelectorAll('label').values().find((e) => e.textContent.startsWith(%s))?.querySelector('input, select')`, browser.Quote(group), browser.Quote(label))
}

// clockAt is the time of day by the reader's clock.
func (p *tab) clockAt(at time.Time) string {
	p.T.Helper()
	return browser.Value[string](p, fmt.Sprintf(`new Date(%d).toTimeString().slice(0, 5)`, at.UnixMilli()))
}

type quietHours struct{ From, To, Below string }

// waitQuiet waits until the quiet hours that are stored are as wanted.
func (s *server) waitQuiet(wanted func(*quietHours) bool) {
	s.T.Helper()
	patience.Until(s.T, func() error {
		var schedule struct{ QuietHours *quietHours }
		s.Call(http.MethodGet, "/api/notifications/schedule", nil, "", &schedule)
		if !wanted(schedule.QuietHours) {
			return fmt.Errorf("the quiet hours are %+v", schedule.QuietHours)
		}
		return nil
	})
}

func TestQuietHours(t *testing.T) {
	t.Parallel()
	s := servePaged(t, pagerWorks, "")
	f := newProfile(t)
	p, settings := f.open(s.Base, "/"), f.open(s.Base, "/settings")
	p.live()
	quiet := func(from, to time.Time, below string) {
		t.Helper()
		s.waitQuiet(func(q *quietHours) bool { return q != nil })
		start, end := settings.clockAt(from), settings.clockAt(to)
		settings.Set(field("Quiet hours", "From"), start)
		settings.Set(field("Quiet hours", "To"), end)
		settings.Set(field("Quiet hours", "What waits"), below)
		s.waitQuiet(func(q *quietHours) bool { return *q == quietHours{start, end, below} })
	}
	settings.Click(".check", "Keep quiet")
	now := time.Now()
	quiet(now.Add(-time.Hour), now.Add(2*time.Hour), "high")

	t.Log("What is below the chosen severity waits outside, and is in the inbox at once.")
	s.Send(payload{"title": "Can wait", "severity": "normal"})
	s.Send(payload{"title": "Cannot wait", "severity": "critical"})
	s.Send(payload{"title": "Should not wait", "severity": "high"})
	p.WaitCount(".row.unread", 3)
	p.waitOutcome("Can wait", held)
	if got, end := p.outcome("Can wait"), p.clockAt(now.Add(2 * time.Hour))[2:]; !strings.Contains(got, end) {
		t.Errorf("the page says %q, without the %q of the end", got, end)
	}
	for _, title := range []string{"Cannot wait", "Should not wait"} {
		p.waitOutcome(title, sent)
	}

	t.Log("Without quiet hours nothing waits. What was held stays so.")
	settings.Click(".check", "Keep quiet")
	s.waitQuiet(func(q *quietHours) bool { return q == nil })
	s.Send(payload{"title": "Need not wait", "severity": "low"})
	p.waitOutcome("Need not wait", sent)
	p.waitOutcome("Can wait", held)

	t.Log("At their end what was held goes out.")
	settings.Click(".check", "Keep quiet")
	var end time.Time
	for try := 1; ; try++ {
		// Far enough ahead for what has to happen before; if not, again.
		end = time.Now().Add(20 * time.Second).Truncate(time.Minute).Add(time.Minute)
		quiet(end.Add(-time.Hour), end, "high")
		title := fmt.Sprintf("Waits a little %d", try)
		s.Send(payload{"title": title, "severity": "low"})
		if time.Now().Before(end.Add(-time.Second)) {
			p.waitOutcome(title, held)
			patience.UntilAfter(t, time.Until(end), func() error {
				if got := p.outcome(title); !strings.HasPrefix(got, sent) {
					return fmt.Errorf("the page says %q", got)
				}
				return nil
			})
			break
		}
	}
	if early := time.Until(end); early > 0 {
		t.Errorf("it was sent %s before the end", early)
	}
}

// waitOutcome waits until the trace says of the pager what begins so.
func (p *tab) waitOutcome(title, want string) {
	p.T.Helper()
	patience.Until(p.T, func() error {
		if got := p.outcome(title); !strings.HasPrefix(got, want) {
			return fmt.Errorf("of %s the page says %q, want %q", title, got, want)
		}
		return nil
	})
}

// TestSettingsStopADeliveryOutside is about the channels that are not the inbox, and
// what the page says of them.
func TestSettingsStopADeliveryOutside(t *testing.T) {
	t.Parallel()
	s := servePaged(t, pagerWorks, "")
	s.Send(payload{"title": "Build 1", "topic": "builds"})
	s.Send(payload{"title": "Deploy 1", "topic": "deploys"})
	f := newProfile(t)
	p, settings := f.open(s.Base, "/"), f.open(s.Base, "/settings")
	settings.flip("Pager, local / builds")
	settings.waitSwitch("Pager, local / builds", "Your choice", false)
	s.Send(payload{"title": "Build 2", "topic": "builds"})
	s.Send(payload{"title": "Deploy 2", "topic": "deploys"})
	p.waitOutcome("Build 2", "Pager: not sent, you muted local / builds")
	p.WaitText(".trace", "Inbox: arrived ")
	p.waitOutcome("Deploy 2", sent)
	p.waitOutcome("Build 1", sent)

	t.Log("A wider choice is another reason.")
	settings.flip("Pager, everything")
	settings.waitSwitch("Pager, everything", "Your choice", false)
	s.Send(payload{"title": "Deploy 3", "topic": "deploys"})
	p.waitOutcome("Deploy 3", "Pager: not sent, you switched Pager off")

	t.Log("The trace leads to where that is changed.")
	p.Click(".trace a", "Change")
	p.Wait(`location.pathname === '/settings'`)
	p.Click(`[aria-label="Back to the default: Pager, everything"]`, "")
	p.waitSwitch("Pager, everything", "Default", true)
	s.Send(payload{"title": "Deploy 4", "topic": "deploys"})
	p.waitOutcome("Deploy 4", sent)
}
