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

// fakeNotifications stands in for those of the system, and says that one looks
// elsewhere.
const fakeNotifications = `window.shown = [];
window.Notification = class { constructor(title, options) { window.shown.push(Object.assign(this, { title, ...options })); } close() { this.closed = true; } static permission = 'granted'; static requestPermission() { return Promise.resolve('granted'); } };
document.hasFocus = () => false;`

func TestDesktopNotificationsOncePerUser(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := newProfile(t)
	a, b := f.open(s.Base, "/settings"), f.open(s.Base, "/settings")
	for _, p := range []*tab{a, b} {
		p.AtEveryStart(fakeNotifications)
		p.visit("/settings")
		p.live()
	}
	s.Send(payload{"title": "Nobody asked for this"})
	for _, p := range []*tab{a, b} {
		p.Wait(`document.title.startsWith('(1) ')`)
	}
	a.Click(`.toggles [aria-label="Desktop notifications"]`, "")
	b.Wait(`document.querySelector('.toggles [aria-label="Desktop notifications"]').ariaChecked === 'true'`)
	s.Send(payload{"title": "Shown", "description": "**Once**"})
	for _, p := range []*tab{a, b} {
		p.Wait(`document.title.startsWith('(2) ')`)
	}
	count := func() int {
		return browser.Value[int](a, `shown.length`) + browser.Value[int](b, `shown.length`)
	}
	if n := count(); n != 1 {
		t.Errorf("%d were shown", n)
	}
	if title := browser.Value[string](a, `shown[0]?.title ?? ''`) + browser.Value[string](b, `shown[0]?.title ?? ''`); title != "Shown" {
		t.Errorf("the title is %q", title)
	}

	t.Log("When the tab that speaks closes, the other one does.")
	leader, other := a, b
	if browser.Value[int](b, `shown.length`) == 1 {
		leader, other = b, a
	}
	leader.Close()
	patience.Until(t, func() error {
		s.Send(payload{"title": "Shown by the other"})
		if title := browser.Value[string](other, `shown[0]?.title ?? ''`); title != "Shown by the other" {
			return fmt.Errorf("%q is shown", title)
		}
		return nil
	})
}

func TestQuietHoursAreForTheBrowserToo(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/settings")
	p.AtEveryStart(fakeNotifications)
	p.visit("/settings")
	p.Click(`.toggles [aria-label="Desktop notifications"]`, "")
	p.live()
	shown := func() []string {
		return browser.Value[[]string](p, `shown.map((n) => n.title)`)
	}
	// By a clock on which it is noon now, so that the window ends neither soon nor at
	// midnight.
	now := time.Now().UTC()
	zone := fmt.Sprintf("Etc/GMT%+d", now.Hour()-12)
	quiet := func(from, to string) {
		t.Helper()
		s.Call(http.MethodPost, "/api/notifications/schedule", nil, fmt.Sprintf(`{"timeZone":%q,"quietHours":{"from":%q,"to":%q,"below":"high"}}`, zone, from, to), nil)
		p.Wait(fmt.Sprintf(`[...document.querySelectorAll('input[type=time]')].some((e) => e.value === %q)`, from))
	}
	quiet("11:00", "15:00")
	s.Send(payload{"title": "Silent", "severity": "normal"})
	s.Send(payload{"title": "High", "severity": "high"})
	p.Wait(`shown.length === 1`)
	quiet("15:00", "14:00") // over midnight, all the day but for an hour
	s.Send(payload{"title": "Silent, too", "severity": "low"})
	s.Send(payload{"title": "Critical", "severity": "critical"})
	p.Wait(`shown.length === 2`)
	quiet("15:00", "11:00")
	s.Send(payload{"title": "Heard", "severity": "low"})
	p.Wait(`shown.length === 3`)
	if got, want := shown(), []string{"High", "Critical", "Heard"}; !slices.Equal(got, want) {
		t.Errorf("%q were shown, want %q", got, want)
	}
}

func TestDesktopNotificationsLeadToTheirOwn(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Send(payload{"title": "Other"})
	p := s.open(t, "/settings")
	p.AtEveryStart(fakeNotifications)
	p.visit("/settings")
	p.Click(`.toggles [aria-label="Desktop notifications"]`, "")
	p.live()
	s.Send(payload{"title": "Shown", "description": "**Bold** text"})
	p.Wait(`shown.length === 1`)
	if body := browser.Value[string](p, `shown[0].body`); body != "Bold text" {
		t.Errorf("its text is %q", body)
	}
	p.Evaluate(`shown[0].onclick(); null`)
	p.WaitText("#detail-title", "Shown")
	p.Wait(`location.pathname === '/' && shown[0].closed`)
	patience.Until(t, func() error { return s.WantStatus(1, 1) })
}

// fakeSound stands in for what makes sounds, and counts them.
const fakeSound = `window.tones = 0;
class Silent { connect(next) { return next; } }
window.AudioContext = class { resume() { return Promise.resolve(); } currentTime = 0; destination = new Silent(); };
window.GainNode = class extends Silent { gain = { setValueAtTime() {}, linearRampToValueAtTime() {}, exponentialRampToValueAtTime() {} }; };
window.OscillatorNode = class extends Silent { start() { window.tones += 1; } stop() {} };`

func TestSoundOnlyForWhoAskedForIt(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/settings")
	p.AtEveryStart(fakeSound)
	p.visit("/settings")
	p.live()
	s.Send(payload{"title": "Silent"})
	p.Wait(`document.title.startsWith('(1) ')`)
	if tones := browser.Value[int](p, `tones`); tones != 0 {
		t.Errorf("there were %d tones although nobody asked for any", tones)
	}

	// A real click: without one, browsers allow no sound. What is above has to be there
	// first, so that nothing moves.
	const sound = `document.querySelector('.toggles [aria-label="Sound"]')`
	flip := func(on bool) {
		t.Helper()
		p.Wait(`document.querySelector('[aria-labelledby="schedule-title"] select')`)
		p.Wait(`!document.querySelector('[aria-labelledby="matrix-title"] [aria-busy]')`)
		p.ClickAt(sound)
		p.Wait(fmt.Sprintf(`%s.ariaChecked === '%t'`, sound, on))
	}
	t.Log("Who switches it on hears what it is like.")
	flip(true)
	p.Wait(`tones === 2`)
	p.visit("/")
	p.live()
	p.ClickAt(`document.querySelector('h2')`)
	s.Send(payload{"title": "Heard"})
	p.Wait(`tones === 2`)

	t.Log("Many at once are one sound.")
	s.Send(payload{"title": "Heard with it"})
	p.Wait(`document.title.startsWith('(3) ')`)
	if tones := browser.Value[int](p, `tones`); tones != 2 {
		t.Errorf("there were %d tones", tones)
	}
	p.visit("/settings")
	flip(false)
	p.live()
	s.Send(payload{"title": "Silent again"})
	p.Wait(`document.title.startsWith('(4) ')`)
	if tones := browser.Value[int](p, `tones`); tones != 0 {
		t.Errorf("there were %d tones although they are off", tones)
	}
}
