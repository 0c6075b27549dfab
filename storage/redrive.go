package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// Redrive implements [signalbox.DeadLetterStore].
func (s *Store) Redrive(ctx context.Context, filter signalbox.DeadLetterFilter) (int, error) {
	n, err := s.takeLetters(ctx, filter, ", payload", s.putBack, func(letters []signalbox.DeadLetter) {
		topics := make([]string, len(letters))
		for i, d := range letters {
			topics[i] = d.Topic
		}
		slices.Sort(topics)
		s.queue.Wake(topics...)
	})
	if err != nil {
		return n, fmt.Errorf("storage: redrive: %w", err)
	}
	return n, nil
}

// Drop implements [signalbox.DeadLetterStore]. The records of dropped deliveries
// and requests go on saying that they failed, and why.
func (s *Store) Drop(ctx context.Context, filter signalbox.DeadLetterFilter) (int, error) {
	n, err := s.takeLetters(ctx, filter, "", nil, nil)
	if err != nil {
		return n, fmt.Errorf("storage: drop dead letters: %w", err)
	}
	return n, nil
}

// takeBatch bounds the letters that one transaction takes.
const takeBatch = 200

// takeLetters takes those that filter chooses out of the table, oldest first, in
// transactions of up to takeBatch letters and about batchBytes of payload, and
// returns how many they were. act is called inside each transaction, when the letters
// are gone, after after each commit; both may be nil. columns are read beside
// letterColumns: nothing, or the payload.
//
// It goes up to the letter that is the last one at the start, and never back: one
// that is put back and dies again meanwhile is not taken again.
func (s *Store) takeLetters(ctx context.Context, filter signalbox.DeadLetterFilter, columns string,
	act func(context.Context, *sql.Tx, []signalbox.DeadLetter) error, after func([]signalbox.DeadLetter),
) (taken int, err error) {
	last, found, err := s.lastLetter(ctx, filter)
	if err != nil || !found {
		return 0, database.Classify(err)
	}
	var place letterPlace
	for more := true; more; {
		var batch []signalbox.DeadLetter
		err := s.db.InTx(ctx, func(tx *sql.Tx) error {
			var err error
			if batch, more, err = s.lockLetters(ctx, tx, filter, columns, place, last); err != nil || len(batch) == 0 {
				return err
			}
			if err := s.deleteLetters(ctx, tx, batch); err != nil || act == nil {
				return err
			}
			return act(ctx, tx, batch)
		})
		if err != nil {
			return taken, err
		}
		taken += len(batch)
		if len(batch) > 0 {
			place = letterPlace{batch[len(batch)-1].Died, batch[len(batch)-1].ID}
			if after != nil {
				after(batch)
			}
		}
	}
	return taken, nil
}

// lastLetter returns the place of the newest letter that filter chooses.
func (s *Store) lastLetter(ctx context.Context, filter signalbox.DeadLetterFilter) (letterPlace, bool, error) {
	q := &statement{dialect: s.db.Dialect}
	where, possible := q.letterCondition(filter)
	if !possible {
		return letterPlace{}, false, nil
	}
	q.write("SELECT died, id FROM dead_letters WHERE ", where, " ORDER BY died DESC, id DESC LIMIT 1")
	var (
		died  database.Time
		place letterPlace
	)
	err := s.db.Reader.QueryRowContext(ctx, q.String(), q.args...).Scan(&died, &place.id)
	if errors.Is(err, sql.ErrNoRows) {
		return place, false, nil
	}
	place.died = died.Time
	return place, true, err
}

// lockLetters reads and locks the next letters behind a place, up to last, and
// reports whether there may be more. Those that somebody else is taking are left
// to them.
func (s *Store) lockLetters(ctx context.Context, tx *sql.Tx, filter signalbox.DeadLetterFilter, columns string, behind, last letterPlace) (batch []signalbox.DeadLetter, more bool, err error) {
	q := &statement{dialect: s.db.Dialect}
	where, _ := q.letterCondition(filter)
	if !behind.died.IsZero() {
		where += q.placeTerm(">", behind)
	}
	q.write("SELECT ", letterColumns, columns, " FROM dead_letters WHERE ", where, q.placeTerm("<=", last),
		" ORDER BY died, id LIMIT ", q.arg(takeBatch))
	if s.db.Dialect == database.Postgres {
		// SQLite has one writer.
		q.write(" FOR UPDATE SKIP LOCKED")
	}
	errFull := errors.New("the batch is full")
	size := 0
	rows, err := tx.QueryContext(ctx, q.String(), q.args...)
	err = each(rows, err, func(rows *sql.Rows) error {
		if size >= batchBytes {
			return errFull
		}
		var (
			payload []byte
			into    []any
		)
		if columns != "" {
			into = append(into, &payload)
		}
		d, err := scanLetter(rows, into...)
		d.Payload = payload
		batch, size = append(batch, d), size+len(payload)
		return err
	})
	if errors.Is(err, errFull) {
		return batch, true, nil
	}
	return batch, len(batch) == takeBatch, err
}

func (s *Store) deleteLetters(ctx context.Context, tx *sql.Tx, letters []signalbox.DeadLetter) error {
	filter := signalbox.DeadLetterFilter{}
	for _, d := range letters {
		filter.IDs = append(filter.IDs, d.ID)
	}
	q := &statement{dialect: s.db.Dialect}
	where, _ := q.letterCondition(filter)
	q.write("DELETE FROM dead_letters WHERE ", where)
	if _, err := tx.ExecContext(ctx, q.String(), q.args...); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// putBack publishes letters on their queues, and says in the records that they are
// on their way again.
func (s *Store) putBack(ctx context.Context, tx *sql.Tx, letters []signalbox.DeadLetter) error {
	// In the order in which all transactions lock records: deliveries, then
	// requests, each by their keys.
	var (
		deliveries []signalbox.DeliveryKey
		requests   []string
		messages   = make([]signalbox.Message, len(letters))
	)
	for i, d := range letters {
		messages[i] = signalbox.Message{Topic: d.Topic, ID: pick(d.RequestID != "", d.RequestID, d.ID), Payload: d.Payload}
		request, ok := canonicalUUID(d.RequestID)
		switch {
		case !ok: // it could not even be read
		case d.Delivery.Channel != "":
			key := d.Delivery
			key.RequestID = request
			deliveries = append(deliveries, key)
		default:
			requests = append(requests, request)
		}
	}
	slices.SortFunc(deliveries, compareKeys)
	slices.Sort(requests)
	now := s.db.Dialect.TimeArg(s.now())
	for _, key := range deliveries {
		if _, err := tx.ExecContext(ctx, `UPDATE deliveries SET status = $1, next_attempt = NULL, updated = $2
WHERE request_id = $3 AND audience = $4 AND channel = $5 AND target = $6 AND status = $7`,
			string(signalbox.DeliveryQueued), now, key.RequestID, string(key.Audience), key.Channel, key.Target,
			string(signalbox.DeliveryFailed)); err != nil {
			return fmt.Errorf("delivery %s: %w", key.ID(), err)
		}
	}
	for _, id := range slices.Compact(requests) {
		if err := s.retryRequest(ctx, tx, id); err != nil {
			return fmt.Errorf("request %s: %w", id, err)
		}
	}
	if err := s.queue.PublishTx(ctx, tx, messages...); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}
