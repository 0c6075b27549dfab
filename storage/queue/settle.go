package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// RemoveTx removes messages that were handled, in a transaction of the caller:
// together with what handling them changed. That the consumer acknowledges them
// afterwards changes nothing more. It returns those that were still there.
func (q *Queue) RemoveTx(ctx context.Context, tx *sql.Tx, positions []int64) (removed []int64, err error) {
	for part := range slices.Chunk(slices.Sorted(slices.Values(positions)), maxBatchSize) {
		if removed, err = q.remove(ctx, tx, part, removed); err != nil {
			return nil, fmt.Errorf("queue: remove: %w", err)
		}
	}
	return removed, nil
}

// remove removes messages and appends those that were there to removed.
func (q *Queue) remove(ctx context.Context, tx *sql.Tx, positions, removed []int64) ([]int64, error) {
	statement := ackStatement(q.db.Dialect, positions)
	rows, err := tx.QueryContext(ctx, statement.Query+" RETURNING id", statement.Args...)
	if err != nil {
		return removed, err
	}
	defer rows.Close()
	for rows.Next() {
		var position int64
		if err := rows.Scan(&position); err != nil {
			return removed, err
		}
		removed = append(removed, position)
	}
	return removed, rows.Err()
}

// PostponeTx replaces the messages of settlements that are Postponed by ones that
// are due later, in a transaction of the caller. They get a new position, so that the
// acknowledgement of the old one does not remove them. A message whose lease ran
// out and that somebody else leased since, or settled, is left alone. It returns the
// positions of the others, and their topics for [Queue.Wake] after the commit: also
// what is due later may be due sooner than the consumers know.
func (q *Queue) PostponeTx(ctx context.Context, tx *sql.Tx, list []signalbox.Settlement) (postponed []int64, topics []string, err error) {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b signalbox.Settlement) int { return int(min(max(a.Lease.Position-b.Lease.Position, -1), 1)) })
	for _, p := range sorted {
		var (
			topic string
			e     entry
		)
		row := tx.QueryRowContext(ctx, takeBack[q.db.Dialect], p.Lease.Position, p.Lease.Count)
		switch err := row.Scan(&topic, &e.uuid, &e.metadata); {
		case errors.Is(err, sql.ErrNoRows):
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("queue: postpone: %w", err)
		}
		e.payload, e.delay = p.Postponed.Payload, p.Postponed.Delay
		statement := insertStatement(q.db.Dialect, topic, []entry{e})
		if _, err := tx.ExecContext(ctx, statement.Query, statement.Args...); err != nil {
			return nil, nil, fmt.Errorf("queue: postpone: %w", err)
		}
		postponed, topics = append(postponed, p.Lease.Position), append(topics, topic)
	}
	return postponed, topics, nil
}

// takeBack removes a message whose lease still holds.
var takeBack = map[database.Dialect]string{
	database.Postgres: "DELETE FROM queue_messages WHERE id = $1 AND leases = $2 RETURNING topic, uuid, metadata",
	database.SQLite:   "DELETE FROM queue_messages WHERE id = ? AND leases = ? RETURNING topic, uuid, metadata",
}
