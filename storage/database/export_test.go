package database

import "context"

// Redact is what errors show of a URL.
var Redact = redact

// Pending reports whether the schema lacks migrations that this binary has.
func (db *DB) Pending(ctx context.Context) (bool, error) {
	provider, err := db.migrator()
	if err != nil {
		return false, err
	}
	return provider.HasPending(ctx)
}
