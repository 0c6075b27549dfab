package binary

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
)

// pipeline is what the nth notification of an inbox that is filled says.
func pipeline(n int) (title, topic, description string) {
	return fmt.Sprintf("Notification %d", n), fmt.Sprintf("topic-%d", n%20), "The pipeline reached its last stage; **214** checks passed."
}

// fill puts n notifications into the reader's inbox before there is a server: by the
// store, as the pipeline does, but with many more in a transaction. By requests, a large
// inbox would take minutes.
func fill(t testing.TB, data string, n int) {
	t.Helper()
	ctx := t.Context()
	db, err := database.Open(ctx, database.Config{URL: "sqlite:" + filepath.Join(data, "signalbox.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	messages, err := queue.New(db, queue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := storage.New(db, messages, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	const batch = 5000
	const apart = 10 * time.Second
	first := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Duration(n) * apart)
	for from := 0; from < n; from += batch {
		rows := make([]signalbox.Notification, min(batch, n-from))
		for i := range rows {
			nth := from + i
			created := first.Add(time.Duration(nth) * apart)
			request := requestID(created, nth)
			title, _, description := pipeline(nth)
			topic := fmt.Sprintf("topic-%d", nth%100)
			rows[i] = signalbox.Notification{
				ID: signalbox.NotificationID(request, Reader), User: Reader, Origin: "local", Created: created, RequestID: request,
				Payload: signalbox.Payload{Title: title, Topic: topic, Description: description, Severity: signalbox.SeverityNormal},
			}
		}
		if _, err := store.Commit(ctx, signalbox.Commit{Notifications: rows}); err != nil {
			t.Fatal(err)
		}
	}
}

// requestID is a UUIDv7 of a time.
func requestID(at time.Time, nth int) string {
	stamp := fmt.Sprintf("%012x", at.UnixMilli())
	return fmt.Sprintf("%s-%s-7000-8000-%012x", stamp[:8], stamp[8:], nth)
}
