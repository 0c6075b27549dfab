package signalbox

import (
	"context"
	"time"
)

// Filter selects notifications of one user's inbox: the user's own rows and the
// broadcasts. The zero value of a field does not filter.
type Filter struct {
	// IDs selects by identifier. Identifiers that are unknown or not the user's
	// select nothing.
	IDs []string
	// Topic and Origin select exactly.
	Topic  string
	Origin string
	// Search selects a case-insensitive substring of title or description;
	// no character has a special meaning.
	Search string
	Read   *bool
	Saved  *bool
	// Snoozed selects only what is snoozed. Without it only what is not is
	// selected, unless IDs name it.
	Snoozed bool
	// CreatedAfter selects what arrived at this time or later (see
	// [Notification.Arrived]).
	CreatedAfter time.Time
	// MinimumSeverity selects this severity and more severe ones.
	MinimumSeverity Severity
}

// IsZero reports whether the filter selects everything.
func (f Filter) IsZero() bool {
	return len(f.IDs) == 0 && f.Topic == "" && f.Origin == "" && f.Search == "" &&
		f.Read == nil && f.Saved == nil && !f.Snoozed && f.CreatedAfter.IsZero() && f.MinimumSeverity == ""
}

// OrderField is a field that a list can be ordered by.
type OrderField string

// The fields a list can be ordered by. Absent values (no topic, not read) come
// last in ascending and first in descending order.
const (
	// OrderArrived is [Notification.Arrived]. Backstage calls the field "created";
	// see docs/adr on why what is re-sent and what comes back rises.
	OrderArrived  OrderField = "created"
	OrderUpdated  OrderField = "updated"
	OrderRead     OrderField = "read"
	OrderSaved    OrderField = "saved"
	OrderOrigin   OrderField = "origin"
	OrderTopic    OrderField = "topic"
	OrderTitle    OrderField = "title"
	OrderSeverity OrderField = "severity"
	OrderID       OrderField = "id"
)

// OrderFields lists the fields a list can be ordered by.
func OrderFields() []OrderField {
	return []OrderField{
		OrderArrived, OrderUpdated, OrderRead, OrderSaved, OrderOrigin, OrderTopic,
		OrderTitle, OrderSeverity, OrderID,
	}
}

// Order is one term of an ordering.
type Order struct {
	Field      OrderField
	Descending bool
}

// Cursor is a position in the default order (latest arrival first): the page
// after it begins with the next older row.
type Cursor struct {
	Arrived time.Time
	ID      string
}

// Page cuts a list. The zero value is the whole list in the default order,
// latest arrival first.
type Page struct {
	// Order replaces the default order. The identifier breaks ties.
	Order []Order
	// Offset skips rows; Limit cuts the list if HasLimit is set.
	Offset   int
	Limit    int
	HasLimit bool
	// After continues behind a cursor; only in the default order, and not
	// together with Offset.
	After *Cursor
}

// Status counts an inbox: own rows and broadcasts. What is snoozed is in neither
// of the first two.
type Status struct {
	Unread  int `json:"unread"`
	Read    int `json:"read"`
	Snoozed int `json:"snoozed"`
}

// Change sets flags of notifications; nil leaves a flag as it is.
type Change struct {
	// Read does nothing to what is or becomes snoozed: that comes back unread.
	Read  *bool
	Saved *bool
	// SnoozedUntil snoozes until that time, at which the rows are back, unread and
	// on top, whatever runs then. The zero time takes a snooze back: the row is as
	// it was before, in its place and with its read mark (unless Read says
	// otherwise). A new revision ends a snooze, too.
	SnoozedUntil *time.Time
}

// Inbox is what users see and change. Every method takes the user whose inbox
// it is, and can neither return nor change what is another user's.
// Implementations are held to storage/storagetest.
type Inbox interface {
	// List returns the rows that filter selects, cut by page.
	List(ctx context.Context, user string, filter Filter, page Page) ([]Notification, error)
	// Count returns how many rows filter selects.
	Count(ctx context.Context, user string, filter Filter) (int, error)
	// Get returns one notification, or an [Error] with [CodeNotFound].
	Get(ctx context.Context, user, id string) (Notification, error)
	// Status counts the inbox.
	Status(ctx context.Context, user string) (Status, error)
	// Topics returns the distinct topics of the rows that filter selects,
	// sorted.
	Topics(ctx context.Context, user string, filter Filter) ([]string, error)
	// Update applies change to every row that filter selects and returns the
	// identifiers of the rows that it altered (a row that was already so is not
	// among them), at most limit of them, and how many there were in all.
	// Read and saved times are those of the first time: marking a read row as
	// read keeps its time. A snooze publishes a [Wake] in the same transaction.
	Update(ctx context.Context, user string, filter Filter, change Change, limit int) (Updated, error)
}

// Updated tells what an [Inbox] update altered. A row can be in several lists.
type Updated struct {
	// ReadIDs are the rows whose read flag changed, SavedIDs those whose saved
	// flag changed, SnoozedIDs those that were snoozed, or woken; cut at the
	// caller's limit.
	ReadIDs    []string
	SavedIDs   []string
	SnoozedIDs []string
	// Read, Saved and Snoozed count them in all.
	Read    int
	Saved   int
	Snoozed int
}
