package hub

import (
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/signalbox/signalbox"
)

const (
	headerProtocol = fiber.HeaderSecWebSocketProtocol
	// userLocal carries the authenticated user across the upgrade.
	userLocal = "signalbox/hub/user"
	// readBufferBytes suits subscriptions, which are all that clients send. A
	// longer message takes several reads.
	readBufferBytes = 512
	// retryAfter is what a refused client is told; Backstage's retries after 5 s.
	retryAfter = 5 * time.Second
)

// Token returns the token of a WebSocket upgrade request: the first subprotocol
// that the client offers, or "" if it offers none. The string is valid beyond
// the request.
func Token(c *fiber.Ctx) string {
	first, _, _ := strings.Cut(c.Get(headerProtocol), ",")
	return utils.CopyString(strings.TrimSpace(first))
}

// Handler returns the WebSocket endpoint. For an upgrade request it calls
// authenticate, whose error goes to Fiber's error handler as it is, before
// anything is upgraded; [Token] has the credential. As browsers send the upgrade
// from any page, authenticate is also the place to refuse an Origin where the
// token is not what admits a user. A request that is no upgrade is refused with
// 426, and one beyond [Config.MaxConnections] or after [Hub.Close] with a
// [signalbox.CodeUnavailable] error.
//
// A connection ends with code 1008 when its user's credential expires, and when
// [Hub.EndSessions] is told its session. It is served within the handler's goroutine,
// as the WebSocket middleware demands, and does not keep the request's credentials.
func (h *Hub) Handler(authenticate func(c *fiber.Ctx) (signalbox.UserPrincipal, error)) fiber.Handler {
	upgrade := websocket.New(h.accept, websocket.Config{
		ReadBufferSize: readBufferBytes,
		// The hub writes frames itself; without a pool the library would still
		// keep a buffer for each connection.
		WriteBufferPool: &sync.Pool{},
		RecoverHandler:  h.recoverPanic,
	})
	return func(c *fiber.Ctx) error {
		if !websocket.IsWebSocketUpgrade(c) {
			c.Set(fiber.HeaderUpgrade, "websocket")
			return fiber.ErrUpgradeRequired
		}
		if err := h.admissible(); err != nil {
			return signalbox.Unavailable(err.Error(), retryAfter, nil)
		}
		user, err := authenticate(c)
		if err != nil {
			return err
		}
		// Browsers fail a connection whose offered subprotocol is not chosen.
		if token := Token(c); token != "" {
			c.Set(headerProtocol, token)
		}
		forgetCredentials(c)
		c.Locals(userLocal, cloneUser(user))
		return upgrade(c)
	}
}

// forgetCredentials keeps secrets out of the copy of the headers that the
// middleware makes for as long as a connection lives.
func forgetCredentials(c *fiber.Ctx) {
	header := &c.Request().Header
	header.Del(headerProtocol)
	header.Del(fiber.HeaderAuthorization)
	header.DelAllCookies()
}

// cloneUser copies what may point into the request, whose memory is reused.
func cloneUser(user signalbox.UserPrincipal) signalbox.UserPrincipal {
	clone := signalbox.UserPrincipal{
		Ref:       strings.Clone(user.Ref),
		Ownership: make([]string, len(user.Ownership)),
		Expires:   user.Expires,
		Session:   strings.Clone(user.Session),
	}
	for i, ref := range user.Ownership {
		clone.Ownership[i] = strings.Clone(ref)
	}
	return clone
}

// accept serves an upgraded connection.
func (h *Hub) accept(ws *websocket.Conn) {
	user, ok := ws.Locals(userLocal).(signalbox.UserPrincipal)
	if !ok {
		h.log.Error("signals connection without a user")
		return
	}
	socket := ws.NetConn()
	if wrapper, ok := socket.(interface{ UnsafeConn() net.Conn }); ok {
		socket = wrapper.UnsafeConn()
	}
	h.serve(ws, newConnection(h, socket, user))
}

// recoverPanic keeps a panic from taking the process down. It is deferred by the
// middleware, whose own version prints to stderr and to the client.
func (h *Hub) recoverPanic(*websocket.Conn) {
	if p := recover(); p != nil {
		h.log.Error("panic in a signals connection", "panic", p, "stack", string(debug.Stack()))
	}
}
