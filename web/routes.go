package web

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// Where the APIs of the two Backstage plugins are.
const (
	notificationsAPI = "/api/notifications"
	signalsAPI       = "/api/signals"
)

// The plugins, to which credentials can be restricted.
const (
	notificationsPlugin = "notifications"
	signalsPlugin       = "signals"
)

// openAPI is the description of this API.
//
//go:embed openapi.yaml
var openAPI []byte

// route is one entry of the route table.
type route struct {
	method string
	path   string
	// plugin is whose API the route belongs to; empty for the operational ones.
	plugin string
	// maxBody is the limit of the JSON body that the route reads; 0 if it reads
	// none.
	maxBody int

	// Exactly one of these is set. Which one says who may use the route.
	public  fiber.Handler
	user    func(*fiber.Ctx, signalbox.UserPrincipal) error
	service func(*fiber.Ctx, signalbox.ServicePrincipal) error
	// sender is for services, and for users if [Config.UsersMaySend] lets them.
	sender func(*fiber.Ctx, signalbox.Principal) error
	// own is for users, about what is their own, and for admins; not for those who
	// come with an API token.
	own func(c *fiber.Ctx, principal signalbox.Principal, admin bool) error
	// either is for users and services; it tells them apart.
	either func(*fiber.Ctx, signalbox.Principal) error
	// admin is for those users and services that are admins, see [Config.Admins].
	admin func(*fiber.Ctx, signalbox.Principal) error
	// socket is the WebSocket: a user route whose token travels in another
	// header.
	socket fiber.Handler
}

// table lists every route. Paths with a parameter come after the fixed ones of
// the same shape, because the first that matches wins.
func (s *Server) table() []route {
	const (
		get  = fiber.MethodGet
		post = fiber.MethodPost
		n    = notificationsAPI
	)
	body := s.config.MaxBody
	return append([]route{
		{method: post, path: n, plugin: notificationsPlugin, maxBody: body, sender: s.send},
		{method: post, path: n + "/notifications", plugin: notificationsPlugin, maxBody: body, sender: s.send},
		{method: post, path: n + "/batch", plugin: notificationsPlugin, maxBody: s.config.MaxBatchBody, sender: s.sendBatch},

		{method: get, path: n, plugin: notificationsPlugin, user: s.list},
		{method: get, path: n + "/notifications", plugin: notificationsPlugin, user: s.list},
		{method: get, path: n + "/status", plugin: notificationsPlugin, user: s.status},
		{method: get, path: n + "/topics", plugin: notificationsPlugin, user: s.topics},
		{method: get, path: n + "/settings", plugin: notificationsPlugin, user: s.readSettings},
		// A page sends back every switch that it shows.
		{method: post, path: n + "/settings", plugin: notificationsPlugin, maxBody: s.config.MaxBatchBody, user: s.saveSettings},
		{method: get, path: n + "/settings/choices", plugin: notificationsPlugin, user: s.readChoices},
		{method: fiber.MethodDelete, path: n + "/settings/choices", plugin: notificationsPlugin, user: s.forgetChoice},
		{method: get, path: n + "/settings/preview", plugin: notificationsPlugin, either: s.previewSettings},
		{method: get, path: n + "/schedule", plugin: notificationsPlugin, user: s.readSchedule},
		{method: post, path: n + "/schedule", plugin: notificationsPlugin, maxBody: body, user: s.saveSchedule},
		{method: fiber.MethodDelete, path: n + "/schedule", plugin: notificationsPlugin, user: s.forgetSchedule},
		{method: post, path: n + "/update", plugin: notificationsPlugin, maxBody: body, user: s.update},
		{method: post, path: n + "/notifications/update", plugin: notificationsPlugin, maxBody: body, user: s.update},
		{method: post, path: n + "/test", plugin: notificationsPlugin, user: s.sendTest},
		{method: get, path: n + "/tokens", plugin: notificationsPlugin, own: s.listTokens},
		{method: post, path: n + "/tokens", plugin: notificationsPlugin, maxBody: body, own: s.createToken},
		{method: fiber.MethodDelete, path: n + "/tokens/:id", plugin: notificationsPlugin, own: s.revokeToken},
		{method: get, path: n + "/openapi.yaml", public: serveOpenAPI},
		{method: get, path: n + pluginKeysPath, public: s.pluginKeys},
		// The token says who may.
		{method: get, path: unsubscribePath, public: s.showUnsubscribe},
		{method: post, path: unsubscribePath, public: s.unsubscribe},

		{method: get, path: n + "/admin/status", plugin: notificationsPlugin, admin: s.adminStatus},
		{method: get, path: n + "/admin/dead-letters", plugin: notificationsPlugin, admin: s.listDeadLetters},
		{method: get, path: n + "/admin/dead-letters/show", plugin: notificationsPlugin, admin: s.showDeadLetter},
		{method: post, path: n + "/admin/dead-letters/retry", plugin: notificationsPlugin, maxBody: body, admin: s.retryDeadLetters},
		{method: post, path: n + "/admin/dead-letters/drop", plugin: notificationsPlugin, maxBody: body, admin: s.dropDeadLetters},
		{method: get, path: n + "/admin/deliveries", plugin: notificationsPlugin, admin: s.recentDeliveries},
		{method: get, path: n + "/admin/deliveries/show", plugin: notificationsPlugin, admin: s.showDeliveries},
		{method: post, path: n + "/admin/sessions/end", plugin: notificationsPlugin, maxBody: body, admin: s.adminEndSessions},
		{method: post, path: n + "/admin/send", plugin: notificationsPlugin, maxBody: body, admin: s.adminSend},
		{method: post, path: n + "/admin/preview", plugin: notificationsPlugin, maxBody: body, admin: s.adminPreview},

		{method: get, path: n + "/:id", plugin: notificationsPlugin, user: s.get},
		{method: get, path: n + "/notifications/:id", plugin: notificationsPlugin, user: s.get},
		{method: get, path: n + "/notifications/:id/deliveries", plugin: notificationsPlugin, either: s.deliveries},

		{method: get, path: signalsAPI, plugin: signalsPlugin, socket: s.deps.Signals(socketUser)},
		{method: post, path: signalsAPI + "/publish", plugin: signalsPlugin, maxBody: body, service: s.publish},
		{method: get, path: signalsAPI + "/health", public: healthy},
		{method: get, path: signalsAPI + pluginKeysPath, public: s.pluginKeys},

		{method: get, path: loginPath, public: s.beginLogin},
		{method: get, path: callbackPath, public: s.finishLogin},
		{method: get, path: sessionPath, public: s.showSession},
		// It changes nothing but for who has a session, and looks where it comes from.
		{method: post, path: logoutPath, public: s.logout},

		{method: get, path: "/healthz", public: healthy},
		{method: get, path: "/readyz", public: s.ready},
		{method: get, path: "/metrics", public: s.metricsHandler()},
	}, s.pageRoutes()...)
}

