package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/patience"
)

// signedIn stands before the server and says who everybody is, as a proxy that signs
// users in.
func (s *server) signedIn(user string) string {
	s.T.Helper()
	target, err := url.Parse(s.Base)
	if err != nil {
		s.T.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("X-Forwarded-User", user)
	}})
	s.T.Cleanup(front.Close)
	return front.URL
}

// adminServer has a pager that is broken until the file is removed, and an admin.
func adminServer(t *testing.T) (s *server, front, broken string) {
	t.Helper()
	broken = filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = servePaged(t, broken, `
auth:
  admins: [user:default/ops]
  proxy: {cidrs: [127.0.0.1], groupsHeader: ""}
`)
	return s, s.signedIn("ops"), broken
}

// lost sends what the pager gives up on.
func (s *server) lost(titles ...string) {
	s.T.Helper()
	for _, title := range titles {
		s.Send(payload{"title": title, "topic": "alarms"}, "user:default/jane")
	}
	patience.Until(s.T, func() error {
		var status struct{ DeadLetters int }
		s.Call(http.MethodGet, "/api/notifications/admin/status", map[string]string{"Authorization": "Bearer " + s.Token}, "", &status)
		if status.DeadLetters != len(titles) {
			return fmt.Errorf("%d dead letters", status.DeadLetters)
		}
		return nil
	})
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	s, front, broken := adminServer(t)
	s.lost("Disk full", "Door open", "Heating off")
	p := newProfile(t).open(front, "/")
	p.Click(".nav-link", "Admin")
	p.WaitText(".figure", "Dead letters")
	p.WaitText(".table", "Pager")

	t.Log("A dead letter is seen, shown, and retried when the pager is mended.")
	p.Click(".figure-link", "3")
	p.WaitCount("tbody tr", 3)
	p.Click(".letter", "Pager to user:default/jane")
	p.WaitText("dialog .error-text", "the pager refused it: <b>no such number</b>")
	p.WaitText("dialog .payload pre", "Heating off")
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	p.Click("dialog button", "Retry")
	p.WaitText(".toast", "1 dead letter is tried again")
	p.WaitCount("tbody tr", 2)

	t.Log("Dropping asks first; a filter is in the address.")
	p.Click("tbody .tick-cell .tick", "")
	p.WaitText(".bar-text", "1 selected")
	p.Click(".action-bar button", "Drop")
	p.WaitText("dialog h2", "Drop 1 dead letter?")
	p.Click("dialog button", "Cancel")
	p.WaitCount("dialog", 0)
	p.Click(".action-bar button", "Drop")
	p.Click("dialog .danger", "Drop")
	p.WaitText(".toast", "1 dead letter dropped")
	p.WaitCount("tbody tr", 1)
	p.fill("Failed step", "Slack")
	p.WaitText("h2", "Nothing matches")
	p.Wait(`location.search === '?stage=Slack'`)
	p.fill("Failed step", "Pager")
	p.WaitCount("tbody tr", 1)
	p.Click(".action-bar button", "Retry all matching")
	p.WaitText("dialog p", "Failed step: Pager")
	p.Click("dialog .danger", "Retry")
	p.WaitText("h2", "Nothing matches")

	t.Log("A token is made, works, and is revoked.")
	p.Click(".tab", "API tokens")
	p.WaitText(".empty", "There are no tokens")
	p.Click(".card-head button", "New token")
	p.fill("Name", "cron on backup-1")
	p.Click("dialog .button", "Create")
	p.WaitText("dialog h2", "cron on backup-1 is made")
	secret := browser.Value[string](p, `document.querySelector('dialog .secret input').value`)
	p.Click("dialog .button", "I have it")
	p.WaitText("tbody td", "user:default/ops")
	bearer := map[string]string{"Authorization": "Bearer " + secret}
	s.Call(http.MethodGet, "/api/notifications/status", bearer, "", nil)
	p.Click("tbody button", "Revoke")
	p.Click("dialog .danger", "Revoke")
	p.WaitText("tbody .state", "Revoked")
	patience.Until(t, func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"/api/notifications/status", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", bearer["Authorization"])
		response, err := binary.Client.Do(request)
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
	p.Click(".tab", "Send")
	p.fill("Recipients", "user:default/ops, group:default/none")
	p.fill("Title", "Maintenance <i>at</i> noon")
	p.Click(".form button", "Preview")
	p.WaitText(".preview .whom", "1 user")
	p.WaitText(".preview .note", "group:default/none")
	p.WaitText(".reach", "1 user gets it")
	p.fill("Title", "Maintenance at noon")
	p.WaitCount(".preview", 0)
	p.Click(".form button", "Preview")
	p.WaitText(".previewed", "Maintenance at noon")
	p.Click(".preview button", "Send now")
	p.WaitText(".toast", "It is on its way")
	p.WaitCount(".preview", 0)
	p.Click(".nav-link", "Unread")
	p.WaitText(".row", "Maintenance at noon")
	p.Click(".toast-action", "See what becomes of it")
	p.WaitText(".found .facts", "group:default/none")
	p.WaitText(".found .state-delivered", "Delivered")

	t.Log("The latest deliveries are listed, and filtered by what is in the address.")
	p.Click(".tab", "Deliveries")
	p.WaitCount("tbody tr", 8) // four notifications, in the inbox and to the pager
	p.choose("State", "failed")
	p.Wait(`location.search === '?status=failed'`)
	p.WaitCount("tbody tr", 1)
	p.WaitText("tbody", "the pager refused it")
	p.fill("Recipient", "user:default/ops")
	p.WaitText(".empty", "There is none")
	p.Expect("400")
	p.fill("Recipient", "nobody in particular")
	p.WaitText(".blank p", "recipient")
	p.fill("Recipient", "")
	p.WaitCount("tbody tr", 1)
	p.Click("tbody a", "")
	p.WaitText(".found .state-failed", "Given up")
	p.Click(".tab", "Overview")
	p.WaitText(".figure-link", "0")
}

// Further pages belong to the list that they were asked for.
func TestFurtherPagesEndWithTheirFilter(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	s.Fill(60)
	p := s.open(t, "/admin/deliveries")
	p.WaitCount("tbody tr", 50)
	p.Click(".more", "")
	p.WaitCount("tbody tr", 60)
	p.fill("Origin", "nobody")
	p.WaitText(".empty", "There is none")
	p.fill("Origin", "")
	p.WaitCount("tbody tr", 50)
	p.WaitCount(".more", 1)
}

// TestNoAdmin is about everybody else.
func TestNoAdmin(t *testing.T) {
	t.Parallel()
	s, _, _ := adminServer(t)
	p := newProfile(t).open(s.signedIn("jane"), "/admin/tokens")
	p.WaitText("h1", "This page is for admins")
	p.WaitText(".user-name", "jane")
	p.WaitCount(".nav-link", browser.Value[int](p, `document.querySelectorAll('.nav-link:not([href$="/admin"])').length`))
}

// adminPages visits every page for admins, with something on it.
func adminPages(t *testing.T, p *tab, shown func(name string)) {
	t.Helper()
	p.visit("/admin")
	p.WaitText(".table", "Pager")
	shown("admin")
	p.visit("/admin/dead-letters")
	p.WaitText("tbody", "Pager")
	shown("admin-dead-letters")
	p.Click(".letter", "")
	p.WaitText("dialog .facts", "Pager")
	shown("admin-dead-letter")
	p.Press(escape)
	request := browser.Value[string](p, `fetch('/api/notifications/admin/dead-letters').then((r) => r.json()).then((r) => r.deadLetters[0].request)`)
	p.visit("/admin/deliveries?id=" + request)
	p.WaitText(".found .state-failed", "Given up")
	shown("admin-deliveries")
	p.visit("/admin/deliveries")
	p.WaitText("tbody", "Pager")
	shown("admin-recent-deliveries")
	p.visit("/admin/tokens")
	p.WaitText("tbody", "cron on backup-1")
	shown("admin-tokens")
	p.Click(".card-head button", "New token")
	p.WaitText("dialog h2", "New token")
	shown("admin-new-token")
	p.Press(escape)
	p.visit("/admin/send")
	p.fill("Recipients", "group:default/team-a, user:default/jane, group:default/none")
	p.fill("Title", "Maintenance on Sunday, 06:00 to 08:00 UTC")
	p.fill("Description", "The build cluster moves to **new machines**. Pipelines queue and start afterwards.")
	shown("admin-send")
	p.Click(".form button", "Preview")
	p.WaitText(".reach", "Pager")
	shown("admin-preview")
}

func TestAxeFindsNothingForAdmins(t *testing.T) {
	t.Parallel()
	s, front, _ := adminServer(t)
	s.lost("Disk full", "Door open")
	s.adminToken(front)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 360} {
			t.Run(fmt.Sprintf("%s %d", theme, width), func(t *testing.T) {
				p := newProfile(t).open(front, "/admin")
				p.Size(width, 800)
				p.Theme(theme)
				adminPages(t, p, func(name string) {
					for _, violation := range p.Violations("document") {
						t.Errorf("%s: %s", name, violation)
					}
					if wide := browser.Value[int64](p, `document.scrollingElement.scrollWidth`); wide > width {
						t.Errorf("%s is %d pixels wide", name, wide)
					}
					if dir := os.Getenv("PAGE_TEST_PICTURES"); dir != "" {
						if err := p.Picture(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, theme, width))); err != nil {
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
	s.T.Helper()
	through := &binary.Server{T: s.T, Base: front}
	through.Call(http.MethodPost, "/api/notifications/tokens", map[string]string{"X-Requested-With": "test", "Origin": front}, `{"name":"cron on backup-1","scopes":["inbox"]}`, nil)
}
