package database_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// A full disk passes: what could not be stored is tried again, not given up.
func TestFullIsTransient(t *testing.T) {
	db := storagetest.Open(t, storagetest.SQLiteURL(t))
	var pages int
	if err := db.Writer.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	insert := func(key string) error {
		_, err := db.Writer.Exec("INSERT INTO once_keys (key, created) VALUES ($1, 0)", key)
		return database.Classify(err)
	}
	limit := func(pages int) {
		t.Helper()
		if _, err := db.Writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	if err := insert(strings.Repeat("x", 100_000)); err == nil || !signalbox.IsTransient(err) {
		t.Errorf("full: %v, want a transient error", err)
	}
	limit(pages + 1000)
	if err := insert(strings.Repeat("x", 100_000)); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
}
