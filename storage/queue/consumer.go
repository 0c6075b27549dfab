package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
)

// What follows is how a subscription sits in the library's loop, which is:
// BeginTx, SelectQuery, QueryContext; for each row ConsumedMessageQuery, hand
// over, wait for the ack; AckMessageQuery, ExecContext; Commit or Rollback;
// HandleError.

// errStopping keeps a stopping consumer from leasing.
var errStopping = errors.New("the subscription is stopping")

// beginner begins a batch where the library begins a transaction.
type beginner struct {
	watermillsql.Beginner
	s *subscription
}

func (b beginner) BeginTx(ctx context.Context, _ *sql.TxOptions) (watermillsql.Tx, error) {
	if b.s.isStopping() {
		return nil, errStopping
	}
	next := &batch{s: b.s, ctx: ctx, size: b.s.size, floor: b.s.takeFloor()}
	b.s.mu.Lock()
	b.s.batch = next
	b.s.mu.Unlock()
	return next, nil
}

// sizedSchema leases as many rows as the batch is to have.
type sizedSchema struct {
	schemaAdapter
	s *subscription
}

func (a sizedSchema) SelectQuery(params watermillsql.SelectQueryParams) (watermillsql.Query, error) {
	batch := a.s.current()
	a.n, a.floor = batch.size, batch.floor
	return a.schemaAdapter.SelectQuery(params)
}

// watchedOffsets tells the batch how far it got.
type watchedOffsets struct {
	offsetsAdapter
	s *subscription
}

func (a watchedOffsets) ConsumedMessageQuery(params watermillsql.ConsumedMessageQueryParams) (watermillsql.Query, error) {
	return watermillsql.Query{}, a.s.current().next(params.Row.Offset)
}

func (a watchedOffsets) AckMessageQuery(params watermillsql.AckMessageQueryParams) (watermillsql.Query, error) {
	a.s.current().handledUpTo(params.LastRow.Offset)
	return a.offsetsAdapter.AckMessageQuery(params)
}

// On PostgreSQL the index keeps an entry for every row that was leased and
// removed, until vacuum removes it, which a long transaction anywhere in the
// database prevents. A consumer that began every lease at the beginning of its
// topic would walk over all of them. So in a backlog it goes on where the last
// lease ended, and looks at the whole once per floorTime, for the rows that were
// given back.

// setFloor takes note of where a lease ended.
func (s *subscription) setFloor(rows []leasedRow, full bool) {
	s.floor = time.Time{}
	if !full {
		return
	}
	for _, row := range rows {
		if row.leases > 1 {
			return // not where it was when it was due first
		}
	}
	s.floor = rows[len(rows)-1].due.Time
}

// takeFloor returns where the next lease begins.
func (s *subscription) takeFloor() time.Time {
	if now := time.Now(); s.floor.IsZero() || now.Sub(s.lookedAtAll) > floorTime {
		s.lookedAtAll = now
		return time.Time{}
	}
	return s.floor
}
