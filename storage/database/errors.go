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

// Classify marks err as [signalbox.Transient] unless it is the fault of the data
// at hand. It decides by code, never by text. In doubt it is transient: trying
// again costs time, giving up costs a notification, and what a database refuses
// for a missing table, column or privilege has nothing to do with the data.
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
	var connectErr *pgconn.ConnectError
	if errors.As(err, &connectErr) {
		return true // whatever the server said while connecting, it was not the data
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return !dataPostgres(pgErr.Code)
	}
	var liteErr *sqlite.Error
	if errors.As(err, &liteErr) {
		return !dataSQLite(liteErr.Code())
	}
	var netErr net.Error
	return errors.As(err, &netErr) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		pgconn.SafeToRetry(err)
}

// dataPostgres reports whether an SQLSTATE blames the data, by its class
// (PostgreSQL, appendix A).
func dataPostgres(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "21", // cardinality violation
		"22", // data exception
		"23", // integrity constraint violation
		"44", // WITH CHECK OPTION violation
		"54": // program limit exceeded: a row or index entry too large
		return true
	}
	return false
}

// dataSQLite reports whether a primary result code blames the data.
func dataSQLite(code int) bool {
	switch code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
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
