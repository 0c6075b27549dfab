package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// outageStage fails the items that need a directory while that is away.
type outageStage struct {
	usersStage
	err error
}

func (s *outageStage) Process(ctx context.Context, batch *signalbox.Batch) error {
	for _, item := range batch.Live() {
		if s.err != nil && item.Request.Recipients.EntityRefs[0] == "group:default/a" {
			item.Fail("recipients", s.err)
		}
	}
	return s.usersStage.Process(ctx, batch)
}

func TestAnOutageDelaysAndBuriesNothing(t *testing.T) {
	stage := &outageStage{}
	stage.err = signalbox.Transient(errors.New("the catalog is away"))
	b := newBench(t, func(d *Deps, c *Config) {
		d.Recipients = stage
		c.Retry = retry.Policy{MaxAttempts: 3, Min: time.Second, Max: 8 * time.Second}
	})
	b.submit(t, request("to a group", "group:default/a"), request("to a user", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if got := b.titles(); got["to a user"] != 1 || got["to a group"] != 0 {
		t.Fatalf("rows %v: an item that needs no directory has to pass", got)
	}
	for wait := range 20 {
		msg := b.one(t, TopicRetry)
		if msg.Delay > 8*time.Second {
			t.Fatalf("after %d waits the delay is %s", wait, msg.Delay)
		}
		if err := b.process(t, msg); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.memory.dead) != 0 {
		t.Fatalf("%d dead letters after a long outage", len(b.memory.dead))
	}

	// What then is its own fault still has all its attempts, and no more.
	stage.err = errors.New("something else")
	for range 2 {
		if err := b.process(t, b.one(t, TopicRetry)); err != nil {
			t.Fatal(err)
		}
	}
	msg := b.one(t, TopicRetry)
	stage.err = nil
	if err := b.process(t, msg); err != nil {
		t.Fatal(err)
	}
	if got := b.titles(); got["to a group"] != 1 || len(b.memory.dead) != 0 {
		t.Errorf("rows %v, %d dead letters", got, len(b.memory.dead))
	}
}

func TestADeliveryWaitsForAnOutage(t *testing.T) {
	audit := &post{err: signalbox.Transient(errors.New("the directory is away"))}
	b := newBench(t, func(d *Deps, c *Config) {
		d.Processors = []signalbox.Processor{audit}
		c.Retry.MaxAttempts = 2
	})
	b.submit(t, request("a", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := b.process(t, b.one(t, "post.audit")); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.memory.dead) != 0 {
		t.Errorf("%d dead letters", len(b.memory.dead))
	}
}
