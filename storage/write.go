package storage

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/storage/database"
)

// writtenColumn is a column that a commit writes, with its type as an element of
// PostgreSQL's arrays. Optional texts travel as "" and are stored as NULL.
type writtenColumn struct {
	name, element string
	optional      bool
	// kept columns are those that a revision does not replace.
	kept bool
}

var writtenColumns = []writtenColumn{
	{name: "id", element: "uuid", kept: true},
	{name: "origin", element: "text", kept: true},
	{name: "scope", element: "text", optional: true, kept: true},
	{name: "topic", element: "text", optional: true},
	{name: "severity", element: "smallint"},
	{name: "revised", element: "timestamptz"},
	{name: "created", element: "timestamptz", kept: true},
	{name: "updated", element: "timestamptz", kept: true}, // becomes revised, see revision
	{name: "revision", element: "bigint"},
	{name: "request_id", element: "uuid"},
	{name: "search", element: "text"},
	{name: "title", element: "text"},
	{name: "description", element: "text", optional: true},
	{name: "link", element: "text", optional: true},
	{name: "icon", element: "text", optional: true},
	{name: "additional_links", element: "text", optional: true},
	{name: "metadata", element: "text", optional: true},
	{name: "user_ref", element: "text", kept: true}, // the last: broadcasts have none
}

// columnsOf returns the columns of a kind's table.
func columnsOf(k kind) []writtenColumn {
	if k.broadcast {
		return writtenColumns[:len(writtenColumns)-1]
	}
	return writtenColumns
}

func tableOf(k kind) string { return pick(k.broadcast, "broadcasts", "notifications") }

// lockCountsQuery locks the counts of sorted users, in that order; PostgreSQL
// only, where it is one statement with the write or the first of a transaction.
// Counts that are not there are made: what does not exist cannot be locked, and
// the triggers would make it in an order of their own. A conflict locks the row
// even though the condition then leaves it as it is.
const lockCountsQuery = `INSERT INTO inbox_counts AS c (user_ref)
	SELECT unnest($1::text[]) ON CONFLICT (user_ref) DO UPDATE SET total = c.total WHERE false`

// lockCounts locks the counts of sorted users. SQLite has one writer anyway.
func (s *Store) lockCounts(ctx context.Context, tx *sql.Tx, users []string) error {
	if len(users) == 0 || s.db.Dialect == database.SQLite {
		return nil
	}
	_, err := tx.ExecContext(ctx, lockCountsQuery, users)
	return wrap("lock", err)
}

// writeQueries holds the text that writes rows of each kind. On PostgreSQL its
// parameters are one array per column, so that one text fits any number of rows;
// on SQLite one value per column: without a network between, a prepared
// statement run for each row is as fast as any text for many.
var writeQueries = map[database.Dialect]map[kind]string{
	database.Postgres: writeQueriesOf(database.Postgres),
	database.SQLite:   writeQueriesOf(database.SQLite),
}

func writeQueriesOf(dialect database.Dialect) map[kind]string {
	queries := make(map[kind]string)
	for _, k := range []kind{{false, false}, {false, true}, {true, false}, {true, true}} {
		queries[k] = writeQuery(dialect, k)
	}
	return queries
}

func writeQuery(dialect database.Dialect, k kind) string {
	var names, values, parameters []string
	for i, column := range columnsOf(k) {
		parameter := "$" + strconv.Itoa(i+1)
		value := parameter
		if dialect == database.Postgres {
			parameters = append(parameters, parameter+"::"+column.element+"[]")
			value = "r." + column.name
		}
		if column.optional {
			value = "nullif(" + value + ", '')"
		}
		names, values = append(names, column.name), append(values, value)
	}
	text := "INSERT INTO " + tableOf(k) + " AS n (" + strings.Join(names, ", ") + ") "
	switch dialect {
	case database.SQLite:
		text += "VALUES (" + strings.Join(values, ", ") + ")"
	default:
		text += "SELECT " + strings.Join(values, ", ") + " FROM unnest(" + strings.Join(parameters, ", ") + ") AS r(" + strings.Join(names, ", ") + ")"
		if k.scoped {
			// Whoever revises rows holds the counts first, as updates by users
			// do. The condition does not depend on the row: it is evaluated once,
			// before the first row is written.
			lock := strings.ReplaceAll(lockCountsQuery, "$1", "$"+strconv.Itoa(len(names)+1))
			text = "WITH locked AS (" + lock + " RETURNING 1) " + text + " WHERE (SELECT count(*) FROM locked) >= 0"
		}
	}
	if !k.scoped {
		return text + " ON CONFLICT (id) DO NOTHING" + pick(dialect == database.Postgres, " RETURNING id", "")
	}
	return text + " ON CONFLICT (" + pick(k.broadcast, "", "user_ref, ") + "origin, scope) WHERE scope IS NOT NULL" +
		" DO UPDATE SET " + revision(k) + " WHERE n.revision < excluded.revision" +
		" RETURNING id, origin, scope, created, updated, " + pick(k.broadcast, "'', NULL", "user_ref, saved")
}

// revision lists what a newer revision replaces; it ends a snooze. A broadcast's
// marks need no change: they name the revision that they were made on.
func revision(k kind) string {
	sets := []string{"updated = excluded.revised"}
	for _, column := range columnsOf(k) {
		if !column.kept {
			sets = append(sets, column.name+" = excluded."+column.name)
		}
	}
	if !k.broadcast {
		sets = append(sets, "read = NULL", "snoozed_until = NULL", "snoozed_before = NULL", "read_before = NULL")
	}
	return strings.Join(sets, ", ")
}

