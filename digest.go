package signalbox

import "time"

// HeldDelivery is a delivery that waits for its user's digest.
type HeldDelivery struct {
	DeliveryKey
	// Due is the end of the window that it is held for.
	Due time.Time
	// Payload is what the digest tells of it. The store does not read it.
	Payload []byte
}

// DigestPart is the part that a held delivery has in a digest, once it is due.
type DigestPart int

// The parts.
const (
	// DigestLeads: it carries the digest, with all that was held for the user.
	DigestLeads DigestPart = iota + 1
	// DigestTaken: another delivery carries it along.
	DigestTaken
	// DigestLate: the digest of its window was put together without it.
	DigestLate
	// DigestGone: it is not held any more.
	DigestGone
)

// MaxDigestMembers is how many held deliveries one digest takes along.
const MaxDigestMembers = 10_000
