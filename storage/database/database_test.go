package database_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct{ name, url string }{
		{"nothing", ""},
		{"another database", "mysql://user:hunter2@localhost/x"},
		{"bad PostgreSQL URL", "postgres://user:hunter2@localhost:port/x"},
		{"SQLite in memory", "sqlite::memory:"},
		{"SQLite without a file", "sqlite:"},
		{"nobody there", "postgres://user:hunter2@127.0.0.1:1/x?connect_timeout=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leak := goleak.IgnoreCurrent()
			defer goleak.VerifyNone(t, leak)
			_, err := database.Open(context.Background(), database.Config{URL: test.url})
			if err == nil {
				t.Fatal("it was opened")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	for raw, want := range map[string]string{
		"postgres://u:hunter2@h:5432/d?sslmode=disable": "postgres://u@h:5432/d",
		"postgres://u@h/d":                       "postgres://u@h/d",
		"postgres://h/d?password=hunter2&user=u": "postgres://h/d",
		"postgres://h/d?sslpassword=hunter2":     "postgres://h/d",
		"host=db user=u password=hunter2":        "the database",
		"mysql://u:hunter2@h/d":                  "the database",
		"sqlite:data/signalbox.db":               "sqlite:data/signalbox.db",
		"postgres://u:hunter2@h:not a port/d":    "the database",
		"postgres://u:100%hunter2@h/d":           "the database",
	} {
		if got := database.Redact(raw); got != want {
			t.Errorf("Redact(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestSQLiteSettings(t *testing.T) {
	// Characters that mean something in a URI, and a folder that is not there.
	path := filepath.Join(t.TempDir(), "sub folder", "a?b#c%20d.db")
	db := storagetest.Open(t, "sqlite:"+path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file's mode is %o, want 600", mode)
	}
	for pragma, want := range map[string]string{
		"synchronous":  "2",
		"journal_mode": "wal",
		"foreign_keys": "1",
		"busy_timeout": "10000",
	} {
		var got string
		if err := db.Writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	if n := db.Writer.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections may write, want 1", n)
	}
	if _, err := db.Reader.Exec("DELETE FROM queue_messages"); err == nil {
		t.Error("a reading connection could write")
	}
}

func TestPostgresSettings(t *testing.T) {
	db := storagetest.Open(t, storagetest.PostgresURL(t))
	for _, test := range []struct {
		name    string
		handle  *sql.DB
		setting string
		want    string
	}{
		{"writer", db.Writer, "synchronous_commit", "on"},
		{"leaser", db.Leaser, "synchronous_commit", "off"},
		{"writer", db.Writer, "enable_sort", "on"},
		{"leaser", db.Leaser, "enable_sort", "off"},
		{"leaser", db.Leaser, "enable_bitmapscan", "off"},
		{"leaser", db.Leaser, "enable_seqscan", "off"},
		{"writer", db.Writer, "application_name", "signalbox"},
		{"leaser", db.Leaser, "application_name", "signalbox-queue"},
	} {
		var got string
		if err := test.handle.QueryRow("SHOW " + test.setting).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != test.want {
			t.Errorf("%s: %s is %s, want %s", test.name, test.setting, got, test.want)
		}
	}
	if config, err := db.ListenConfig(); err != nil || config.RuntimeParams["application_name"] != "signalbox-listen" {
		t.Errorf("ListenConfig: %v", err)
	}
	if _, err := storagetest.Open(t, storagetest.SQLiteURL(t)).ListenConfig(); err == nil {
		t.Error("SQLite has a LISTEN configuration")
	}
}

// Instances that start together on an empty database migrate it once.
func TestMigrateTogether(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		instances := 4
		if strings.HasPrefix(url, "sqlite:") {
			instances = 1 // one process
		}
		var open []*database.DB
		for range instances {
			db, err := database.Open(ctx, database.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if pending, err := db.Pending(ctx); err != nil || !pending {
				t.Errorf("before: pending %t, %v", pending, err)
			}
			open = append(open, db)
		}
		var wg sync.WaitGroup
		for _, db := range open {
			wg.Go(func() {
				version, err := db.Migrate(ctx)
				if err != nil || version < 2 {
					t.Errorf("version %d, %v", version, err)
				}
				if again, err := db.Migrate(ctx); err != nil || again != version {
					t.Errorf("again: version %d, %v", again, err)
				}
				if pending, err := db.Pending(ctx); err != nil || pending {
					t.Errorf("afterwards: pending %t, %v", pending, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestTimes(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		db := storagetest.Open(t, url)
		kind := map[database.Dialect]string{database.Postgres: "timestamptz", database.SQLite: "integer"}[db.Dialect]
		if _, err := db.Writer.Exec("CREATE TABLE times (at " + kind + ")"); err != nil {
			t.Fatal(err)
		}
		zone := time.FixedZone("", 2*60*60)
		for _, at := range []time.Time{
			{},
			time.Date(2026, 2, 3, 4, 5, 6, 789_123_999, zone),
			time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC),
		} {
			if _, err := db.Writer.Exec("DELETE FROM times"); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Writer.Exec("INSERT INTO times VALUES ($1)", db.Dialect.TimeArg(at)); err != nil {
				t.Fatal(err)
			}
			var got database.Time
			if err := db.Reader.QueryRow("SELECT at FROM times").Scan(&got); err != nil {
				t.Fatal(err)
			}
			if want := at.UTC().Truncate(time.Microsecond); !got.Equal(want) || got.Location() != time.UTC {
				t.Errorf("%s came back as %s", want, got)
			}
		}
		if err := new(database.Time).Scan("yesterday"); err == nil {
			t.Error("a string was scanned as a time")
		}
		if _, err := (database.Time{}).Value(); err == nil {
			t.Error("a Time was taken as an argument without its dialect")
		}
	})
}

func TestInTx(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		db := storagetest.Open(t, url)
		if _, err := db.Writer.Exec("CREATE TABLE things (id integer PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
		insert := func(tx *sql.Tx, id int) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO things VALUES ($1)", id)
			return err
		}
		failed := errors.New("failed")
		if err := db.InTx(ctx, func(tx *sql.Tx) error { return insert(tx, 1) }); err != nil {
			t.Fatal(err)
		}
		if err := db.InTx(ctx, func(tx *sql.Tx) error { return errors.Join(insert(tx, 2), failed) }); !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		err := db.InTx(ctx, func(tx *sql.Tx) error { return insert(tx, 1) })
		if err == nil || signalbox.IsTransient(err) {
			t.Errorf("a duplicate key is no fault of the database: %v", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = db.InTx(ctx, func(tx *sql.Tx) error {
				if err := insert(tx, 3); err != nil {
					t.Error(err)
				}
				panic("bug")
			})
		}()
		// The connection is free again, and nothing but the first is there.
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var ids string
		err = db.InTx(ctx, func(tx *sql.Tx) error {
			return tx.QueryRowContext(ctx, "SELECT count(*) || ':' || min(id) FROM things").Scan(&ids)
		})
		if diff := cmp.Diff("1:1", ids); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		cancel()
		if err := db.InTx(ctx, func(*sql.Tx) error { return nil }); !signalbox.IsTransient(err) {
			t.Errorf("a cancelled begin is not transient: %v", err)
		}
	})
}

func TestInSnapshot(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		db := storagetest.Open(t, url)
		add := func() {
			if _, err := db.Writer.Exec("CREATE TABLE IF NOT EXISTS seen (n integer)"); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Writer.Exec("INSERT INTO seen VALUES (1)"); err != nil {
				t.Fatal(err)
			}
		}
		count := func(tx *sql.Tx) (n int) {
			if err := tx.QueryRow("SELECT count(*) FROM seen").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		add()
		if err := db.InSnapshot(t.Context(), func(tx *sql.Tx) error {
			before := count(tx)
			add()
			if after := count(tx); after != before {
				t.Errorf("%d rows, then %d", before, after)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := db.InSnapshot(t.Context(), func(tx *sql.Tx) error {
			if n := count(tx); n != 2 {
				t.Errorf("%d rows in the next one", n)
			}
			_, err := tx.Exec("INSERT INTO seen VALUES (3)")
			return err
		}); err == nil {
			t.Error("it writes")
		}
	})
}

// Two transactions that take the same rows in opposite order: PostgreSQL undoes
// one, which is run again.
func TestInTxRunsAgainAfterADeadlock(t *testing.T) {
	ctx := context.Background()
	db := storagetest.Open(t, storagetest.PostgresURL(t))
	if _, err := db.Writer.Exec("CREATE TABLE things (id integer PRIMARY KEY, n integer); INSERT INTO things VALUES (1, 0), (2, 0)"); err != nil {
		t.Fatal(err)
	}
	var (
		wg   sync.WaitGroup
		both sync.WaitGroup // have their first row
		runs [2]int
	)
	both.Add(2)
	for i := range 2 {
		wg.Go(func() {
			if err := db.InTx(ctx, func(tx *sql.Tx) error {
				runs[i]++
				for step, id := range []int{1 + i, 2 - i} {
					if _, err := tx.ExecContext(ctx, "UPDATE things SET n = n + 1 WHERE id = $1", id); err != nil {
						return err
					}
					if step == 0 && runs[i] == 1 {
						both.Done()
						both.Wait()
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var sum int
	if err := db.Reader.QueryRow("SELECT sum(n) FROM things").Scan(&sum); err != nil {
		t.Fatal(err)
	}
	if sum != 4 || runs[0]+runs[1] != 3 {
		t.Errorf("sum %d after %v runs, want 4 after 3", sum, runs)
	}
}
