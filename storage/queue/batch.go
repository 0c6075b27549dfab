package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"

	"github.com/signalbox/signalbox/storage/database"
)

const (
	// statementTimeout bounds every statement of a consumer: a database that
	// stopped answering must not hold it for ever.
	statementTimeout = 10 * time.Second
	// shareAfter is how long a consumer keeps the rest of a batch to itself while
	// one message is being handled.
	shareAfter = 250 * time.Millisecond
	// floorTime is how long a consumer in a backlog may look only behind the rows
	// that it leased last.
	floorTime = time.Second
	// batchTime is how long handling a batch should take: a lease costs well
	// under a millisecond, and what waits in a batch no other consumer can take.
	batchTime = 50 * time.Millisecond
)

// errBatchOver ends a batch in its middle; the rest of it was or will be given
// back.
var errBatchOver = errors.New("the rest of the batch was given back")

// leasedRow is a row that this consumer holds.
type leasedRow struct {
	id       int64
	uuid     string
	payload  []byte
	metadata string
	leases   int
	due      database.Time
}

// batch is what the library takes for its transaction: one lease, the messages
// it returned, and one acknowledgement. No transaction is open meanwhile, and no
// connection is held. When the library ends it, the batch settles what the
// library leaves open.
type batch struct {
	s   *subscription
	ctx context.Context
	// size is how many rows were asked for, floor from where on.
	size  int
	floor time.Time

	mu     sync.Mutex
	leased time.Time
	rows   []leasedRow
	// rows[:handled] were acknowledged by the consumer, and removed if acked.
	handled int
	acked   bool
	// held is the row in the consumer's hands, 0 if none.
	held int64
	// nacked is the row that the consumer returned last, 0 if none.
	nacked int64
	// shared is set when the rows behind the held one were given back; they are
	// no longer among rows.
	shared bool
	// more is set when there may be due rows that this batch left.
	more bool
}

var _ watermillsql.Tx = (*batch)(nil)

// QueryContext leases. It reads all rows before it returns, because SQLite's one
// writing connection must not wait for the handlers.
func (b *batch) QueryContext(ctx context.Context, query string, args ...any) (watermillsql.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	var rows []leasedRow
	// The time before the statement: the lease must not end sooner than we think.
	leased := time.Now()
	err := b.s.queue.lax(ctx, func(on executor) error {
		result, err := on.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer result.Close()
		for result.Next() {
			var row leasedRow
			if err := result.Scan(&row.id, &row.uuid, &row.payload, &row.metadata, &row.leases, &row.due); err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return result.Err()
	})
	if err != nil {
		return nil, err
	}
	// RETURNING has no order.
	slices.SortFunc(rows, func(a, b leasedRow) int {
		if c := a.due.Compare(b.due.Time); c != 0 {
			return c
		}
		return int(min(max(a.id-b.id, -1), 1))
	})
	b.mu.Lock()
	b.rows, b.leased = rows, leased
	full := len(rows) == b.size
	b.more = full || !b.floor.IsZero()
	b.mu.Unlock()
	b.s.setFloor(rows, full)
	if full {
		b.s.queue.waiting.wakeIdle(b.s.topic)
	}
	return &leasedRows{rows: rows, at: -1}, nil
}

// ExecContext acknowledges. It outlives the subscription: what was handled must
// not come back because the consumer is being stopped.
func (b *batch) ExecContext(ctx context.Context, query string, args ...any) (watermillsql.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
	defer cancel()
	var result sql.Result
	err := b.s.queue.lax(ctx, func(on executor) (err error) {
		result, err = on.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.acked = true
	b.mu.Unlock()
	return result, nil
}

// Commit and Rollback end the batch.
func (b *batch) Commit() error   { return b.settle() }
func (b *batch) Rollback() error { return b.settle() }

// settle acknowledges what the library did not, and gives back what was not
// handed over. A row that is still in the consumer's hands keeps its lease.
func (b *batch) settle() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.pace(b)
	var errs []error
	if b.handled > 0 && !b.acked {
		ids := make([]int64, b.handled)
		for i, row := range b.rows[:b.handled] {
			ids[i] = row.id
		}
		errs = append(errs, b.exec(ackStatement(b.s.queue.db.Dialect, ids)))
	}
	rest := b.rows[b.handled:]
	if len(rest) > 0 && rest[0].id == b.held {
		rest = rest[1:]
	}
	errs = append(errs, b.release(rest))
	return errors.Join(errs...)
}

// next tells that everything before row was acknowledged and that row is to be
// handed over. It returns [errBatchOver] when this batch may not go on.
func (b *batch) next(row int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.rows, func(r leasedRow) bool { return r.id == row })
	if at < 0 && b.shared {
		b.handled = len(b.rows)
		return errBatchOver
	}
	if at < 0 {
		return fmt.Errorf("row %d is not in the batch", row)
	}
	b.handled = at
	// A message that is handed over has its whole lease before it.
	if time.Since(b.leased) > b.s.queue.staleAfter() {
		b.more = true
		return errBatchOver
	}
	return nil
}

// handledUpTo tells that everything up to row was acknowledged.
func (b *batch) handledUpTo(row int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.IndexFunc(b.rows, func(r leasedRow) bool { return r.id == row }); at >= 0 {
		b.handled = at + 1
	}
}

// hasMore reports whether there may be due rows that this batch left.
func (b *batch) hasMore() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.more
}

