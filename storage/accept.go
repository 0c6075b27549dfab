package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// claimQueries reserve keys: a new one, or one whose claim has expired. Keys that
// others hold are not returned. PostgreSQL takes all claims at once as arrays,
// SQLite one at a time.
var claimQueries = map[database.Dialect]string{
	database.Postgres: `INSERT INTO idempotency_keys AS k (origin, key, fingerprint, receipt, created)
SELECT r.origin, r.key, r.fingerprint, r.receipt, $5::timestamptz
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) AS r(origin, key, fingerprint, receipt)` + claimConflict,
	database.SQLite: `INSERT INTO idempotency_keys AS k (origin, key, fingerprint, receipt, created)
VALUES ($1, $2, $3, $4, $5)` + claimConflict,
}

const claimConflict = `
ON CONFLICT (origin, key) DO UPDATE
SET fingerprint = excluded.fingerprint, receipt = excluded.receipt, created = excluded.created
WHERE k.created < $6 RETURNING origin, key`

// earlierQueries read the claims that hold keys.
var earlierQueries = map[database.Dialect]string{
	database.Postgres: `SELECT k.origin, k.key, k.fingerprint, k.receipt FROM idempotency_keys AS k
JOIN unnest($1::text[], $2::text[]) AS r(origin, key) ON k.origin = r.origin AND k.key = r.key`,
	database.SQLite: `SELECT origin, key, fingerprint, receipt FROM idempotency_keys WHERE origin = $1 AND key = $2`,
}

// claimKey identifies a claim.
type claimKey struct{ origin, key string }

// errVanished is a claim that was deleted between two statements.
var errVanished = errors.New("an earlier claim vanished")

// Accept implements [signalbox.Accepter]. Without claims it is one statement.
func (s *Store) Accept(ctx context.Context, claims []signalbox.Claim, build func(earlier []*signalbox.Claim) []signalbox.Message) error {
	if len(claims) == 0 {
		messages := build(nil)
		if len(messages) == 0 {
			return nil
		}
		if err := s.queue.Publish(ctx, messages...); err != nil {
			return signalbox.Transient(fmt.Errorf("storage: accept: %w", err))
		}
		return nil
	}
	order, err := claimOrder(claims)
	if err != nil {
		return fmt.Errorf("storage: accept: %w", err)
	}
	var topics []string
	err = s.db.InTx(ctx, func(tx *sql.Tx) error {
		earlier, err := s.claim(ctx, tx, claims, order)
		if err != nil {
			return err
		}
		messages := build(earlier)
		topics = topicsOf(messages)
		if len(messages) == 0 {
			return nil
		}
		if err := s.queue.PublishTx(ctx, tx, messages...); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		return nil
	})
	if err != nil {
		return signalbox.Transient(fmt.Errorf("storage: accept: %w", err))
	}
	if len(topics) > 0 {
		s.queue.Wake(topics...)
	}
	return nil
}

// claimOrder returns the indices of claims in the order in which keys are taken,
// the same for everyone, so that concurrent batches cannot deadlock.
func claimOrder(claims []signalbox.Claim) ([]int, error) {
	order := make([]int, len(claims))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(claims[a].Origin, claims[b].Origin), cmp.Compare(claims[a].Key, claims[b].Key))
	})
	for i := 1; i < len(order); i++ {
		a, b := claims[order[i-1]], claims[order[i]]
		if a.Origin == b.Origin && a.Key == b.Key {
			return nil, fmt.Errorf("claims %d and %d have the same origin and key", order[i-1], order[i])
		}
	}
	return order, nil
}

// claim reserves what is free, and returns the claims that hold the rest.
func (s *Store) claim(ctx context.Context, tx *sql.Tx, claims []signalbox.Claim, order []int) ([]*signalbox.Claim, error) {
	now := s.now()
	created, expired := s.db.Dialect.TimeArg(now), s.db.Dialect.TimeArg(now.Add(-signalbox.IdempotencyWindow))
	won := make(map[claimKey]bool, len(claims))
	win := func(rows *sql.Rows) error {
		var k claimKey
		err := rows.Scan(&k.origin, &k.key)
		won[k] = true
		return err
	}
	query := claimQueries[s.db.Dialect]
	if s.db.Dialect == database.Postgres {
		var (
			origins, keys, fingerprints []string
			receipts                    [][]byte
		)
		for _, i := range order {
			c := claims[i]
			origins, keys = append(origins, c.Origin), append(keys, c.Key)
			fingerprints, receipts = append(fingerprints, c.Fingerprint), append(receipts, notNil(c.Receipt))
		}
		rows, err := tx.QueryContext(ctx, query, origins, keys, fingerprints, receipts, created, expired)
		if err := each(rows, err, win); err != nil {
			return nil, wrap("claim", err)
		}
	} else {
		for _, i := range order {
			c := claims[i]
			rows, err := tx.QueryContext(ctx, query, c.Origin, c.Key, c.Fingerprint, notNil(c.Receipt), created, expired)
			if err := each(rows, err, win); err != nil {
				return nil, wrap("claim", err)
			}
		}
	}
	var lost []claimKey
	for _, c := range claims {
		if k := (claimKey{c.Origin, c.Key}); !won[k] {
			lost = append(lost, k)
		}
	}
	held, err := s.holders(ctx, tx, lost)
	if err != nil {
		return nil, wrap("read claims", err)
	}
	earlier := make([]*signalbox.Claim, len(claims))
	for i, c := range claims {
		k := claimKey{c.Origin, c.Key}
		if won[k] {
			continue
		}
		if earlier[i] = held[k]; earlier[i] == nil {
			return nil, errVanished
		}
	}
	return earlier, nil
}

// holders reads the claims that hold keys.
func (s *Store) holders(ctx context.Context, tx *sql.Tx, keys []claimKey) (map[claimKey]*signalbox.Claim, error) {
	held := make(map[claimKey]*signalbox.Claim, len(keys))
	if len(keys) == 0 {
		return held, nil
	}
	hold := func(rows *sql.Rows) error {
		c := new(signalbox.Claim)
		err := rows.Scan(&c.Origin, &c.Key, &c.Fingerprint, &c.Receipt)
		held[claimKey{c.Origin, c.Key}] = c
		return err
	}
	query := earlierQueries[s.db.Dialect]
	if s.db.Dialect == database.Postgres {
		origins, names := make([]string, len(keys)), make([]string, len(keys))
		for i, k := range keys {
			origins[i], names[i] = k.origin, k.key
		}
		rows, err := tx.QueryContext(ctx, query, origins, names)
		return held, each(rows, err, hold)
	}
	for _, k := range keys {
		rows, err := tx.QueryContext(ctx, query, k.origin, k.key)
		if err := each(rows, err, hold); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// notNil keeps an empty value from becoming NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
