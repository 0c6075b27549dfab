package backstage

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests            *prometheus.CounterVec
	seconds             prometheus.Histogram
	hits, misses, stale prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_backstage_catalog_" + name, Help: help})
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_backstage_catalog_requests_total", Help: "Requests to the Backstage catalog, by outcome.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signalbox_backstage_catalog_request_seconds", Help: "Duration of requests that were answered.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
		hits:   counter("cache_hits_total", "References that the cache answered."),
		misses: counter("cache_misses_total", "References that had to be asked for."),
		stale:  counter("cache_stale_total", "References that an old answer stood in for, because the catalog failed."),
	}
	for _, collector := range []prometheus.Collector{m.requests, m.seconds, m.hits, m.misses, m.stale} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}
