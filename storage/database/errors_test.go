package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

func TestViolates(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		db := storagetest.Open(t, url)
		exec := func(query string) error {
			_, err := db.Writer.Exec(query)
			return err
		}
		for _, query := range []string{
			"CREATE TABLE parents (id integer PRIMARY KEY, name text NOT NULL UNIQUE)",
			"CREATE TABLE children (parent integer NOT NULL REFERENCES parents (id))",
			"INSERT INTO parents VALUES (1, 'a')",
		} {
			if err := exec(query); err != nil {
				t.Fatal(err)
			}
		}
		for query, want := range map[string]bool{
			"INSERT INTO parents VALUES (1, 'b')":  true,
			"INSERT INTO parents VALUES (2, 'a')":  true,
			"INSERT INTO children VALUES (3)":      true,
			"INSERT INTO parents VALUES (3, NULL)": false,
			"INSERT INTO nothing VALUES (1)":       false,
		} {
			err := exec(query)
			if err == nil || database.Violates(fmt.Errorf("insert: %w", err)) != want {
				t.Errorf("%s: %v; a violation: %t, want %t", query, err, !want, want)
			}
		}
	})
	if database.Violates(nil) {
		t.Error("no error is a violation")
	}
}

func TestClassify(t *testing.T) {
	code := func(c string) error { return &pgconn.PgError{Code: c} }
	for _, test := range []struct {
		name      string
		err       error
		transient bool
	}{
		{"deadlock", code("40P01"), true},
		{"serialization failure", code("40001"), true},
		{"shutting down", code("57P01"), true},
		{"starting up", code("57P03"), true},
		{"disk full", code("53100"), true},
		{"too many connections", code("53300"), true},
		{"lock not available", code("55P03"), true},
		{"read-only after a failover", code("25006"), true},
		{"connection failure", code("08006"), true},
		{"I/O error", code("58030"), true},
		{"unique violation", code("23505"), false},
		{"invalid text", code("22021"), false},
		{"row too large", code("54000"), false},
		{"missing table", code("42P01"), true},
		{"missing privilege", code("42501"), true},
		{"schema changed under a prepared statement", code("0A000"), true},
		{"no such database, while connecting", &pgconn.ConnectError{Config: &pgconn.Config{}}, true},
		{"no code", code(""), true},
		{"connection refused", &net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		{"connection gone", io.ErrUnexpectedEOF, true},
		{"pool's connection gone", driver.ErrBadConn, true},
		{"deadline", context.DeadlineExceeded, true},
		{"cancelled", context.Canceled, true},
		{"transaction over", sql.ErrTxDone, true},
		{"no rows", sql.ErrNoRows, false},
		{"other", errors.New("deadlock detected"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := fmt.Errorf("publish: %w", test.err)
			got := database.Classify(err)
			if signalbox.IsTransient(got) != test.transient {
				t.Errorf("transient: %t, want %t", !test.transient, test.transient)
			}
			if !errors.Is(got, test.err) || got.Error() != err.Error() {
				t.Errorf("the error was changed: %v", got)
			}
		})
	}
	if database.Classify(nil) != nil {
		t.Error("nil became an error")
	}
}

// What the drivers really return.
func TestClassifyReal(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		db := storagetest.Open(t, url)
		for _, test := range []struct {
			name, statement string
			transient       bool
		}{
			{"no table", "SELECT * FROM nothing", true},
			{"not null", "INSERT INTO dead_letters (id) VALUES (NULL)", false},
		} {
			_, err := db.Writer.Exec(test.statement)
			if err = database.Classify(err); err == nil || signalbox.IsTransient(err) != test.transient {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if db.Dialect == database.SQLite {
			// Another process holds the write lock.
			other, err := sql.Open("sqlite", url[len("sqlite:"):]+"?_txlock=immediate")
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			tx, err := other.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if _, err := db.Writer.Exec("PRAGMA busy_timeout = 1"); err != nil {
				t.Fatal(err)
			}
			err = db.InTx(ctx, func(*sql.Tx) error { return nil })
			if !signalbox.IsTransient(err) {
				t.Errorf("busy: %v", err)
			}
			return
		}
		conn, err := db.Writer.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = conn.ExecContext(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		if !signalbox.IsTransient(database.Classify(err)) {
			t.Errorf("terminated: %v", err)
		}
	})
}
