package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// letterColumns are those of a dead letter, in the order in which scanLetter
// reads them; the payload follows.
const letterColumns = `id, topic, stage, error, attempts, request_id, origin, audience, channel, target, history, created, died`

// buryQuery keeps the latest word on a message that is given up once more.
const buryQuery = `INSERT INTO dead_letters AS d (` + letterColumns + `, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO UPDATE SET topic = excluded.topic, payload = excluded.payload, stage = excluded.stage,
	error = excluded.error, attempts = excluded.attempts, history = excluded.history, died = excluded.died
WHERE d.died <= excluded.died`

// bury stores dead letters in a transaction. They are rare enough to go one by
// one.
func (s *Store) bury(ctx context.Context, tx *sql.Tx, letters []signalbox.DeadLetter) error {
	letters = slices.Clone(letters)
	slices.SortStableFunc(letters, func(a, b signalbox.DeadLetter) int { return strings.Compare(a.ID, b.ID) })
	for _, d := range letters {
		history := []byte("[]")
		if len(d.History) > 0 {
			var err error
			if history, err = json.Marshal(d.History); err != nil {
				return fmt.Errorf("dead letter %s: history: %w", d.ID, err)
			}
		}
		// The error and the target are anybody's text, and must not keep the letter
		// from being stored.
		if _, err := tx.ExecContext(ctx, buryQuery, d.ID, d.Topic, d.Stage, printable(d.Error), d.Attempts,
			d.RequestID, d.Origin, string(d.Delivery.Audience), d.Delivery.Channel, printable(d.Delivery.Target), string(history),
			s.db.Dialect.TimeArg(d.Created), s.db.Dialect.TimeArg(d.Died), notNil(d.Payload)); err != nil {
			return fmt.Errorf("dead letter %s: %w", d.ID, err)
		}
	}
	return nil
}

// scanLetter reads a row of letterColumns, and what follows them into more.
func scanLetter(rows *sql.Rows, more ...any) (signalbox.DeadLetter, error) {
	var (
		d             signalbox.DeadLetter
		history       string
		created, died database.Time
	)
	if err := rows.Scan(append([]any{
		&d.ID, &d.Topic, &d.Stage, &d.Error, &d.Attempts, &d.RequestID, &d.Origin,
		&d.Delivery.Audience, &d.Delivery.Channel, &d.Delivery.Target, &history, &created, &died,
	}, more...)...); err != nil {
		return d, fmt.Errorf("scan dead letter: %w", err)
	}
	if err := json.Unmarshal([]byte(history), &d.History); err != nil {
		return d, fmt.Errorf("dead letter %s: history: %w", d.ID, err)
	}
	if d.Delivery.Channel != "" {
		d.Delivery.RequestID = d.RequestID
	}
	d.Created, d.Died = created.Time, died.Time
	return d, nil
}

// letterPlace is a dead letter's place in the order of their death.
type letterPlace struct {
	died time.Time
	id   string
}

func (p letterPlace) cursor() string {
	return encodeCursor([]string{strconv.FormatInt(p.died.UnixMicro(), 10), p.id})
}

func placeOfCursor(cursor string) (letterPlace, error) {
	var place []string
	if err := decodeCursor(cursor, &place); err != nil || len(place) != 2 || !storable(place[1]) {
		return letterPlace{}, errCursor()
	}
	micros, err := strconv.ParseInt(place[0], 10, 64)
	died := time.UnixMicro(micros).UTC()
	// Databases know fewer years than there are microseconds.
	if err != nil || died.Year() < 1 || died.Year() > 9999 {
		return letterPlace{}, errCursor()
	}
	return letterPlace{died, place[1]}, nil
}

