package web

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// What a test notification is, for settings.
const (
	testOrigin = "signalbox"
	testTopic  = "test"
)

// testRate is how often a user may ask an instance for a test notification.
var testRate = signalbox.SendRate{Count: 1, Per: 10 * time.Second, Burst: 1}

// sendTest sends a user a notification the way of every other one: settings and
// schedule decide about it, and its trace tells what they decided.
func (s *Server) sendTest(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	if wait := s.tests.take(user.Ref, testRate, 1, 1, time.Now()); wait > 0 {
		err := signalbox.Errorf(signalbox.CodeTooManyRequests, "A test was sent a moment ago: try again later")
		err.RetryAfter = wait
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	submitted, err := s.deps.Submitter.Submit(ctx, signalbox.Submission{Requests: []signalbox.SendRequest{{
		Origin:     testOrigin,
		Recipients: signalbox.Recipients{Type: signalbox.RecipientsEntity, EntityRefs: []string{user.Ref}},
		Payload: signalbox.Payload{
			Title:       "This is a test",
			Description: "You asked for it. It went the way of every notification: your settings decided where to, and your schedule when.",
			Severity:    signalbox.SeverityNormal, Topic: testTopic,
		},
	}}})
	if err != nil {
		return err
	}
	c.Status(fiber.StatusAccepted)
	c.Set(fiber.HeaderLocation, notificationsAPI+"/notifications/"+submitted.Receipts[0].ID+"/deliveries")
	return sendJSON(c, submitted.Receipts[0])
}
