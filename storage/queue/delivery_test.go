package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
)

// A consumer that is closed in the middle of a batch acks what it handled, gives
// the rest back at once, and so nothing is lost and nothing comes twice.
func TestCloseInMidBatch(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		const total, before = 1000, 307
		publish(t, q, numbered("work", total)...)
		got := map[string]int{}

		msgs, subscriber := subscribe(t, q, "work")
		for range before - 1 {
			msg := next(t, msgs)
			got[msg.UUID]++
			msg.Ack()
		}
		// The last one is in hand while the subscriber is being closed.
		inHand := next(t, msgs)
		closed := make(chan struct{})
		go func() {
			closeSubscriber(t, subscriber)
			close(closed)
		}()
		none(t, msgs, 50*time.Millisecond)
		if err := inHand.Context().Err(); err != nil {
			t.Errorf("the message in hand was cut off: %v", err)
		}
		got[inHand.UUID]++
		inHand.Ack()
		<-closed

		if d := depth(t, q, "work"); d.Ready != total-before || d.Leased != 0 {
			t.Errorf("after the close: %d ready, %d leased, want %d and 0", d.Ready, d.Leased, total-before)
		}
		msgs, _ = subscribe(t, q, "work")
		for i := range total - before {
			msg := next(t, msgs)
			if want := fmt.Sprint(before + i); msg.UUID != want {
				t.Fatalf("message %s came, want %s", msg.UUID, want)
			}
			if queue.Leases(msg) != 1 {
				t.Fatalf("message %s: %d leases, want 1", msg.UUID, queue.Leases(msg))
			}
			got[msg.UUID]++
			msg.Ack()
		}
		for _, msg := range numbered("work", total) {
			if got[msg.ID] != 1 {
				t.Errorf("message %s came %d times", msg.ID, got[msg.ID])
			}
		}
	})
}

// Cancelling the context of Subscribe is as graceful as closing.
func TestCancelIsGraceful(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		publish(t, q, numbered("work", 3)...)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		subscriber := q.Subscriber()
		defer closeSubscriber(t, subscriber)
		msgs, err := subscriber.Subscribe(ctx, "work")
		if err != nil {
			t.Fatal(err)
		}
		msg := next(t, msgs)
		cancel()
		none(t, msgs, 50*time.Millisecond)
		if err := msg.Context().Err(); err != nil {
			t.Errorf("the message in hand was cut off: %v", err)
		}
		msg.Ack()
		if _, open := <-msgs; open {
			t.Error("a message came after the context was cancelled")
		}
		if d := depth(t, q, "work"); d.Ready != 2 || d.Leased != 0 {
			t.Errorf("%d ready, %d leased, want 2 and 0", d.Ready, d.Leased)
		}
	})
}

// One message that is never acked passes its deadline: it comes back, and the
// messages around it neither vanish nor wait.
func TestDeadline(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const lease = 400 * time.Millisecond
		q := newQueue(t, db, queue.Config{Poll: never, Lease: lease})
		const total = 100
		publish(t, q, numbered("work", total)...)
		msgs, _ := subscribe(t, q, "work")
		got := map[string]int{}
		var dropped time.Time
		for len(got) < total {
			msg := next(t, msgs)
			if msg.UUID == "40" && queue.Leases(msg) == 1 {
				dropped = time.Now()
				continue
			}
			if msg.UUID == "40" {
				if took := time.Since(dropped); took < lease {
					t.Errorf("the message came back after %s, within its deadline", took)
				}
				if queue.Leases(msg) != 2 {
					t.Errorf("%d leases, want 2", queue.Leases(msg))
				}
			}
			got[msg.UUID]++
			msg.Ack()
		}
		for id, times := range got {
			if times != 1 {
				t.Errorf("message %s was acked %d times", id, times)
			}
		}
		if dropped.IsZero() {
			t.Error("message 40 did not come")
		}
	})
}

// A consumer that dies with a message leaves it to the next when the lease ends,
// and not before.
func TestLeaseOfDeadConsumer(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const lease = 600 * time.Millisecond
		q := newQueue(t, db, queue.Config{Poll: never, Lease: lease, CloseTimeout: time.Millisecond})
		publish(t, q, signalbox.Message{Topic: "work", ID: "a"})
		msgs, dying := subscribe(t, q, "work")
		next(t, msgs)
		taken := time.Now()
		closeSubscriber(t, dying) // with the message in hand
		if d := depth(t, q, "work"); d.Leased != 1 {
			t.Fatalf("%d leased, want 1", d.Leased)
		}

		msgs, _ = subscribe(t, q, "work")
		msg := next(t, msgs)
		took := time.Since(taken)
		if took < lease {
			t.Errorf("the message came back after %s, before its lease of %s ended", took, lease)
		}
		if took > lease+10*time.Second {
			t.Errorf("the message came back only after %s", took)
		}
		if queue.Leases(msg) != 2 {
			t.Errorf("%d leases, want 2", queue.Leases(msg))
		}
		msg.Ack()
	})
}

func TestNackResends(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never, Resend: 20 * time.Millisecond})
		publish(t, q, numbered("work", 3)...)
		msgs, _ := subscribe(t, q, "work")
		for _, want := range []string{"0", "1", "1", "1", "2"} {
			msg := next(t, msgs)
			if msg.UUID != want {
				t.Fatalf("message %s came, want %s", msg.UUID, want)
			}
			if queue.Position(msg) == 0 {
				t.Errorf("message %s has no position", msg.UUID)
			}
			if want == "1" && nacked(msg) < 3 {
				msg.Nack()
				continue
			}
			msg.Ack()
		}
		eventually(t, "all acked", func() bool { return depth(t, q, "work") == queue.TopicDepth{Topic: "work"} })
	})
}

