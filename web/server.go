package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/signalbox/signalbox/web/auth"
)

// Server is the HTTP API. Its methods may be called concurrently.
type Server struct {
	deps    Deps
	config  Config
	log     *slog.Logger
	auth    auth.Authenticator
	metrics *metrics
	routes  []route
	app     *fiber.App
	admins  admins
	cookies cookies
	rates   sendRates
	tests   sendRates
	// failures limits failed authentications.
	failures *failures
	// These keep log entries that many requests would make to few.
	outages, unknown, refusals throttle

	// base is the parent of every request's context; it ends when a shutdown
	// runs out of patience.
	base   context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	listener *listener
	closed   bool
}

// New checks its arguments and returns a server that does nothing yet.
func New(deps Deps, config Config) (*Server, error) {
	config = config.withDefaults()
	if err := errors.Join(deps.validate(), config.validate(), validateLogin(deps, config)); err != nil {
		return nil, err
	}
	if deps.Registerer == nil {
		registry := prometheus.NewRegistry()
		deps.Registerer, deps.Gatherer = registry, registry
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Instances == nil {
		deps.Instances = func() int { return 1 }
	}
	s := &Server{deps: deps, config: config, log: deps.Logger, auth: auth.Chain{deps.Authenticator}, cookies: newCookies(config.PublicURL)}
	s.failures = newFailures(time.Now, s.recordFailures)
	var err error
	if s.admins, err = newAdmins(config.Admins); err != nil {
		return nil, err
	}
	if config.Guest != nil {
		guest, err := auth.NewGuest(auth.GuestConfig{
			User: config.Guest.User, Hosts: config.Guest.Hosts, AllowedOrigins: config.AllowedOrigins,
			Ownership: config.Guest.Ownership, Logger: deps.Logger,
		})
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		// Last: a credential that was meant must not make a guest.
		s.auth = auth.Chain{deps.Authenticator, guest}
	}
	if s.metrics, err = newMetrics(deps.Registerer); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.routes = s.table()
	if s.app, err = s.newApp(); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return s, nil
}

// newApp sets up Fiber with the route table.
func (s *Server) newApp() (*fiber.App, error) {
	app := fiber.New(fiber.Config{
		BodyLimit:      s.config.MaxBody,
		ReadBufferSize: s.config.MaxHeader,
		Concurrency:    s.config.MaxConnections,
		ReadTimeout:    s.config.ReadTimeout,
		WriteTimeout:   s.config.WriteTimeout,
		IdleTimeout:    s.config.IdleTimeout,
		ErrorHandler:   s.handleServerError,
		// Without it every idle and every upgraded connection would keep a read
		// buffer of the size of MaxHeader.
		ReduceMemoryUsage: true,
		// Nobody has business with a multipart body here, least of all in
		// temporary files.
		DisablePreParseMultipartForm: true,
		DisableStartupMessage:        true,
		// By default Fiber believes X-Forwarded-* headers of everybody.
		EnableTrustedProxyCheck: true,
	})
	before := s.prefix()
	s.readHeaders(app, before)
	if before != "" {
		app.Get(before.pattern(), before.complete)
	}
	app.Use(func(c *fiber.Ctx) error {
		s.setTransportHeaders(c)
		return c.Next()
	})
	if len(s.config.AllowedOrigins) > 0 {
		app.Use("/api", s.crossOrigin())
	}
	if err := s.mount(app); err != nil {
		return nil, err
	}
	return app, nil
}

// readHeaders takes the prefix of a proxy off paths, and gives the routes with a limit
// of their own for bodies that limit. Both have to be known before routing, the limit
// even before the body is read.
func (s *Server) readHeaders(app *fiber.App, before prefix) {
	limits := map[string]int{}
	for _, r := range s.routes {
		if r.maxBody > s.config.MaxBody {
			limits[r.path] = r.maxBody
		}
	}
	limit := bodyLimiter(limits)
	app.Server().HeaderReceived = func(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
		if before != "" {
			before.take(header)
		}
		return limit(header)
	}
}

// prefix is what is to be taken off paths.
func (s *Server) prefix() prefix {
	p := prefixOf(s.config.PublicURL)
	if p == "" || p.ambiguous(s.routes) {
		return ""
	}
	return p
}

// Serve answers requests from ln until [Server.Shutdown], and then returns nil.
// It closes ln. A server serves once.
func (s *Server) Serve(ln net.Listener) error {
	wrapped := s.listen(ln)
	s.mu.Lock()
	served, closed := s.listener != nil, s.closed
	if !served {
		s.listener = wrapped
	}
	s.mu.Unlock()
	switch {
	case served:
		return errors.Join(errors.New("web: the server has served already"), ln.Close())
	case closed:
		return ln.Close()
	}

	watching, unwatch := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { s.failures.run(watching) })
	err := s.app.Listener(wrapped)
	unwatch()
	watch.Wait()

	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || s.closed {
		return nil
	}
	return fmt.Errorf("web: %w", err)
}

// listen wraps the listener as configured.
func (s *Server) listen(ln net.Listener) *listener {
	wrapped := &listener{Listener: ln, patience: s.config.ReadTimeout, secure: s.config.TLS, log: s.log, closed: make(chan struct{})}
	if limit := s.config.MaxConnectionsPerAddress; limit > 0 {
		wrapped.crowd = &crowd{
			limit: limit, open: make(map[netip.Prefix]int),
			exempt: slices.Concat(s.config.TrustedProxies, s.config.ManyClients),
		}
	}
	return wrapped
}

// Shutdown stops accepting, lets the requests under way finish, and closes idle
// connections. When three quarters of the time until ctx's deadline have passed,
// requests are asked to come to an end: who waits for notifications gets the
// receipt instead. It returns ctx's error if not all was finished when ctx ended.
// Upgraded connections are the hub's and not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	ln := s.listener
	s.mu.Unlock()
	defer s.cancel()
	if deadline, ok := ctx.Deadline(); ok {
		hurry := time.AfterFunc(time.Until(deadline)*3/4, s.cancel)
		defer hurry.Stop()
	}
	if ln != nil {
		// Fiber closes only a listener that it has begun to serve, which may be
		// about to happen.
		if err := ln.Close(); err != nil {
			s.log.Warn("closing the listener", "err", err)
		}
	}
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("web: requests under way: %w", err)
	}
	return nil
}

// requestContext bounds the work on one request. extra is added to the bound.
func (s *Server) requestContext(extra time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.base, s.config.RequestTimeout+extra)
}

// paths lists the distinct paths of the table, in its order.
func (s *Server) paths() []string {
	var paths []string
	for _, r := range s.routes {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
		}
	}
	return paths
}
