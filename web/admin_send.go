package web

import (
	"log/slog"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// adminOrigin is the origin of what admins send. Who it was is in the audit log.
const adminOrigin = "signalbox"

// adminSend accepts a send request of an admin, for whom the rules of senders do not
// hold.
func (s *Server) adminSend(c *fiber.Ctx, principal signalbox.Principal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	decoded, err := signalbox.DecodeSendRequest(c.Request().Body(), s.config.Rules)
	if err != nil {
		return err
	}
	submitted, err := s.submit(c, adminOrigin, "single", []signalbox.Decoded{decoded})
	if err != nil {
		return err
	}
	to := decoded.Request.Recipients
	s.record(c, principal, "send", slog.String("request", submitted.receipts[0].ID),
		slog.Bool("broadcast", to.Type == signalbox.RecipientsBroadcast),
		slog.Any("recipients", to.EntityRefs), slog.Int("targets", len(to.Targets)))
	if submitted.answered {
		return nil
	}
	c.Status(fiber.StatusAccepted)
	c.Set(fiber.HeaderLocation, notificationsAPI+"/admin/deliveries/show?id="+submitted.receipts[0].ID)
	return sendJSON(c, submitted.receipts[0])
}
