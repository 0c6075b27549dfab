// Package database owns the SQL handles: how a database is opened and migrated,
// what differs between PostgreSQL and SQLite (times, error codes), and
// how transactions are run. It imports the root package and the migrations;
// storage and storage/queue build on it.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Dialect is the SQL dialect of a database.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Config says which database to open, and how.
type Config struct {
	// URL is postgres://…, postgresql://…, or sqlite:PATH. Required.
	URL string
	// MaxConns bounds the connections of Writer and Reader each; SQLite has one
	// Writer in any case. Defaults to 8.
	MaxConns int
	// LeaserConns bounds the connections of Leaser on PostgreSQL. Defaults to 6.
	LeaserConns int
	// Logger defaults to discarding.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.MaxConns <= 0 {
		c.MaxConns = 8
	}
	if c.LeaserConns <= 0 {
		c.LeaserConns = 6
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// DB is an open database. The three handles differ in what they are for, so that
// one kind of work cannot starve another.
type DB struct {
	Dialect Dialect

	// Writer commits durably: when it returns, the change survives a power cut.
	// On SQLite it has the one connection that may write.
	Writer *sql.DB
	// Reader is for queries.
	Reader *sql.DB
	// Leaser is for the queue's leases and acknowledgements on PostgreSQL. Its
	// commits are not flushed at once: losing one in a crash makes a message be
	// processed again, which every stage allows. On SQLite it is Writer.
	Leaser *sql.DB

	// schema has no lock timeout: changing a schema may wait.
	schema *sql.DB

	config Config
}

// Open opens the database and checks that it answers. It does not migrate.
// Errors never hold the URL's password.
func Open(ctx context.Context, config Config) (*DB, error) {
	config = config.withDefaults()
	scheme, rest, _ := strings.Cut(config.URL, ":")
	var (
		db  *DB
		err error
	)
	switch scheme {
	case "postgres", "postgresql":
		db, err = openPostgres(config)
	case "sqlite":
		db, err = openSQLite(config, strings.TrimPrefix(rest, "//"))
	default:
		// It is not shown: there is no telling where in it a password might be.
		return nil, errors.New("database: the URL must begin with postgres://, postgresql:// or sqlite: as its scheme")
	}
	if err != nil {
		return nil, err
	}
	db.config = config
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("database: cannot reach %s: %w", redact(config.URL), err), db.Close())
	}
	return db, nil
}

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error {
	for _, handle := range db.handles() {
		if err := handle.PingContext(ctx); err != nil {
			return Classify(err)
		}
	}
	return nil
}

// Close closes all connections.
func (db *DB) Close() error {
	var errs []error
	for _, handle := range db.handles() {
		errs = append(errs, handle.Close())
	}
	return errors.Join(errs...)
}

// handles lists each distinct handle once.
func (db *DB) handles() []*sql.DB {
	var list []*sql.DB
	for _, handle := range []*sql.DB{db.Reader, db.Leaser, db.schema, db.Writer} {
		known := false
		for _, other := range list {
			known = known || other == handle
		}
		if handle != nil && !known {
			list = append(list, handle)
		}
	}
	return list
}

// redact returns what of a database URL may be shown: scheme, user, host and path.
// The rest can hold passwords in many places.
func redact(raw string) string {
	parsed, err := url.Parse(raw)
	if err != nil || (parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" && parsed.Scheme != "sqlite") {
		return "the database"
	}
	if parsed.User != nil {
		parsed.User = url.User(parsed.User.Username())
	}
	parsed.RawQuery, parsed.Fragment = "", ""
	return parsed.String()
}
