package pipeline

import (
	"context"
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
)

// What goes back to the queue for a reason of its own must not do so for ever; what only
// waits for the database, or was cut off, may.
func TestGuardBlames(t *testing.T) {
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		handle func() error
		cutOff bool
		blamed bool
	}{
		"handled":       {handle: func() error { return nil }},
		"failed":        {handle: func() error { return failed }, blamed: true},
		"panicked":      {handle: func() error { panic("bug") }, blamed: true},
		"an outage":     {handle: func() error { return signalbox.Transient(failed) }},
		"it is cut off": {handle: func() error { return failed }, cutOff: true},
	} {
		t.Run(name, func(t *testing.T) {
			blamed := 0
			b := newBench(t, func(d *Deps, _ *Config) { d.Blame = func(*message.Message) { blamed++ } })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			msg := message.NewMessage(watermill.NewUUID(), nil)
			msg.SetContext(ctx)
			_ = b.guard(msg, func(context.Context, *message.Message) error {
				if c.cutOff {
					cancel()
				}
				return c.handle()
			})
			if (blamed == 1) != c.blamed {
				t.Errorf("blamed %d times", blamed)
			}
		})
	}
}
