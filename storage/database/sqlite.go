package database

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// openSQLite opens one writing connection and a pool of reading ones on a file.
// The folder is made if it is missing; the file is readable by its owner only.
func openSQLite(config Config, path string) (*DB, error) {
	if path == "" || path == ":memory:" {
		return nil, errors.New("database: sqlite needs a file: sqlite:PATH")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}

	// busy_timeout comes first: the pragmas behind it take locks themselves.
	// synchronous(FULL): a commit in WAL mode is flushed, so that what was
	// answered survives a power cut.
	writer, err := sql.Open("sqlite", dsn(path,
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
		"cache_size(-16000)", "temp_store(MEMORY)",
		// What a burst made of the log is given back at the next checkpoint.
		"journal_size_limit(67108864)"))
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	writer.SetMaxOpenConns(1)
	writer.SetMaxIdleConns(1)

	reader, err := sql.Open("sqlite", dsn(path,
		"busy_timeout(10000)", "query_only(ON)", "cache_size(-8000)", "temp_store(MEMORY)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database: %w", err), writer.Close())
	}
	reader.SetMaxOpenConns(config.MaxConns)
	reader.SetMaxIdleConns(2)
	reader.SetConnMaxIdleTime(time.Minute)

	return &DB{Dialect: SQLite, Writer: writer, Reader: reader, Leaser: writer, schema: writer}, nil
}

// dsn is a file URI with pragmas. Transactions begin IMMEDIATE: a transaction
// that reads first and writes later could otherwise fail half-way.
func dsn(path string, pragmas ...string) string {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
}
