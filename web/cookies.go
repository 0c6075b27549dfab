package web

import (
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
)

// cookies are those of the page: who signed in, and who is about to.
type cookies struct {
	session, login string
	// base is the path that a proxy puts before every path; empty for none.
	base   string
	secure bool
}

// newCookies takes the URL at which browsers reach the server. With https and no path
// the names have the prefix __Host-, with which browsers let nobody but this very host
// set them: else a neighbouring host could slip its own session to a user.
func newCookies(publicURL string) cookies {
	k := cookies{session: "signalbox_session", login: "signalbox_login"}
	u, err := url.Parse(publicURL)
	if err != nil {
		return k
	}
	k.secure, k.base = u.Scheme == "https", string(prefixOf(publicURL))
	if k.secure && k.base == "" {
		k.session, k.login = "__Host-"+k.session, "__Host-"+k.login
	}
	return k
}

// set gives the browser a cookie that no script sees and no foreign page can send
// along, but by a link; an empty value takes it away.
func (k cookies) set(c *fiber.Ctx, name, value string, age time.Duration) {
	cookie := &fiber.Cookie{
		Name: name, Value: value, Path: k.base + "/", MaxAge: int(age / time.Second),
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode,
	}
	if value == "" {
		cookie.MaxAge, cookie.Expires = 0, time.Unix(1, 0)
	}
	c.Cookie(cookie)
}
