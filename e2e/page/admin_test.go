package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/cmd"
)

// brokenPager names a file: while it is there, the channel Pager gives up on
// everything. Without the variable there is no such channel.
const brokenPager = "SIGNALBOX_TEST_BROKEN_PAGER"

// pager is a channel that somebody can mend.
type pager struct{ broken string }

func (pager) Name() string { return "Pager" }

func (p pager) Deliver(context.Context, channels.Delivery) (channels.Sent, error) {
	if _, err := os.Stat(p.broken); err == nil {
		return channels.Sent{}, signalbox.Permanent(errors.New("the pager refused it: <b>no such number</b>"))
	}
	return channels.Sent{Reply: "paged"}, nil
}

// testChannels are those that a server under test has besides its own.
func testChannels() []cmd.Option {
	if broken := os.Getenv(brokenPager); broken != "" {
		return []cmd.Option{cmd.WithChannel(pager{broken})}
	}
	return nil
}

// signedIn stands before the server and says who everybody is, as a proxy that signs
// users in.
func (s *server) signedIn(user string) string {
	s.t.Helper()
	target, err := url.Parse(s.base)
	if err != nil {
		s.t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("X-Forwarded-User", user)
	}})
	s.t.Cleanup(front.Close)
	return front.URL
}

// fill fills in a field, by its label.
func (p *tab) fill(label, text string) {
	p.t.Helper()
	at := fmt.Sprintf(`[...document.querySelectorAll('main label, dialog label')].find((l) => l.firstElementChild?.textContent === %s)?.querySelector('input, textarea')`, quote(label))
	p.wait(at)
	p.run(evaluate(fmt.Sprintf(`(() => { const field = %s; field.focus(); field.value = %s; field.dispatchEvent(new Event('input', { bubbles: true })); })()`, at, quote(text))))
}

// adminServer has a pager that is broken until the file is removed, and an admin.
func adminServer(t *testing.T) (s *server, front, broken string) {
	t.Helper()
	broken = filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(brokenPager, broken)
	s = serve(t, `
auth:
  admins: [user:default/ops]
  proxy: {cidrs: [127.0.0.1], groupsHeader: ""}
`)
	return s, s.signedIn("ops"), broken
}

// lost sends what the pager gives up on.
func (s *server) lost(titles ...string) {
	s.t.Helper()
	for _, title := range titles {
		s.post("/api/notifications", map[string]any{
			"recipients": map[string]any{"type": "entity", "entityRef": "user:default/jane"}, "payload": payload{"title": title, "topic": "alarms"},
		})
	}
	eventually(s.t, func(context.Context) error {
		var status struct{ DeadLetters int }
		s.call(http.MethodGet, "/api/notifications/admin/status", map[string]string{"Authorization": "Bearer " + s.token}, "", &status)
		if status.DeadLetters != len(titles) {
			return fmt.Errorf("%d dead letters", status.DeadLetters)
		}
		return nil
	})
}

func TestAdmin(t *testing.T) {
	s, front, broken := adminServer(t)
	s.lost("Disk full", "Door open", "Heating off")
	p := newProfile(t).open(front, "/")
	p.click(".nav-link", "Admin")
	p.waitText(".figure", "Dead letters")
	p.waitText(".table", "Pager")

	t.Log("A dead letter is seen, shown, and retried when the pager is mended.")
	p.click(".figure-link", "3")
	p.waitCount("tbody tr", 3)
	p.click(".letter", "Pager to user:default/jane")
	p.waitText("dialog .error-text", "the pager refused it: <b>no such number</b>")
	p.waitText("dialog .payload pre", "Heating off")
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	p.click("dialog button", "Retry")
	p.waitText(".toast", "1 dead letter is tried again")
	p.waitCount("tbody tr", 2)

	t.Log("Dropping asks first; a filter is in the address.")
	p.click("tbody .tick-cell .tick", "")
	p.waitText(".bar-text", "1 selected")
	p.click(".action-bar button", "Drop")
	p.waitText("dialog h2", "Drop 1 dead letter?")
	p.click("dialog button", "Cancel")
	p.waitCount("dialog", 0)
	p.click(".action-bar button", "Drop")
	p.click("dialog .danger", "Drop")
	p.waitText(".toast", "1 dead letter dropped")
	p.waitCount("tbody tr", 1)
	p.fill("Failed step", "Slack")
	p.waitText("h2", "Nothing matches")
	p.wait(`location.search === '?stage=Slack'`)
	p.fill("Failed step", "Pager")
	p.waitCount("tbody tr", 1)
	p.click(".action-bar button", "Retry all matching")
	p.click("dialog .danger", "Retry")
	p.waitText("h2", "Nothing matches")

	t.Log("A token is made, works, and is revoked.")
	p.click(".tab", "API tokens")
	p.waitText(".empty", "There are no tokens")
	p.click(".card-head button", "New token")
	p.fill("Name", "cron on backup-1")
	p.click("dialog .button", "Create")
	p.waitText("dialog h2", "cron on backup-1 is made")
	secret := value[string](p, `document.querySelector('dialog .secret input').value`)
	p.click("dialog .button", "I have it")
	p.waitText("tbody td", "user:default/ops")
	bearer := map[string]string{"Authorization": "Bearer " + secret}
	s.call(http.MethodGet, "/api/notifications/status", bearer, "", nil)
	p.click("tbody button", "Revoke")
	p.click("dialog .danger", "Revoke")
	p.waitText("tbody .state", "Revoked")
	eventually(t, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/api/notifications/status", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", bearer["Authorization"])
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("the revoked token is answered %s", response.Status)
		}
		return nil
	})

	t.Log("A notification is previewed, sent, and found again.")
	p.click(".tab", "Send")
	p.fill("Recipients", "user:default/ops, group:default/none")
	p.fill("Title", "Maintenance <i>at</i> noon")
	p.click(".form button", "Preview")
	p.waitText(".preview .whom", "1 user")
	p.waitText(".preview .note", "group:default/none")
	p.waitText(".reach", "1 user gets it")
	p.fill("Title", "Maintenance at noon")
	p.waitCount(".preview", 0)
	p.click(".form button", "Preview")
	p.waitText(".previewed", "Maintenance at noon")
	p.click(".preview button", "Send now")
	p.waitText(".toast", "It is on its way")
	p.waitCount(".preview", 0)
	p.click(".nav-link", "Unread")
	p.waitText(".row", "Maintenance at noon")
	p.click(".toast-action", "See what becomes of it")
	p.waitText(".found .facts", "group:default/none")
	p.waitText(".found .state-delivered", "Delivered")

	t.Log("The latest deliveries are listed, and filtered by what is in the address.")
	p.click(".tab", "Deliveries")
	p.waitCount("tbody tr", 8) // four notifications, in the inbox and to the pager
	p.choose("State", "failed")
	p.wait(`location.search === '?status=failed'`)
	p.waitCount("tbody tr", 1)
	p.waitText("tbody", "the pager refused it")
	p.fill("Recipient", "user:default/ops")
	p.waitText(".empty", "There is none")
	p.fill("Recipient", "")
	p.waitCount("tbody tr", 1)
	p.click("tbody a", "")
	p.waitText(".found .state-failed", "Given up")
	p.click(".tab", "Overview")
	p.waitText(".figure-link", "0")
}

