package page

import (
	"net/http"
	"testing"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
	"github.com/signalbox/signalbox/e2e/tale"
)

// story fills the reader's inbox.
func story(s *server) {
	s.T.Helper()
	tale.Tell(s.Server)
}

// TestScreenshots makes the pictures of the documentation: make screenshots.
func TestScreenshots(t *testing.T) {
	album := browser.NewAlbum(t)
	s := start(t, binary.Options{Environment: []string{brokenPager + "=" + pagerWorks, withChat + "=1"}, Config: tale.Config() + `
notifications:
  mandatory:
    - {channel: Pager, origin: security}
    - {channel: Web, topic: incidents, severity: high}
`})
	s.Call(http.MethodPost, "/api/notifications/settings", nil, `{"channels":[
		{"id":"Chat","origins":[{"id":"ci","enabled":true,"topics":[{"id":"deployments","enabled":false}]}]},
		{"id":"Pager","origins":[{"id":"operations","enabled":false}]}]}`, nil)
	tale.Tell(s.Server)
	tale.Pass(s.Server)
	p := s.open(t, "/?view=all")
	take := func(name string) { album.Take(p.Tab, name) }
	p.Theme("light")
	p.WaitCount(".row", tale.Count)
	p.live()
	p.Click(".row-main", "checkout-api failed")
	p.WaitText(".trace", "Pager")
	take("page-light")
	p.Theme("dark")
	take("page-dark")
	p.visit("/settings")
	p.WaitText(".matrix", "deployments")
	take("settings-dark")
	p.Theme("light")
	take("settings-light")
	p.Size(390, 844)
	p.visit("/")
	p.WaitText(".row", "Certificate")
	take("page-phone")
	p.Click(".row-main", "Certificate")
	p.WaitText(".trace", "Inbox")
	take("page-phone-open")
	p.visit("/settings")
	p.WaitText(".matrix", "deployments")
	take("settings-phone")
}
