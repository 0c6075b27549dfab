package signalbox

import (
	"context"
	"time"
)

// Message is a message for the SQL pub/sub.
type Message struct {
	// Topic is the queue it goes to.
	Topic string
	// ID names the message in logs. It need not be unique.
	ID      string
	Payload []byte
	// Metadata travels with the message.
	Metadata map[string]string
	// Delay keeps the message invisible for this long.
	Delay time.Duration
}

// DeadLetter is a message that was given up, kept until a person acts.
type DeadLetter struct {
	// ID is stable for (topic, request, stage): giving the same thing up twice
	// keeps one dead letter.
	ID string
	// Topic is the queue to put Payload on to try again.
	Topic   string
	Payload []byte
	// Stage is the step that failed, such as "recipients" or a processor's name.
	Stage string
	// Error is the last error.
	Error string
	// Attempts counts how often it was tried.
	Attempts int
	// RequestID and Origin tell whose it was.
	RequestID string
	Origin    string
	// Delivery is the delivery that was given up; zero for a request that failed
	// before it became deliveries.
	Delivery DeliveryKey
	// History are the last failures, oldest first.
	History []Failure
	// Created is when the send request was accepted, Died when it was given up.
	Created time.Time
	Died    time.Time
}

// Failure is one attempt that failed.
type Failure struct {
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

// Commit is everything that one processed message changes. It is stored in one
// transaction: all of it or nothing.
type Commit struct {
	// Notifications to add, or to revise where (user, origin, scope) is there
	// already with a lower Revision. Rows of the same scope appear once.
	Notifications []Notification
	// Received records what reached users beside the inbox: that of Notifications
	// is recorded anyway, see [SettingsStore.Seen].
	Received []Received
	// Messages to publish.
	Messages []Message
	// Once are messages to publish unless an earlier commit published those of the
	// same key.
	Once []OnceMessages
	// Deliveries, if set, returns deliveries to add, once it is known what became
	// of the notifications. Those that are there already are left as they are. It
	// runs inside the transaction, perhaps more than once, and must not block.
	Deliveries func(outcomes []Outcome) ([]NewDelivery, error)
	// Requests are records to add or replace.
	Requests []RequestRecord
	// DeadLetters to keep.
	DeadLetters []DeadLetter
}

// OnceMessages are messages that are published once, however often the message
// that made them is processed.
type OnceMessages struct {
	Key      string
	Messages []Message
}

// Outcome says what became of the notification of the same index in a commit.
type Outcome struct {
	// Notification is the row as it is stored now. If a newer revision is there, it is
	// that one.
	Notification Notification
	// Changed is set if this commit added or revised the row. It is false when
	// the same revision was stored before or a newer one is there: then nobody
	// is to be told again.
	Changed bool
}

// Committer stores what processing a message produced. Committing the same
// value twice changes nothing the second time, except that Messages are
// published again and Deliveries is asked again. Implementations are held to
// storage/storagetest.
type Committer interface {
	// Commit stores c in one transaction and returns one outcome per
	// notification, in order. An error that [IsTransient] knows means that the
	// database could not be reached or asked for a retry; any other is the
	// fault of the data.
	Commit(ctx context.Context, c Commit) ([]Outcome, error)
}

// Claim reserves an idempotency key for a submission.
type Claim struct {
	// Origin and Key identify the submission.
	Origin string
	Key    string
	// Fingerprint identifies the content, so that the same key with other
	// content can be told from a repetition.
	Fingerprint string
	// Receipt is what the submission is answered with, and every repetition too.
	Receipt []byte
}

// IdempotencyWindow is how long a claim is honoured.
const IdempotencyWindow = 24 * time.Hour

// Accepter makes submissions durable. Implementations are held to
// storage/storagetest.
type Accepter interface {
	// Accept reserves claims and publishes messages in one transaction, and
	// returns only after its commit. build is called inside it with one entry
	// per claim: nil where the claim is new, else the earlier claim that holds
	// the key. It returns the messages to publish, may be called more than once,
	// and must not block. Claims must differ in (Origin, Key). Errors are
	// [Transient]; nothing is stored then, unless the connection broke during
	// the commit itself.
	Accept(ctx context.Context, claims []Claim, build func(earlier []*Claim) []Message) error
}
