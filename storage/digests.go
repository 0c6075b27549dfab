package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// hold stores deliveries that wait for a digest. One that a digest took along stays
// with it.
func (s *Store) hold(ctx context.Context, tx *sql.Tx, held []signalbox.HeldDelivery) error {
	slices.SortFunc(held, func(a, b signalbox.HeldDelivery) int { return compareKeys(a.DeliveryKey, b.DeliveryKey) })
	for _, h := range held {
		if _, err := tx.ExecContext(ctx, `INSERT INTO held_deliveries (request_id, audience, channel, target, due, payload)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (request_id, audience, channel, target) DO UPDATE SET due = excluded.due`,
			h.RequestID, h.Audience, h.Channel, printable(h.Target), s.db.Dialect.TimeArg(h.Due), h.Payload); err != nil {
			return fmt.Errorf("held deliveries: %w", err)
		}
	}
	return nil
}

// unhold forgets what waited for a digest, with all that was taken along.
func (s *Store) unhold(ctx context.Context, tx *sql.Tx, keys []signalbox.DeliveryKey) error {
	slices.SortFunc(keys, compareKeys)
	for _, key := range keys {
		if _, err := tx.ExecContext(ctx, "DELETE FROM held_deliveries WHERE digest = $1", key.ID()); err != nil {
			return fmt.Errorf("held deliveries: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM held_deliveries WHERE "+thisDelivery,
			key.RequestID, key.Audience, key.Channel, printable(key.Target)); err != nil {
			return fmt.Errorf("held deliveries: %w", err)
		}
	}
	return nil
}

const thisDelivery = "request_id = $1 AND audience = $2 AND channel = $3 AND target = $4"

// takeDue marks what is due. PostgreSQL leaves to others what they are about to take;
// SQLite has one writer anyway.
var takeDue = map[database.Dialect]string{
	database.Postgres: takeDueBegin + " FOR UPDATE SKIP LOCKED)",
	database.SQLite:   takeDueBegin + ")",
}

const takeDueBegin = `UPDATE held_deliveries SET digest = $5
WHERE digest IS NULL AND (request_id, audience, channel, target) IN
(SELECT request_id, audience, channel, target FROM held_deliveries
 WHERE audience = $1 AND channel = $2 AND due <= $3 AND digest IS NULL
 ORDER BY due, request_id, target LIMIT $4`

// ClaimDigest implements [signalbox.DeliveryStore].
func (s *Store) ClaimDigest(ctx context.Context, key signalbox.DeliveryKey, now time.Time) (part signalbox.DigestPart, held []signalbox.HeldDelivery, err error) {
	err = s.db.InTx(ctx, func(tx *sql.Tx) error {
		part, held, err = s.claimDigest(ctx, tx, key, now)
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("storage: claim digest: %w", err)
	}
	return part, held, nil
}

func (s *Store) claimDigest(ctx context.Context, tx *sql.Tx, key signalbox.DeliveryKey, now time.Time) (signalbox.DigestPart, []signalbox.HeldDelivery, error) {
	request, ok := canonicalUUID(key.RequestID)
	if !ok {
		return signalbox.DigestGone, nil, nil
	}
	id := key.ID()
	var (
		digest sql.NullString
		due    database.Time
	)
	err := tx.QueryRowContext(ctx, "SELECT digest, due FROM held_deliveries WHERE "+thisDelivery,
		request, key.Audience, key.Channel, printable(key.Target)).Scan(&digest, &due)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return signalbox.DigestGone, nil, nil
	case err != nil:
		return 0, nil, err
	case digest.Valid && digest.String != id:
		return signalbox.DigestTaken, nil, nil
	case !digest.Valid:
		if part, err := s.takeAlong(ctx, tx, key, due.Time, now); err != nil || part != signalbox.DigestLeads {
			return part, nil, err
		}
	}
	var held []signalbox.HeldDelivery
	rows, err := tx.QueryContext(ctx, `SELECT request_id, audience, channel, target, due, payload FROM held_deliveries
WHERE digest = $1 ORDER BY request_id, audience, channel, target`, id)
	err = each(rows, err, func(rows *sql.Rows) error {
		var (
			h   signalbox.HeldDelivery
			due database.Time
		)
		err := rows.Scan(&h.RequestID, &h.Audience, &h.Channel, &h.Target, &due, &h.Payload)
		h.Due = due.Time
		held = append(held, h)
		return err
	})
	return signalbox.DigestLeads, held, err
}

// takeAlong opens the digest of a window, and takes everything that is due.
func (s *Store) takeAlong(ctx context.Context, tx *sql.Tx, key signalbox.DeliveryKey, due, now time.Time) (signalbox.DigestPart, error) {
	opened, err := tx.ExecContext(ctx, `INSERT INTO digests (audience, channel, due) VALUES ($1, $2, $3)
ON CONFLICT (audience, channel, due) DO NOTHING`, key.Audience, key.Channel, s.db.Dialect.TimeArg(due))
	if err != nil {
		return 0, err
	}
	first, err := opened.RowsAffected()
	if err != nil {
		return 0, err
	}
	if first == 0 {
		// Whoever was first has committed meanwhile, and may have taken this one.
		var digest sql.NullString
		err := tx.QueryRowContext(ctx, "SELECT digest FROM held_deliveries WHERE "+thisDelivery,
			key.RequestID, key.Audience, key.Channel, printable(key.Target)).Scan(&digest)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return signalbox.DigestGone, nil
		case err == nil && !digest.Valid:
			return signalbox.DigestLate, nil
		}
		return signalbox.DigestTaken, err
	}
	// This one first, so that it is among them whatever their number is.
	own, err := tx.ExecContext(ctx, "UPDATE held_deliveries SET digest = $5 WHERE digest IS NULL AND "+thisDelivery,
		key.RequestID, key.Audience, key.Channel, printable(key.Target), key.ID())
	if err != nil {
		return 0, err
	}
	if n, err := own.RowsAffected(); err != nil || n == 0 {
		return signalbox.DigestTaken, err // by the digest of another window, just now
	}
	_, err = tx.ExecContext(ctx, takeDue[s.db.Dialect],
		key.Audience, key.Channel, s.db.Dialect.TimeArg(now), signalbox.MaxDigestMembers-1, key.ID())
	if err != nil {
		return 0, err
	}
	return signalbox.DigestLeads, nil
}

// ofDeadLetter is what a digest carries that has been given up. The identifier of its
// letter ends with the digest's.
const ofDeadLetter = "digest IN (SELECT substr(id, length(id) - 31) FROM dead_letters WHERE channel <> '')"

// DeleteDigests forgets windows that ended before, and what was held for them, in
// transactions of at most batch rows (1,000 if batch is not positive), and returns
// how many rows they were. A delivery that is still under way then goes out alone. What
// a dead letter would send again stays with it.
func (s *Store) DeleteDigests(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	const old = "due < $1 AND (digest IS NULL OR NOT " + ofDeadLetter + ")"
	for _, statement := range []string{
		`DELETE FROM held_deliveries WHERE ` + old + ` AND (request_id, audience, channel, target) IN
(SELECT request_id, audience, channel, target FROM held_deliveries WHERE ` + old + ` LIMIT $2)`,
		`DELETE FROM digests WHERE (audience, channel, due) IN
(SELECT audience, channel, due FROM digests WHERE due < $1 ORDER BY due LIMIT $2)`,
	} {
		n, err := s.deleteBatches(ctx, "digests", statement, before, batch)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}
