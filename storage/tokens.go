package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// tokenColumns are those of a token, in the order in which scanToken reads them.
const tokenColumns = `id, name, user_ref, origin, scopes, creator, created, expires, used, revoked` //nolint:gosec // G101: names of columns

var errNoToken = signalbox.Errorf(signalbox.CodeNotFound, "There is no such token")

// scanToken reads a row of tokenColumns.
func scanToken(row interface{ Scan(dest ...any) error }) (signalbox.APIToken, error) {
	var (
		t                               signalbox.APIToken
		scopes                          string
		created, expires, used, revoked database.Time
	)
	err := row.Scan(&t.ID, &t.Name, &t.User, &t.Origin, &scopes, &t.Creator, &created, &expires, &used, &revoked)
	t.Created, t.Expires, t.Used, t.Revoked = created.Time, expires.Time, used.Time, revoked.Time
	for scope := range strings.SplitSeq(scopes, ",") {
		t.Scopes = append(t.Scopes, signalbox.TokenScope(scope))
	}
	return t, err
}

// AddToken implements [signalbox.TokenStore].
func (s *Store) AddToken(ctx context.Context, token signalbox.APIToken, hash signalbox.TokenHash) error {
	scopes := make([]string, len(token.Scopes))
	for i, scope := range token.Scopes {
		scopes[i] = string(scope)
	}
	at := s.db.Dialect.TimeArg
	err := s.db.InTx(ctx, func(tx *sql.Tx) error {
		if err := s.lockTokens(ctx, tx, token); err != nil {
			return err
		}
		var active, ended int
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(CASE WHEN ended > $3 THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN ended > $3 THEN 0 ELSE 1 END), 0)
FROM api_tokens WHERE user_ref = $1 AND origin = $2`, token.User, token.Origin, at(s.now())).Scan(&active, &ended); err != nil {
			return err
		}
		switch {
		case active >= signalbox.MaxTokens:
			return signalbox.Errorf(signalbox.CodeConflict, "%s has %d tokens, which is the most: revoke one that is not needed", token.Subject(), active)
		case ended >= signalbox.MaxKeptTokens:
			return signalbox.Errorf(signalbox.CodeConflict, "Too many tokens of %s have ended lately: wait until they are deleted", token.Subject())
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO api_tokens (id, hash, name, user_ref, origin, scopes, creator, created, expires, ended)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
			token.ID, hash[:], token.Name, token.User, token.Origin, strings.Join(scopes, ","), token.Creator, at(token.Created), at(token.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("storage: add a token: %w", err)
	}
	return nil
}

// lockTokens makes those who add tokens for one user or origin wait for each other,
// so that they count right. SQLite has one writer anyway.
func (s *Store) lockTokens(ctx context.Context, tx *sql.Tx, token signalbox.APIToken) error {
	if s.db.Dialect == database.SQLite {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('api_tokens ' || $1::text || ' ' || $2::text, 0))", token.User, token.Origin)
	return err
}

// TokenByHash implements [signalbox.TokenStore].
func (s *Store) TokenByHash(ctx context.Context, hash signalbox.TokenHash) (signalbox.APIToken, error) {
	return s.token(ctx, "hash = $1", hash[:])
}

// Token implements [signalbox.TokenStore].
func (s *Store) Token(ctx context.Context, id string) (signalbox.APIToken, error) {
	id, ok := canonicalUUID(id)
	if !ok {
		return signalbox.APIToken{}, errNoToken
	}
	return s.token(ctx, "id = $1", id)
}

func (s *Store) token(ctx context.Context, where string, arg any) (found signalbox.APIToken, err error) {
	rows, err := s.read.query(ctx, "SELECT "+tokenColumns+" FROM api_tokens WHERE "+where, arg)
	known := false
	err = each(rows, err, func(rows *sql.Rows) error {
		found, err = scanToken(rows)
		known = true
		return err
	})
	switch {
	case err != nil:
		return signalbox.APIToken{}, fmt.Errorf("storage: token: %w", database.Classify(err))
	case !known:
		return signalbox.APIToken{}, errNoToken
	}
	return found, nil
}

// Tokens implements [signalbox.TokenStore].
func (s *Store) Tokens(ctx context.Context, filter signalbox.TokenFilter, cursor string, limit int) (signalbox.TokenPage, error) {
	page := signalbox.TokenPage{Tokens: []signalbox.APIToken{}}
	before := "ffffffff-ffff-ffff-ffff-ffffffffffff"
	if cursor != "" {
		var last string
		err := decodeCursor(cursor, &last)
		id, ok := canonicalUUID(last)
		if err != nil || !ok {
			return page, errCursor()
		}
		before = id
	}
	if !storable(filter.User) || !storable(filter.Origin) {
		return page, nil
	}
	args := []any{before, limit + 1}
	where := "id < $1"
	if filter != (signalbox.TokenFilter{}) {
		where += " AND user_ref = $3 AND origin = $4"
		args = append(args, filter.User, filter.Origin)
	}
	rows, err := s.read.query(ctx, "SELECT "+tokenColumns+" FROM api_tokens WHERE "+where+" ORDER BY id DESC LIMIT $2", args...)
	err = each(rows, err, func(rows *sql.Rows) error {
		token, err := scanToken(rows)
		page.Tokens = append(page.Tokens, token)
		return err
	})
	if err != nil {
		return signalbox.TokenPage{}, fmt.Errorf("storage: tokens: %w", database.Classify(err))
	}
	if limit > 0 && len(page.Tokens) > limit {
		page.Tokens = page.Tokens[:limit]
		page.Next = encodeCursor(page.Tokens[limit-1].ID)
	}
	return page, nil
}

// RevokeToken implements [signalbox.TokenStore].
func (s *Store) RevokeToken(ctx context.Context, id string) (bool, error) {
	id, ok := canonicalUUID(id)
	if !ok {
		return false, nil
	}
	// Who expired before was not working since then.
	result, err := s.db.Writer.ExecContext(ctx, `UPDATE api_tokens SET revoked = $2, ended = CASE WHEN ended < $2 THEN ended ELSE $2 END
WHERE id = $1 AND revoked IS NULL`, id, s.db.Dialect.TimeArg(s.now()))
	var count int64
	if err == nil {
		count, err = result.RowsAffected()
	}
	if err != nil {
		return false, fmt.Errorf("storage: revoke a token: %w", database.Classify(err))
	}
	return count > 0, nil
}

// TouchToken implements [signalbox.TokenStore].
func (s *Store) TouchToken(ctx context.Context, id string, used time.Time) error {
	id, ok := canonicalUUID(id)
	if !ok {
		return errors.New("storage: touch a token: the identifier is none")
	}
	if _, err := s.db.Writer.ExecContext(ctx, "UPDATE api_tokens SET used = $2 WHERE id = $1 AND (used IS NULL OR used < $2)",
		id, s.db.Dialect.TimeArg(used)); err != nil {
		return fmt.Errorf("storage: touch a token: %w", database.Classify(err))
	}
	return nil
}

// DeleteTokens deletes tokens that stopped working before then, in transactions of
// at most batch (1,000 if batch is not positive), and returns how many they were.
func (s *Store) DeleteTokens(ctx context.Context, before time.Time, batch int) (int, error) {
	return s.deleteBatches(ctx, "tokens", `DELETE FROM api_tokens WHERE ended < $1 AND id IN
(SELECT id FROM api_tokens WHERE ended < $1 ORDER BY ended LIMIT $2)`, before, batch)
}
