package storage

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// Update implements [signalbox.Inbox]. It is one transaction.
func (s *Store) Update(ctx context.Context, user string, filter signalbox.Filter, change signalbox.Change, limit int) (signalbox.Updated, error) {
	if user == "" {
		return signalbox.Updated{}, errNoUser
	}
	now := storedTime(s.now())
	if err := change.Validate("change", now); err != nil {
		return signalbox.Updated{}, err
	}
	a := alteration{user: user, filter: filter, Change: change, now: now}
	a.snooze()
	if selectsNothing(filter) || !storable(user) || a.Change == (signalbox.Change{}) {
		return signalbox.Updated{}, nil
	}
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
			for _, flags := range a.steps() {
				for _, q := range []*statement{s.alterOwn(&a, flags), s.alterBroadcasts(&a, flags)} {
					if err := collect(ctx, tx, q, flags, limit, &updated); err != nil {
						return err
					}
				}
			}
			if updated.Snoozed == 0 || !a.snoozes() {
				return nil
			}
			return s.publishWake(ctx, tx, signalbox.Wake{User: user, Until: *a.SnoozedUntil}, now)
		})
		// Retention may have deleted a broadcast that was about to be marked.
		if !database.Violates(err) {
			break
		}
	}
	if err != nil {
		return signalbox.Updated{}, fmt.Errorf("storage: update: %w", err)
	}
	if updated.Snoozed > 0 && a.snoozes() {
		s.queue.Wake(signalbox.TopicWake)
	}
	return updated, nil
}

// maxWakes bounds the times for which one user can have a message on the queue, and
// the keys of those that came lately, so that nobody can fill it. At further times lists are
// right as ever, but no signal tells.
const maxWakes = 500

// publishWake publishes a message for the end of snoozes, unless it is under way.
func (s *Store) publishWake(ctx context.Context, tx *sql.Tx, w signalbox.Wake, now time.Time) error {
	key := w.Key()
	mine := key[:strings.LastIndexByte(key, '/')]
	var wakes int
	// '0' follows on '/'.
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM once_keys WHERE key > $1 AND key < $2 LIMIT $3) AS mine",
		mine+"/", mine+"0", maxWakes).Scan(&wakes); err != nil {
		return wrap("count wakes", err)
	}
	if wakes >= maxWakes {
		return nil
	}
	messages, err := s.publishOnce(ctx, tx, []signalbox.OnceMessages{{Key: w.Key(), Messages: []signalbox.Message{w.Message(now)}}}, w.Until)
	if err != nil || len(messages) == 0 {
		return err
	}
	return wrap("publish", s.queue.PublishTx(ctx, tx, messages...))
}

// alteration is a change of a user's rows as of now.
type alteration struct {
	signalbox.Change

	user   string
	filter signalbox.Filter
	now    time.Time
}

// snooze brings a change that snoozes into form: its time is as the database keeps
// it, and Read, which would do nothing, is left out.
func (a *alteration) snooze() {
	if a.SnoozedUntil == nil || a.SnoozedUntil.IsZero() {
		return
	}
	until := storedTime(*a.SnoozedUntil)
	a.SnoozedUntil, a.Read = &until, nil
}

// snoozes and wakes tell the two directions of SnoozedUntil apart.
func (a *alteration) snoozes() bool { return a.SnoozedUntil != nil && !a.SnoozedUntil.IsZero() }
func (a *alteration) wakes() bool   { return a.SnoozedUntil != nil && a.SnoozedUntil.IsZero() }

// altered says which flags one statement alters.
type altered struct{ read, saved, snoozed bool }

// steps splits the change into statements that each alter the same flags of all
// their rows, so that returned rows tell what was altered: rows that need all the
// flags, rows that need all but one, and so on. No row is in two of them, so each
// sees its rows as they were.
func (a *alteration) steps() []altered {
	var steps []altered
	for _, flags := range []altered{
		{read: true, saved: true, snoozed: true},
		{read: true, saved: true},
		{read: true, snoozed: true},
		{saved: true, snoozed: true},
		{read: true},
		{saved: true},
		{snoozed: true},
	} {
		if (!flags.read || a.Read != nil) && (!flags.saved || a.Saved != nil) && (!flags.snoozed || a.SnoozedUntil != nil) {
			steps = append(steps, flags)
		}
	}
	return steps
}

// needs is a condition: the rows of src that need exactly these flags altered.
func (a *alteration) needs(q *statement, src source, flags altered) string {
	condition := ""
	if a.Read != nil {
		condition += " AND "
		switch {
		case !*a.Read:
			condition += pick(flags.read, src.isRead, src.notRead)
		case a.wakes():
			condition += pick(flags.read, src.notRead, src.isRead)
		// What is snoozed stays unread.
		case flags.read:
			condition += "(" + src.notRead + " AND " + q.at(src.awake, a.now) + ")"
		default:
			condition += "(" + src.isRead + " OR " + q.at(src.snoozed, a.now) + ")"
		}
	}
	if a.Saved != nil {
		condition += " AND " + pick(*a.Saved == flags.saved, src.notSaved, src.isSaved)
	}
	switch {
	case a.wakes():
		condition += " AND " + q.at(pick(flags.snoozed, src.snoozed, src.awake), a.now)
	case a.snoozes():
		until := q.timeArg(*a.SnoozedUntil)
		same := "coalesce(" + src.snooze + " = " + until + ", 1 = 0)"
		condition += pick(flags.snoozed, " AND NOT ", " AND ") + same
	}
	return condition
}

