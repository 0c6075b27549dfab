package page

import (
	"fmt"
	"testing"
)

// fakeNotifications stands in for those of the system, and says that one looks
// elsewhere.
const fakeNotifications = `window.shown = [];
window.Notification = class { constructor(title, options) { window.shown.push({ title, ...options }); } static permission = 'granted'; static requestPermission() { return Promise.resolve('granted'); } };
document.hasFocus = () => false;`

func TestDesktopNotificationsOncePerUser(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	f := newProfile(t)
	a, b := f.open(s.base, "/settings"), f.open(s.base, "/settings")
	for _, p := range []*tab{a, b} {
		p.atEveryStart(fakeNotifications)
		p.visit("/settings")
		p.live()
	}
	s.send(payload{"title": "Nobody asked for this"})
	for _, p := range []*tab{a, b} {
		p.wait(`document.title.startsWith('(1) ')`)
	}
	a.click(`.toggles [aria-label="Desktop notifications"]`, "")
	b.wait(`document.querySelector('.toggles [aria-label="Desktop notifications"]').ariaChecked === 'true'`)
	s.send(payload{"title": "Shown", "description": "**Once**"})
	for _, p := range []*tab{a, b} {
		p.wait(`document.title.startsWith('(2) ')`)
	}
	count := func() int {
		return value[int](a, `shown.length`) + value[int](b, `shown.length`)
	}
	if n := count(); n != 1 {
		t.Errorf("%d were shown", n)
	}
	if title := value[string](a, `shown[0]?.title ?? ''`) + value[string](b, `shown[0]?.title ?? ''`); title != "Shown" {
		t.Errorf("the title is %q", title)
	}

	t.Log("When the tab that speaks closes, the other one does.")
	leader, other := a, b
	if value[int](b, `shown.length`) == 1 {
		leader, other = b, a
	}
	leader.close()
	eventually(t, func(ctxDone) error {
		s.send(payload{"title": "Shown by the other"})
		if title := value[string](other, `shown[0]?.title ?? ''`); title != "Shown by the other" {
			return fmt.Errorf("%q is shown", title)
		}
		return nil
	})
}
