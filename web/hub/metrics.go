package hub

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a hub counts.
type metrics struct {
	sent    prometheus.Counter
	slow    prometheus.Counter
	refused prometheus.Counter
	dropped prometheus.Counter
}

func newMetrics(h *Hub, reg prometheus.Registerer) (metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "signalbox", Subsystem: "signals", Name: name, Help: help,
		})
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "signalbox", Subsystem: "signals", Name: name, Help: help,
		}, func() float64 { return float64(value()) })
	}
	m := metrics{
		sent:    counter("sent_total", "Signals written to clients, once per client."),
		slow:    counter("slow_clients_total", "Clients closed because they did not keep up."),
		refused: counter("refused_connections_total", "Clients refused because too many were connected."),
		dropped: counter("dropped_total", "Signals dropped because they were invalid or too big."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.sent, m.slow, m.refused, m.dropped,
		gauge("connections", "Clients connected.", h.Connections),
		gauge("subscriptions", "Subscriptions of all connected clients.", h.Subscriptions),
	} {
		if err := reg.Register(c); err != nil {
			return metrics{}, fmt.Errorf("hub: register metrics: %w", err)
		}
	}
	return m, nil
}
