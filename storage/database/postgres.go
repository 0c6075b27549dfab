package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// openPostgres opens the durable handle and the leasing one.
func openPostgres(config Config) (*DB, error) {
	durable, err := pgx.ParseConfig(config.URL)
	if err != nil {
		// pgx's own text may quote the URL; say only what is safe.
		return nil, errors.New("database: the PostgreSQL URL cannot be parsed: expected postgres://user:password@host:port/name?sslmode=…")
	}
	if durable.RuntimeParams["application_name"] == "" {
		durable.RuntimeParams["application_name"] = "signalbox"
	}
	if durable.ConnectTimeout == 0 {
		durable.ConnectTimeout = 5 * time.Second
	}
	migrating := durable.Copy()
	// An instance that freezes within a transaction must not keep its locks, nor
	// another wait for them, for longer than a message may take.
	byDefault(durable, "idle_in_transaction_session_timeout", "15s")
	byDefault(durable, "lock_timeout", "5s")
	leasing := durable.Copy()
	leasing.RuntimeParams["application_name"] += "-queue"
	leasing.RuntimeParams["synchronous_commit"] = "off"
	// The queue's table goes from empty to full between two analyzes, and with
	// the statistics of an empty table the planner reads and sorts the whole
	// backlog for every lease (20,000 rows: 5 ms instead of 0.2 ms). The queue's
	// statements are made to walk their indexes, whatever the statistics say.
	for _, plan := range []string{"enable_seqscan", "enable_bitmapscan", "enable_sort"} {
		leasing.RuntimeParams[plan] = "off"
	}

	return &DB{
		Dialect: Postgres,
		Writer:  pool(durable, config.MaxConns, stdlib.OptionAfterConnect(flushCommits)),
		Reader:  pool(durable, config.MaxConns),
		Leaser:  pool(leasing, config.LeaserConns),
		schema:  pool(migrating, 2),
	}, nil
}

// byDefault sets a run-time parameter that the URL does not.
func byDefault(config *pgx.ConnConfig, name, value string) {
	if _, given := config.RuntimeParams[name]; !given {
		config.RuntimeParams[name] = value
	}
}

// flushCommits makes commits durable where server, database or user have been
// configured otherwise: what is answered must survive a power cut.
func flushCommits(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

func pool(config *pgx.ConnConfig, size int, options ...stdlib.OptionOpenDB) *sql.DB {
	db := stdlib.OpenDB(*config, options...)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(5 * time.Minute)
	// After a failover connections to the old server must not live on.
	db.SetConnMaxLifetime(10 * time.Minute)
	return db
}

// ListenConfig returns the settings for a dedicated LISTEN connection.
func (db *DB) ListenConfig() (*pgx.ConnConfig, error) {
	if db.Dialect != Postgres {
		return nil, fmt.Errorf("database: %s has no LISTEN", db.Dialect)
	}
	config, err := pgx.ParseConfig(db.config.URL)
	if err != nil {
		return nil, errors.New("database: the PostgreSQL URL cannot be parsed")
	}
	config.RuntimeParams["application_name"] = "signalbox-listen"
	return config, nil
}
