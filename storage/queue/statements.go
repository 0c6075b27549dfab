package queue

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"

	"github.com/signalbox/signalbox/storage/database"
)

// The two dialects differ in three ways. PostgreSQL takes arrays, so that every
// statement has one text and stays prepared; SQLite takes lists. PostgreSQL goes
// by its own clock, which all instances share; SQLite's one process goes by its
// own. PostgreSQL skips rows that another consumer is leasing; SQLite has one
// writer.

// entry is a row to insert.
type entry struct {
	uuid     string
	payload  []byte
	metadata string
	delay    time.Duration
}

// insertStatement adds entries in their order.
func insertStatement(dialect database.Dialect, topic string, entries []entry) watermillsql.Query {
	if dialect == database.SQLite {
		now := time.Now()
		var text strings.Builder
		text.WriteString("INSERT INTO queue_messages (topic, uuid, payload, metadata, due_at, visible_at) VALUES ")
		args := make([]any, 0, 6*len(entries))
		for i, e := range entries {
			if i > 0 {
				text.WriteString(", ")
			}
			text.WriteString("(?, ?, ?, ?, ?, ?)")
			due := dueMicros(now, e.delay)
			args = append(args, topic, e.uuid, e.payload, e.metadata, due, due)
		}
		return watermillsql.Query{Query: text.String(), Args: args}
	}
	var (
		uuids     = make([]string, len(entries))
		payloads  = make([][]byte, len(entries))
		metadatas = make([]string, len(entries))
		delays    = make([]int64, len(entries))
	)
	for i, e := range entries {
		uuids[i], payloads[i], metadatas[i], delays[i] = e.uuid, e.payload, e.metadata, micros(e.delay)
	}
	// statement_timestamp and not now: a delay counts from the publish, not from
	// the begin of the transaction around it.
	return watermillsql.Query{
		Query: `INSERT INTO queue_messages (topic, uuid, payload, metadata, due_at, visible_at)
SELECT $1, uuid, payload, metadata,
       statement_timestamp() + delay * interval '1 microsecond',
       statement_timestamp() + delay * interval '1 microsecond'
FROM unnest($2::text[], $3::bytea[], $4::text[], $5::bigint[]) WITH ORDINALITY AS m (uuid, payload, metadata, delay, place)
ORDER BY place`,
		Args: []any{topic, uuids, payloads, metadatas, delays},
	}
}

// leaseStatement leases up to n due rows of a topic and returns them in any
// order. n is part of the text, because a planner that knows it to be small
// walks the index. Rows that became visible before floor are left out; the zero
// time leaves out none.
func leaseStatement(dialect database.Dialect, topic string, n int, lease time.Duration, floor time.Time) watermillsql.Query {
	if dialect == database.SQLite {
		// No floor: SQLite has no dead rows to walk over.
		now := time.Now()
		return watermillsql.Query{
			Query: fmt.Sprintf(`UPDATE queue_messages SET visible_at = ?, leases = leases + 1
WHERE id IN (
    SELECT id FROM queue_messages WHERE topic = ? AND visible_at <= ?
    ORDER BY visible_at, id LIMIT %d)
RETURNING id, uuid, payload, metadata, leases, due_at`, n),
			Args: []any{dueMicros(now, lease), topic, now.UnixMicro()},
		}
	}
	// ARRAY(…) makes the planner run the inner query once, before the update: as
	// a joined IN it may run again and lease more than LIMIT. now() is the begin
	// of this autocommitted statement, and, unlike clock_timestamp(), usable as
	// an index condition.
	return watermillsql.Query{
		Query: fmt.Sprintf(`UPDATE queue_messages SET visible_at = now() + $2::bigint * interval '1 microsecond', leases = leases + 1
WHERE id = ANY (ARRAY(
    SELECT id FROM queue_messages WHERE topic = $1 AND visible_at >= $3 AND visible_at <= now()
    ORDER BY visible_at, id LIMIT %d FOR UPDATE SKIP LOCKED))
RETURNING id, uuid, payload, metadata, leases, due_at`, n),
		Args: []any{topic, micros(lease), floor},
	}
}

