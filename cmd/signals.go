package cmd

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/bus"
	"github.com/signalbox/signalbox/web/hub"
)

// The kinds of messages between instances.
const (
	kindWake   = "wake"
	kindSignal = "signal"
	kindResult = "result"
)

// signals reaches the clients of this instance and, by the bus, those of the
// others.
type signals struct {
	hub *hub.Hub
	bus *bus.Bus
	log *slog.Logger
}

// Signal implements [signalbox.Signaler].
func (s *signals) Signal(ctx context.Context, list ...signalbox.Signal) {
	s.hub.Signal(ctx, list...)
	if s.bus.Alone() {
		return
	}
	for i := range list {
		payload, err := json.Marshal(&list[i])
		if err != nil {
			s.log.Warn("a signal cannot be passed to other instances", "error", err)
			continue
		}
		s.bus.Send(kindSignal, payload)
	}
}

// announcer tells other instances what became of requests they wait for.
type announcer struct{ bus *bus.Bus }

// Announce implements [pipeline.Announcer].
func (a announcer) Announce(payload []byte) { a.bus.Send(kindResult, payload) }

// connectBus passes wake-ups, signals and results between instances.
func (a *app) connectBus() {
	a.queue.OnWake(func(topics []string) { a.bus.SendOnce(kindWake, []byte(strings.Join(topics, " "))) })
	a.bus.Handle(kindWake, func(payload []byte) { a.queue.WakeLocal(strings.Fields(string(payload))...) })
	a.bus.Handle(kindSignal, func(payload []byte) {
		var signal signalbox.Signal
		if err := json.Unmarshal(payload, &signal); err != nil {
			a.log.Warn("a signal of another instance cannot be read", "error", err)
			return
		}
		a.hub.Signal(context.Background(), signal)
	})
	a.bus.Handle(kindResult, a.pipeline.Announced)
}
