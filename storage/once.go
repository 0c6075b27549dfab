package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// onceQueries claim keys and return those that nobody had claimed. PostgreSQL
// takes them as an array, SQLite as JSON.
var onceQueries = map[database.Dialect]string{
	database.Postgres: `INSERT INTO once_keys (key, created) SELECT key, $2::timestamptz FROM unnest($1::text[]) AS r(key)
ON CONFLICT (key) DO NOTHING RETURNING key`,
	database.SQLite: `INSERT INTO once_keys (key, created) SELECT value, $2 FROM json_each($1) WHERE true
ON CONFLICT (key) DO NOTHING RETURNING key`,
}

// publishOnce claims keys as of created and returns the messages of those that are
// claimed for the first time. They are taken in their order, so that concurrent commits
// cannot wait for each other in a circle.
func (s *Store) publishOnce(ctx context.Context, tx *sql.Tx, once []signalbox.OnceMessages, created time.Time) ([]signalbox.Message, error) {
	if len(once) == 0 {
		return nil, nil
	}
	keys := make([]string, len(once))
	for i := range once {
		keys[i] = once[i].Key
	}
	slices.Sort(keys)
	claimed := make(map[string]bool, len(keys))
	rows, err := tx.QueryContext(ctx, onceQueries[s.db.Dialect], listArg(s.db.Dialect, slices.Compact(keys)), s.db.Dialect.TimeArg(created))
	if err := each(rows, err, func(rows *sql.Rows) error {
		var key string
		err := rows.Scan(&key)
		claimed[key] = true
		return err
	}); err != nil {
		return nil, fmt.Errorf("once keys: %w", err)
	}
	var messages []signalbox.Message
	for i := range once {
		if claimed[once[i].Key] {
			messages = append(messages, once[i].Messages...)
		}
	}
	return messages, nil
}

// DeleteOnceKeys deletes the keys that were claimed as of earlier than before, in
// transactions of at most batch (1,000 if batch is not positive), and returns how
// many they were. A key is needed as long as the message that claimed it can come
// back, which is as long as the queue may stand still. A message that is published
// for a later time claims as of that time.
func (s *Store) DeleteOnceKeys(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	return s.deleteBatches(ctx, "once keys", `DELETE FROM once_keys WHERE key IN
(SELECT key FROM once_keys WHERE created < $1 ORDER BY created LIMIT $2)`, before, batch)
}
