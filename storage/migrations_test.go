package storage_test

import (
	"context"
	"database/sql"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/signalbox/signalbox/migrations"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// TestDialectsHaveTheSameSchema compares tables, columns and which of them may
// be NULL.
func TestDialectsHaveTheSameSchema(t *testing.T) {
	lite := columns(t, storagetest.Open(t, storagetest.SQLiteURL(t)))
	post := columns(t, storagetest.Open(t, storagetest.PostgresURL(t)))
	if len(post) < 30 {
		t.Fatalf("only %d columns found: %v", len(post), post)
	}
	if diff := cmp.Diff(post, lite); diff != "" {
		t.Errorf("the dialects differ (-postgres +sqlite):\n%s", diff)
	}
}

// TestMigrationsGoDownAndUp takes every migration back and applies it again.
func TestMigrationsGoDownAndUp(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		db := storagetest.Open(t, url)
		before := columns(t, db)
		folder, err := fs.Sub(migrations.FS, string(db.Dialect))
		if err != nil {
			t.Fatal(err)
		}
		dialect := goose.DialectSQLite3
		if db.Dialect == database.Postgres {
			dialect = goose.DialectPostgres
		}
		provider, err := goose.NewProvider(dialect, db.Writer, folder, goose.WithLogger(goose.NopLogger()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := provider.DownTo(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if left := columns(t, db); len(left) > 0 {
			t.Errorf("Down leaves %v", left)
		}
		if _, err := provider.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, columns(t, db)); diff != "" {
			t.Errorf("Down and Up is not the same (-before +after):\n%s", diff)
		}
	})
}

// columns lists "table.column null?" of all tables but goose's own.
func columns(t *testing.T, db *database.DB) []string {
	t.Helper()
	query := `SELECT table_name, column_name, is_nullable = 'YES' FROM information_schema.columns WHERE table_schema = 'public'`
	if db.Dialect == database.SQLite {
		// A primary key of SQLite may be declared without NOT NULL.
		query = `SELECT m.name, c.name, c."notnull" = 0 AND c.pk = 0 FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'`
	}
	var list []string
	rows, err := db.Reader.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			table, column string
			nullable      sql.NullBool
		)
		if err := rows.Scan(&table, &column, &nullable); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(table, "goose_") || strings.HasPrefix(table, "sqlite_") {
			continue
		}
		if nullable.Bool {
			column += " null"
		}
		list = append(list, table+"."+column)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}
