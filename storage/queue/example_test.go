package queue_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
)

func Example() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: deployed (lease 1)
}

func run(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	db, err := database.Open(ctx, database.Config{URL: "sqlite:" + filepath.Join(folder, "signalbox.db")})
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Migrate(ctx); err != nil {
		return err
	}

	q, err := queue.New(db, queue.Config{})
	if err != nil {
		return err
	}
	subscriber := q.Subscriber()
	defer subscriber.Close()
	messages, err := subscriber.Subscribe(ctx, "notifications")
	if err != nil {
		return err
	}
	if err := q.Publish(ctx, signalbox.Message{Topic: "notifications", Payload: []byte("deployed")}); err != nil {
		return err
	}
	msg := <-messages
	fmt.Printf("%s (lease %d)\n", msg.Payload, queue.Leases(msg))
	msg.Ack()
	return nil
}