// alterOwn alters the user's own rows.
func (s *Store) alterOwn(a *alteration, flags altered) *statement {
	q := s.newStatement(a.user)
	var sets []string
	set := func(column, value string) { sets = append(sets, column+" = "+value) }
	if flags.saved {
		set("saved", q.mark(*a.Saved, a.now))
	}
	switch {
	case flags.snoozed && a.snoozes():
		until, snoozed := q.timeArg(*a.SnoozedUntil), q.at(ownRows.snoozed, a.now)
		set("snoozed_before", "CASE WHEN "+snoozed+" THEN snoozed_before ELSE snoozed_until END")
		set("read_before", "CASE WHEN "+snoozed+" THEN read_before ELSE read END")
		set("snoozed_until", until)
		set("revised", until)
		set("read", "NULL")
	case flags.snoozed:
		set("snoozed_until", "snoozed_before")
		set("revised", "coalesce(snoozed_before, updated, created)")
		set("read", q.readAgain(a, "read_before"))
		set("snoozed_before", "NULL")
		set("read_before", "NULL")
	case flags.read:
		set("read", q.mark(*a.Read, a.now))
	}
	q.write("UPDATE notifications AS n SET ", strings.Join(sets, ", "),
		" WHERE ", q.condition(ownRows, a.filter, a.now), a.needs(q, ownRows, flags), " RETURNING id")
	return q
}

// alterBroadcasts alters the user's flags of broadcasts, and makes them on first
// touch.
func (s *Store) alterBroadcasts(a *alteration, flags altered) *statement {
	q := s.newStatement(a.user)
	var columns, values, sets []string
	set := func(column, value string) {
		columns, values = append(columns, column), append(values, value)
		sets = append(sets, column+" = excluded."+column)
	}
	if flags.saved {
		set("saved", q.mark(*a.Saved, a.now))
	}
	const read = "CASE WHEN f.read_revision >= n.revision THEN f.read END"
	switch {
	case flags.snoozed && a.snoozes():
		snoozed := q.at(broadcastRows.snoozed, a.now)
		set("snoozed_before", "CASE WHEN "+snoozed+" THEN f.snoozed_before ELSE "+broadcastRows.snooze+" END")
		set("read_before", "CASE WHEN "+snoozed+" THEN f.read_before ELSE "+read+" END")
		set("snoozed_until", q.timeArg(*a.SnoozedUntil))
		set("snoozed_revision", "n.revision")
		set("read", "NULL")
		set("read_revision", "NULL")
	case flags.snoozed:
		again := q.readAgain(a, "f.read_before")
		set("snoozed_until", "f.snoozed_before")
		set("snoozed_revision", "CASE WHEN f.snoozed_before IS NOT NULL THEN n.revision END")
		set("read", again)
		set("read_revision", "CASE WHEN "+again+" IS NOT NULL THEN n.revision END")
		set("snoozed_before", "NULL")
		set("read_before", "NULL")
	case flags.read:
		set("read", q.mark(*a.Read, a.now))
		set("read_revision", pick(*a.Read, "n.revision", "NULL"))
	}
	q.write("INSERT INTO broadcast_flags (user_ref, broadcast_id, ", strings.Join(columns, ", "),
		") SELECT CAST($1 AS text), n.id, ", strings.Join(values, ", "), " FROM ", broadcastRows.from,
		" WHERE ", q.condition(broadcastRows, a.filter, a.now), a.needs(q, broadcastRows, flags), " ORDER BY n.id",
		" ON CONFLICT (user_ref, broadcast_id) DO UPDATE SET ", strings.Join(sets, ", "), " RETURNING broadcast_id")
	return q
}

// mark is the value of a flag that is set or cleared.
func (s *statement) mark(set bool, now time.Time) string {
	if !set {
		return "NULL"
	}
	return s.timeArg(now)
}

// readAgain is the read mark of a row whose snooze is taken back: as it was, or as
// the change says.
func (s *statement) readAgain(a *alteration, before string) string {
	if a.Read == nil {
		return before
	}
	return s.mark(*a.Read, a.now)
}

// collect runs a statement that returns the identifiers of what it altered. Only
// limit of them are kept, so memory does not grow with the inbox.
func collect(ctx context.Context, tx *sql.Tx, q *statement, flags altered, limit int, updated *signalbox.Updated) error {
	type list struct {
		ids   *[]string
		total *int
	}
	var lists []list
	for _, flag := range []struct {
		altered bool
		list    list
	}{
		{flags.read, list{&updated.ReadIDs, &updated.Read}},
		{flags.saved, list{&updated.SavedIDs, &updated.Saved}},
		{flags.snoozed, list{&updated.SnoozedIDs, &updated.Snoozed}},
	} {
		if flag.altered {
			lists = append(lists, flag.list)
		}
	}
	rows, err := tx.QueryContext(ctx, q.String(), q.args...)
	return each(rows, err, func(rows *sql.Rows) error {
		var id string
		for _, l := range lists {
			*l.total++
			if len(*l.ids) >= limit {
				continue
			}
			if id == "" {
				if err := rows.Scan(&id); err != nil {
					return err
				}
			}
			*l.ids = append(*l.ids, id)
		}
		return nil
	})
}
