package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
)

// Update implements [signalbox.Inbox]. It is one transaction.
func (s *Store) Update(ctx context.Context, user string, filter signalbox.Filter, change signalbox.Change, limit int) (signalbox.Updated, error) {
	if user == "" {
		return signalbox.Updated{}, errNoUser
	}
	if selectsNothing(filter) || !storable(user) || change.Read == nil && change.Saved == nil {
		return signalbox.Updated{}, nil
	}
	now := s.now()
	var (
		updated signalbox.Updated
		err     error
	)
	for range violationAttempts {
		err = s.db.InTx(ctx, func(tx *sql.Tx) error {
			updated = signalbox.Updated{}
			// The changes of one user's rows wait for each other and for commits.
			if err := s.lockCounts(ctx, tx, []string{user}); err != nil {
				return err
			}
			for _, flags := range alterations(change) {
				for _, q := range []*statement{
					s.alterOwn(user, filter, change, flags, now),
					s.alterBroadcasts(user, filter, change, flags, now),
				} {
					if err := collect(ctx, tx, q, flags, limit, &updated); err != nil {
						return err
					}
				}
			}
			return nil
		})
		// Retention may have deleted a broadcast that was about to be marked.
		if !violates(err) {
			break
		}
	}
	if err != nil {
		return signalbox.Updated{}, fmt.Errorf("storage: update: %w", err)
	}
	return updated, nil
}

// altered says which flags one statement alters.
type altered struct{ read, saved bool }

// alterations splits a change into statements that each alter the same flags of
// all their rows, so that returned rows tell what was altered. A change of both
// flags is three: rows that need both, rows that need the one, rows that need
// the other. No row is in two of them, so each sees its rows as they were.
func alterations(change signalbox.Change) []altered {
	switch {
	case change.Saved == nil:
		return []altered{{read: true}}
	case change.Read == nil:
		return []altered{{saved: true}}
	default:
		return []altered{{read: true, saved: true}, {read: true}, {saved: true}}
	}
}

// needs is a condition: the rows of src that need exactly these flags altered.
func (flags altered) needs(src source, change signalbox.Change) string {
	condition := ""
	if change.Read != nil {
		condition += " AND " + pick(*change.Read == flags.read, src.notRead, src.isRead)
	}
	if change.Saved != nil {
		condition += " AND " + pick(*change.Saved == flags.saved, src.notSaved, src.isSaved)
	}
	return condition
}

// alterOwn alters the user's own rows.
func (s *Store) alterOwn(user string, filter signalbox.Filter, change signalbox.Change, flags altered, now time.Time) *statement {
	q := s.newStatement(user)
	q.write("UPDATE notifications AS n SET ")
	if flags.read {
		q.write("read = ", q.mark(*change.Read, now))
	}
	if flags.saved {
		q.write(pick(flags.read, ", ", ""), "saved = ", q.mark(*change.Saved, now))
	}
	q.write(" WHERE ", q.condition(ownRows, filter), flags.needs(ownRows, change), " RETURNING id")
	return q
}

// alterBroadcasts alters the user's flags of broadcasts, and makes them on first
// touch.
func (s *Store) alterBroadcasts(user string, filter signalbox.Filter, change signalbox.Change, flags altered, now time.Time) *statement {
	q := s.newStatement(user)
	columns, values, sets := "user_ref, broadcast_id", "CAST($1 AS text), n.id", ""
	if flags.read {
		columns += ", read, read_revision"
		values += ", " + q.mark(*change.Read, now) + ", " + pick(*change.Read, "n.revision", "NULL")
		sets = "read = excluded.read, read_revision = excluded.read_revision"
	}
	if flags.saved {
		columns += ", saved"
		values += ", " + q.mark(*change.Saved, now)
		sets += pick(flags.read, ", ", "") + "saved = excluded.saved"
	}
	q.write("INSERT INTO broadcast_flags (", columns, ") SELECT ", values, " FROM ", broadcastRows.from,
		" WHERE ", q.condition(broadcastRows, filter), flags.needs(broadcastRows, change), " ORDER BY n.id",
		" ON CONFLICT (user_ref, broadcast_id) DO UPDATE SET ", sets, " RETURNING broadcast_id")
	return q
}

// mark is the value of a flag that is set or cleared.
func (s *statement) mark(set bool, now time.Time) string {
	if !set {
		return "NULL"
	}
	return s.timeArg(now)
}

// collect runs a statement that returns the identifiers of what it altered. Only
// limit of them are kept, so memory does not grow with the inbox.
func collect(ctx context.Context, tx *sql.Tx, q *statement, flags altered, limit int, updated *signalbox.Updated) error {
	rows, err := tx.QueryContext(ctx, q.String(), q.args...)
	return each(rows, err, func(rows *sql.Rows) error {
		keep := flags.read && len(updated.ReadIDs) < limit || flags.saved && len(updated.SavedIDs) < limit
		var id string
		if keep {
			if err := rows.Scan(&id); err != nil {
				return err
			}
		}
		if flags.read {
			updated.Read++
			if len(updated.ReadIDs) < limit {
				updated.ReadIDs = append(updated.ReadIDs, id)
			}
		}
		if flags.saved {
			updated.Saved++
			if len(updated.SavedIDs) < limit {
				updated.SavedIDs = append(updated.SavedIDs, id)
			}
		}
		return nil
	})
}
