package auth

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
)

// HeaderRequest is the header by which a page shows that a request is its own: a
// browser lets no page of another origin set it without asking first. Any value
// will do.
const HeaderRequest = "X-Requested-With"

// Pages tells the requests of this server's own pages from those that a foreign page
// makes a browser send. It is for credentials that a browser attaches by itself,
// cookies and what a proxy makes of them; a bearer token is never attached so.
type Pages struct {
	// own is where the server is; empty for wherever the Host header says.
	own     string
	allowed []string
}

// NewPages takes the URL that the server's pages are at, and the origins of other
// pages that may act for their users, scheme://host[:port]. "*" among these is not
// heeded: it would be every page of the world. Without a URL, a page is the server's
// own if its host is that of the Host header.
func NewPages(publicURL string, allowed []string) (Pages, error) {
	var p Pages
	if publicURL != "" {
		origin, ok := signalbox.WebOrigin(publicURL)
		if !ok {
			return Pages{}, errors.New("the public URL is not an http or https URL")
		}
		p.own = origin
	}
	for _, one := range allowed {
		if origin, ok := signalbox.WebOrigin(one); ok {
			p.allowed = append(p.allowed, origin)
		}
	}
	return p, nil
}

// Check returns a [signalbox.Error] with CodeNotAllowed for a request that a foreign
// page may have caused. What only reads passes: a foreign page cannot see the answer.
// A WebSocket, for which browsers know no such rule, needs the Origin of an own or
// allowed page. What changes anything needs that, or Sec-Fetch-Site: same-origin, and
// besides a JSON content type or [HeaderRequest].
func (p Pages) Check(credentials Credentials) error {
	if err := p.CheckOrigin(credentials); err != nil || !changes(credentials) {
		return err
	}
	mediaType, _, _ := strings.Cut(credentials.header("Content-Type"), ";")
	if credentials.header(HeaderRequest) == "" && !strings.EqualFold(strings.TrimSpace(mediaType), "application/json") {
		return signalbox.Errorf(signalbox.CodeNotAllowed, "The request needs the header %s, or the Content-Type application/json", HeaderRequest)
	}
	return nil
}

// CheckOrigin is Check for what a page may send as a form.
func (p Pages) CheckOrigin(credentials Credentials) error {
	socket := strings.EqualFold(credentials.header("Upgrade"), "websocket")
	switch {
	case !socket && !changes(credentials):
		return nil
	case credentials.Origin != "" && !p.knows(credentials):
		return signalbox.Errorf(signalbox.CodeNotAllowed, "Pages of this origin may not act for those who are signed in here")
	case credentials.Origin == "" && (socket || credentials.header("Sec-Fetch-Site") != "same-origin"):
		return signalbox.Errorf(signalbox.CodeNotAllowed, "The request does not say which page it is from: the Origin header is missing")
	}
	return nil
}

// changes reports whether a request is for more than reading.
func changes(credentials Credentials) bool {
	return !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, credentials.Method)
}

// knows reports whether the Origin header is of an own or allowed page.
func (p Pages) knows(credentials Credentials) bool {
	origin := strings.ToLower(credentials.Origin)
	if slices.Contains(p.allowed, origin) {
		return true
	}
	if p.own != "" {
		return origin == p.own
	}
	parsed, err := url.Parse(origin)
	return err == nil && parsed.Host != "" && strings.EqualFold(parsed.Host, credentials.Host)
}

// header is Header, which may be nil.
func (c Credentials) header(name string) string {
	if c.Header == nil {
		return ""
	}
	return c.Header(name)
}

// Values is Headers, which may be nil.
func (c Credentials) Values(name string) []string {
	if c.Headers == nil {
		return nil
	}
	return c.Headers(name)
}
