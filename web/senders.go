package web

import (
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// rightsOf returns what a sender may send, and the rules that say so.
func (s *Server) rightsOf(sender signalbox.Principal) (*signalbox.SenderRights, signalbox.Validator) {
	rules := s.config.Rules
	rules.Sender = s.config.Senders.Of(sender)
	return rules.Sender, rules
}

// takeRate refuses a sender that sends too much. n is how many requests it sends
// now.
func (s *Server) takeRate(c *fiber.Ctx, sender signalbox.Principal, rights *signalbox.SenderRights, n int) error {
	whole := rights.Rate()
	if whole == (signalbox.SendRate{}) {
		return nil
	}
	wait := s.rates.take(rights.Subject(), whole, n, s.deps.Instances(), time.Now())
	if wait <= 0 {
		return nil
	}
	err := signalbox.Errorf(signalbox.CodeTooManyRequests,
		"%q may send %d requests in %s, and has: try again later", rights.Subject(), whole.Count, whole.Per)
	err.RetryAfter = wait
	s.recordRefusedSender(c, sender, err)
	return err
}

// recordRefusedSender records that somebody sent what it may not, or too much: once
// per second at most. Other errors are none of the audit log's business.
func (s *Server) recordRefusedSender(c *fiber.Ctx, sender signalbox.Principal, err error) {
	switch signalbox.ErrorCode(err) {
	case signalbox.CodeNotAllowed, signalbox.CodeTooManyRequests:
	default:
		return
	}
	if s.refusals.pass(time.Now()) {
		s.audit(c, "send request refused", sender, "send", slog.Any("err", err))
	}
}
