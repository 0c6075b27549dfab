package web

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// unmatched is the route label of requests that reached no route, and
// otherMethod the method label of those with a method that their route has not.
const (
	unmatched   = "unmatched"
	otherMethod = "other"
)

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_http_requests_total",
			Help: "Requests answered, by method, route pattern and status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "signalbox_http_request_duration_seconds",
			Help:    "Time from a request read to its answer ready, by method and route pattern.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"method", "route"}),
	}
	for _, collector := range []prometheus.Collector{m.requests, m.duration} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observe counts a request. method and route must be constants or the table's:
// label values are kept, and Fiber's strings are not for keeping.
func (m *metrics) observe(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(method, route).Observe(took.Seconds())
}

// throttle lets one of many through per second: an outage fails every request,
// and needs to be logged only so often.
type throttle struct{ last atomic.Int64 }

func (t *throttle) pass(now time.Time) bool {
	last := t.last.Load()
	return now.UnixNano()-last >= int64(time.Second) && t.last.CompareAndSwap(last, now.UnixNano())
}