// complete reports whether the batch had rows and all were acknowledged.
func (b *batch) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rows) > 0 && b.handled == len(b.rows)
}

// share gives back the rows behind one that takes long.
func (b *batch) share(row int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.rows, func(r leasedRow) bool { return r.id == row })
	if b.shared || at < 0 || at+1 == len(b.rows) {
		return
	}
	b.shared = true
	if err := b.release(b.rows[at+1:]); err != nil {
		b.s.queue.config.Logger.Debug("could not give leased messages back", "topic", b.s.topic, "error", err)
	}
	b.rows = b.rows[:at+1]
}

func (b *batch) hold(row int64) {
	b.mu.Lock()
	b.held = row
	b.mu.Unlock()
}

// returned tells that the consumer could not handle the row in its hands.
func (b *batch) returned(row int64) {
	b.mu.Lock()
	b.held, b.nacked = 0, row
	b.mu.Unlock()
}

// gaveBack reports whether the consumer has returned a row in this lease.
func (b *batch) gaveBack(row int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nacked == row
}

// release makes rows visible again and tells the other consumers.
func (b *batch) release(rows []leasedRow) error {
	if len(rows) == 0 {
		return nil
	}
	b.more = true
	if err := b.exec(releaseStatement(b.s.queue.db.Dialect, rows)); err != nil {
		return err
	}
	b.s.queue.wake(b.s.topic, len(rows))
	return nil
}

func (b *batch) exec(statement watermillsql.Query) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), statementTimeout)
	defer cancel()
	return b.s.queue.lax(ctx, func(on executor) error {
		_, err := on.ExecContext(ctx, statement.Query, statement.Args...)
		return err
	})
}

// leasedRows hands leased rows to the library.
type leasedRows struct {
	rows []leasedRow
	at   int
}

func (r *leasedRows) Next() bool { r.at++; return r.at < len(r.rows) }
func (*leasedRows) Close() error { return nil }

// Scan takes what [schemaAdapter.UnmarshalMessage] passes: one *leasedRow.
func (r *leasedRows) Scan(dest ...any) error {
	if len(dest) == 1 {
		if row, ok := dest[0].(*leasedRow); ok {
			*row = r.rows[r.at]
			return nil
		}
	}
	return errors.New("a leased row is scanned whole")
}

// staleAfter is the age at which a batch hands nothing more over.
func (q *Queue) staleAfter() time.Duration { return q.config.Lease / 4 }

// spare is how long before the end of its time a message is back that was handed over
// again.
func (q *Queue) spare() time.Duration { return q.config.Lease / 12 }

// again is how much time a message must have to be handed over again. A third of the
// lease is what a consumer may need when the database is away, and spare is beside that.
func (q *Queue) again() time.Duration { return q.config.Lease/3 + q.spare() }
