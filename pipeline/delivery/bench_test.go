package delivery

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// BenchmarkEngine measures deliveries through the engine to a fake channel, with
// a store and a queue in memory: what the engine itself costs.
func BenchmarkEngine(b *testing.B) {
	for _, latency := range []time.Duration{0, 100 * time.Millisecond} {
		for _, concurrency := range []int{4, 64} {
			b.Run(fmt.Sprintf("latency=%s/concurrency=%d", latency, concurrency), func(b *testing.B) {
				c := &quiet{fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: concurrency}}, latency}
				e := newEngine(b, nowhere{newMemory()}, Config{}, c)
				defer e.Close()
				payload := planned(b, "Fake", 1, "user:default/anna").Message.Payload
				work := make(chan int64)
				var wait sync.WaitGroup
				for range concurrency {
					wait.Go(func() {
						for position := range work {
							if err := e.Consumers()[0].Handle(context.Background(), payload, leased(position)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for n := 0; b.Loop(); n++ {
					work <- int64(n)
				}
				close(work)
				wait.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
			})
		}
	}
}

// quiet is a channel that remembers nothing and takes some time.
type quiet struct {
	fakeChannel
	latency time.Duration
}

func (q *quiet) Deliver(context.Context, channels.Delivery) (channels.Sent, error) {
	time.Sleep(q.latency)
	return channels.Sent{ID: "1"}, nil
}

// nowhere keeps nothing.
type nowhere struct{ *memory }

func (nowhere) Settle(context.Context, []signalbox.Settlement) error { return nil }

func leased(position int64) signalbox.Lease { return signalbox.Lease{Position: position, Count: 1} }
