package page

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

// flip clicks a switch of the matrix whose name begins so.
func (p *tab) flip(name string) {
	p.T.Helper()
	at := fmt.Sprintf(`[...document.querySelectorAll('.matrix [role=switch]')].find((e) => e.getAttribute('aria-label').startsWith(%s))`, browser.Quote(name+" ("))
	p.Wait(at)
	p.Evaluate(at + `.click()`)
}

// waitSwitch waits until a switch of the matrix is so, and says why.
func (p *tab) waitSwitch(name, why string, on bool) {
	p.T.Helper()
	p.Wait(fmt.Sprintf(`[...document.querySelectorAll('.matrix [role=switch]')].some((e) => e.getAttribute('aria-label') === %s && e.ariaChecked === '%t')`,
		browser.Quote(name+" ("+why+")"), on))
}

func TestSettingsStopADelivery(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Build 1", "topic": "builds"})
	s.Send(payload{"title": "Deploy 1", "topic": "deploys"})
	f := newProfile(t)
	inbox, p := f.open(s.Base, "/"), f.open(s.Base, "/settings")
	inbox.live()
	p.waitSwitch("Inbox, local / builds", "Default", true)
	p.flip("Inbox, local / builds")
	p.waitSwitch("Inbox, local / builds", "Your choice", false)
	s.Send(payload{"title": "Build 2", "topic": "builds"})
	s.Send(payload{"title": "Deploy 2", "topic": "deploys"})
	inbox.WaitText(".row", "Deploy 2")
	inbox.WaitCount(".row", 3)

	t.Log("An undo brings it back, and makes no choice of its own.")
	p.Click(".toast-action", "Undo")
	p.waitSwitch("Inbox, local / builds", "Default", true)
	s.Send(payload{"title": "Build 3", "topic": "builds"})
	inbox.WaitText(".row", "Build 3")

	t.Log("What is below follows what is above.")
	p.flip("Inbox, local")
	p.waitSwitch("Inbox, local", "Your choice", false)
	p.waitSwitch("Inbox, local / deploys", "As local", false)
	p.flip("Inbox, local / deploys")
	p.waitSwitch("Inbox, local / deploys", "Your choice", true)
	p.Click(`[aria-label="Back to the default: Inbox, local"]`, "")
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
	s.Send(payload{"title": "Incident", "topic": "incidents"})
	p := s.open(t, "/settings")
	p.waitSwitch("Inbox, security", "Required", true)
	p.Wait(`[...document.querySelectorAll('.matrix [role=switch]')].find((e) => e.getAttribute('aria-label').includes('security')).disabled`)
	p.WaitText(".cell", "High and above always")
	p.Evaluate(`document.getElementById('search').focus()`)
	p.Press("i", "n", "c", "i")
	p.WaitCount(".origin-row", 1)
	p.WaitText(".topic-row", "incidents")
}

