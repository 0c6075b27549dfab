package signalbox

import "context"

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
	// Lookup returns a notification by its identifier alone, whoever's it is. The
	// error has [CodeNotFound] if there is none.
	Lookup(ctx context.Context, id string) (Notification, error)
}
