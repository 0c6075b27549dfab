package storage

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// tallyQuery counts an inbox without looking at it: own rows in all and unread,
// broadcasts in all and those that the user has read in their current revision.
// max picks the one row there can be.
const tallyQuery = `SELECT
	coalesce(max(CASE WHEN user_ref = $1 THEN total END), 0),
	coalesce(max(CASE WHEN user_ref = $1 THEN unread END), 0),
	coalesce(max(CASE WHEN user_ref = '' THEN total END), 0),
	(SELECT count(*) FROM broadcast_flags AS f JOIN broadcasts AS b ON b.id = f.broadcast_id
	 WHERE f.user_ref = $1 AND f.read_revision >= b.revision)
FROM inbox_counts WHERE user_ref IN ($1, '')`

// savedQuery counts saved rows by the partial index and the user's flags.
const savedQuery = `SELECT
	(SELECT count(*) FROM notifications WHERE user_ref = $1 AND saved IS NOT NULL) +
	(SELECT count(*) FROM broadcast_flags WHERE user_ref = $1 AND saved IS NOT NULL)`

// Status implements [signalbox.Inbox].
func (s *Store) Status(ctx context.Context, user string) (signalbox.Status, error) {
	if user == "" {
		return signalbox.Status{}, errNoUser
	}
	if !storable(user) {
		return signalbox.Status{}, nil
	}
	var total, unread, broadcasts, readBroadcasts int
	rows, err := s.read.query(ctx, tallyQuery, user)
	err = each(rows, err, func(rows *sql.Rows) error {
		return rows.Scan(&total, &unread, &broadcasts, &readBroadcasts)
	})
	if err != nil {
		return signalbox.Status{}, fmt.Errorf("storage: status: %w", database.Classify(err))
	}
	return signalbox.Status{
		Unread: unread + broadcasts - readBroadcasts,
		Read:   total - unread + readBroadcasts,
	}, nil
}

// Count implements [signalbox.Inbox]. Without a filter, and with only Read or
// only Saved=true, it does not look at the inbox.
func (s *Store) Count(ctx context.Context, user string, filter signalbox.Filter) (int, error) {
	if user == "" {
		return 0, errNoUser
	}
	if selectsNothing(filter) || !storable(user) {
		return 0, nil
	}
	withoutRead, withoutSaved := filter, filter
	withoutRead.Read, withoutSaved.Saved = nil, nil
	switch {
	case withoutRead.IsZero():
		status, err := s.Status(ctx, user)
		if err != nil {
			return 0, err
		}
		switch {
		case filter.Read == nil:
			return status.Read + status.Unread, nil
		case *filter.Read:
			return status.Read, nil
		default:
			return status.Unread, nil
		}
	case withoutSaved.IsZero() && *filter.Saved:
		return s.count(ctx, savedQuery, user)
	}
	q := s.newStatement(user)
	q.write("SELECT (SELECT count(*) FROM ", ownRows.from, " WHERE ", q.condition(ownRows, filter),
		") + (SELECT count(*) FROM ", broadcastRows.from, " WHERE ", q.condition(broadcastRows, filter), ")")
	return s.count(ctx, q.String(), q.args...)
}

func (s *Store) count(ctx context.Context, query string, args ...any) (count int, err error) {
	rows, err := s.read.query(ctx, query, args...)
	err = each(rows, err, func(rows *sql.Rows) error { return rows.Scan(&count) })
	if err != nil {
		return 0, fmt.Errorf("storage: count: %w", database.Classify(err))
	}
	return count, nil
}
