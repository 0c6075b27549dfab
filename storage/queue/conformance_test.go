package queue_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// TestConformance runs Watermill's own suite for pub/subs.
func TestConformance(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		if strings.HasPrefix(url, "sqlite:") {
			url = inMemory(t, url)
		}
		db := storagetest.Open(t, url)
		q, err := queue.New(db, queue.Config{
			Resend: 5 * time.Millisecond,
			// The suite closes subscribers whose messages nobody acks.
			CloseTimeout: 100 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		// Grouped, so that the database outlives the suite's parallel tests.
		t.Run("suite", func(t *testing.T) {
			tests.TestPubSub(t, tests.Features{
				GuaranteedOrder:                     true,
				GuaranteedOrderWithSingleSubscriber: true,
				Persistent:                          true,
				// modernc's SQLite is translated C, which the race detector slows down
				// twentyfold; without it the suite runs at full size here, too.
				ForceShort: testing.Short() || raceDetector && db.Dialect == database.SQLite,
			}, func(*testing.T) (message.Publisher, message.Subscriber) {
				return publisher{q}, q.Subscriber()
			}, nil)
		})
	})
}

// publisher is a queue's [queue.Queue.Publish] as Watermill has it.
type publisher struct{ queue *queue.Queue }

func (p publisher) Publish(topic string, msgs ...*message.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	list := make([]signalbox.Message, len(msgs))
	for i, m := range msgs {
		list[i] = signalbox.Message{Topic: topic, ID: m.UUID, Payload: m.Payload, Metadata: m.Metadata}
	}
	return p.queue.Publish(msgs[0].Context(), list...)
}

func (publisher) Close() error { return nil }

// inMemory moves an SQLite file to a file system in memory, if there is one: the
// suite makes tens of thousands of commits one by one, and whether the disk keeps
// them is not its question.
func inMemory(t *testing.T, url string) string {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "signalbox-test") //nolint:usetesting // TempDir is on disk
	if err != nil {
		return url
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return "sqlite:" + folder + "/signalbox.db"
}
