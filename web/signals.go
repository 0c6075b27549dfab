package web

import (
	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// publish sends a signal to connected clients. Signals may be lost, so there is
// nothing to make durable, and nothing more to promise than that it was taken.
func (s *Server) publish(c *fiber.Ctx, service signalbox.ServicePrincipal) error {
	signal, err := signalbox.DecodeSignal(c.Request().Body())
	if err != nil {
		return err
	}
	rights := s.config.Senders.Of(service)
	if err := rights.Signal(&signal); err != nil {
		s.recordRefusedSender(c, service, err)
		return err
	}
	if err := s.takeRate(c, service, rights, 1); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	s.deps.Signaler.Signal(ctx, signal)
	c.Status(fiber.StatusAccepted)
	return sendJSON(c, fiber.Map{"status": signalbox.StatusAccepted})
}
