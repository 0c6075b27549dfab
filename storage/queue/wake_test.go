package queue_test

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// With a safety poll that never comes, every message must come by its wake-up:
// whenever it is published, before, while or after the consumer goes to sleep.
func TestNoWakeUpIsLost(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		msgs, _ := subscribe(t, q, "work")
		var took []time.Duration
		for i := range 300 {
			if i%10 == 0 {
				time.Sleep(30 * time.Millisecond) // asleep for sure
			}
			start := time.Now()
			publish(t, q, signalbox.Message{Topic: "work", ID: "m"})
			next(t, msgs).Ack()
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		t.Logf("publish to receive: median %s, p99 %s", took[len(took)/2], took[len(took)*99/100])
		if slowest := took[len(took)-1]; slowest > 5*time.Second {
			t.Errorf("a message took %s", slowest)
		}
	})
}

// n messages for n idle consumers wake all of them.
func TestEveryMessageWakesOne(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		const consumers = 6
		var (
			arrived sync.WaitGroup
			wg      sync.WaitGroup
		)
		arrived.Add(consumers)
		together := make(chan struct{})
		for range consumers {
			msgs, _ := subscribe(t, q, "work")
			wg.Go(func() {
				msg := next(t, msgs)
				arrived.Done()
				<-together // nobody acks until everybody has one
				msg.Ack()
			})
		}
		time.Sleep(20 * time.Millisecond) // asleep, most likely
		publish(t, q, numbered("work", consumers)...)
		go func() { arrived.Wait(); close(together) }()
		select {
		case <-together:
		case <-time.After(patience):
			t.Fatal("some consumers were not woken")
		}
		wg.Wait()
	})
}

func TestDelay(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: never})
		msgs, _ := subscribe(t, q, "work")
		second, _ := subscribe(t, q, "work")
		publish(t, q,
			signalbox.Message{Topic: "work", ID: "now"},
			signalbox.Message{Topic: "work", ID: "much later", Delay: time.Hour})
		either := func() *message.Message {
			select {
			case msg := <-msgs:
				return msg
			case msg := <-second:
				return msg
			case <-time.After(patience):
				t.Fatal("no message came")
			}
			return nil
		}
		either().Ack() // now
		// One by one, and each is due sooner than what the sleeping consumers know of.
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		publish(t, q, signalbox.Message{Topic: "work", ID: "late", Delay: 600 * time.Millisecond})
		time.Sleep(100 * time.Millisecond)
		publish(t, q, signalbox.Message{Topic: "work", ID: "soon", Delay: 100 * time.Millisecond})
		for _, want := range []struct {
			id    string
			delay time.Duration
		}{
			{"soon", 200 * time.Millisecond},
			{"late", 600 * time.Millisecond},
		} {
			msg := either()
			took := time.Since(start)
			if msg.UUID != want.id {
				t.Fatalf("message %q came, want %q", msg.UUID, want.id)
			}
			if took < want.delay {
				t.Errorf("%q came after %s, before its time", want.id, took)
			}
			if took > want.delay+10*time.Second {
				t.Errorf("%q came after %s, much too late", want.id, took)
			}
			t.Logf("%q: %s late", want.id, took-want.delay)
			msg.Ack()
		}
		eventually(t, "one message is scheduled", func() bool {
			return depth(t, q, "work") == queue.TopicDepth{Topic: "work", Scheduled: 1}
		})
	})
}

// What another instance publishes without a wake-up comes by the safety poll.
func TestSafetyPoll(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		q := newQueue(t, db, queue.Config{Poll: 100 * time.Millisecond})
		elsewhere := newQueue(t, db, queue.Config{})
		for range 3 {
			msgs, _ := subscribe(t, q, "work")
			go func() {
				for msg := range msgs {
					msg.Ack()
				}
			}()
		}
		for range 5 {
			publish(t, elsewhere, numbered("work", 3)...)
			eventually(t, "all handled", func() bool { return depth(t, q, "work") == queue.TopicDepth{Topic: "work"} })
		}
	})
}

// Wake-ups are relayed to other instances only when nobody here is idle.
func TestRelay(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		here := newQueue(t, db, queue.Config{Poll: never})
		there := newQueue(t, db, queue.Config{Poll: never})
		var relayed atomic.Int64
		here.OnWake(func(topics []string) {
			relayed.Add(int64(len(topics)))
			there.WakeLocal(topics...)
		})
		msgs, _ := subscribe(t, there, "elsewhere")
		time.Sleep(20 * time.Millisecond)
		publish(t, here, signalbox.Message{Topic: "elsewhere", ID: "a"})
		next(t, msgs).Ack()
		if relayed.Load() != 1 {
			t.Fatalf("%d wake-ups were relayed, want 1", relayed.Load())
		}

		local, _ := subscribe(t, here, "work")
		publish(t, here, signalbox.Message{Topic: "work"})
		next(t, local).Ack()
		// Whether the consumer is idle by now cannot be seen: on a busy machine it may
		// not be.
		for try, inRow := 0, 0; inRow < 5; try++ {
			eventually(t, "the message is acked", func() bool { return depth(t, here, "work").Leased == 0 })
			time.Sleep(20 * time.Millisecond)
			before := relayed.Load()
			publish(t, here, signalbox.Message{Topic: "work"})
			next(t, local).Ack()
			if inRow++; relayed.Load() != before {
				inRow = 0
			}
			if try == 50 {
				t.Fatalf("%d wake-ups were relayed although a consumer was idle", relayed.Load())
			}
		}

		// The lost wake-ups of an outage.
		publish(t, newQueue(t, db, queue.Config{}), signalbox.Message{Topic: "work", ID: "unheard"})
		here.WakeAll()
		next(t, local).Ack()
	})
}

