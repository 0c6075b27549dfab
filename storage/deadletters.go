package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// buryQuery keeps the latest word on a message that is given up once more.
const buryQuery = `INSERT INTO dead_letters AS d
	(id, topic, payload, stage, error, attempts, request_id, origin, created, died)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET topic = excluded.topic, payload = excluded.payload, stage = excluded.stage,
	error = excluded.error, attempts = excluded.attempts, died = excluded.died
WHERE d.died <= excluded.died`

// bury stores dead letters in a transaction. They are rare enough to go one by
// one.
func (s *Store) bury(ctx context.Context, tx *sql.Tx, letters []signalbox.DeadLetter) error {
	letters = slices.Clone(letters)
	slices.SortStableFunc(letters, func(a, b signalbox.DeadLetter) int { return strings.Compare(a.ID, b.ID) })
	for _, d := range letters {
		// The error is anybody's text, and must not keep the letter from being
		// stored.
		if _, err := tx.ExecContext(ctx, buryQuery, d.ID, d.Topic, notNil(d.Payload), d.Stage, printable(d.Error), d.Attempts,
			d.RequestID, d.Origin, s.db.Dialect.TimeArg(d.Created), s.db.Dialect.TimeArg(d.Died)); err != nil {
			return fmt.Errorf("dead letter %s: %w", d.ID, err)
		}
	}
	return nil
}

// DeadLetters returns the dead letters that died last, newest first, at most
// limit of them.
func (s *Store) DeadLetters(ctx context.Context, limit int) ([]signalbox.DeadLetter, error) {
	letters := []signalbox.DeadLetter{}
	rows, err := s.read.query(ctx, `SELECT id, topic, payload, stage, error, attempts, request_id, origin, created, died
FROM dead_letters ORDER BY died DESC, id DESC LIMIT $1`, max(limit, 0))
	err = each(rows, err, func(rows *sql.Rows) error {
		var (
			d             signalbox.DeadLetter
			created, died database.Time
		)
		err := rows.Scan(&d.ID, &d.Topic, &d.Payload, &d.Stage, &d.Error, &d.Attempts, &d.RequestID, &d.Origin, &created, &died)
		d.Created, d.Died = created.Time, died.Time
		letters = append(letters, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storage: dead letters: %w", database.Classify(err))
	}
	return letters, nil
}

// CountDeadLetters returns how many dead letters there are.
func (s *Store) CountDeadLetters(ctx context.Context) (int, error) {
	return s.count(ctx, "SELECT count(*) FROM dead_letters")
}