// TestNoAdmin is about everybody else.
func TestNoAdmin(t *testing.T) {
	s, _, _ := adminServer(t)
	p := newProfile(t).open(s.signedIn("jane"), "/admin/tokens")
	p.waitText("h1", "This page is for admins")
	p.waitText(".user-name", "jane")
	p.waitCount(".nav-link", value[int](p, `document.querySelectorAll('.nav-link:not([href$="/admin"])').length`))
}

// adminPages visits every page for admins, with something on it.
func adminPages(t *testing.T, p *tab, shown func(name string)) {
	t.Helper()
	p.visit("/admin")
	p.waitText(".table", "Pager")
	shown("admin")
	p.visit("/admin/dead-letters")
	p.waitText("tbody", "Pager")
	shown("admin-dead-letters")
	p.click(".letter", "")
	p.waitText("dialog .facts", "Pager")
	shown("admin-dead-letter")
	p.press(escape)
	request := value[string](p, `fetch('/api/notifications/admin/dead-letters').then((r) => r.json()).then((r) => r.deadLetters[0].request)`)
	p.visit("/admin/deliveries?id=" + request)
	p.waitText(".found .state-failed", "Given up")
	shown("admin-deliveries")
	p.visit("/admin/deliveries")
	p.waitText("tbody", "Pager")
	shown("admin-recent-deliveries")
	p.visit("/admin/tokens")
	p.waitText("tbody", "cron on backup-1")
	shown("admin-tokens")
	p.click(".card-head button", "New token")
	p.waitText("dialog h2", "New token")
	shown("admin-new-token")
	p.press(escape)
	p.visit("/admin/send")
	p.fill("Recipients", "group:default/team-a, user:default/jane, group:default/none")
	p.fill("Title", "Maintenance on Sunday, 06:00 to 08:00 UTC")
	p.fill("Description", "The build cluster moves to **new machines**. Pipelines queue and start afterwards.")
	shown("admin-send")
	p.click(".form button", "Preview")
	p.waitText(".reach", "Pager")
	shown("admin-preview")
}

func TestAxeFindsNothingForAdmins(t *testing.T) {
	s, front, _ := adminServer(t)
	s.lost("Disk full", "Door open")
	f := newProfile(t)
	s.adminToken(front)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 360} {
			t.Run(fmt.Sprintf("%s %d", theme, width), func(t *testing.T) {
				p := f.open(front, "/admin")
				p.t = t
				p.size(width, 800)
				p.theme(theme)
				adminPages(t, p, func(name string) {
					for _, violation := range p.violations() {
						t.Errorf("%s: %s", name, violation)
					}
					if wide := value[int64](p, `document.scrollingElement.scrollWidth`); wide > width {
						t.Errorf("%s is %d pixels wide", name, wide)
					}
					if dir := os.Getenv("PAGE_TEST_PICTURES"); dir != "" {
						if err := p.picture(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, theme, width))); err != nil {
							t.Error(err)
						}
					}
				})
			})
		}
	}
}

// adminToken makes an API token by the page's own way in.
func (s *server) adminToken(front string) {
	s.t.Helper()
	through := &server{t: s.t, base: front}
	through.call(http.MethodPost, "/api/notifications/tokens", map[string]string{"X-Requested-With": "test", "Origin": front}, `{"name":"cron on backup-1","scopes":["inbox"]}`, nil)
}