func TestSettingsFollowOtherTabs(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Build", "topic": "builds"})
	f := newProfile(t)
	a, b := f.open(s.Base, "/settings"), f.open(s.Base, "/settings")
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
		patience.Until(t, func() error {
			schedule.QuietHours = nil
			s.Call(http.MethodGet, "/api/notifications/schedule", nil, "", &schedule)
			if schedule.Chosen != chosen || schedule.Digest.Every != every || (schedule.QuietHours != nil) != quiet {
				return fmt.Errorf("the schedule is %+v", schedule)
			}
			return nil
		})
	}
	pick := func(label, option string) {
		t.Helper()
		at := fmt.Sprintf(`[...document.querySelectorAll('.field')].find((e) => e.textContent.startsWith(%s))?.querySelector('select')`, browser.Quote(label))
		p.Wait(at)
		p.Evaluate(fmt.Sprintf(`(() => { const s = %s; s.value = %s; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, at, browser.Quote(option)))
	}
	pick("How often", "daily")
	want(true, "daily", false)
	p.Click(".check", "Keep quiet")
	want(true, "daily", true)
	pick("Your clock", "Asia/Tokyo")
	patience.Until(t, func() error {
		s.Call(http.MethodGet, "/api/notifications/schedule", nil, "", &schedule)
		if schedule.TimeZone != "Asia/Tokyo" {
			return fmt.Errorf("the zone is %s", schedule.TimeZone)
		}
		return nil
	})
	p.Click(".quiet-button", "Back to the default times")
	want(false, "never", false)
	p.WaitText(".toast:last-child", "Back to the default times")
	p.Click(".toast:last-child .toast-action", "Undo")
	want(true, "daily", true)
}

func TestLanguageThemeAndShortcutsOfThisBrowser(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "One"})
	f := newProfile(t)
	p := f.open(s.Base, "/settings")
	pick := func(option string) {
		t.Helper()
		at := fmt.Sprintf(`[...document.querySelectorAll('.toggles select')].find((s) => [...s.options].some((o) => o.value === %s))`, browser.Quote(option))
		p.Wait(at)
		p.Evaluate(fmt.Sprintf(`(() => { const s = %s; s.value = %s; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, at, browser.Quote(option)))
	}
	pick("dark")
	p.Wait(`document.documentElement.dataset.theme === 'dark'`)
	pick("de")
	p.WaitText("h1", "Einstellungen")
	p.Wait(`document.documentElement.lang === 'de'`)
	p.Click(`.toggles [aria-label="Tastenkürzel"]`, "")
	p.visit("/")
	p.WaitText(".bulk-text", "1 Benachrichtigung")
	p.Press("?")
	p.Press("e")
	p.WaitCount("dialog", 0)
	if err := s.WantStatus(1, 0); err != nil {
		t.Error(err)
	}
	if theme := browser.Value[string](p, `document.documentElement.dataset.theme`); theme != "dark" {
		t.Errorf("the theme is %q", theme)
	}
}

func TestSendMeATest(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := newProfile(t)
	inbox, p := f.open(s.Base, "/"), f.open(s.Base, "/settings")
	inbox.live()
	p.Click(".button", "Send me a test")
	p.WaitText(".toast", "The test is on its way")
	inbox.WaitCount(".row.unread", 1)
}

func TestUsersMakeTokensOfTheirOwn(t *testing.T) {
	t.Parallel()
	s, _, _ := adminServer(t)
	p := newProfile(t).open(s.signedIn("jane"), "/settings")
	p.WaitText(".empty", "There are no tokens")
	p.WaitCount(`[aria-labelledby="tokens-title"] select`, 0)
	p.Click(".card-head button", "New token")
	p.WaitCount(`dialog input[type=radio]`, 2)
	t.Log("Who marks text and lets go beside the dialog has not closed it.")
	const click = `((from) => {
		const dialog = document.querySelector('dialog');
		(from ? dialog.querySelector(from) : dialog).dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));
		dialog.click();
	})`
	p.Evaluate(click + `('h2')`)
	p.fill("Name", "cron")
	p.Evaluate(click + `('')`)
	p.WaitCount("dialog", 0)
	p.Click(".card-head button", "New token")
	p.fill("Name", "cron")
	p.Click("dialog .button", "Create")
	secret := browser.Value[string](p, `new Promise((done) => { const look = () => { const field = document.querySelector('dialog .secret input'); if (field) done(field.value); else requestAnimationFrame(look); }; look(); })`)
	p.Evaluate(click + `('')`) // it is shown only once
	p.Click("dialog .button", "I have it")
	p.WaitText("tbody td", "user:default/jane")
	s.Call(http.MethodGet, "/api/notifications/status", map[string]string{"Authorization": "Bearer " + secret}, "", nil)
	p.Click("tbody button", "Revoke")
	p.Click("dialog .danger", "Revoke")
	p.WaitText("tbody .state", "Revoked")

	t.Log("The document is as tall as the window, whatever is in the page.")
	p.Size(1100, 500)
	p.Wait(`document.documentElement.scrollHeight <= innerHeight`)

	t.Log("Guests make none.")
	guest := serve(t, "").open(t, "/settings")
	guest.WaitText("h2", "This browser")
	guest.WaitCount("#tokens-title", 0)
}

// holdSchedule keeps back what the page is told of the schedule until it is let go.
const holdSchedule = `{
	const ask = window.fetch;
	const released = new Promise((resolve) => { window.release = resolve; });
	window.fetch = async (url, options) => {
		if (String(url).endsWith('/schedule')) await released;
		return ask(url, options);
	};
}`

// What is about to be clicked must not move away.
func TestSettingsDoNotMoveAsTheyLoad(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Build", "topic": "builds"})
	p := s.open(t, "/")
	p.AtEveryStart(holdSchedule)
	p.visit("/settings")
	p.Wait(`document.querySelector('.matrix')`)
	const visible = `[...document.querySelectorAll('.card')].filter((e) => e.checkVisibility()).length`
	if cards := browser.Value[int](p, visible); cards != 0 {
		t.Errorf("%d cards are shown before the schedule is known", cards)
	}
	p.Evaluate(`release()`)
	p.Wait(visible + ` > 2`)
	p.Wait(`document.querySelector('.schedule select')`)
}