// ackStatement removes rows that were handled. It does not ask whether the lease
// still holds: a second delivery of what is done would be waste.
func ackStatement(dialect database.Dialect, ids []int64) watermillsql.Query {
	if dialect == database.SQLite {
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		return watermillsql.Query{
			Query: "DELETE FROM queue_messages WHERE id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")",
			Args:  args,
		}
	}
	return watermillsql.Query{
		Query: "DELETE FROM queue_messages WHERE id = ANY ($1::bigint[])",
		Args:  []any{ids},
	}
}

// releaseStatement gives rows back that were leased and never handed over: they
// take their old place, and the lease does not count. A row whose lease ran out
// and that someone else has leased since is left alone.
func releaseStatement(dialect database.Dialect, rows []leasedRow) watermillsql.Query {
	if dialect == database.SQLite {
		args := make([]any, 0, 2*len(rows))
		for _, row := range rows {
			args = append(args, row.id, row.leases)
		}
		return watermillsql.Query{
			Query: `UPDATE queue_messages SET visible_at = due_at, leases = leases - 1
WHERE (id, leases) IN (VALUES (?, ?)` + strings.Repeat(", (?, ?)", len(rows)-1) + ")",
			Args: args,
		}
	}
	ids, leases := make([]int64, len(rows)), make([]int64, len(rows))
	for i, row := range rows {
		ids[i], leases[i] = row.id, int64(row.leases)
	}
	return watermillsql.Query{
		Query: `UPDATE queue_messages AS m SET visible_at = m.due_at, leases = m.leases - 1
FROM unnest($1::bigint[], $2::bigint[]) AS mine (id, leases)
WHERE m.id = ANY ($1::bigint[]) AND m.id = mine.id AND m.leases = mine.leases`,
		Args: []any{ids, leases},
	}
}

// nextDue returns how long it is until the first row of the topic becomes
// visible, which may be negative; false without rows.
func nextDue(ctx context.Context, db *database.DB, topic string) (time.Duration, bool, error) {
	var row *sql.Row
	if db.Dialect == database.SQLite {
		row = db.Reader.QueryRowContext(ctx,
			"SELECT visible_at - ? FROM queue_messages WHERE topic = ? ORDER BY visible_at, id LIMIT 1",
			time.Now().UnixMicro(), topic)
	} else {
		row = db.Leaser.QueryRowContext(ctx,
			`SELECT ceil(extract(epoch FROM visible_at - now()) * 1000000)::bigint
FROM queue_messages WHERE topic = $1 ORDER BY visible_at, id LIMIT 1`, topic)
	}
	var until int64
	switch err := row.Scan(&until); err {
	case nil:
		return time.Duration(until) * time.Microsecond, true, nil
	case sql.ErrNoRows:
		return 0, false, nil
	default:
		return 0, false, err
	}
}

// depthQuery returns topic, ready, leased, scheduled and the age of the oldest
// ready row in microseconds.
func depthQuery(ctx context.Context, db *database.DB) (*sql.Rows, error) {
	if db.Dialect == database.SQLite {
		now := time.Now().UnixMicro()
		return db.Reader.QueryContext(ctx, `SELECT topic,
    count(*) FILTER (WHERE visible_at <= ?1),
    count(*) FILTER (WHERE visible_at > ?1 AND leases > 0),
    count(*) FILTER (WHERE visible_at > ?1 AND leases = 0),
    ?1 - min(due_at) FILTER (WHERE visible_at <= ?1)
FROM queue_messages GROUP BY topic ORDER BY topic`, now)
	}
	return db.Reader.QueryContext(ctx, `SELECT topic,
    count(*) FILTER (WHERE visible_at <= now()),
    count(*) FILTER (WHERE visible_at > now() AND leases > 0),
    count(*) FILTER (WHERE visible_at > now() AND leases = 0),
    (extract(epoch FROM now() - min(due_at) FILTER (WHERE visible_at <= now())) * 1000000)::bigint
FROM queue_messages GROUP BY topic ORDER BY topic`)
}

// micros rounds up, so that nothing becomes due before its time.
func micros(d time.Duration) int64 {
	return int64((max(d, 0) + time.Microsecond - 1) / time.Microsecond)
}

func dueMicros(now time.Time, delay time.Duration) int64 {
	return now.UnixMicro() + micros(delay)
}
