package storage_test

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// TestSnoozedWhileItExpires: a broadcast that somebody is about to snooze stays.
func TestSnoozedWhileItExpires(t *testing.T) {
	url := storagetest.PostgresURL(t) // SQLite has one writer
	db, other := storagetest.Open(t, url), storagetest.Open(t, url)
	empty(t, db)
	f := fixture(t, db, other)
	ctx := t.Context()
	n := madeFor(1, "")
	if _, err := f.Store.Commit(ctx, signalbox.Commit{Notifications: []signalbox.Notification{n}}); err != nil {
		t.Fatal(err)
	}
	before := n.Created.Add(48 * time.Hour)
	tx, err := other.Writer.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `INSERT INTO broadcast_flags (user_ref, broadcast_id, snoozed_until, snoozed_revision)
VALUES ('user:default/jane', $1, $2, $3)`, n.ID, before.Add(time.Hour), n.Revision); err != nil {
		t.Fatal(err)
	}
	deleted := make(chan int, 1)
	go func() {
		n, err := f.Store.DeleteExpired(ctx, before, 0)
		if err != nil {
			t.Error(err)
		}
		deleted <- n
	}()
	for waiting := 0; waiting == 0; {
		if err := db.Reader.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := <-deleted; n != 0 {
		t.Errorf("%d were deleted", n)
	}
}
