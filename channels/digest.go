package channels

import (
	"context"
	"time"

	"github.com/signalbox/signalbox"
)

// Digester is a [Channel] that can send several notifications to one user as one.
// Without it what is held for a user's digest goes out one by one.
type Digester interface {
	// DeliverDigest makes one attempt, under the obligations of Deliver and with its
	// errors. A channel that is a [Resolver] has resolved the target as for a
	// delivery of the digest's newest notification.
	DeliverDigest(ctx context.Context, digest Digest) (Sent, error)
}

// Digest is what was held for a user until the end of a window.
type Digest struct {
	// ID is the same on every attempt, and no other delivery has it.
	ID string
	// User is the user's reference.
	User string
	// Target is where to send it.
	Target Target
	// Items are 1 to [MaxDigestItems], the most severe first, then the newest. Those
	// with a scope are the newest revision of it.
	Items []DigestItem
	// More counts notifications that found no room among Items.
	More int
	// End is the end of the window, in the user's time zone.
	End time.Time
	// Attempt counts from 1.
	Attempt int
}

// DigestItem is one notification of a digest.
type DigestItem struct {
	// Notification has its description cut to [MaxDigestText] characters, and
	// neither metadata nor additional links.
	Notification signalbox.Notification
	// Updates counts the earlier revisions of its scope that the window held and this
	// one stands for.
	Updates int
}

// Bounds of a [Digest].
const (
	MaxDigestItems = 200
	MaxDigestText  = 500
)
