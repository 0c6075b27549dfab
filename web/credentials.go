package web

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
)

// The headers with which a guest says who it is, and the parameters that stand
// in for them when a WebSocket is opened, where browsers set no headers. They
// are ignored outside guest mode.
const (
	headerGuestUser   = "X-Signalbox-User"
	headerGuestGroups = "X-Signalbox-Groups"
	queryGuestUser    = "user"
	queryGuestGroups  = "groups"
)

// authenticate tells who the request speaks for.
func (s *Server) authenticate(c *fiber.Ctx, r *route) (principal signalbox.Principal, err error) {
	credentials, err := s.readCredentials(c, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	// Where nothing secret is said, nothing can be guessed.
	if credentials.Token == "" && credentials.Session == "" {
		return s.auth.Authenticate(ctx, credentials)
	}
	attempt, wait := s.failures.begin(s.clientOf(c).addr, credentials.Token, credentials.Session)
	if wait > 0 {
		err := signalbox.Errorf(signalbox.CodeTooManyRequests, "Authentication failed too often from this address, try again later")
		err.RetryAfter = wait
		return nil, err
	}
	defer func() { attempt.end(err) }()
	return s.auth.Authenticate(ctx, credentials)
}

// readCredentials takes the credentials out of a request. They alias it.
func (s *Server) readCredentials(c *fiber.Ctx, r *route) (auth.Credentials, error) {
	credentials := auth.Credentials{
		Plugin:      r.plugin,
		Method:      c.Method(),
		Session:     c.Cookies(s.cookies.session),
		Remote:      remoteAddr(c),
		Header:      func(name string) string { return onlyHeader(c, name) },
		Headers:     func(name string) []string { return allHeaders(c, name) },
		Host:        s.clientOf(c).host,
		Origin:      c.Get(fiber.HeaderOrigin),
		GuestUser:   c.Get(headerGuestUser),
		GuestGroups: c.Get(headerGuestGroups),
	}
	if header := c.Get(fiber.HeaderAuthorization); header != "" {
		token, ok := bearer(header)
		if !ok {
			// Not "missing": a credential that was meant must not make a guest.
			return auth.Credentials{}, signalbox.Errorf(signalbox.CodeAuthentication, "Authorization must be a bearer token")
		}
		credentials.Token = token
	}
	if r.socket != nil {
		if credentials.Token == "" {
			credentials.Token = subprotocolToken(c.Get(fiber.HeaderSecWebSocketProtocol))
		}
		if credentials.GuestUser == "" {
			credentials.GuestUser = c.Query(queryGuestUser)
		}
		if credentials.GuestGroups == "" {
			credentials.GuestGroups = c.Query(queryGuestGroups)
		}
	}
	return credentials, nil
}

// remoteAddr is the address at the other end of the connection.
func remoteAddr(c *fiber.Ctx) netip.Addr {
	addr, ok := netip.AddrFromSlice(c.Context().RemoteIP())
	if !ok {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// allHeaders are the values of a header.
func allHeaders(c *fiber.Ctx, name string) []string {
	var values []string
	for _, value := range c.Request().Header.PeekAll(name) {
		values = append(values, string(value))
	}
	return values
}

// onlyHeader is a header that is there once.
func onlyHeader(c *fiber.Ctx, name string) string {
	if values := allHeaders(c, name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// bearer reads the token of an Authorization header.
func bearer(header string) (string, bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return "", false
	}
	return token, true
}

// subprotocolToken is the first subprotocol that a WebSocket client offers:
// browsers can send a token nowhere else.
func subprotocolToken(header string) string {
	first, _, _ := strings.Cut(header, ",")
	return strings.TrimSpace(first)
}

// socketUserKey is where the user of an upgrade request waits for the handler.
type socketUserKey struct{}

// socketUser returns the user of an upgrade request.
func socketUser(c *fiber.Ctx) (signalbox.UserPrincipal, error) {
	user, ok := c.Locals(socketUserKey{}).(signalbox.UserPrincipal)
	if !ok {
		return signalbox.UserPrincipal{}, errors.New("the signals handler was reached without authentication")
	}
	return user, nil
}
