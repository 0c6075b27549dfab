package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signalbox/signalbox/channels"
)

// TestAPauseIsNotByTheWallClock: a clock that is set back must not make a pause longer
// by as much.
func TestAPauseIsNotByTheWallClock(t *testing.T) {
	m := newMemory()
	c := &fakeChannel{name: "Fake", act: func(context.Context, channels.Delivery) (channels.Sent, error) {
		return channels.Sent{}, channels.ChannelLimited(errors.New("slowly"), time.Minute)
	}}
	e := newEngine(t, m, Config{}, c)
	defer e.Close()
	m.plan(planned(t, "Fake", 1, "user:default/anna"))
	payload, lease, _, _ := m.lease(Topic("Fake"))
	if err := e.Consumers()[0].Handle(t.Context(), payload, lease); err != nil {
		t.Fatal(err)
	}
	until, _ := e.consumers[0].gate.closedUntil()
	if left := time.Until(until); left < 50*time.Second {
		t.Fatalf("it is paused for %s", left)
	}
	if until == until.Round(0) { //nolint:staticcheck // Equal does not see the monotonic reading
		t.Error("the pause ends by the wall clock")
	}
}
