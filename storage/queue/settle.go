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
// afterwards changes nothing more.
func (q *Queue) RemoveTx(ctx context.Context, tx *sql.Tx, positions []int64) error {
	for part := range slices.Chunk(slices.Sorted(slices.Values(positions)), maxBatchSize) {
		statement := ackStatement(q.db.Dialect, part)
		if _, err := tx.ExecContext(ctx, statement.Query, statement.Args...); err != nil {
			return fmt.Errorf("queue: remove: %w", err)
		}
	}
	return nil
}

// PostponeTx replaces the messages of settlements that are Postponed by ones that
// are due later, in a transaction of the caller. They get a new position, so that the
// acknowledgement of the old one does not remove them. A message whose lease ran
// out and that somebody else leased since is left alone. It returns the topics of
// the others, for [Queue.Wake] after the commit: also what is due later may be due
// sooner than the consumers know.
func (q *Queue) PostponeTx(ctx context.Context, tx *sql.Tx, list []signalbox.Settlement) (topics []string, err error) {
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
			return nil, fmt.Errorf("queue: postpone: %w", err)
		}
		e.payload, e.delay = p.Postponed.Payload, p.Postponed.Delay
		statement := insertStatement(q.db.Dialect, topic, []entry{e})
		if _, err := tx.ExecContext(ctx, statement.Query, statement.Args...); err != nil {
			return nil, fmt.Errorf("queue: postpone: %w", err)
		}
		topics = append(topics, topic)
	}
	return topics, nil
}

// takeBack removes a message whose lease still holds.
var takeBack = map[database.Dialect]string{
	database.Postgres: "DELETE FROM queue_messages WHERE id = $1 AND leases = $2 RETURNING topic, uuid, metadata",
	database.SQLite:   "DELETE FROM queue_messages WHERE id = ? AND leases = ? RETURNING topic, uuid, metadata",
}