// letterCondition returns what follows WHERE for a filter, and false if no letter
// can match, because of values that can be in no row and that PostgreSQL would
// refuse.
func (s *statement) letterCondition(f signalbox.DeadLetterFilter) (string, bool) {
	terms := []string{"1 = 1"}
	if len(f.IDs) > 0 {
		ids := slices.DeleteFunc(slices.Clone(f.IDs), func(id string) bool { return !storable(id) })
		list := s.arg(listArg(s.dialect, ids))
		terms = append(terms, pick(s.dialect == database.Postgres,
			"id = ANY("+list+"::text[])", "id IN (SELECT value FROM json_each("+list+"))"))
	}
	for _, equal := range []struct{ column, value string }{
		{"stage", f.Stage}, {"origin", f.Origin}, {"request_id", f.RequestID},
	} {
		if !storable(equal.value) {
			return "", false
		}
		if equal.value != "" {
			terms = append(terms, equal.column+" = "+s.arg(equal.value))
		}
	}
	if !f.After.IsZero() {
		terms = append(terms, "died >= "+s.timeArg(f.After))
	}
	if !f.Before.IsZero() {
		terms = append(terms, "died < "+s.timeArg(f.Before))
	}
	return strings.Join(terms, " AND "), true
}

// placeTerm compares a letter's place with p.
func (s *statement) placeTerm(comparison string, p letterPlace) string {
	// The two columns in one comparison are one range of the index.
	return " AND (died, id) " + comparison + " (" + s.timeArg(p.died) + ", " + s.arg(p.id) + ")"
}

// DeadLetters implements [signalbox.DeadLetterStore].
func (s *Store) DeadLetters(ctx context.Context, filter signalbox.DeadLetterFilter, cursor string, limit int) (signalbox.DeadLetterPage, error) {
	page := signalbox.DeadLetterPage{Letters: []signalbox.DeadLetter{}}
	q := &statement{dialect: s.db.Dialect}
	where, possible := q.letterCondition(filter)
	if cursor != "" {
		place, err := placeOfCursor(cursor)
		if err != nil {
			return page, err
		}
		where += q.placeTerm("<", place)
	}
	if !possible || limit <= 0 {
		return page, nil
	}
	// The one more tells whether there is more.
	q.write("SELECT ", letterColumns, " FROM dead_letters WHERE ", where, " ORDER BY died DESC, id DESC LIMIT ", q.arg(limit+1))
	rows, err := s.read.query(ctx, q.String(), q.args...)
	err = each(rows, err, func(rows *sql.Rows) error {
		d, err := scanLetter(rows)
		page.Letters = append(page.Letters, d)
		return err
	})
	if err != nil {
		return signalbox.DeadLetterPage{}, fmt.Errorf("storage: dead letters: %w", database.Classify(err))
	}
	if len(page.Letters) > limit {
		page.Letters = page.Letters[:limit]
		last := page.Letters[limit-1]
		page.Next = letterPlace{last.Died, last.ID}.cursor()
	}
	return page, nil
}

// DeadLetter implements [signalbox.DeadLetterStore].
func (s *Store) DeadLetter(ctx context.Context, id string) (signalbox.DeadLetter, error) {
	var found []signalbox.DeadLetter
	if storable(id) {
		rows, err := s.read.query(ctx, "SELECT "+letterColumns+", payload FROM dead_letters WHERE id = $1", id)
		err = each(rows, err, func(rows *sql.Rows) error {
			var payload []byte
			d, err := scanLetter(rows, &payload)
			d.Payload = payload
			found = append(found, d)
			return err
		})
		if err != nil {
			return signalbox.DeadLetter{}, fmt.Errorf("storage: dead letter: %w", database.Classify(err))
		}
	}
	if len(found) == 0 {
		return signalbox.DeadLetter{}, signalbox.Errorf(signalbox.CodeNotFound, "There is no such dead letter")
	}
	return found[0], nil
}

// CountDeadLetters returns how many dead letters there are.
func (s *Store) CountDeadLetters(ctx context.Context) (int, error) {
	return s.count(ctx, "SELECT count(*) FROM dead_letters")
}
