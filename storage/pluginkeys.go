package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// AddKey implements [signalbox.KeyStore]. It deletes the keys that have expired.
func (s *Store) AddKey(ctx context.Context, key signalbox.PublicKey) error {
	err := s.db.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM plugin_keys WHERE expires <= $1", s.db.Dialect.TimeArg(s.now())); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO plugin_keys (id, jwk, expires) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
			key.ID, string(key.JWK), s.db.Dialect.TimeArg(key.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("storage: key: %w", database.Classify(err))
	}
	return nil
}

// Keys implements [signalbox.KeyStore].
func (s *Store) Keys(ctx context.Context, now time.Time) ([]signalbox.PublicKey, error) {
	var keys []signalbox.PublicKey
	rows, err := s.db.Reader.QueryContext(ctx, "SELECT id, jwk, expires FROM plugin_keys WHERE expires > $1 ORDER BY id", s.db.Dialect.TimeArg(now))
	if err := each(rows, err, func(rows *sql.Rows) error {
		var (
			key     signalbox.PublicKey
			jwk     string
			expires database.Time
		)
		err := rows.Scan(&key.ID, &jwk, &expires)
		key.JWK, key.Expires = []byte(jwk), expires.Time
		keys = append(keys, key)
		return err
	}); err != nil {
		return nil, fmt.Errorf("storage: keys: %w", database.Classify(err))
	}
	return keys, nil
}
