package cmd

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/storage/bus"
)

func TestBusMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&busCollector{func() bus.Stats {
		return bus.Stats{Sent: 1, Received: 2, Notifies: 3, Alone: 4, Dropped: 5, Listens: 6}
	}})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = metric.GetCounter().GetValue()
		}
	}
	if diff := cmp.Diff(map[string]float64{
		"signalbox_bus_messages_total sent":     1,
		"signalbox_bus_messages_total received": 2,
		"signalbox_bus_messages_total dropped":  5,
		"signalbox_bus_messages_total alone":    4,
		"signalbox_bus_notifies_total":          3,
		"signalbox_bus_listens_total":           6,
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
