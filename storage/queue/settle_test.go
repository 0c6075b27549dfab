package queue_test

import (
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// A message that is removed or put back together with what handling it changed is
// not touched by the acknowledgement that follows.
func TestSettledInATransaction(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		db := storagetest.Open(t, url)
		q, err := queue.New(db, queue.Config{Resend: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		sub := q.Subscriber()
		defer sub.Close()
		messages, err := sub.Subscribe(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		publish := func(payload string) {
			t.Helper()
			if err := q.Publish(t.Context(), signalbox.Message{Topic: "a", ID: payload, Payload: []byte(payload), Metadata: map[string]string{"k": "v"}}); err != nil {
				t.Fatal(err)
			}
		}
		type received struct {
			signalbox.Lease
			payload string
			ack     func() bool
		}
		next := func() received {
			t.Helper()
			select {
			case m := <-messages:
				if m.Metadata.Get("k") != "v" {
					t.Errorf("metadata %v", m.Metadata)
				}
				return received{signalbox.Lease{Position: queue.Position(m), Count: queue.Leases(m)}, string(m.Payload), m.Ack}
			case <-time.After(10 * time.Second):
				t.Fatal("nothing came")
			}
			return received{}
		}
		inTx := func(fn func(tx *sql.Tx) error) {
			t.Helper()
			if err := db.InTx(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		postpone := func(lease signalbox.Lease, payload string, delay time.Duration) (topics []string) {
			t.Helper()
			inTx(func(tx *sql.Tx) (err error) {
				_, topics, err = q.PostponeTx(t.Context(), tx, []signalbox.Settlement{{
					Lease: lease, Postponed: &signalbox.Postponement{Payload: []byte(payload), Delay: delay},
				}})
				return err
			})
			q.Wake(topics...)
			return topics
		}

		publish("first")
		m := next()
		begun := time.Now()
		if topics := postpone(m.Lease, "second", 300*time.Millisecond); len(topics) != 1 || topics[0] != "a" {
			t.Errorf("topics %v", topics)
		}
		m.ack()
		again := next()
		if again.payload != "second" || again.Count != 1 || again.Position <= m.Position {
			t.Errorf("it came back as %q, leased %d times", again.payload, again.Count)
		}
		if waited := time.Since(begun); waited < 290*time.Millisecond {
			t.Errorf("it came back after %s", waited)
		}
		// Somebody whose lease ran out has no say.
		if topics := postpone(signalbox.Lease{Position: again.Position, Count: again.Count - 1}, "lost", 0); len(topics) != 0 {
			t.Errorf("a lease that ran out moved the message: %v", topics)
		}
		inTx(func(tx *sql.Tx) error {
			removed, err := q.RemoveTx(t.Context(), tx, []int64{m.Position, again.Position})
			if err == nil && !slices.Equal(removed, []int64{again.Position}) {
				t.Errorf("removed %v", removed)
			}
			return err
		})
		again.ack()
		publish("third")
		if m := next(); m.payload != "third" {
			t.Errorf("after a removal came %q", m.payload)
		} else {
			m.ack()
		}
	})
}
