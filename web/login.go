package web

import (
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/oidc"
)

// Where users sign in to the page.
const (
	loginPath    = "/auth/login"
	callbackPath = oidc.CallbackPath
	logoutPath   = "/auth/logout"
	sessionPath  = "/auth/session"
)

// errNoLogin is what these paths answer where nobody can sign in.
var errNoLogin = signalbox.Errorf(signalbox.CodeNotFound, "Nobody signs in here: auth.oidc is not configured")

// beginLogin sends a browser to the identity provider.
func (s *Server) beginLogin(c *fiber.Ctx) error {
	if s.deps.Login == nil {
		return s.loginFailed(c, errNoLogin)
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	location, keep, err := s.deps.Login.Begin(ctx, utils.CopyString(c.Query("returnTo")), c.Cookies(s.cookies.login))
	if err != nil {
		return s.loginFailed(c, err)
	}
	s.cookies.set(c, s.cookies.login, keep, oidc.AttemptAge)
	return s.redirect(c, location)
}

// finishLogin takes a browser back from the identity provider.
func (s *Server) finishLogin(c *fiber.Ctx) error {
	if s.deps.Login == nil {
		return s.loginFailed(c, errNoLogin)
	}
	callback := oidc.Callback{
		State: utils.CopyString(c.Query("state")), Code: utils.CopyString(c.Query("code")),
		Issuer: utils.CopyString(c.Query("iss")), Error: utils.CopyString(c.Query("error")),
	}
	// The query must show up nowhere from here on.
	c.Request().Header.SetRequestURI(callbackPath)
	ctx, cancel := s.requestContext(0)
	defer cancel()
	signed, keep, err := s.deps.Login.Finish(ctx, callback, c.Cookies(s.cookies.login), c.Cookies(s.cookies.session))
	s.cookies.set(c, s.cookies.login, keep, oidc.AttemptAge)
	if err != nil {
		// Another tab may have signed in meanwhile.
		if signalbox.ErrorCode(err) == signalbox.CodeInput {
			if _, failed := s.authenticate(c, &route{}); failed == nil {
				return s.redirect(c, s.cookies.base+"/")
			}
		}
		return s.loginFailed(c, err)
	}
	s.cookies.set(c, s.cookies.session, signed.Session, time.Until(signed.Expires))
	s.audit(c, "session", signalbox.UserPrincipal{Ref: signed.User}, "signed in")
	if signed.ReturnTo == "/" {
		signed.ReturnTo = s.cookies.base + "/"
	}
	return s.redirect(c, signed.ReturnTo)
}

func (s *Server) redirect(c *fiber.Ctx, location string) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	return c.Redirect(location, fiber.StatusSeeOther)
}

// loginFailed answers people with a page, and programs as everywhere.
func (s *Server) loginFailed(c *fiber.Ctx, err error) error {
	if c.Accepts(fiber.MIMEApplicationJSON, fiber.MIMETextHTML) != fiber.MIMETextHTML {
		return err
	}
	var body errorBody
	p := linkPage{Icon: "alert", Title: "Signing in did not work", Hint: "Go back to the page that you came from, and try again."}
	p.status = s.describe(&body, c, loginPath, err)
	p.Text = body.Error.Message
	return s.sendPage(c, p)
}

// sessionBody says who is asking, and how to become somebody.
type sessionBody struct {
	// User is null for nobody, and for services.
	User      *string  `json:"user"`
	Ownership []string `json:"ownership"`
	Admin     bool     `json:"admin"`
	// Expires is when the session ends at the latest; null if it does not by itself.
	Expires *time.Time `json:"expires"`
	// SignIn is "oidc", "guest" (nobody has to), or "none": by a proxy or with a token.
	SignIn string `json:"signIn"`
	// Login and Logout are paths; null where there is nothing to sign in to or out of.
	Login  *string  `json:"login"`
	Logout *string  `json:"logout"`
	CSRF   csrfBody `json:"csrf"`
}

// csrfBody is what a page has to send with changes.
type csrfBody struct {
	Header string `json:"header"`
}

// showSession tells a page who it is for.
func (s *Server) showSession(c *fiber.Ctx) error {
	body := sessionBody{SignIn: "none", Ownership: []string{}, CSRF: csrfBody{Header: auth.HeaderRequest}}
	switch {
	case s.deps.Login != nil:
		login := s.cookies.base + loginPath
		body.SignIn, body.Login = "oidc", &login
	case s.config.Guest != nil:
		body.SignIn = "guest"
	}
	principal, err := s.authenticate(c, &route{})
	switch code := signalbox.ErrorCode(err); {
	case code == signalbox.CodeAuthentication && c.Cookies(s.cookies.session) != "":
		s.cookies.set(c, s.cookies.session, "", 0)
	case err != nil && code != signalbox.CodeAuthentication && code != signalbox.CodeNotAllowed:
		return err
	}
	if user, ok := principal.(signalbox.UserPrincipal); ok && err == nil {
		body.User, body.Ownership, body.Admin = &user.Ref, user.Ownership, s.admins.has(user)
		if !user.Expires.IsZero() {
			expires := user.Expires.UTC().Truncate(time.Millisecond)
			body.Expires = &expires
		}
		if user.Session != "" {
			logout := s.cookies.base + logoutPath
			body.Logout = &logout
		}
	}
	return sendJSON(c, body)
}

// logout ends the session of a browser, and sends it on to the identity provider: a
// form by a redirect, and a script, which cannot follow one, by telling it.
func (s *Server) logout(c *fiber.Ctx) error {
	if s.deps.Login == nil {
		return errNoLogin
	}
	credentials, err := s.readCredentials(c, &route{})
	if err != nil {
		return err
	}
	everywhere, err := readEverywhere(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	user, location, err := s.deps.Login.End(ctx, credentials, everywhere)
	if err != nil {
		return err
	}
	if user != "" {
		s.audit(c, "session", signalbox.UserPrincipal{Ref: user}, "signed out", slog.Bool("everywhere", everywhere))
	}
	s.cookies.set(c, s.cookies.session, "", 0)
	if c.Accepts(fiber.MIMEApplicationJSON, fiber.MIMETextHTML) == fiber.MIMETextHTML {
		if location == "" {
			location = s.cookies.base + "/"
		}
		return s.redirect(c, location)
	}
	var body struct {
		Redirect *string `json:"redirect"`
	}
	if location != "" {
		body.Redirect = &location
	}
	return sendJSON(c, body)
}

// readEverywhere reads whether all sessions of the user are to end.
func readEverywhere(c *fiber.Ctx) (bool, error) {
	content := c.Body()
	switch {
	case len(content) == 0:
		return false, nil
	case utils.ParseVendorSpecificContentType(string(c.Request().Header.ContentType())) == fiber.MIMEApplicationForm:
		return c.FormValue("everywhere") == "true", nil
	}
	var body struct {
		Everywhere bool `json:"everywhere"`
	}
	if err := json.Unmarshal(content, &body); err != nil {
		return false, signalbox.Errorf(signalbox.CodeInput, "The body must be JSON: {\"everywhere\": true}")
	}
	return body.Everywhere, nil
}

// validateLogin checks what goes together with a login.
func validateLogin(deps Deps, config Config) error {
	if deps.Login != nil && config.PublicURL == "" {
		return errors.New("web: Deps.Login needs Config.PublicURL")
	}
	return nil
}
