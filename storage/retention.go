package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox/storage/database"
)

// expirySlack covers the clocks of instances that differ: a row's identifier may
// be stamped by another clock than its revision.
const expirySlack = time.Hour

// defaultDeleteBatch is how many rows a retention statement looks at when the
// caller does not say.
const defaultDeleteBatch = 1000

// DeleteExpired deletes the notifications and broadcasts that arrived before a time
// (see [signalbox.Notification.Arrived]), and returns how many they were. A broadcast
// lives as long as it does for the user who snoozed it longest. Every transaction looks
// at no more than batch rows (1,000 if batch is not positive), so it holds no
// lock for long; what was deleted before an error or the end of ctx stays so.
//
// An identifier begins with the time of creation and a revision is no older, so
// the rows that can be expired are the beginning of the primary key. A row that
// was created later than its identifier says lives on until its identifier is
// old enough.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	if batch <= 0 {
		batch = defaultDeleteBatch
	}
	for _, table := range []string{"notifications", "broadcasts"} {
		if table == "broadcasts" {
			// Each takes the flags of everybody who touched it along.
			batch = min(batch, maxBroadcastBatch)
		}
		for last, done := uuidAt(time.Time{}), false; !done; {
			var (
				found expired
				n     int64
			)
			found, err = s.findExpired(ctx, table, last, before, batch)
			if err == nil && len(found.ids) > 0 {
				n, err = s.deleteRows(ctx, table, found, before)
			}
			deleted += int(n)
			if err != nil {
				return deleted, fmt.Errorf("storage: retention: %s: %w", table, database.Classify(err))
			}
			last, done = found.last, found.scanned < batch
		}
	}
	return deleted, nil
}

// maxBroadcastBatch bounds the broadcasts that one transaction deletes.
const maxBroadcastBatch = 20

// expired is what a step through the primary key found.
type expired struct {
	ids, users []string
	last       string // the last identifier looked at
	scanned    int
}

// findExpired looks at the next batch of rows behind an identifier.
func (s *Store) findExpired(ctx context.Context, table, last string, before time.Time, batch int) (expired, error) {
	var found expired
	user := pick(table == "broadcasts", "''", "user_ref")
	rows, err := s.read.query(ctx, "SELECT id, "+user+", revised FROM "+table+
		" WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3", last, uuidAt(before.Add(expirySlack)), batch)
	err = each(rows, err, func(rows *sql.Rows) error {
		var (
			user    string
			revised database.Time
		)
		if err := rows.Scan(&found.last, &user, &revised); err != nil {
			return err
		}
		found.scanned++
		if revised.Before(before) {
			found.ids, found.users = append(found.ids, found.last), append(found.users, user)
		}
		return nil
	})
	slices.Sort(found.users)
	found.users = slices.Compact(found.users)
	return found, err
}

// deleteRows deletes what is still expired.
func (s *Store) deleteRows(ctx context.Context, table string, found expired, before time.Time) (deleted int64, err error) {
	err = s.db.InTx(ctx, func(tx *sql.Tx) error {
		if err := s.lockCounts(ctx, tx, found.users); err != nil {
			return err
		}
		query := "DELETE FROM " + table + " WHERE " + anyUUID(s.db.Dialect, "id", "$1") + " AND revised < $2" //nolint:gosec // two constant names
		if table == "broadcasts" {
			if err := s.lockBroadcasts(ctx, tx, found.ids); err != nil {
				return err
			}
			query += " AND NOT EXISTS (SELECT 1 FROM broadcast_flags AS f WHERE f.broadcast_id = broadcasts.id" +
				" AND f.snoozed_until >= $2 AND f.snoozed_revision >= broadcasts.revision)"
		}
		result, err := tx.ExecContext(ctx, query,
			listArg(s.db.Dialect, found.ids), s.db.Dialect.TimeArg(before))
		if err != nil {
			return err
		}
		deleted, err = result.RowsAffected()
		return err
	})
	return deleted, err
}

// lockBroadcasts waits for whoever is about to snooze one of these, so that what is
// looked at next has the snooze. SQLite has one writer anyway.
func (s *Store) lockBroadcasts(ctx context.Context, tx *sql.Tx, ids []string) error {
	if s.db.Dialect == database.SQLite {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT FROM broadcasts WHERE "+anyUUID(s.db.Dialect, "id", "$1")+" ORDER BY id FOR UPDATE", listArg(s.db.Dialect, ids)) //nolint:gosec // constants
	return wrap("lock", err)
}

// DeleteClaims deletes the idempotency claims made earlier than before, in
// transactions of at most batch (1,000 if batch is not positive), and returns
// how many they were. A claim is honoured for signalbox.IdempotencyWindow;
// before should not be later than that ago.
func (s *Store) DeleteClaims(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	return s.deleteBatches(ctx, "claims", `DELETE FROM idempotency_keys WHERE created < $1 AND (origin, key) IN
(SELECT origin, key FROM idempotency_keys WHERE created < $1 ORDER BY created LIMIT $2)`, before, batch)
}

// deleteBatches runs a statement that deletes up to $2 rows older than $1 until
// it finds no more.
func (s *Store) deleteBatches(ctx context.Context, what, statement string, before time.Time, batch int) (deleted int, err error) {
	return s.deleteUntil(ctx, what, statement, s.db.Dialect.TimeArg(before), batch)
}

// deleteUntil runs a statement that deletes up to $2 rows before $1 until it finds
// no more.
func (s *Store) deleteUntil(ctx context.Context, what, statement string, before any, batch int) (deleted int, err error) {
	if batch <= 0 {
		batch = defaultDeleteBatch
	}
	for {
		var n int64
		err := s.db.InTx(ctx, func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, statement, before, batch)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("storage: delete %s: %w", what, err)
		}
		deleted += int(n)
		if n < int64(batch) {
			return deleted, nil
		}
	}
}
