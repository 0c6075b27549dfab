package storage

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// Woken implements [signalbox.Snoozes].
func (s *Store) Woken(ctx context.Context, user string, until time.Time, limit int) ([]signalbox.Notification, error) {
	if user == "" {
		return nil, errNoUser
	}
	if !storable(user) || limit <= 0 {
		return []signalbox.Notification{}, nil
	}
	until = storedTime(until)
	q := s.newStatement(user)
	at, reach := q.timeArg(until), q.arg(limit)
	q.write("SELECT ", rowColumns, " FROM (")
	for i, src := range []source{snoozedRows, movedBroadcasts} {
		if i > 0 {
			q.write(" UNION ALL ")
		}
		q.write("SELECT * FROM (SELECT ", src.columns, " FROM ", src.from, " WHERE ", src.where,
			" AND ", src.snooze, " = ", at, " AND ", src.notRead, " ORDER BY n.id DESC LIMIT ", reach, ") AS part", strconv.Itoa(i))
	}
	q.write(") AS woken ORDER BY id DESC LIMIT ", reach)
	rows, err := s.read.query(ctx, q.String(), q.args...)
	// As of then: what was snoozed until then is awake.
	list, err := scanNotifications(until, rows, err)
	if err != nil {
		return nil, fmt.Errorf("storage: woken: %w", database.Classify(err))
	}
	return list, nil
}
