package delivery

import "github.com/prometheus/client_golang/prometheus"

// metrics are what the engine counts, by channel or processor.
type metrics struct {
	delivered   *prometheus.CounterVec
	suppressed  *prometheus.CounterVec
	retried     *prometheus.CounterVec
	postponed   *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	breaker     *prometheus.GaugeVec
	inFlight    *prometheus.GaugeVec
	settled     prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_delivery_" + name, Help: help},
			append([]string{"channel"}, labels...))
	}
	gauges := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_delivery_" + name, Help: help}, []string{"channel"})
	}
	m := &metrics{
		delivered:   counters("delivered_total", "Deliveries that were taken."),
		suppressed:  counters("suppressed_total", "Deliveries that were decided against."),
		retried:     counters("retried_total", "Calls that failed and are made again."),
		postponed:   counters("postponed_total", "Deliveries put off without a call.", "reason"),
		deadLetters: counters("dead_letters_total", "Deliveries given up."),
		breaker:     gauges("breaker_state", "Whether calls are made: 0 yes (closed), 1 one to try (half-open), 2 no (open)."),
		inFlight:    gauges("in_flight", "Calls under way."),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signalbox_delivery_call_seconds", Help: "Time that calls took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"channel"}),
		settled: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signalbox_delivery_commit_settlements", Help: "Settlements that shared a commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
	}
	for _, c := range []prometheus.Collector{
		m.delivered, m.suppressed, m.retried, m.postponed, m.deadLetters, m.seconds, m.breaker, m.inFlight, m.settled,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