// nacked counts the deliveries of a message in its own metadata, which a copy
// for a further delivery keeps.
func nacked(msg *message.Message) int {
	n := len(msg.Metadata.Get("seen")) + 1
	msg.Metadata.Set("seen", fmt.Sprintf("%0*d", n, 0))
	return n
}

// Eight consumers share the work, and nothing comes twice. The handlers write to
// the database, so on SQLite a lease that held the one writing connection would
// stop everything.
func TestParallelConsumers(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		if _, err := db.Writer.Exec("CREATE TABLE handled (id integer NOT NULL)"); err != nil {
			t.Fatal(err)
		}
		const total, consumers = 1200, 8
		var (
			mu   sync.Mutex
			got  = map[string]int{}
			by   = map[int]int{}
			wg   sync.WaitGroup
			done = make(chan struct{})
		)
		for c := range consumers {
			msgs, _ := subscribe(t, q, "work")
			wg.Go(func() {
				for {
					select {
					case msg := <-msgs:
						ctx, cancel := context.WithTimeout(msg.Context(), patience)
						if _, err := db.Writer.ExecContext(ctx, "INSERT INTO handled VALUES ($1)", queue.Position(msg)); err != nil {
							t.Error(err)
						}
						cancel()
						mu.Lock()
						got[msg.UUID]++
						by[c]++
						if len(got) == total {
							close(done)
						}
						mu.Unlock()
						msg.Ack()
					case <-done:
						return
					}
				}
			})
		}
		msgs := numbered("work", total)
		for len(msgs) > 0 {
			publish(t, q, msgs[:100]...)
			msgs = msgs[100:]
		}
		select {
		case <-done:
		case <-time.After(patience):
			t.Errorf("only %d of %d came", len(got), total)
			close(done)
		}
		wg.Wait()
		for id, times := range got {
			if times != 1 {
				t.Errorf("message %s came %d times", id, times)
			}
		}
		for c := range consumers {
			if by[c] == 0 {
				t.Errorf("consumer %d got nothing", c)
			}
		}
	})
}

// A consumer that is slow for once does not keep what it leased in advance.
func TestSlowMessageDelaysNoOther(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		slow, _ := subscribe(t, q, "work")
		// Fast messages first, so that it leases many at a time.
		publish(t, q, numbered("work", 200)...)
		for range 200 {
			next(t, slow).Ack()
		}
		publish(t, q, numbered("work", 8)...)
		stuck := next(t, slow)
		if d := depth(t, q, "work"); d.Leased < 2 {
			t.Fatalf("%d leased: the test needs a batch", d.Leased)
		}
		other, _ := subscribe(t, q, "work")
		start := time.Now()
		for want := 1; want < 8; want++ {
			msg := next(t, other)
			if msg.UUID != fmt.Sprint(want) {
				t.Errorf("message %s came, want %d", msg.UUID, want)
			}
			msg.Ack()
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("the others waited for %s", took)
		}
		stuck.Ack()
		eventually(t, "all acked", func() bool { return depth(t, q, "work") == queue.TopicDepth{Topic: "work"} })
	})
}

// In a backlog a consumer looks only behind what it leased last, but a message
// that was committed late, or given back, is not forgotten.
func TestLateCommitInABacklog(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		const total = 400
		publish(t, q, numbered("work", total)...)
		msgs, _ := subscribe(t, q, "work")
		for range total / 2 {
			next(t, msgs).Ack()
		}
		// Its transaction began long ago, and nobody is woken.
		long := db.Dialect.TimeArg(time.Now().Add(-time.Hour))
		if _, err := db.Writer.Exec(`INSERT INTO queue_messages (topic, uuid, payload, due_at, visible_at)
VALUES ('work', 'late', $1, $2, $2)`, []byte("x"), long); err != nil {
			t.Fatal(err)
		}
		found := false
		for range total/2 + 1 {
			msg := next(t, msgs)
			found = found || msg.UUID == "late"
			msg.Ack()
		}
		if !found {
			t.Error("the late message did not come")
		}
	})
}

// A batch that takes longer than a lease is given back before its lease ends: no
// message is with two consumers.
func TestLongBatchKeepsNothingTooLong(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const lease = 200 * time.Millisecond
		q := newQueue(t, db, queue.Config{Poll: never, Lease: lease})
		msgs, _ := subscribe(t, q, "work")
		publish(t, q, numbered("work", 200)...)
		for range 200 {
			next(t, msgs).Ack()
		}
		publish(t, q, numbered("work", 16)...)
		first := next(t, msgs)
		other, _ := subscribe(t, q, "work")
		seen := make(chan string, 16)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		handle := func(msg *message.Message) {
			time.Sleep(30 * time.Millisecond) // the work
			msg.Ack()
			seen <- msg.UUID
		}
		wg.Go(func() {
			handle(first)
			for {
				select {
				case msg := <-msgs:
					handle(msg)
				case <-stop:
					return
				}
			}
		})
		wg.Go(func() {
			for {
				select {
				case msg := <-other:
					handle(msg)
				case <-stop:
					return
				}
			}
		})
		got := map[string]int{}
		for range 16 {
			select {
			case id := <-seen:
				got[id]++
			case <-time.After(patience):
				t.Fatal("not all came")
			}
		}
		close(stop)
		wg.Wait()
		if len(got) != 16 {
			t.Errorf("some came twice: %v", got)
		}
	})
}
