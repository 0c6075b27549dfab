package pipeline

import "github.com/prometheus/client_golang/prometheus"

// metrics are what the pipeline counts.
type metrics struct {
	accepted    prometheus.Counter
	commits     prometheus.Counter
	commitSize  prometheus.Histogram
	processed   prometheus.Counter
	stored      prometheus.Counter
	retried     *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	redelivered prometheus.Counter
	latency     prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_" + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "signalbox_" + name, Help: help}, labels)
	}
	m := &metrics{
		accepted:    counter("requests_accepted_total", "Send requests stored durably."),
		commits:     counter("accept_commits_total", "Commits that stored send requests."),
		processed:   counter("requests_processed_total", "Send requests that went through the chain."),
		stored:      counter("notifications_stored_total", "Inbox rows added or revised."),
		retried:     counters("retries_total", "Items set aside for another attempt.", "stage"),
		deadLetters: counters("dead_letters_total", "Items given up.", "stage"),
		redelivered: counter("messages_deferred_total", "Messages put back because the infrastructure failed."),
		commitSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signalbox_accept_commit_submissions", Help: "Submissions that shared a commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signalbox_pipeline_seconds", Help: "Time from acceptance to the commit of the inbox.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
	}
	for _, c := range []prometheus.Collector{
		m.accepted, m.commits, m.commitSize, m.processed, m.stored, m.retried,
		m.deadLetters, m.redelivered, m.latency,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
