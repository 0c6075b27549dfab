package storage_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// benchmarked runs bench once per dialect on a fresh store.
func benchmarked(b *testing.B, bench func(b *testing.B, db *database.DB, store *storage.Store)) {
	for _, dialect := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", storagetest.SQLiteURL}, {"postgres", storagetest.PostgresURL}} {
		b.Run(dialect.name, func(b *testing.B) {
			db := storagetest.Open(b, dialect.url(b))
			bench(b, db, open(b, db, &tableQueue{db: db}, time.Now))
		})
	}
}

// madeFor returns the notification of the nth request for user.
func madeFor(n int, user string) signalbox.Notification {
	created := time.UnixMilli(1_767_225_600_000 + int64(n)*1000).UTC()
	stamp := fmt.Sprintf("%012x", created.UnixMilli())
	request := fmt.Sprintf("%s-%s-7000-8000-%012x", stamp[:8], stamp[8:], n)
	return signalbox.Notification{
		ID: signalbox.NotificationID(request, user), User: user, Origin: "ci", Created: created,
		RequestID: request, Revision: int64(n),
		Payload: signalbox.Payload{
			Title:       fmt.Sprintf("Deployment %d of service-%d finished", n, n%100),
			Description: "The pipeline reached its last stage; 214 checks passed, 3 were skipped, none failed.",
			Link:        "https://ci.example.com/builds/1", Topic: fmt.Sprintf("topic-%02d", n%20), Severity: signalbox.SeverityNormal,
		},
	}
}

func commitAll(b *testing.B, store *storage.Store, rows []signalbox.Notification) {
	b.Helper()
	if _, err := store.Commit(b.Context(), signalbox.Commit{Notifications: rows}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCommit(b *testing.B) {
	benchmarked(b, func(b *testing.B, _ *database.DB, store *storage.Store) {
		next := 0
		for _, size := range []int{1, 100, 1000} {
			for _, scope := range []string{"", "scoped"} {
				b.Run(fmt.Sprintf("rows=%d%s", size, scope), func(b *testing.B) {
					for b.Loop() {
						rows := make([]signalbox.Notification, size)
						for i := range rows {
							next++
							rows[i] = madeFor(next, fmt.Sprintf("user:default/u%04d", next%1000))
							if scope != "" {
								rows[i].Payload.Scope = rows[i].ID
							}
						}
						commitAll(b, store, rows)
					}
					b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
				})
			}
		}
	})
}

func BenchmarkInbox(b *testing.B) {
	const user = "user:default/u0000"
	benchmarked(b, func(b *testing.B, db *database.DB, store *storage.Store) {
		seeded := 0
		for _, size := range []int{1_000, 100_000} {
			for seeded < size {
				rows := make([]signalbox.Notification, 0, 1000)
				for range cap(rows) {
					seeded++
					n := madeFor(seeded, user)
					if seeded%1000 == 0 {
						n.Payload.Title += " needle"
					}
					if seeded%500 == 1 {
						n.User = "" // some broadcasts
					}
					rows = append(rows, n)
				}
				commitAll(b, store, rows)
			}
			if _, err := db.Writer.Exec("ANALYZE"); err != nil {
				b.Fatal(err)
			}
			reads(b, store, user, size)
		}
	})
}

// reads measures what a page load asks for.
func reads(b *testing.B, store *storage.Store, user string, size int) {
	newest := signalbox.Page{Limit: 20, HasLimit: true}
	unread := false
	list := func(filter signalbox.Filter, page signalbox.Page) func() error {
		return func() error {
			if _, err := store.Count(b.Context(), user, filter); err != nil {
				return err
			}
			_, err := store.List(b.Context(), user, filter, page)
			return err
		}
	}
	for _, bench := range []struct {
		name string
		run  func() error
	}{
		{"newest", list(signalbox.Filter{}, newest)},
		{"unread", list(signalbox.Filter{Read: &unread}, newest)},
		{"last", list(signalbox.Filter{}, signalbox.Page{Limit: 20, HasLimit: true, Offset: size - 20})},
		{"status", func() error { _, err := store.Status(b.Context(), user); return err }},
		{"search", list(signalbox.Filter{Search: "needle"}, newest)},
		{"search-none", list(signalbox.Filter{Search: strings.Repeat("nowhere", 2)}, newest)},
		{"topics", func() error { _, err := store.Topics(b.Context(), user, signalbox.Filter{}); return err }},
	} {
		b.Run(fmt.Sprintf("rows=%d/%s", size, bench.name), func(b *testing.B) {
			for b.Loop() {
				if err := bench.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUpdateAll(b *testing.B) {
	const user, size = "user:default/u0000", 100_000
	benchmarked(b, func(b *testing.B, _ *database.DB, store *storage.Store) {
		for start := 0; start < size; start += 10_000 {
			rows := make([]signalbox.Notification, 0, 10_000)
			for i := range cap(rows) {
				rows = append(rows, madeFor(start+i, user))
			}
			commitAll(b, store, rows)
		}
		read := false
		for b.Loop() {
			read = !read
			updated, err := store.Update(b.Context(), user, signalbox.Filter{}, signalbox.Change{Read: &read}, 1000)
			if err != nil {
				b.Fatal(err)
			}
			if updated.Read != size {
				b.Fatalf("%d altered, want %d", updated.Read, size)
			}
		}
	})
}

// BenchmarkSnoozed measures a page of an inbox of which much is snoozed.
func BenchmarkSnoozed(b *testing.B) {
	const user, size = "user:default/u0000", 30_000
	benchmarked(b, func(b *testing.B, db *database.DB, _ *storage.Store) {
		empty(b, db)
		store := open(b, db, &tableQueue{db: db, position: new(atomic.Int64)}, time.Now)
		var ids []string
		for start := 0; start < size; start += 10_000 {
			rows := make([]signalbox.Notification, 0, 10_000)
			for i := range cap(rows) {
				rows = append(rows, madeFor(start+i, user))
				ids = append(ids, rows[i].ID)
			}
			commitAll(b, store, rows)
		}
		newest := signalbox.Page{Limit: 20, HasLimit: true}
		until := time.Now().Add(time.Hour)
		for _, snoozed := range []int{0, 100, 10_000} {
			if snoozed > 0 {
				change := signalbox.Change{SnoozedUntil: &until}
				if _, err := store.Update(b.Context(), user, signalbox.Filter{IDs: ids[:snoozed]}, change, 1); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := db.Writer.Exec("ANALYZE"); err != nil {
				b.Fatal(err)
			}
			for name, run := range map[string]func() error{
				"newest": func() error { _, err := store.List(b.Context(), user, signalbox.Filter{}, newest); return err },
				"snoozed": func() error {
					_, err := store.List(b.Context(), user, signalbox.Filter{Snoozed: true}, newest)
					return err
				},
				"status": func() error { _, err := store.Status(b.Context(), user); return err },
				"woken":  func() error { _, err := store.Woken(b.Context(), user, until, 100); return err },
			} {
				b.Run(fmt.Sprintf("snoozed=%d/%s", snoozed, name), func(b *testing.B) {
					for b.Loop() {
						if err := run(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	})
}
