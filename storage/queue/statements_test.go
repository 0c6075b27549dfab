package queue

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"

	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// On SQLite, the writing connection must flush for everyone else, however a
// statement of the queue ended.
func TestLaxRestoresFlushing(t *testing.T) {
	db := storagetest.Open(t, storagetest.SQLiteURL(t))
	q, err := New(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	for name, run := range map[string]func(ctx context.Context, cancel func()) error{
		"success": func(ctx context.Context, _ func()) error {
			return q.lax(ctx, func(on executor) error {
				var level int
				rows, err := on.QueryContext(ctx, "PRAGMA synchronous")
				if err != nil {
					return err
				}
				defer rows.Close()
				rows.Next()
				if err := errors.Join(rows.Scan(&level), rows.Err()); err != nil {
					return err
				}
				if level != 1 {
					t.Errorf("synchronous is %d during the statement, want 1", level)
				}
				return failed
			})
		},
		"cancelled": func(ctx context.Context, cancel func()) error {
			return q.lax(ctx, func(executor) error { cancel(); return failed })
		},
		"panic": func(ctx context.Context, _ func()) (err error) {
			defer func() { _ = recover(); err = failed }()
			return q.lax(ctx, func(executor) error { panic("bug") })
		},
		"broken connection": func(ctx context.Context, _ func()) error {
			conn, err := db.Writer.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			flushAgain(ctx, conn) // fails, so the connection must go
			return failed
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if err := run(ctx, cancel); !errors.Is(err, failed) {
				t.Fatal(err)
			}
			var level int
			if err := db.Writer.QueryRow("PRAGMA synchronous").Scan(&level); err != nil {
				t.Fatal(err)
			}
			if level != 2 {
				t.Errorf("synchronous is %d afterwards, want 2", level)
			}
		})
	}
}

// Only what was handled is removed: the library's own adapter removes the whole
// batch, and loses the rest.
func TestAckStopsAtTheLastRow(t *testing.T) {
	rows := []watermillsql.Row{{Offset: 7}, {Offset: 3}, {Offset: 9}}
	for dialect, arg := range map[database.Dialect]func(q watermillsql.Query) []int64{
		database.Postgres: func(q watermillsql.Query) []int64 { return q.Args[0].([]int64) },
		database.SQLite: func(q watermillsql.Query) (ids []int64) {
			for _, id := range q.Args {
				ids = append(ids, id.(int64))
			}
			return ids
		},
	} {
		query, err := offsetsAdapter{dialect}.AckMessageQuery(watermillsql.AckMessageQueryParams{
			Rows: rows, LastRow: rows[1],
		})
		if err != nil {
			t.Fatal(err)
		}
		if ids := arg(query); len(ids) != 2 || ids[0] != 7 || ids[1] != 3 {
			t.Errorf("%s acks %v, want [7 3]", dialect, ids)
		}
		if _, err := (offsetsAdapter{dialect}).AckMessageQuery(watermillsql.AckMessageQueryParams{
			Rows: rows, LastRow: watermillsql.Row{Offset: 1},
		}); err == nil {
			t.Errorf("%s acks up to a row that is not in the batch", dialect)
		}
	}
}

// The table is empty most of the time and then holds a backlog that the planner
// knows nothing of. A lease must walk the index even so: reading and sorting the
// backlog for every lease is what made it 25 times slower.
func TestLeasePlanOfABacklog(t *testing.T) {
	ctx := context.Background()
	db := storagetest.Open(t, storagetest.PostgresURL(t))
	if _, err := db.Writer.ExecContext(ctx, `INSERT INTO queue_messages (topic, uuid, payload, due_at, visible_at)
SELECT 'work', '', '', now(), now() FROM generate_series(1, 20000)`); err != nil {
		t.Fatal(err)
	}
	for name, statement := range map[string]watermillsql.Query{
		"lease": leaseStatement(db.Dialect, "work", 16, time.Minute, time.Time{}),
		"ack":   ackStatement(db.Dialect, []int64{1, 2, 3}),
	} {
		text := explain(t, db.Leaser, statement)
		if strings.Contains(text, "Sort") || strings.Contains(text, "Bitmap") || strings.Contains(text, "Seq Scan") {
			t.Errorf("the plan of the %s does not walk the index:\n%s", name, text)
		}
	}
}

func explain(t *testing.T, on *sql.DB, statement watermillsql.Query) string {
	t.Helper()
	rows, err := on.QueryContext(context.Background(), "EXPLAIN "+statement.Query, statement.Args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
