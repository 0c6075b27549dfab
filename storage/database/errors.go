package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/signalbox/signalbox"
)

// Classify marks err as [signalbox.Transient] when it tells of the database and
// not of the data: unreachable, shutting down, out of a resource, deadlock,
// busy, disk full. It decides by code, never by text.
func Classify(err error) error {
	if err == nil || signalbox.IsTransient(err) {
		return err
	}
	if transient(err) {
		return signalbox.Transient(err)
	}
	return err
}

func transient(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return transientPostgres(pgErr.Code)
	}
	var liteErr *sqlite.Error
	if errors.As(err, &liteErr) {
		return transientSQLite(liteErr.Code())
	}
	var (
		netErr     net.Error
		connectErr *pgconn.ConnectError
	)
	return errors.As(err, &connectErr) || errors.As(err, &netErr) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		pgconn.SafeToRetry(err)
}

// transientPostgres judges an SQLSTATE by its class (PostgreSQL, appendix A).
func transientPostgres(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", // connection exception
		"25", // invalid transaction state: read-only after a failover
		"40", // rollback: deadlock, serialization failure
		"53", // insufficient resources: disk full, too many connections
		"55", // lock not available, not in prerequisite state
		"57", // operator intervention: shutdown, cancelled, starting up
		"58", // system error: I/O
		"XX": // internal error, corruption
		return true
	}
	return false
}

// transientSQLite judges a primary result code.
func transientSQLite(code int) bool {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT:
		return true
	}
	return false
}

// rolledBack reports whether the database itself undid the transaction for a
// reason that a second try removes: deadlock or serialization failure.
func rolledBack(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "40")
}
