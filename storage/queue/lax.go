package queue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/signalbox/signalbox/storage/database"
)

// executor is a connection or a pool.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// lax runs one autocommitted statement that need not survive a power cut: losing
// a lease or an acknowledgement makes a message be handled again. PostgreSQL's
// Leaser commits like that. On SQLite the one writing connection, which is ours
// meanwhile, is told not to flush, and told to flush again before anyone else
// gets it: that is three times as fast where a flush takes a millisecond.
func (q *Queue) lax(ctx context.Context, run func(on executor) error) error {
	if q.db.Dialect == database.Postgres {
		return run(q.db.Leaser)
	}
	conn, err := q.db.Writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // It only fails if the connection is gone already.
	defer flushAgain(context.WithoutCancel(ctx), conn)
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		return err
	}
	return run(conn)
}

// flushAgain makes a connection durable again, or makes the pool throw it away
// and open a new one, which is.
func flushAgain(ctx context.Context, conn *sql.Conn) {
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		_ = conn.Raw(func(any) error { return errors.Join(driver.ErrBadConn, err) })
	}
}
