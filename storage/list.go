package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// errNoUser is the caller's mistake: the empty user would be the broadcasts.
var errNoUser = errors.New("storage: a user is required")

// List implements [signalbox.Inbox].
func (s *Store) List(ctx context.Context, user string, filter signalbox.Filter, page signalbox.Page) ([]signalbox.Notification, error) {
	if user == "" {
		return nil, errNoUser
	}
	order, err := orderOf(page)
	if err != nil {
		return nil, err
	}
	if selectsNothing(filter) || !storable(user) || page.HasLimit && page.Limit == 0 {
		return []signalbox.Notification{}, nil
	}

	// Each source is an ordered index scan of its own, cut where the page ends;
	// the outer query merges short lists.
	now := s.now()
	q := s.newStatement(user)
	orderBy := q.orderBy(order)
	reach := ""
	if page.HasLimit {
		reach = " LIMIT " + q.limit(saturatedSum(page.Offset, page.Limit))
	}
	q.write("SELECT ", rowColumns, " FROM (")
	for i, src := range listed(filter) {
		if i > 0 {
			q.write(" UNION ALL ")
		}
		where := q.condition(src, filter, now)
		if page.After != nil {
			// The two columns in one comparison are one range of the index.
			where += " AND (" + src.arrived + ", n.id) < (" + q.timeArg(page.After.Arrived) + ", " + q.cursorID(page.After.ID) + ")"
		}
		q.write("SELECT * FROM (SELECT ", src.columns, " FROM ", src.from,
			" WHERE ", where, " ORDER BY ", orderBy, reach, ") AS part", fmt.Sprint(i))
	}
	q.write(") AS inbox ORDER BY ", orderBy)
	switch {
	case page.HasLimit:
		q.write(" LIMIT ", q.limit(page.Limit))
		if page.Offset > 0 {
			q.write(" OFFSET ", q.arg(page.Offset))
		}
	case page.Offset > 0:
		// SQLite knows OFFSET only behind LIMIT.
		q.write(" LIMIT ", q.arg(int64(math.MaxInt64)), " OFFSET ", q.arg(page.Offset))
	}
	rows, err := s.read.query(ctx, q.String(), q.args...)
	list, err := scanNotifications(now, rows, err)
	if err != nil {
		return nil, fmt.Errorf("storage: list: %w", database.Classify(err))
	}
	return list, nil
}

// orderOf returns the order of a page with its tie-breaker, or the caller's
// mistake.
func orderOf(page signalbox.Page) ([]signalbox.Order, error) {
	if page.Offset < 0 || page.HasLimit && page.Limit < 0 {
		return nil, signalbox.Errorf(signalbox.CodeInput, "offset and limit must be >= 0")
	}
	if page.After != nil {
		if len(page.Order) > 0 || page.Offset > 0 {
			return nil, signalbox.Errorf(signalbox.CodeInput, "a cursor goes only with the default order and without an offset")
		}
		if _, ok := canonicalUUID(page.After.ID); !ok || page.After.Arrived.IsZero() {
			return nil, errCursor()
		}
	}
	if len(page.Order) == 0 {
		return []signalbox.Order{
			{Field: signalbox.OrderArrived, Descending: true},
			{Field: signalbox.OrderID, Descending: true},
		}, nil
	}
	order := make([]signalbox.Order, 0, len(page.Order)+1)
	seen := make(map[signalbox.OrderField]bool)
	for _, term := range page.Order {
		if _, ok := orderColumns[term.Field]; !ok {
			return nil, signalbox.Errorf(signalbox.CodeInput, "cannot order by %q", string(term.Field))
		}
		if !seen[term.Field] {
			seen[term.Field] = true
			order = append(order, term)
		}
	}
	if !seen[signalbox.OrderID] {
		// In the direction of the last term, so that "newest first" is an index
		// scan when it is asked for by name.
		order = append(order, signalbox.Order{Field: signalbox.OrderID, Descending: order[len(order)-1].Descending})
	}
	return order, nil
}

// orderColumn is a column to order by, and whether it can be NULL.
type orderColumn struct {
	name     string
	nullable bool
}

var orderColumns = map[signalbox.OrderField]orderColumn{
	signalbox.OrderArrived:  {"revised", false},
	signalbox.OrderUpdated:  {"updated", true},
	signalbox.OrderRead:     {"read", true},
	signalbox.OrderSaved:    {"saved", true},
	signalbox.OrderOrigin:   {"origin", false},
	signalbox.OrderTopic:    {"topic", true},
	signalbox.OrderTitle:    {"title", false},
	signalbox.OrderSeverity: {"severity", false},
	signalbox.OrderID:       {"id", false},
}

func (s *statement) orderBy(order []signalbox.Order) string {
	terms := make([]string, len(order))
	for i, term := range order {
		column := orderColumns[term.Field]
		text := column.name
		if term.Field == signalbox.OrderTitle && s.dialect == database.Postgres {
			text += ` COLLATE "C"` // by code point, as SQLite does
		}
		text += pick(term.Descending, " DESC", " ASC")
		if column.nullable {
			text += pick(term.Descending, " NULLS FIRST", " NULLS LAST")
		}
		terms[i] = text
	}
	return strings.Join(terms, ", ")
}

// cursorID adds an identifier that is compared for order.
func (s *statement) cursorID(id string) string {
	id, _ = canonicalUUID(id)
	return s.arg(id)
}

// limit is how many rows to return. For a page PostgreSQL gets it in the text: it
// takes a parameter for a tenth of the table, and then plans every page anew.
func (s *statement) limit(n int) string {
	const page = 1001
	if s.dialect == database.Postgres && n <= page {
		return strconv.Itoa(n)
	}
	return s.arg(n)
}

// saturatedSum adds two numbers >= 0.
func saturatedSum(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

// Get implements [signalbox.Inbox].
func (s *Store) Get(ctx context.Context, user, id string) (signalbox.Notification, error) {
	notFound := signalbox.Errorf(signalbox.CodeNotFound, "Not found")
	if user == "" {
		return signalbox.Notification{}, errNoUser
	}
	if _, ok := canonicalUUID(id); !ok || !storable(user) {
		return signalbox.Notification{}, notFound
	}
	list, err := s.List(ctx, user, signalbox.Filter{IDs: []string{id}}, signalbox.Page{})
	if err != nil {
		return signalbox.Notification{}, err
	}
	if len(list) == 0 {
		return signalbox.Notification{}, notFound
	}
	return list[0], nil
}

// Topics implements [signalbox.Inbox].
func (s *Store) Topics(ctx context.Context, user string, filter signalbox.Filter) ([]string, error) {
	if user == "" {
		return nil, errNoUser
	}
	topics := []string{}
	if selectsNothing(filter) || !storable(user) {
		return topics, nil
	}
	q, now := s.newStatement(user), s.now()
	q.write("SELECT n.topic FROM ", ownRows.from, " WHERE ", q.condition(ownRows, filter, now), " AND n.topic IS NOT NULL",
		" UNION SELECT n.topic FROM ", broadcastRows.from, " WHERE ", q.condition(broadcastRows, filter, now), " AND n.topic IS NOT NULL",
		" ORDER BY 1")
	rows, err := s.read.query(ctx, q.String(), q.args...)
	err = each(rows, err, func(rows *sql.Rows) error {
		var topic string
		err := rows.Scan(&topic)
		topics = append(topics, topic)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storage: topics: %w", database.Classify(err))
	}
	return topics, nil
}
