package queue_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

func benchEach(b *testing.B, run func(b *testing.B, db *database.DB)) {
	b.Run("sqlite", func(b *testing.B) { run(b, storagetest.Open(b, storagetest.SQLiteURL(b))) })
	b.Run("postgres", func(b *testing.B) { run(b, storagetest.Open(b, storagetest.PostgresURL(b))) })
}

// BenchmarkLatency is publish to receive with an idle consumer.
func BenchmarkLatency(b *testing.B) {
	benchEach(b, func(b *testing.B, db *database.DB) {
		q := newQueue(b, db, queue.Config{Poll: never})
		msgs, _ := subscribe(b, q, "work")
		var published, received []time.Duration
		for b.Loop() {
			start := time.Now()
			publish(b, q, signalbox.Message{Topic: "work", ID: "m", Payload: []byte("x")})
			committed := time.Now()
			msg := next(b, msgs)
			received = append(received, time.Since(committed))
			published = append(published, committed.Sub(start))
			msg.Ack()
			time.Sleep(2 * time.Millisecond) // idle again
		}
		slices.Sort(published)
		slices.Sort(received)
		report := func(name string, d []time.Duration, share int) {
			b.ReportMetric(float64(d[len(d)*share/100].Microseconds()), name)
		}
		report("publish-p50-µs", published, 50)
		report("wake-p50-µs", received, 50)
		report("wake-p99-µs", received, 99)
	})
}

// BenchmarkDrain is how fast consumers that do nothing empty a backlog.
func BenchmarkDrain(b *testing.B) {
	benchEach(b, func(b *testing.B, db *database.DB) {
		for _, consumers := range []int{1, 4} {
			b.Run(fmt.Sprintf("consumers=%d", consumers), func(b *testing.B) {
				const backlog = 20_000
				for b.Loop() {
					q := newQueue(b, db, queue.Config{Poll: never})
					for range backlog / 1000 {
						publish(b, q, numbered("work", 1000)...)
					}
					done := make(chan struct{}, backlog)
					subscriber := q.Subscriber()
					start := time.Now()
					for range consumers {
						msgs, err := subscriber.Subscribe(context.Background(), "work")
						if err != nil {
							b.Fatal(err)
						}
						go func(msgs <-chan *message.Message) {
							for msg := range msgs {
								msg.Ack()
								done <- struct{}{}
							}
						}(msgs)
					}
					for range backlog {
						<-done
					}
					b.ReportMetric(backlog/time.Since(start).Seconds(), "msgs/s")
					closeSubscriber(b, subscriber)
				}
			})
		}
	})
}
