package signalbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Audience is whom a delivery is for: a user's reference; the reference of
// another entity that was named as a recipient and may have a place of its own,
// such as a group's chat room; [Everyone]; or empty for a [DirectTarget].
type Audience string

// Everyone is the audience of a broadcast.
const Everyone Audience = "*"

// UserAudience is the audience of a notification's user, which is [Everyone] for
// a broadcast.
func UserAudience(user string) Audience {
	if user == "" {
		return Everyone
	}
	return Audience(user)
}

// IsUser reports whether it is one user.
func (a Audience) IsUser() bool { return strings.HasPrefix(string(a), "user:") }

// IsEntity reports whether it is an entity other than a user.
func (a Audience) IsEntity() bool { return a != "" && a != Everyone && !a.IsUser() }

// DirectTarget is an address that a sender named instead of an entity, as in
// "email:ops@example.com".
type DirectTarget struct {
	// Channel is the channel's name.
	Channel string `json:"channel"`
	// Address is in the channel's own terms.
	Address string `json:"address"`
}

// DeliveryKey identifies a delivery. It is the same however often the request is
// processed.
type DeliveryKey struct {
	RequestID string   `json:"request"`
	Audience  Audience `json:"audience"`
	// Channel is the name of a channel, or of a processor that runs after storing.
	Channel string `json:"channel"`
	// Target tells apart what one audience became on a channel, such as the rooms
	// that a broadcast goes to, and direct targets. Empty for the audience as such.
	Target string `json:"target,omitempty"`
}

// ID is a short name of the delivery: 32 hexadecimal digits.
func (k DeliveryKey) ID() string {
	sum := sha256.Sum256([]byte(k.RequestID + "\x00" + string(k.Audience) + "\x00" + k.Channel + "\x00" + k.Target))
	return hex.EncodeToString(sum[:16])
}

// DeliveryStatus is what became of a delivery.
type DeliveryStatus string

// The statuses.
const (
	// DeliveryQueued waits for its first or next attempt.
	DeliveryQueued DeliveryStatus = "queued"
	// DeliveryDelivered was taken by the provider, or is in the inbox.
	DeliveryDelivered DeliveryStatus = "delivered"
	// DeliverySuppressed was decided against, see its Rule.
	DeliverySuppressed DeliveryStatus = "suppressed"
	// DeliveryFailed was given up. It is a dead letter until a person acts.
	DeliveryFailed DeliveryStatus = "failed"
)

// DeliveryRecord is what is known of a delivery: the trace.
type DeliveryRecord struct {
	DeliveryKey
	// NotificationID is the inbox row that it tells of, or would tell of if the
	// user had the inbox on.
	NotificationID string
	Origin         string
	Status         DeliveryStatus
	// Rule is why it was decided so; empty when nothing had to be decided.
	Rule Rule
	// Address is where it went, as people read it; empty while it is not known.
	Address string
	// Detail is the provider's reply, what explains Rule, or the last error.
	Detail string
	// ProviderID is the provider's identifier of what it took.
	ProviderID string
	// Attempts counts the calls of the channel.
	Attempts int
	// Next is when the next attempt is due; zero if there is none, or it is due
	// at once.
	Next time.Time
	// Created is when the request was accepted, Updated when this was written.
	Created, Updated time.Time
}

// NewDelivery is a delivery that a commit makes.
type NewDelivery struct {
	DeliveryRecord
	// Message, if set, is published if and only if the commit adds the record.
	Message *Message
}

// RequestStatus is how far a send request is.
type RequestStatus string

// The statuses of requests.
const (
	// RequestProcessed was taken through the pipeline.
	RequestProcessed RequestStatus = "processed"
	// RequestRetrying failed and is tried again.
	RequestRetrying RequestStatus = "retrying"
	// RequestFailed was given up. It is a dead letter until a person acts.
	RequestFailed RequestStatus = "failed"
)

// RequestRecord is what is known of a send request beside its deliveries. One is
// kept only for requests of which there is something to tell that the inbox does
// not.
type RequestRecord struct {
	ID      string
	Origin  string
	Created time.Time
	Status  RequestStatus
	// Recipients counts the users that the recipients stood for; a broadcast has
	// one.
	Recipients int
	// Unknown are references that the directory does not know.
	Unknown []string
	// Stage and Error say what failed last.
	Stage string
	Error string
	// Attempts counts the failures.
	Attempts int
	Updated  time.Time
}

// ThreadKey identifies what a target saw of a scoped notification.
type ThreadKey struct {
	Channel string
	// Address is the target's, in the channel's terms.
	Address string
	Origin  string
	Scope   string
}

// Thread is the last revision of a scoped notification that reached a target.
type Thread struct {
	Revision int64
	// State is what the channel keeps to find what it sent.
	State string
}

// Lease is a message of the queue in a consumer's hands.
type Lease struct {
	// Position is the message's in the queue, Count how often it was leased.
	Position int64
	Count    int
}

// Settlement ends an attempt at a delivery, together with the message that
// carried it. One that comes late, when somebody else has settled the message
// meanwhile (or holds it, for one that is Postponed), changes nothing, unless it
// says that the delivery was delivered.
type Settlement struct {
	// Record replaces what is stored under its key. What was delivered stays
	// delivered. Zero if the message could not be read.
	Record DeliveryRecord
	// Lease is the message at hand. It is removed, unless Postponed is set. Zero
	// without a message.
	Lease Lease
	// Postponed puts the message back with another payload.
	Postponed *Postponement
	// Children take the place of the delivery, which becomes several: its record is
	// removed, unless Postponed says that there are more to come, or Record is zero.
	Children []NewDelivery
	// Replaced removes the record although there are no Children: earlier ones have
	// taken its place.
	Replaced bool
	// DeadLetter, if set, is kept.
	DeadLetter *DeadLetter
	// Held, if set, is stored: the delivery waits for a digest, until Held.Due.
	Held *HeldDelivery
	// Members are the records of what the delivery carried along as a digest. They
	// are stored like Record.
	Members []DeliveryRecord
	// Unhold ends the holding of the delivery, and of all that it carried along.
	Unhold bool
	// Thread, if set, is released: with Sent as the last revision that reached the
	// target, or without a change if Sent is nil.
	Thread *ThreadKey
	Sent   *Thread
}

// Postponement is when a message comes back, and with what.
type Postponement struct {
	Payload []byte
	Delay   time.Duration
}

// DeliveryStore keeps deliveries on their way. Implementations are held to
// storage/storagetest. Their errors are [Transient] unless the data is at fault.
type DeliveryStore interface {
	// Delivery returns a record, and whether there is one.
	Delivery(ctx context.Context, key DeliveryKey) (DeliveryRecord, bool, error)
	// ClaimThread reserves a thread for a delivery of the given ID until it is
	// settled, at most for the time of lease: no other delivery may write there
	// meanwhile. held is false if another one has it. The same delivery may claim
	// again. last is zero for a target that has seen nothing.
	ClaimThread(ctx context.Context, key ThreadKey, delivery string, lease time.Duration) (last Thread, held bool, err error)
	// ClaimDigest returns the part of a delivery that is held and due, for its
	// audience and channel. The first one that asks for a window leads: it takes
	// along everything that is due by now (at most [MaxDigestMembers]), gets the same
	// held deliveries, itself among them, however often it asks, and nobody else gets
	// them. A window has one digest.
	ClaimDigest(ctx context.Context, key DeliveryKey, now time.Time) (part DigestPart, held []HeldDelivery, err error)
	// Settle stores settlements in one transaction.
	Settle(ctx context.Context, settlements []Settlement) error
}
