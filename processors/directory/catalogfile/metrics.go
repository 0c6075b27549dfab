package catalogfile

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	entities, files, broken prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_directory_" + name, Help: help})
	}
	m := &metrics{
		entities: gauge("entities", "Entities that the catalog files define."),
		files:    gauge("files", "Catalog files."),
		broken:   gauge("files_broken", "Catalog files whose present content cannot be used."),
	}
	for _, collector := range []prometheus.Collector{m.entities, m.files, m.broken} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}
