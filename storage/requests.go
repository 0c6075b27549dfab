package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// requestQuery keeps the latest word on a request, and what a part of it does not
// know. A failure stays until a person acts: other parts do not know that there is a
// dead letter, see [Store.retryRequest].
//
//nolint:gosec // G202: constants
var requestQuery = `INSERT INTO requests AS r (id, origin, status, recipients, unknown, stage, error, attempts, created, updated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET ` + unlessFailed("status", "stage", "error", "attempts", "updated") + `,
	recipients = CASE WHEN excluded.recipients > r.recipients THEN excluded.recipients ELSE r.recipients END,
	unknown = CASE WHEN excluded.unknown = '[]' THEN r.unknown ELSE excluded.unknown END`

// unlessFailed sets columns, except where that would hide a failure.
func unlessFailed(columns ...string) string {
	for i, column := range columns {
		columns[i] = column + " = CASE WHEN r.status = 'failed' AND excluded.status <> 'failed' THEN r." + column +
			" ELSE excluded." + column + " END"
	}
	return strings.Join(columns, ", ")
}

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

// retryRequest says that a request is on its way again of which a letter was taken,
// unless another part of it is a dead letter still.
func (s *Store) retryRequest(ctx context.Context, tx *sql.Tx, id string) error {
	if s.db.Dialect == database.Postgres {
		// Those who take letters of the same request wait for each other, so that the
		// last one sees that the others are gone.
		if _, err := tx.ExecContext(ctx, "SELECT FROM requests WHERE id = $1 FOR UPDATE", id); err != nil {
			return err
		}
	}
	// The identifiers of a request's letters begin with its own and '/', on which '0'
	// follows. Those of a channel are deliveries, which have records of their own.
	_, err := tx.ExecContext(ctx, `UPDATE requests SET status = $1, updated = $2 WHERE id = $3 AND status = $4
AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE id > $5 AND id < $6 AND channel = '')`,
		string(signalbox.RequestRetrying), s.db.Dialect.TimeArg(s.now()), id, string(signalbox.RequestFailed), id+"/", id+"0")
	return err
}