// queryCounter counts the statements of a pool.
type queryCounter struct{ n atomic.Int64 }

func (c *queryCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}
func (*queryCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// countQueries replaces the pool of the consumers by one that counts.
func countQueries(t *testing.T, db *database.DB) *queryCounter {
	t.Helper()
	config, err := db.ListenConfig()
	if err != nil {
		t.Fatal(err)
	}
	counter := &queryCounter{}
	config.Tracer = counter
	original := db.Leaser
	db.Leaser = stdlib.OpenDB(*config)
	t.Cleanup(func() {
		if err := original.Close(); err != nil {
			t.Error(err)
		}
	})
	return counter
}

func TestIdleConsumersAskNothing(t *testing.T) {
	db := storagetest.Open(t, storagetest.PostgresURL(t))
	counter := countQueries(t, db)
	q := newQueue(t, db, queue.Config{Poll: never})
	topics := []string{"a", "b", "c", "d", "e"}
	for _, topic := range topics {
		for range 4 {
			msgs, _ := subscribe(t, q, topic)
			go func() {
				for msg := range msgs {
					msg.Ack()
				}
			}()
		}
	}
	for _, topic := range topics {
		publish(t, q, numbered(topic, 20)...)
	}
	publish(t, q, signalbox.Message{Topic: "a", Delay: time.Hour})
	// On a busy machine it takes its time until all are idle.
	const window = 500 * time.Millisecond
	deadline := time.Now().Add(30 * time.Second)
	for {
		before := counter.n.Load()
		time.Sleep(window)
		if asked := counter.n.Load() - before; asked == 0 && before > 0 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("consumers made %d queries within %s, and are never idle", asked, window)
		}
	}
}

// The safety poll is one consumer's per topic, however many there are.
func TestSafetyPollIsCheap(t *testing.T) {
	db := storagetest.Open(t, storagetest.PostgresURL(t))
	counter := countQueries(t, db)
	const poll, window = 200 * time.Millisecond, time.Second
	q := newQueue(t, db, queue.Config{Poll: poll})
	for range 10 {
		subscribe(t, q, "work")
	}
	time.Sleep(300 * time.Millisecond)
	before := counter.n.Load()
	time.Sleep(window)
	// A lease, and a look at the clock by the one who slept on and by the one who
	// came back.
	if asked, most := counter.n.Load()-before, int64(3*(window/poll+1)); asked > most {
		t.Errorf("ten idle consumers made %d queries in %s, want at most %d", asked, window, most)
	}
}

// A database that drops every connection, twice, costs time and no message.
func TestConnectionLoss(t *testing.T) {
	url := storagetest.PostgresURL(t)
	db := storagetest.Open(t, url)
	q := newQueue(t, db, queue.Config{Poll: 200 * time.Millisecond, Lease: time.Second})
	admin, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()

	const total = 400
	publish(t, q, numbered("work", total)...)
	var (
		mu  sync.Mutex
		got = map[string]int{}
	)
	for range 4 {
		msgs, _ := subscribe(t, q, "work")
		go func() {
			for msg := range msgs {
				time.Sleep(2 * time.Millisecond) // the work
				mu.Lock()
				got[msg.UUID]++
				mu.Unlock()
				msg.Ack()
			}
		}()
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(got)
	}
	for _, at := range []int{total / 8, total / 2} {
		eventually(t, "some were handled", func() bool { return count() >= at })
		if _, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all were handled", func() bool { return count() == total })
	// Pooled connections that were cut off fail once each.
	eventually(t, "all were acked", func() bool {
		depths, err := q.Depth(context.Background())
		if err != nil && !signalbox.IsTransient(err) {
			t.Fatal(err)
		}
		return err == nil && len(depths) == 0
	})

	// And goes on.
	eventually(t, "it was published", func() bool {
		err := q.Publish(context.Background(), signalbox.Message{Topic: "work", ID: "after"})
		if err != nil && !signalbox.IsTransient(err) {
			t.Fatal(err)
		}
		return err == nil
	})
	eventually(t, "the queue works again", func() bool { return count() == total+1 })
	if diff := cmp.Diff(1, got["after"]); diff != "" {
		t.Error(diff)
	}
}
