package signalbox

import (
	"context"
	"time"
)

// Submission is one POST: one send request, or a batch that is accepted whole
// or not at all.
type Submission struct {
	// Requests are valid and carry their Origin; the submitter gives them ID and
	// Created. At least one.
	Requests []SendRequest
	// IdempotencyKey makes a repetition from the same origin within
	// [IdempotencyWindow] return the first receipts and make nothing new.
	// Empty makes every submission a new one.
	IdempotencyKey string
	// Fingerprint identifies the content, to tell a repetition from a reuse of
	// the key. Only used with a key.
	Fingerprint string
	// Wait is how long to wait for the notifications to be made after the
	// requests were accepted; 0 does not wait.
	Wait time.Duration
}

// Submitted answers a submission. What it tells of is durable.
type Submitted struct {
	// Receipts has one entry per request, in order.
	Receipts []Receipt
	// Repeated is set if the receipts are those of an earlier submission.
	Repeated bool
	// Done is set if the pipeline finished within Wait; Notifications are then
	// those that were made, in the order of the requests.
	Done          bool
	Notifications []Notification
}

// Submitter accepts send requests. It returns after they are durable, or an
// [Error]: [CodeUnavailable] when they cannot be stored now (nothing was
// promised), [CodeConflict] when the idempotency key was used for other content.
type Submitter interface {
	Submit(ctx context.Context, submission Submission) (Submitted, error)
}