// prepareWrites prepares what writeBatch runs, before a transaction takes the
// connection.
func (s *Store) prepareWrites(ctx context.Context) error {
	for _, text := range writeQueries[s.db.Dialect] {
		if _, _, err := s.write.get(ctx, text); err != nil { //nolint:sqlclosecheck // kept, and closed with the database
			return err
		}
	}
	return nil
}

// writeBatch writes one batch and marks its entries that changed something. With a
// nil tx it is one statement that commits by itself; on SQLite the batch must
// then be of one row.
func (s *Store) writeBatch(ctx context.Context, tx *sql.Tx, b batch) error {
	text := writeQueries[s.db.Dialect][b.kind]
	if s.db.Dialect == database.Postgres {
		var q queryer = s.db.Writer
		if tx != nil {
			q = tx
		}
		rows, err := q.QueryContext(ctx, text, arrays(b)...)
		return wrap("write", each(rows, err, b.marker()))
	}
	// prepareWrites prepared it, and the few write queries never fill the cache.
	stmt, _, err := s.write.get(ctx, text)
	if err != nil {
		return err
	}
	one := ctx
	if tx != nil {
		stmt = tx.StmtContext(ctx, stmt)
		// A context that can end costs a goroutine per statement, which is as much
		// as the row. A transaction that has the lock waits for nothing.
		one = context.WithoutCancel(ctx)
	}
	write := insertRow
	if b.kind.scoped {
		mark := b.marker()
		write = func(ctx context.Context, stmt *sql.Stmt, e *entry) error {
			rows, err := stmt.QueryContext(ctx, values(e)...)
			return each(rows, err, mark)
		}
	}
	for _, e := range b.entries {
		if err := ctx.Err(); err != nil {
			return wrap("write", err)
		}
		if err := write(one, stmt, e); err != nil {
			return wrap("write", err)
		}
	}
	return nil
}

// insertRow writes a row without a scope on SQLite. The count of rows tells enough:
// reading one costs another goroutine.
func insertRow(ctx context.Context, stmt *sql.Stmt, e *entry) error {
	result, err := stmt.ExecContext(ctx, values(e)...)
	if err != nil {
		return err
	}
	written, err := result.RowsAffected()
	if written > 0 {
		e.mark()
	}
	return err
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// marker returns what reads a row that was written into its entry.
func (b batch) marker() func(rows *sql.Rows) error {
	if !b.kind.scoped {
		byID := make(map[string]*entry, len(b.entries))
		for _, e := range b.entries {
			byID[e.notification.ID] = e
		}
		return func(rows *sql.Rows) error {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			byID[id].mark()
			return nil
		}
	}
	byPlace := make(map[place]*entry, len(b.entries))
	for _, e := range b.entries {
		byPlace[e.place()] = e
	}
	return func(rows *sql.Rows) error {
		var (
			id                      string
			at                      place
			created, updated, saved database.Time
		)
		if err := rows.Scan(&id, &at.origin, &at.scope, &created, &updated, &at.user, &saved); err != nil {
			return err
		}
		e := byPlace[at]
		e.mark()
		n := &e.stored
		n.ID, n.Created, n.Updated, n.Saved = id, created.Time, updated.Time, saved.Time
		return nil
	}
}

// arrays returns the arguments of a batch on PostgreSQL.
func arrays(b batch) []any {
	size := len(b.entries)
	var (
		id, origin, scope, topic  = make([]string, size), make([]string, size), make([]string, size), make([]string, size)
		severity                  = make([]int16, size)
		revised, created          = make([]time.Time, size), make([]time.Time, size)
		updated                   = make([]*time.Time, size)
		revision                  = make([]int64, size)
		requestID, search, title  = make([]string, size), make([]string, size), make([]string, size)
		description, link, icon   = make([]string, size), make([]string, size), make([]string, size)
		additionalLinks, metadata = make([]string, size), make([]string, size)
		userRef                   = make([]string, size)
	)
	for i, e := range b.entries {
		n := &e.notification
		p := &n.Payload
		id[i], origin[i], scope[i], topic[i] = n.ID, n.Origin, p.Scope, p.Topic
		severity[i] = int16(p.Severity.Rank())
		revised[i], created[i] = n.Revised(), n.Created
		if !n.Updated.IsZero() {
			updated[i] = &n.Updated
		}
		revision[i], requestID[i], search[i] = n.Revision, n.RequestID, e.search
		title[i], description[i], link[i], icon[i] = p.Title, p.Description, p.Link, p.Icon
		additionalLinks[i], metadata[i], userRef[i] = e.links, string(p.Metadata), n.User
	}
	args := []any{
		id, origin, scope, topic, severity, revised, created, updated, revision, requestID, search,
		title, description, link, icon, additionalLinks, metadata,
	}
	if !b.kind.broadcast {
		args = append(args, userRef)
	}
	if b.kind.scoped {
		args = append(args, b.users())
	}
	return args
}

// values returns the arguments of one row on SQLite.
func values(e *entry) []any {
	n, p, dialect := &e.notification, &e.notification.Payload, database.SQLite
	args := []any{
		n.ID, n.Origin, p.Scope, p.Topic, p.Severity.Rank(),
		dialect.TimeArg(n.Revised()), dialect.TimeArg(n.Created), dialect.TimeArg(n.Updated), n.Revision, n.RequestID, e.search,
		p.Title, p.Description, p.Link, p.Icon, e.links, string(p.Metadata),
	}
	if !n.IsBroadcast() {
		args = append(args, n.User)
	}
	return args
}
