package signalbox

import (
	"context"
	"time"
)

// Trace tells what became of a send request.
type Trace struct {
	Request RequestRecord
	// Summary counts all deliveries of the request; only on the first page.
	Summary []TraceCount
	// Deliveries are a part of them: first those of which there is more to tell
	// than that they are in the inbox.
	Deliveries []DeliveryRecord
	// Next continues the list; empty at its end.
	Next string
}

// TraceCount counts deliveries of one kind.
type TraceCount struct {
	Channel string
	Status  DeliveryStatus
	Rule    Rule
	Count   int
}

// MaxTracePage is how many deliveries a page of a trace may have.
const MaxTracePage = 1000

// DeliveryFilter chooses deliveries. The zero value chooses all.
type DeliveryFilter struct {
	// Channel, Status and Origin, if they are set, must be equal.
	Channel string
	Status  DeliveryStatus
	Origin  string
	// Audience, if it is set, must be equal; direct targets, which have none, cannot
	// be chosen by it.
	Audience Audience
	// Before, if it is set, leaves out those whose request was accepted then or later.
	Before time.Time
}

// DeliveryPage is a part of the deliveries that a filter chooses, those of the
// latest requests first.
type DeliveryPage struct {
	// Deliveries include those to the inbox. Of a row that was sent again, the first
	// one has no RequestID: the row tells of its last request only.
	Deliveries []DeliveryRecord
	// Reached is the time back to which this page has looked; zero if Next is empty.
	// A page looks at a bounded number of deliveries, so that it may be empty although
	// it has a Next.
	Reached time.Time
	// Next continues the list; empty at its end.
	Next string
}

// TraceStore reads what became of requests. Implementations are held to
// storage/storagetest.
type TraceStore interface {
	// RequestTrace returns what is known of a request. cursor is empty, or Next of
	// the page before. The error has [CodeNotFound] if nothing is known: the
	// request was not processed yet, never existed, or is forgotten.
	RequestTrace(ctx context.Context, requestID, cursor string, limit int) (Trace, error)
	// UserDeliveries returns those deliveries of a request that concern a user: its
	// own, those to everyone, and those to entities that were named. Direct targets
	// and other users are not among them, nor is the inbox if it follows from the
	// row there. At most [MaxTracePage].
	UserDeliveries(ctx context.Context, requestID, user string) ([]DeliveryRecord, error)
	// RecentDeliveries returns up to limit deliveries that filter chooses, at most
	// [MaxTracePage]. cursor is empty, or Next of the page before, of the same filter.
	RecentDeliveries(ctx context.Context, filter DeliveryFilter, cursor string, limit int) (DeliveryPage, error)
	// Lookup returns a notification by its identifier alone, whoever's it is. The
	// error has [CodeNotFound] if there is none.
	Lookup(ctx context.Context, id string) (Notification, error)
}
