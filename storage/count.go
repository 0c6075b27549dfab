package storage

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// tallyQuery counts an inbox without looking at it: own rows in all and unread,
// broadcasts in all and those that the user has read in their current revision, and
// own rows and broadcasts that are snoozed, which count as unread in the others. max
// picks the one row there can be.
const tallyQuery = `SELECT
	coalesce(max(CASE WHEN c.user_ref = $1 THEN c.total END), 0),
	coalesce(max(CASE WHEN c.user_ref = $1 THEN c.unread END), 0),
	coalesce(max(CASE WHEN c.user_ref = '' THEN c.total END), 0),
	coalesce(max(flags.read), 0), coalesce(max(own.snoozed), 0) + coalesce(max(flags.snoozed), 0)
FROM inbox_counts AS c,
	(SELECT count(*) AS snoozed FROM notifications WHERE user_ref = $1 AND snoozed_until > $2 AND snoozed_until < $3) AS own,
	(SELECT count(CASE WHEN f.read_revision >= b.revision THEN 1 END) AS read,
		count(CASE WHEN f.snoozed_until > $2 AND f.snoozed_revision >= b.revision THEN 1 END) AS snoozed
	 FROM broadcast_flags AS f JOIN broadcasts AS b ON b.id = f.broadcast_id WHERE f.user_ref = $1) AS flags
WHERE c.user_ref IN ($1, '')`

// savedQuery counts saved rows by the partial index and the user's flags, without
// those that are snoozed.
const savedQuery = `SELECT
	(SELECT count(*) FROM notifications WHERE user_ref = $1 AND saved IS NOT NULL) -
	(SELECT count(*) FROM notifications WHERE user_ref = $1 AND snoozed_until > $2 AND snoozed_until < $3 AND saved IS NOT NULL) +
	(SELECT count(*) FROM broadcast_flags AS f JOIN broadcasts AS b ON b.id = f.broadcast_id
	 WHERE f.user_ref = $1 AND f.saved IS NOT NULL AND (f.snoozed_until IS NULL OR f.snoozed_until <= $2 OR f.snoozed_revision < b.revision))`

// tallyArgs are the arguments of these queries: what is snoozed is so until a time
// between the last two. No snooze is as long as the upper bound says, but from a
// range PostgreSQL sees that these are few rows; else it would plan anew each time.
func (s *Store) tallyArgs(user string) []any {
	now := s.now()
	return []any{user, s.db.Dialect.TimeArg(now), s.db.Dialect.TimeArg(now.Add(2 * signalbox.MaxSnooze))}
}

// Status implements [signalbox.Inbox].
func (s *Store) Status(ctx context.Context, user string) (signalbox.Status, error) {
	if user == "" {
		return signalbox.Status{}, errNoUser
	}
	if !storable(user) {
		return signalbox.Status{}, nil
	}
	var total, unread, broadcasts, readBroadcasts, snoozed int
	rows, err := s.read.query(ctx, tallyQuery, s.tallyArgs(user)...)
	err = each(rows, err, func(rows *sql.Rows) error {
		return rows.Scan(&total, &unread, &broadcasts, &readBroadcasts, &snoozed)
	})
	if err != nil {
		return signalbox.Status{}, fmt.Errorf("storage: status: %w", database.Classify(err))
	}
	return signalbox.Status{
		Unread:  unread + broadcasts - readBroadcasts - snoozed,
		Read:    total - unread + readBroadcasts,
		Snoozed: snoozed,
	}, nil
}

// Count implements [signalbox.Inbox]. Without a filter, and with only Read, only
// Saved=true or only Snoozed, it does not look at the inbox.
func (s *Store) Count(ctx context.Context, user string, filter signalbox.Filter) (int, error) {
	if user == "" {
		return 0, errNoUser
	}
	if selectsNothing(filter) || !storable(user) {
		return 0, nil
	}
	withoutRead, withoutSaved, withoutSnoozed := filter, filter, filter
	withoutRead.Read, withoutSaved.Saved, withoutSnoozed.Snoozed = nil, nil, false
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
	case withoutSnoozed.IsZero():
		status, err := s.Status(ctx, user)
		return status.Snoozed, err
	case withoutSaved.IsZero() && *filter.Saved:
		return s.count(ctx, savedQuery, s.tallyArgs(user)...)
	}
	q, now := s.newStatement(user), s.now()
	q.write("SELECT (SELECT count(*) FROM ", ownRows.from, " WHERE ", q.condition(ownRows, filter, now),
		") + (SELECT count(*) FROM ", broadcastRows.from, " WHERE ", q.condition(broadcastRows, filter, now), ")")
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
