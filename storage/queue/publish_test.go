package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
)

func TestPublishTx(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		msgs, _ := subscribe(t, q, "a")
		ctx := context.Background()
		refused := errors.New("refused")
		err := db.InTx(ctx, func(tx *sql.Tx) error {
			if err := q.PublishTx(ctx, tx, numbered("a", 5)...); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		if err := db.InTx(ctx, func(tx *sql.Tx) error {
			return q.PublishTx(ctx, tx,
				signalbox.Message{Topic: "a", ID: "1", Payload: []byte{0, 0xff}, Metadata: map[string]string{"k": "v"}},
				signalbox.Message{Topic: "b", ID: "2"},
				signalbox.Message{Topic: "a", ID: "3"})
		}); err != nil {
			t.Fatal(err)
		}
		q.Wake("a", "b")

		first := next(t, msgs)
		if diff := cmp.Diff(message.Payload{0, 0xff}, first.Payload); first.UUID != "1" || diff != "" {
			t.Errorf("message %q: %s", first.UUID, diff)
		}
		if first.Metadata.Get("k") != "v" {
			t.Errorf("metadata %v", first.Metadata)
		}
		if queue.Leases(first) != 1 {
			t.Errorf("%d leases, want 1", queue.Leases(first))
		}
		first.Ack()
		second := next(t, msgs)
		if second.UUID != "3" || queue.Position(second) <= queue.Position(first) {
			t.Errorf("message %q at %d after %d", second.UUID, queue.Position(second), queue.Position(first))
		}
		second.Ack()
		if d := depth(t, q, "b"); d.Ready != 1 {
			t.Errorf("topic b: %+v", d)
		}
	})
}

// A received message that is published again takes none of the queue's own metadata along.
func TestRepublish(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		publish(t, q, signalbox.Message{Topic: "a", ID: "1", Payload: []byte("p"), Metadata: map[string]string{"k": "v"}})
		from, _ := subscribe(t, q, "a")
		to, _ := subscribe(t, q, "b")
		received := next(t, from)
		if err := (publisher{q}).Publish("b", received.Copy()); err != nil {
			t.Fatal(err)
		}
		received.Ack()
		again := next(t, to)
		again.Ack()
		var stored string
		if queue.Position(again) <= queue.Position(received) {
			t.Errorf("position %d, after %d", queue.Position(again), queue.Position(received))
		}
		publish(t, q, signalbox.Message{Topic: "c", Metadata: again.Metadata})
		if err := db.Reader.QueryRow("SELECT metadata FROM queue_messages WHERE topic = 'c'").Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if stored != `{"k":"v"}` {
			t.Errorf("stored metadata %s", stored)
		}
	})
}

// A call is all or nothing, however many statements it takes.
func TestPublishMany(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		publish(t, q, numbered("many", 2500)...)
		if d := depth(t, q, "many"); d.Ready != 2500 {
			t.Errorf("%d ready, want 2500", d.Ready)
		}
		var (
			last   int64
			sorted = true
		)
		rows, err := db.Reader.Query("SELECT uuid, id FROM queue_messages WHERE topic = 'many' ORDER BY visible_at, id")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for want := 0; rows.Next(); want++ {
			var (
				uuid string
				id   int64
			)
			if err := rows.Scan(&uuid, &id); err != nil {
				t.Fatal(err)
			}
			sorted = sorted && uuid == fmt.Sprint(want) && id > last
			last = id
		}
		if err := rows.Err(); err != nil || !sorted {
			t.Errorf("the order was not kept (%v)", err)
		}

		broken := append(numbered("broken", 3), signalbox.Message{Topic: "no/such topic"})
		if err := q.Publish(context.Background(), broken...); err == nil {
			t.Error("an invalid topic was accepted")
		}
		if d := depth(t, q, "broken"); d.Ready != 0 {
			t.Errorf("%d of a refused call are stored", d.Ready)
		}
		if err := q.Publish(context.Background(), signalbox.Message{}); err == nil {
			t.Error("an empty topic was accepted")
		}
	})
}

func TestPublishErrorsAreClassified(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for name, err := range map[string]error{
			"Publish": q.Publish(ctx, signalbox.Message{Topic: "a"}),
			"PublishTx": db.InTx(context.Background(), func(tx *sql.Tx) error {
				return q.PublishTx(ctx, tx, signalbox.Message{Topic: "a"})
			}),
		} {
			if !signalbox.IsTransient(err) {
				t.Errorf("%s: %v is not transient", name, err)
			}
		}
		if _, err := q.Depth(ctx); !signalbox.IsTransient(err) {
			t.Errorf("Depth: %v is not transient", err)
		}
		if d := depth(t, q, "a"); d.Ready != 0 {
			t.Error("a failed publish is stored")
		}
	})
}

func TestDepth(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		publish(t, q, append(numbered("b", 3),
			signalbox.Message{Topic: "a", Delay: time.Hour},
			signalbox.Message{Topic: "b", Delay: time.Hour})...)
		msgs, _ := subscribe(t, q, "b")
		msg := next(t, msgs)
		time.Sleep(20 * time.Millisecond)
		depths, err := q.Depth(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		age := depths[1].OldestReady
		if age < 20*time.Millisecond || age > patience {
			t.Errorf("the oldest ready one is %s old", age)
		}
		depths[1].OldestReady = 0
		if diff := cmp.Diff([]queue.TopicDepth{
			{Topic: "a", Scheduled: 1},
			{Topic: "b", Ready: 2, Leased: 1, Scheduled: 1},
		}, depths); diff != "" {
			t.Error(diff)
		}
		msg.Ack()
	})
}

func TestConfig(t *testing.T) {
	for name, config := range map[string]queue.Config{
		"lease": {Lease: -time.Second},
		"batch": {BatchSize: 100_000},
		"poll":  {Poll: time.Microsecond},
	} {
		if _, err := queue.New(&database.DB{}, config); err == nil {
			t.Errorf("%s: an invalid value was accepted", name)
		}
	}
}
