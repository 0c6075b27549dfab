package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

var _ signalbox.SessionStore = (*Store)(nil)

// AddSession implements [signalbox.SessionStore].
func (s *Store) AddSession(ctx context.Context, session signalbox.Session) error {
	groups, err := json.Marshal(session.Groups)
	if err != nil {
		return fmt.Errorf("storage: session: %w", err)
	}
	at := s.db.Dialect.TimeArg
	err = s.db.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, user_ref, subject, group_refs, created, seen, expires, renew, sealed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			session.ID, session.User, printable(session.Subject), string(groups),
			at(session.Created), at(session.Seen), at(session.Expires), at(session.Renew), session.Sealed); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE user_ref = $1 AND id <> $2 AND id NOT IN
(SELECT id FROM sessions WHERE user_ref = $1 AND id <> $2 ORDER BY seen DESC, id LIMIT $3)`,
			session.User, session.ID, signalbox.MaxSessions-1)
		return err
	})
	return sessionError(err)
}

// SessionByID implements [signalbox.SessionStore].
func (s *Store) SessionByID(ctx context.Context, id string) (session signalbox.Session, found bool, err error) {
	if !storable(id) {
		return session, false, nil
	}
	var (
		groups                        string
		created, seen, expires, renew database.Time
	)
	err = s.db.Reader.QueryRowContext(ctx, `SELECT id, user_ref, subject, group_refs, created, seen, expires, renew, sealed
FROM sessions WHERE id = $1`, id).Scan(
		&session.ID, &session.User, &session.Subject, &groups, &created, &seen, &expires, &renew, &session.Sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return signalbox.Session{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(groups), &session.Groups)
	}
	if err != nil {
		return signalbox.Session{}, false, sessionError(err)
	}
	session.Created, session.Seen, session.Expires, session.Renew = created.Time, seen.Time, expires.Time, renew.Time
	return session, true, nil
}

// TouchSession implements [signalbox.SessionStore].
func (s *Store) TouchSession(ctx context.Context, id string, seen time.Time) error {
	_, err := s.changeSessions(ctx, "UPDATE sessions SET seen = $2 WHERE id = $1 AND seen < $2", id, s.db.Dialect.TimeArg(seen))
	return err
}

// ClaimRenewal implements [signalbox.SessionStore].
func (s *Store) ClaimRenewal(ctx context.Context, id string, due, next time.Time) (mine bool, err error) {
	at := s.db.Dialect.TimeArg
	n, err := s.changeSessions(ctx, "UPDATE sessions SET renew = $3 WHERE id = $1 AND renew = $2", id, at(due), at(next))
	return n > 0, err
}

// RenewSession implements [signalbox.SessionStore].
func (s *Store) RenewSession(ctx context.Context, session signalbox.Session) error {
	groups, err := json.Marshal(session.Groups)
	if err != nil {
		return fmt.Errorf("storage: session: %w", err)
	}
	_, err = s.changeSessions(ctx, "UPDATE sessions SET group_refs = $2, renew = $3, sealed = $4 WHERE id = $1",
		session.ID, string(groups), s.db.Dialect.TimeArg(session.Renew), session.Sealed)
	return err
}

// EndSession implements [signalbox.SessionStore].
func (s *Store) EndSession(ctx context.Context, id string) error {
	_, err := s.changeSessions(ctx, "DELETE FROM sessions WHERE id = $1", id)
	return err
}

// EndSessionsOf implements [signalbox.SessionStore].
func (s *Store) EndSessionsOf(ctx context.Context, user string) (int, error) {
	return s.changeSessions(ctx, "DELETE FROM sessions WHERE user_ref = $1", user)
}

// changeSessions runs a statement whose first argument is an identifier or a user.
func (s *Store) changeSessions(ctx context.Context, query, first string, rest ...any) (int, error) {
	if !storable(first) {
		return 0, nil // nobody has a session by that name
	}
	result, err := s.db.Writer.ExecContext(ctx, query, append([]any{first}, rest...)...)
	if err != nil {
		return 0, sessionError(err)
	}
	n, err := result.RowsAffected()
	return int(n), sessionError(err)
}

// endedQueries find identifiers without a live session.
var endedQueries = map[database.Dialect]string{
	database.Postgres: `SELECT r.id FROM unnest($1::text[]) AS r(id)
LEFT JOIN sessions AS s ON s.id = r.id AND s.expires > $2 AND s.seen >= $3 WHERE s.id IS NULL`,
	database.SQLite: `SELECT r.value FROM json_each($1) AS r
LEFT JOIN sessions AS s ON s.id = r.value AND s.expires > $2 AND s.seen >= $3 WHERE s.id IS NULL`,
}

// EndedSessions implements [signalbox.SessionStore].
func (s *Store) EndedSessions(ctx context.Context, ids []string, now, seen time.Time) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var ended []string
	rows, err := s.db.Reader.QueryContext(ctx, endedQueries[s.db.Dialect], listArg(s.db.Dialect, ids), s.db.Dialect.TimeArg(now), s.db.Dialect.TimeArg(seen))
	err = each(rows, err, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ended = append(ended, id)
		return err
	})
	return ended, sessionError(err)
}

// DeleteSessions deletes sessions that expired before a time, in transactions of at
// most batch (1,000 if batch is not positive), and returns how many they were.
func (s *Store) DeleteSessions(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	return s.deleteBatches(ctx, "sessions", `DELETE FROM sessions WHERE expires < $1 AND id IN
(SELECT id FROM sessions WHERE expires < $1 ORDER BY expires LIMIT $2)`, before, batch)
}

func sessionError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("storage: session: %w", database.Classify(err))
}
