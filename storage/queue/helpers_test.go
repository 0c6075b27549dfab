package queue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// never is a poll interval that no test lives to see.
const never = time.Hour

// each runs test on both databases and checks that no goroutine is left.
func each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	storagetest.Each(t, func(t *testing.T, url string) {
		leak := goleak.IgnoreCurrent()
		t.Cleanup(func() { goleak.VerifyNone(t, leak) })
		test(t, storagetest.Open(t, url))
	})
}

func newQueue(t testing.TB, db *database.DB, config queue.Config) *queue.Queue {
	t.Helper()
	q, err := queue.New(db, config)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// subscribe makes one consumer, closed when the test ends.
func subscribe(t testing.TB, q *queue.Queue, topic string) (<-chan *message.Message, message.Subscriber) {
	t.Helper()
	subscriber := q.Subscriber()
	t.Cleanup(func() { closeSubscriber(t, subscriber) })
	msgs, err := subscriber.Subscribe(context.Background(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return msgs, subscriber
}

func closeSubscriber(t testing.TB, subscriber message.Subscriber) {
	t.Helper()
	if err := subscriber.Close(); err != nil {
		t.Error(err)
	}
}

func publish(t testing.TB, q *queue.Queue, msgs ...signalbox.Message) {
	t.Helper()
	if err := q.Publish(context.Background(), msgs...); err != nil {
		t.Fatal(err)
	}
}

// numbered makes n messages with the identifiers 0 to n-1.
func numbered(topic string, n int) []signalbox.Message {
	msgs := make([]signalbox.Message, n)
	for i := range msgs {
		msgs[i] = signalbox.Message{Topic: topic, ID: fmt.Sprint(i), Payload: []byte("x")}
	}
	return msgs
}

// next waits for a message.
func next(t testing.TB, msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case msg, ok := <-msgs:
		if !ok {
			t.Fatal("the subscription ended")
		}
		return msg
	case <-time.After(patience):
		t.Fatal("no message came")
	}
	return nil
}

// none fails if a message comes within d.
func none(t testing.TB, msgs <-chan *message.Message, d time.Duration) {
	t.Helper()
	select {
	case msg, ok := <-msgs:
		if ok {
			t.Fatalf("message %s came", msg.UUID)
		}
	case <-time.After(d):
	}
}

// depth returns the counts of one topic.
func depth(t testing.TB, q *queue.Queue, topic string) queue.TopicDepth {
	t.Helper()
	depths, err := q.Depth(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range depths {
		if d.Topic == topic {
			return d
		}
	}
	return queue.TopicDepth{Topic: topic}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
