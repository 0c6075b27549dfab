package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// Retention holds DeleteExpired to its contract. open returns a fixture of its
// own each time.
func Retention(t *testing.T, open func(t *testing.T) Fixture) {
	t.Run("a row lives by its revision", func(t *testing.T) { livesByRevision(t, open(t)) })
	t.Run("in batches", func(t *testing.T) { expireInBatches(t, open(t)) })
}

func expire(t *testing.T, f Fixture, before time.Time, batch int) int {
	t.Helper()
	deleted, err := f.Store.DeleteExpired(t.Context(), before, batch)
	if err != nil {
		t.Fatal(err)
	}
	return deleted
}

func livesByRevision(t *testing.T, f Fixture) {
	const day = 86_400
	for _, user := range []string{alice, ""} {
		revised := notification(1, user, scoped("s"))
		commit(t, f.Store, revised, notification(2, user), notification(10*day, user))
		commit(t, f.Store, notification(9*day, user, scoped("s")))
	}
	update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes, Saved: yes})

	equal(t, "nothing is old enough", expire(t, f, start, 10), 0)
	equal(t, "old and not revised", expire(t, f, start.Add(8*day*time.Second), 10), 2)
	equal(t, "left", len(inbox(t, f.Store, alice)), 4)
	recount(t, f.Store, alice, bob)
	// A revision made exactly then is not earlier.
	equal(t, "the edge", expire(t, f, start.Add(9*day*time.Second), 10), 0)
	equal(t, "revised", expire(t, f, start.Add(9*day*time.Second+time.Microsecond), 10), 2)
	equal(t, "all", expire(t, f, start.Add(100*day*time.Second), 10), 2)
	equal(t, "left", len(inbox(t, f.Store, alice)), 0)
	recount(t, f.Store, alice, bob)
}

func expireInBatches(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(95) {
		n := notification(i, fmt.Sprintf("user:default/u%d", i%4))
		if i%3 == 0 {
			n.Updated = start.Add(1000 * time.Hour) // these stay, in the midst of the others
		}
		rows = append(rows, n)
	}
	commit(t, f.Store, rows...)
	equal(t, "deleted", expire(t, f, start.Add(500*time.Hour), 10), 63)
	equal(t, "once more", expire(t, f, start.Add(500*time.Hour), 10), 0)
	left := 0
	for i := range 4 {
		user := fmt.Sprintf("user:default/u%d", i)
		left += len(inbox(t, f.Store, user))
		recount(t, f.Store, user)
	}
	equal(t, "left", left, 32)
}
