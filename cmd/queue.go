package cmd

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/storage/queue"
)

// tellOfLeftovers says which messages nobody here consumes, such as those to a channel
// that the configuration does not have any more. They are left alone: another instance
// may have it, or the next configuration.
func (a *app) tellOfLeftovers(ctx context.Context) {
	depths, err := a.queue.Depth(ctx)
	if err != nil {
		return // who watches the queue's depth is told
	}
	for _, d := range depths {
		if !slices.Contains(a.pipeline.Topics(), d.Topic) {
			a.log.Warn("messages wait for a channel or processor that this instance does not have", "queue", d.Topic, "messages", d.Ready+d.Leased+d.Scheduled)
		}
	}
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
