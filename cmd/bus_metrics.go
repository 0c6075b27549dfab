package cmd

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/storage/bus"
)

// busCollector shows what passes between instances when metrics are scraped.
type busCollector struct{ stats func() bus.Stats }

var (
	busMessagesDesc = prometheus.NewDesc("signalbox_bus_messages_total",
		"Messages between instances: sent, received, dropped, or not sent because this instance is alone.", []string{"result"}, nil)
	busNotifiesDesc = prometheus.NewDesc("signalbox_bus_notifies_total",
		"Statements by which messages went to other instances.", nil, nil)
	busListensDesc = prometheus.NewDesc("signalbox_bus_listens_total",
		"How often listening to other instances began: at the start, and after every loss of the connection.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (*busCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- busMessagesDesc
	descriptions <- busNotifiesDesc
	descriptions <- busListensDesc
}

// Collect implements [prometheus.Collector].
func (c *busCollector) Collect(metrics chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, n int64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	stats := c.stats()
	counter(busMessagesDesc, stats.Sent, "sent")
	counter(busMessagesDesc, stats.Received, "received")
	counter(busMessagesDesc, stats.Dropped, "dropped")
	counter(busMessagesDesc, stats.Alone, "alone")
	counter(busNotifiesDesc, stats.Notifies)
	counter(busListensDesc, stats.Listens)
}
