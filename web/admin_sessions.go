package web

import (
	"log/slog"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// adminEndSessions signs a user out everywhere, for somebody who left, or lost a
// machine. API tokens are revoked by themselves; what else speaks for the user is not
// Signalbox's.
func (s *Server) adminEndSessions(c *fiber.Ctx, principal signalbox.Principal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	var body struct {
		User string `json:"user"`
	}
	if err := decodeStrictly(c.Request().Body(), &body); err != nil {
		return err
	}
	user, err := signalbox.NormalizeEntityRef(body.User)
	if err != nil {
		return signalbox.Errorf(signalbox.CodeInput, "request/body/user must be the reference of a user: %v", err)
	}
	count := 0
	if s.deps.Login != nil {
		ctx, cancel := s.requestContext(0)
		defer cancel()
		if count, err = s.deps.Login.EndAll(ctx, user); err != nil {
			return err
		}
	}
	s.record(c, principal, "end sessions", slog.String("user", user), slog.Int("count", count))
	return sendJSON(c, fiber.Map{"count": count})
}
