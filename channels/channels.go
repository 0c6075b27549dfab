// Package channels owns the seam of the outside channels: ways out of Signalbox
// that a user can switch, such as Slack or email. Each channel is a package of
// its own below this one. It imports the root package only.
package channels

import (
	"context"

	"github.com/signalbox/signalbox"
)

// Channel sends notifications to one kind of place outside.
//
// Obligations: Deliver may be called more than once for the same notification
// (after a crash or a failure) and concurrently; it returns soon after ctx is
// done; no error holds a secret. A failure says how it is to be treated:
// [signalbox.Permanent] gives up at once, [signalbox.RetryAfter] waits at least
// so long, any other is retried with backoff. A channel that is slow or down
// delays neither the inbox nor another channel.
type Channel interface {
	// Name is what users see and settings name, such as "Slack". It must be
	// stable, unique among processors and channels, and match
	// ^[A-Za-z0-9_.-]{1,40}$. "Web" is taken.
	Name() string
	// Deliver sends one notification. A broadcast comes once, with an empty
	// User.
	Deliver(ctx context.Context, notification signalbox.Notification) error
}
