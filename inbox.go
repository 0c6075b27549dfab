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
	// CreatedAfter selects what was revised at this time or later (see
	// [Notification.Revised]).
	CreatedAfter time.Time
	// MinimumSeverity selects this severity and more severe ones.
	MinimumSeverity Severity
}

// IsZero reports whether the filter selects everything.
func (f Filter) IsZero() bool {
	return len(f.IDs) == 0 && f.Topic == "" && f.Origin == "" && f.Search == "" &&
		f.Read == nil && f.Saved == nil && f.CreatedAfter.IsZero() && f.MinimumSeverity == ""
}

// OrderField is a field that a list can be ordered by.
type OrderField string

// The fields a list can be ordered by. Absent values (no topic, not read) come
// last in ascending and first in descending order.
const (
	// OrderRevised is the time of the current revision. Backstage calls the
	// field "created"; see docs/adr on why a re-sent scope rises.
	OrderRevised  OrderField = "created"
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
		OrderRevised, OrderUpdated, OrderRead, OrderSaved, OrderOrigin, OrderTopic,
		OrderTitle, OrderSeverity, OrderID,
	}
}

// Order is one term of an ordering.
type Order struct {
	Field      OrderField
	Descending bool
}

// Cursor is a position in the default order (newest revision first): the page
// after it begins with the next older row.
type Cursor struct {
	Revised time.Time
	ID      string
}

// Page cuts a list. The zero value is the whole list in the default order,
// newest revision first.
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

// Status counts an inbox: own rows and broadcasts.
type Status struct {
	Unread int `json:"unread"`
	Read   int `json:"read"`
}

// Change sets flags of notifications; nil leaves a flag as it is.
type Change struct {
	Read  *bool
	Saved *bool
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
	// read keeps its time.
	Update(ctx context.Context, user string, filter Filter, change Change, limit int) (Updated, error)
}

// Updated tells what an [Inbox] update altered. A row can be in both lists.
type Updated struct {
	// ReadIDs are the rows whose read flag changed, SavedIDs those whose saved
	// flag changed; cut at the caller's limit.
	ReadIDs  []string
	SavedIDs []string
	// Read and Saved count them in all.
	Read  int
	Saved int
}
