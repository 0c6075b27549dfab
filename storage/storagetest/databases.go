// Package storagetest holds what tests of the storage need: fresh databases of
// every dialect, and the contract suites that every implementation of a storage
// seam must pass. It is for tests only.
package storagetest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/signalbox/signalbox/storage/database"
)

// PostgresEnv names the variable that holds the URL of a PostgreSQL server on
// which tests may create databases. "make test" sets it.
const PostgresEnv = "SIGNALBOX_TEST_POSTGRES_URL"

// Each runs test once per dialect, on an empty database of its own each time.
// A missing PostgreSQL fails the test: a suite that skips proves nothing.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, PostgresURL(t)) })
}

// Open opens url and closes it when the test ends. It is migrated.
func Open(t testing.TB, url string) *database.DB {
	t.Helper()
	db, err := database.Open(context.Background(), database.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db
}

// SQLiteURL returns the URL of a new file in the test's folder.
func SQLiteURL(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "signalbox.db")
}

// PostgresURL creates an empty database, dropped when the test ends, and returns
// its URL.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(PostgresEnv)
	if server == "" {
		t.Fatalf("%s is not set: run the tests by \"make test\", or point it at a PostgreSQL server", PostgresEnv)
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("signalbox_test_%016x", rand.Uint64())
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL", PostgresEnv)
	}
	parsed.Path = "/" + name
	return parsed.String()
}
