package channeltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// Make returns a channel and a fake provider, both new. What it opens is closed by
// the test's cleanup.
type Make func(t *testing.T) Harness

// Harness is a channel in front of a fake provider that does what it is told.
type Harness struct {
	// Channel is what is tested. It logs to nowhere but Logs.
	Channel channels.Channel
	// Delivery completes a delivery that the suite made with [NewDelivery]: it
	// sets what depends on the channel, which is Target, and where needed Audience,
	// Named, Via and Notification.User. The target works, and is the same for every
	// delivery. If the channel has Resolve, that is where it leads.
	Delivery func(channels.Delivery) channels.Delivery
	// Behave tells the provider how to behave from now on, whatever it is asked. It
	// returns false if no provider of this kind can behave so; what needs it is
	// skipped then. At first the provider works.
	Behave func(Behaviour) bool
	// Received returns what the provider took, one text for each message: whatever
	// part of it holds the title, or those of a digest.
	Received func() []string
	// RetryAfter is for how long [RateLimits] wants a pause: what the provider says,
	// or what the channel assumes if the provider says nothing.
	RetryAfter time.Duration
	// Secrets are texts that must not be in any error or log, such as a token.
	Secrets []string
	// Logs returns what the channel logged so far. Nil if it cannot log.
	Logs func() string
}

// Behaviour is how a fake provider behaves.
type Behaviour string

// The behaviours.
const (
	// Works takes every message.
	Works Behaviour = "works"
	// Hangs accepts the connection and never answers.
	Hangs Behaviour = "hangs"
	// Fails refuses for now: HTTP 503, SMTP 451.
	Fails Behaviour = "fails"
	// Cuts takes the message and closes the connection before it answers.
	Cuts Behaviour = "cuts"
	// Unreachable lets nobody connect.
	Unreachable Behaviour = "is unreachable"
	// RefusesTarget refuses the target for good: it does not exist.
	RefusesTarget Behaviour = "refuses the target"
	// RefusesCredentials lets nobody in with the channel's credentials. Whether the
	// channel takes that for permanent is its own decision.
	RefusesCredentials Behaviour = "refuses the credentials"
	// RateLimits wants a pause of [Harness.RetryAfter].
	RateLimits Behaviour = "limits the rate"
)

// NewDelivery is the nth delivery of a test, to nobody yet. Its title is [Title].
func NewDelivery(n int) channels.Delivery {
	created := time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC)
	key := signalbox.DeliveryKey{RequestID: fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", n), Channel: "channeltest"}
	return channels.Delivery{
		ID: key.ID(),
		Notification: signalbox.Notification{
			ID:        signalbox.NotificationID(key.RequestID, ""),
			Origin:    "channeltest",
			Created:   created,
			RequestID: key.RequestID,
			Revision:  int64(n) + 1,
			Payload: signalbox.Payload{
				Title:       Title(n),
				Description: "What it is about.",
				Severity:    signalbox.SeverityNormal,
			},
		},
		Attempt: 1,
	}
}

// Title is the title of the nth delivery. No title is part of another one.
func Title(n int) string { return fmt.Sprintf("channeltest-%d.", n) }
