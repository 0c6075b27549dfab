package page

import (
	"fmt"
	"net/http"
	"testing"
)

// flip clicks a switch of the matrix whose name begins so.
func (p *tab) flip(name string) {
	p.t.Helper()
	at := fmt.Sprintf(`[...document.querySelectorAll('.matrix [role=switch]')].find((e) => e.getAttribute('aria-label').startsWith(%s))`, quote(name+" ("))
	p.wait(at)
	p.run(evaluate(at + `.click()`))
}

// waitSwitch waits until a switch of the matrix is so, and says why.
func (p *tab) waitSwitch(name, why string, on bool) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`[...document.querySelectorAll('.matrix [role=switch]')].some((e) => e.getAttribute('aria-label') === %s && e.ariaChecked === '%t')`,
		quote(name+" ("+why+")"), on))
}

func TestSettingsStopADelivery(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Build 1", "topic": "builds"})
	s.send(payload{"title": "Deploy 1", "topic": "deploys"})
	f := newProfile(t)
	inbox, p := f.open(s.base, "/"), f.open(s.base, "/settings")
	inbox.live()
	p.waitSwitch("Inbox, local / builds", "Default", true)
	p.flip("Inbox, local / builds")
	p.waitSwitch("Inbox, local / builds", "Your choice", false)
	s.send(payload{"title": "Build 2", "topic": "builds"})
	s.send(payload{"title": "Deploy 2", "topic": "deploys"})
	inbox.waitText(".row", "Deploy 2")
	inbox.waitCount(".row", 3)

	t.Log("An undo brings it back, and makes no choice of its own.")
	p.click(".toast-action", "Undo")
	p.waitSwitch("Inbox, local / builds", "Default", true)
	s.send(payload{"title": "Build 3", "topic": "builds"})
	inbox.waitText(".row", "Build 3")

	t.Log("What is below follows what is above.")
	p.flip("Inbox, local")
	p.waitSwitch("Inbox, local", "Your choice", false)
	p.waitSwitch("Inbox, local / deploys", "As local", false)
	p.flip("Inbox, local / deploys")
	p.waitSwitch("Inbox, local / deploys", "Your choice", true)
	p.click(`[aria-label="Back to the default: Inbox, local"]`, "")
	p.waitSwitch("Inbox, local", "Default", true)
	p.waitSwitch("Inbox, local / builds", "Default", true)
	p.waitSwitch("Inbox, local / deploys", "Your choice", true)
}

func TestLockedSwitchesAreExplained(t *testing.T) {
	t.Parallel()
	s := serve(t, `
notifications:
  mandatory:
    - {channel: Web, origin: security}
    - {channel: Web, topic: incidents, severity: high}
`)
	s.send(payload{"title": "Incident", "topic": "incidents"})
	p := s.open(t, "/settings")
	p.waitSwitch("Inbox, security", "Required", true)
	p.wait(`[...document.querySelectorAll('.matrix [role=switch]')].find((e) => e.getAttribute('aria-label').includes('security')).disabled`)
	p.waitText(".cell", "High and above always")
	p.run(evaluate(`document.getElementById('search').focus()`))
	p.press("i", "n", "c", "i")
	p.waitCount(".origin-row", 1)
	p.waitText(".topic-row", "incidents")
}

func TestSettingsFollowOtherTabs(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "Build", "topic": "builds"})
	f := newProfile(t)
	a, b := f.open(s.base, "/settings"), f.open(s.base, "/settings")
	b.live()
	b.waitSwitch("Inbox, everything", "Default", true)
	a.flip("Inbox, everything")
	b.waitSwitch("Inbox, everything", "Your choice", false)
	b.waitSwitch("Inbox, local / builds", "As everything", false)
}

func TestScheduleIsSavedAndUndone(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/settings")
	var schedule struct {
		TimeZone   string
		Chosen     bool
		Digest     struct{ Every string }
		QuietHours *struct{ From string }
	}
	want := func(chosen bool, every string, quiet bool) {
		t.Helper()
		eventually(t, func(ctxDone) error {
			schedule.QuietHours = nil
			s.call(http.MethodGet, "/api/notifications/schedule", nil, "", &schedule)
			if schedule.Chosen != chosen || schedule.Digest.Every != every || (schedule.QuietHours != nil) != quiet {
				return fmt.Errorf("the schedule is %+v", schedule)
			}
			return nil
		})
	}
	pick := func(label, option string) {
		t.Helper()
		at := fmt.Sprintf(`[...document.querySelectorAll('.field')].find((e) => e.textContent.startsWith(%s))?.querySelector('select')`, quote(label))
		p.wait(at)
		p.run(evaluate(fmt.Sprintf(`(() => { const s = %s; s.value = %s; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, at, quote(option))))
	}
	pick("How often", "daily")
	want(true, "daily", false)
	p.click(".check", "Keep quiet")
	want(true, "daily", true)
	pick("Your clock", "Asia/Tokyo")
	eventually(t, func(ctxDone) error {
		s.call(http.MethodGet, "/api/notifications/schedule", nil, "", &schedule)
		if schedule.TimeZone != "Asia/Tokyo" {
			return fmt.Errorf("the zone is %s", schedule.TimeZone)
		}
		return nil
	})
	p.click(".quiet-button", "Back to the default times")
	want(false, "never", false)
	p.waitText(".toast:last-child", "Back to the default times")
	p.click(".toast:last-child .toast-action", "Undo")
	want(true, "daily", true)
}

func TestLanguageThemeAndShortcutsOfThisBrowser(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.send(payload{"title": "One"})
	f := newProfile(t)
	p := f.open(s.base, "/settings")
	pick := func(option string) {
		t.Helper()
		at := fmt.Sprintf(`[...document.querySelectorAll('.toggles select')].find((s) => [...s.options].some((o) => o.value === %s))`, quote(option))
		p.wait(at)
		p.run(evaluate(fmt.Sprintf(`(() => { const s = %s; s.value = %s; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, at, quote(option))))
	}
	pick("dark")
	p.wait(`document.documentElement.dataset.theme === 'dark'`)
	pick("de")
	p.waitText("h1", "Einstellungen")
	p.wait(`document.documentElement.lang === 'de'`)
	p.click(`.toggles [aria-label="Tastenkürzel"]`, "")
	p.visit("/")
	p.waitText(".bulk-text", "1 Benachrichtigung")
	p.press("?")
	p.press("e")
	p.waitCount("dialog", 0)
	if err := s.wantStatus(1, 0); err != nil {
		t.Error(err)
	}
	if theme := value[string](p, `document.documentElement.dataset.theme`); theme != "dark" {
		t.Errorf("the theme is %q", theme)
	}
}

func TestSendMeATest(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := newProfile(t)
	inbox, p := f.open(s.base, "/"), f.open(s.base, "/settings")
	inbox.live()
	p.click(".button", "Send me a test")
	p.waitText(".toast", "The test is on its way")
	inbox.waitCount(".row.unread", 1)
}