// pageRoutes are those of the web page.
func (s *Server) pageRoutes() []route {
	if s.deps.Page == nil {
		return nil
	}
	var routes []route
	for _, path := range s.deps.Page.Paths() {
		routes = append(routes, route{method: fiber.MethodGet, path: path, public: s.deps.Page.Handle})
	}
	return routes
}

// rules counts the access rules of a route. It must be 1.
func (r *route) rules() int {
	n := 0
	for _, set := range []bool{r.public != nil, r.user != nil, r.service != nil, r.sender != nil, r.own != nil, r.either != nil, r.admin != nil, r.socket != nil} {
		if set {
			n++
		}
	}
	return n
}

// mount registers the table, a 405 for every path with another method, and a
// 404 for the rest.
func (s *Server) mount(app *fiber.App) error {
	for _, path := range s.paths() {
		var allow []string
		for _, r := range s.routes {
			if r.path != path {
				continue
			}
			if r.rules() != 1 {
				return fmt.Errorf("route %s %s: has %d access rules", r.method, r.path, r.rules())
			}
			app.Add(r.method, r.path, s.handler(r))
			allow = append(allow, r.method)
			if r.method == fiber.MethodGet && r.socket == nil {
				head := r
				head.method = fiber.MethodHead
				app.Add(head.method, head.path, s.handler(head))
				allow = append(allow, head.method)
			}
		}
		allowed := strings.Join(allow, ", ")
		app.All(path, s.handler(route{method: otherMethod, path: path, public: func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderAllow, allowed)
			return fiber.ErrMethodNotAllowed
		}}))
	}
	app.Use(s.handler(route{method: otherMethod, path: unmatched, public: func(*fiber.Ctx) error { return fiber.ErrNotFound }}))
	return nil
}

// handler is what Fiber calls for a route.
func (s *Server) handler(r route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		start := time.Now()
		if err := s.run(c, &r); err != nil {
			s.writeError(c, r.path, err)
		}
		s.metrics.observe(r.method, r.path, c.Response().StatusCode(), time.Since(start))
		return nil
	}
}

