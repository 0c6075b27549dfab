package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// threadQueries reserve a thread. PostgreSQL goes by its own clock, which all
// instances share.
var threadQueries = map[database.Dialect]string{
	database.Postgres: `INSERT INTO delivery_threads AS t (channel, address, origin, scope, claimed_by, claimed_until, updated)
VALUES ($1, $2, $3, $4, $5, now() + $6::bigint * interval '1 microsecond', now())
ON CONFLICT (channel, address, origin, scope) DO UPDATE SET claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until
WHERE t.claimed_by IS NULL OR t.claimed_by = excluded.claimed_by OR t.claimed_until < now()
RETURNING revision, state`,
	database.SQLite: `INSERT INTO delivery_threads AS t (channel, address, origin, scope, claimed_by, claimed_until, updated)
VALUES ($1, $2, $3, $4, $5, $6 + $7, $7)
ON CONFLICT (channel, address, origin, scope) DO UPDATE SET claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until
WHERE t.claimed_by IS NULL OR t.claimed_by = excluded.claimed_by OR t.claimed_until < $7
RETURNING revision, state`,
}

// ClaimThread implements [signalbox.DeliveryStore].
func (s *Store) ClaimThread(ctx context.Context, key signalbox.ThreadKey, delivery string, lease time.Duration) (last signalbox.Thread, held bool, err error) {
	args := []any{key.Channel, printable(key.Address), key.Origin, key.Scope, delivery, lease.Microseconds()}
	if s.db.Dialect == database.SQLite {
		args = append(args, s.now().UnixMicro())
	}
	err = s.db.Writer.QueryRowContext(ctx, threadQueries[s.db.Dialect], args...).Scan(&last.Revision, &last.State)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return signalbox.Thread{}, false, nil
	case err != nil:
		return last, false, fmt.Errorf("storage: claim thread: %w", database.Classify(err))
	}
	return last, true, nil
}

// releaseThreads gives back what the deliveries of settlements claimed, with what
// they sent.
func (s *Store) releaseThreads(ctx context.Context, tx *sql.Tx, settlements []signalbox.Settlement) error {
	sorted := slices.DeleteFunc(slices.Clone(settlements), func(one signalbox.Settlement) bool { return one.Thread == nil })
	slices.SortStableFunc(sorted, func(a, b signalbox.Settlement) int {
		return cmp.Or(cmp.Compare(a.Thread.Channel, b.Thread.Channel), cmp.Compare(a.Thread.Address, b.Thread.Address),
			cmp.Compare(a.Thread.Origin, b.Thread.Origin), cmp.Compare(a.Thread.Scope, b.Thread.Scope))
	})
	for _, one := range sorted {
		key := []any{one.Thread.Channel, printable(one.Thread.Address), one.Thread.Origin, one.Thread.Scope, one.Record.ID()}
		query := `UPDATE delivery_threads SET claimed_by = NULL, claimed_until = NULL
WHERE channel = $1 AND address = $2 AND origin = $3 AND scope = $4 AND claimed_by = $5`
		if one.Sent != nil {
			// Also when the claim ran out: the target has seen it. Whoever holds the
			// claim now keeps it. Late news of an older revision only end the claim.
			query = `UPDATE delivery_threads SET updated = $8,
	revision = CASE WHEN revision <= $6 THEN $6 ELSE revision END,
	state = CASE WHEN revision <= $6 THEN $7 ELSE state END,
	claimed_by = CASE WHEN claimed_by = $5 THEN NULL ELSE claimed_by END,
	claimed_until = CASE WHEN claimed_by = $5 THEN NULL ELSE claimed_until END
WHERE channel = $1 AND address = $2 AND origin = $3 AND scope = $4`
			key = append(key, one.Sent.Revision, printable(one.Sent.State), s.db.Dialect.TimeArg(s.now()))
		}
		if _, err := tx.ExecContext(ctx, query, key...); err != nil {
			return fmt.Errorf("threads: %w", err)
		}
	}
	return nil
}

// DeleteThreads forgets what targets saw of scopes to which nothing was sent since
// before, and nothing is being sent now, in transactions of at most batch (1,000 if batch is not positive), and
// returns how many they were.
func (s *Store) DeleteThreads(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	// By the clock of the claims. A settlement whose thread is gone would be
	// forgotten, and the next revision sent as if it were the first.
	now := pick(s.db.Dialect == database.Postgres, "now()", strconv.FormatInt(s.now().UnixMicro(), 10))
	idle := "updated < $1 AND (claimed_until IS NULL OR claimed_until < " + now + ")"
	return s.deleteBatches(ctx, "threads", "DELETE FROM delivery_threads WHERE "+idle+` AND (channel, address, origin, scope) IN
(SELECT channel, address, origin, scope FROM delivery_threads WHERE `+idle+" ORDER BY updated LIMIT $2)", before, batch)
}
