package web

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// admins knows who may use the routes for admins.
type admins struct {
	// names are as configured, for services; refs are canonical, for users.
	names, refs []string
}

// newAdmins takes service subjects and references of users and groups.
func newAdmins(configured []string) (admins, error) {
	var a admins
	for i, name := range configured {
		if name == "" {
			return admins{}, fmt.Errorf("web: Admins[%d] is empty", i)
		}
		a.names = append(a.names, name)
		// A subject need not be a reference.
		if ref, err := signalbox.NormalizeEntityRef(name); err == nil {
			a.refs = append(a.refs, ref)
		}
	}
	return a, nil
}

// has reports whether a principal is an admin: a service by its subject, which
// compares verbatim, a user by what it owns things as.
// Who comes with an API token is one only if that was made for it.
func (a admins) has(principal signalbox.Principal) bool {
	switch p := principal.(type) {
	case signalbox.ServicePrincipal:
		return mayAdminister(p.Token) && slices.Contains(a.names, p.Name)
	case signalbox.UserPrincipal:
		return mayAdminister(p.Token) && (slices.Contains(a.refs, p.Ref) ||
			slices.ContainsFunc(p.Ownership, func(ref string) bool { return slices.Contains(a.refs, ref) }))
	default:
		return false
	}
}

func mayAdminister(use signalbox.TokenUse) bool { return use.ID == "" || use.Admin }

// runAsAdmin refuses who is no admin, and calls the route's handler.
func (s *Server) runAsAdmin(c *fiber.Ctx, r *route, principal signalbox.Principal) error {
	if !s.admins.has(principal) {
		s.record(c, principal, "refused", slog.String("method", c.Method()), slog.String("route", r.path))
		return signalbox.Errorf(signalbox.CodeNotAllowed, "This endpoint is for admins")
	}
	if err := refuseReadOnly(c, principal); err != nil {
		return err
	}
	if err := checkBody(c, r); err != nil {
		return err
	}
	return r.admin(c, principal)
}

// recordUnknown records that somebody without valid credentials asked for a route
// for admins: once per second at most, so that nobody can flood the log.
func (s *Server) recordUnknown(c *fiber.Ctx, r *route) {
	if s.unknown.pass(time.Now()) {
		s.record(c, nil, "refused", slog.String("method", c.Method()), slog.String("route", r.path))
	}
}

// record writes an entry of the audit log about what an admin did or was refused.
func (s *Server) record(c *fiber.Ctx, principal signalbox.Principal, what string, about ...slog.Attr) {
	s.audit(c, "admin action", principal, what, about...)
}

// audit writes an entry of the audit log: who did what, from where.
func (s *Server) audit(c *fiber.Ctx, message string, principal signalbox.Principal, what string, about ...slog.Attr) {
	kind, who, token := "unknown", "", ""
	switch p := principal.(type) {
	case signalbox.ServicePrincipal:
		kind, who, token = "service", p.Name, p.Token.ID
	case signalbox.UserPrincipal:
		kind, who, token = "user", p.Ref, p.Token.ID
	}
	if token != "" {
		about = append(about, slog.String("by", token))
	}
	//nolint:sloglint // callers give literals
	s.log.LogAttrs(c.Context(), slog.LevelInfo, message, append([]slog.Attr{
		slog.String("logger", "audit"), slog.String("kind", kind), slog.String("who", who),
		slog.String("address", s.clientOf(c).addr.String()), slog.String("what", what),
	}, about...)...)
}

// recordFailures records that a client's credentials were wrong.
func (s *Server) recordFailures(r failureReport) {
	about := []slog.Attr{
		slog.String("logger", "audit"), slog.String("kind", "unknown"), slog.String("address", r.addr.String()),
		slog.String("what", "authenticate"), slog.Int("count", r.failed), slog.String("err", r.reason),
	}
	if r.limited > 0 {
		about = append(about, slog.Int("limited", r.limited))
	}
	if r.others > 0 {
		about = append(about, slog.Int("others", r.others))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "authentication failed", about...)
}
