package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
)

// requestQuery keeps the latest word on a request, and what a part of it does not
// know.
const requestQuery = `INSERT INTO requests AS r (id, origin, status, recipients, unknown, stage, error, attempts, created, updated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, stage = excluded.stage, error = excluded.error,
	attempts = excluded.attempts, updated = excluded.updated,
	recipients = CASE WHEN excluded.recipients > r.recipients THEN excluded.recipients ELSE r.recipients END,
	unknown = CASE WHEN excluded.unknown = '[]' THEN r.unknown ELSE excluded.unknown END`

// recordRequests stores records, sorted.
func (s *Store) recordRequests(ctx context.Context, tx *sql.Tx, records []signalbox.RequestRecord) error {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b signalbox.RequestRecord) int { return cmp.Compare(a.ID, b.ID) })
	for i := range records {
		r := &records[i]
		unknown := []byte("[]")
		if len(r.Unknown) > 0 {
			var err error
			if unknown, err = json.Marshal(r.Unknown); err != nil {
				return fmt.Errorf("requests: %w", err)
			}
		}
		if _, err := tx.ExecContext(ctx, requestQuery, r.ID, r.Origin, r.Status, r.Recipients, string(unknown),
			r.Stage, printable(r.Error), r.Attempts, s.db.Dialect.TimeArg(r.Created), s.db.Dialect.TimeArg(r.Updated)); err != nil {
			return fmt.Errorf("requests: %w", err)
		}
	}
	return nil
}