// run finds out who asks, refuses who may not, and calls the route's handler.
func (s *Server) run(c *fiber.Ctx, r *route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	if r.public != nil {
		return r.public(c)
	}
	principal, err := s.authenticate(c, r)
	if r.admin != nil {
		if err != nil {
			s.recordUnknown(c, r)
			return err
		}
		return s.runAsAdmin(c, r, principal)
	}
	if err != nil {
		return err
	}
	switch principal := principal.(type) {
	case signalbox.UserPrincipal:
		return s.runAsUser(c, r, principal)
	case signalbox.ServicePrincipal:
		return s.runAsService(c, r, principal)
	default:
		return errors.New("unknown kind of principal")
	}
}

func (s *Server) runAsUser(c *fiber.Ctx, r *route, user signalbox.UserPrincipal) error {
	if r.socket != nil {
		c.Locals(socketUserKey{}, user)
		return r.socket(c)
	}
	if err := s.refuseUser(c, r, user); err != nil {
		return err
	}
	if err := checkBody(c, r); err != nil {
		return err
	}
	switch {
	case r.user != nil:
		return r.user(c, user)
	case r.sender != nil:
		return r.sender(c, user)
	case r.own != nil:
		return r.own(c, user, s.admins.has(user))
	default:
		return r.either(c, user)
	}
}

func (s *Server) refuseUser(c *fiber.Ctx, r *route, user signalbox.UserPrincipal) error {
	switch {
	case r.service != nil, r.sender != nil && !s.config.UsersMaySend:
		return signalbox.Errorf(signalbox.CodeNotAllowed, "This endpoint does not allow 'user' credentials")
	case r.sender != nil && user.Guest:
		return signalbox.Errorf(signalbox.CodeNotAllowed, "Guests may not send")
	case r.sender != nil && user.Token.ID != "":
		return signalbox.Errorf(signalbox.CodeNotAllowed, "The API tokens of users may not send")
	case r.own != nil && user.Token.ID != "":
		return errNoTokensHere()
	}
	return refuseReadOnly(c, user)
}

// refuseReadOnly refuses changes to who may only read.
func refuseReadOnly(c *fiber.Ctx, principal signalbox.Principal) error {
	user, ok := principal.(signalbox.UserPrincipal)
	if ok && user.ReadOnly && c.Method() != fiber.MethodGet && c.Method() != fiber.MethodHead {
		return signalbox.Errorf(signalbox.CodeNotAllowed, "These credentials may only read")
	}
	return nil
}

func errNoTokensHere() error {
	return signalbox.Errorf(signalbox.CodeNotAllowed, "This endpoint does not allow API tokens")
}

func (s *Server) runAsService(c *fiber.Ctx, r *route, service signalbox.ServicePrincipal) error {
	admin := r.own != nil && s.admins.has(service)
	switch {
	case r.own != nil && service.Token.ID != "":
		return errNoTokensHere()
	case r.user != nil, r.socket != nil, r.own != nil && !admin:
		return signalbox.Errorf(signalbox.CodeNotAllowed, "This endpoint does not allow 'service' credentials")
	}
	if err := checkBody(c, r); err != nil {
		return err
	}
	switch {
	case r.service != nil:
		return r.service(c, service)
	case r.sender != nil:
		return r.sender(c, service)
	case r.own != nil:
		return r.own(c, service, admin)
	default:
		return r.either(c, service)
	}
}

// checkBody demands plain JSON where a body is read. That is also the defence
// of guest mode against forged requests: a page of another origin can POST
// forms and plain text without asking, but not JSON. An encoded body is refused
// because the limit holds for what is sent, not for what it would unpack to.
func checkBody(c *fiber.Ctx, r *route) error {
	if r.maxBody == 0 {
		return nil
	}
	mediaType, _, _ := bytes.Cut(c.Request().Header.ContentType(), []byte{';'})
	if !bytes.EqualFold(bytes.TrimSpace(mediaType), []byte(fiber.MIMEApplicationJSON)) {
		return signalbox.Errorf(signalbox.CodeInput, "Content-Type must be application/json")
	}
	if encoding := c.Request().Header.ContentEncoding(); len(encoding) > 0 && !bytes.EqualFold(encoding, []byte("identity")) {
		return signalbox.Errorf(signalbox.CodeInput, "Content-Encoding must be identity")
	}
	return nil
}
