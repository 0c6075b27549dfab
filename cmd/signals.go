package cmd

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/bus"
	"github.com/signalbox/signalbox/storage/queue"
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

// depthCollector shows the queue's depth when metrics are scraped.
type depthCollector struct {
	queue *queue.Queue
	log   *slog.Logger
}

var (
	depthDesc = prometheus.NewDesc("signalbox_queue_messages",
		"Messages on the queue: ready, leased to a consumer, or scheduled for later.", []string{"topic", "state"}, nil)
	ageDesc = prometheus.NewDesc("signalbox_queue_oldest_ready_seconds",
		"For how long the oldest ready message has been due.", []string{"topic"}, nil)
)

// Describe implements [prometheus.Collector].
func (*depthCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- depthDesc
	descriptions <- ageDesc
}

// Collect implements [prometheus.Collector].
func (c *depthCollector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	depths, err := c.queue.Depth(ctx)
	if err != nil {
		c.log.Warn("cannot read the queue's depth", "error", err)
		return
	}
	for _, d := range depths {
		for state, n := range map[string]int64{"ready": d.Ready, "leased": d.Leased, "scheduled": d.Scheduled} {
			metrics <- prometheus.MustNewConstMetric(depthDesc, prometheus.GaugeValue, float64(n), d.Topic, state)
		}
		metrics <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, d.OldestReady.Seconds(), d.Topic)
	}
}
