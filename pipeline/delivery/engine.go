package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// Deps are what the engine works with. All are required unless noted.
type Deps struct {
	Store signalbox.DeliveryStore
	// Channels and Processors are what is delivered to; may be empty. Their names
	// differ.
	Channels   []channels.Channel
	Processors []signalbox.PostProcessor
	// Schedules hold back what users do not want at once. Nil for delivering
	// everything at once.
	Schedules Schedules
	// Explainer decides anew about what was held. Nil for delivering it.
	Explainer Explainer
	// Instances returns how many instances share the rate limits, this one
	// included. It must be quick. Nil means one.
	Instances func() int
	// Registerer defaults to a registry of its own.
	Registerer prometheus.Registerer
	// Logger defaults to discarding. Payloads are never logged.
	Logger *slog.Logger
}

// Config tunes the engine. The zero value has the defaults.
type Config struct {
	// Retry says when a failed call is made again. MaxAttempts holds for
	// processors; deliveries to channels end by their age.
	Retry retry.Policy
	// MaxAge is how long a delivery to a channel is tried, from the acceptance of
	// its request, or from the time at which a person put it back. It becomes a
	// dead letter then. Defaults to 24h.
	MaxAge time.Duration
	// Timeout bounds a call; [channels.Limits] may make it shorter. Defaults to two
	// thirds of Lease, at most five sixths.
	Timeout time.Duration
	// Lease is how long a consumer may keep a message: that of the queue. Defaults
	// to 30s.
	Lease time.Duration
	// Concurrency is how many calls of a channel or processor are under way at a
	// time, if [channels.Limits] does not say. Defaults to 4.
	Concurrency int
	// BreakerFailures is how many calls of a channel must fail in a row before
	// calls are paused for BreakerPause; then one is made to try. Default to 5 and
	// 15s.
	BreakerFailures int
	BreakerPause    time.Duration
}

// maxConcurrency bounds [channels.Limits].Concurrency.
const maxConcurrency = 64

func (c Config) withDefaults() Config {
	lasting := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	lasting(&c.MaxAge, 24*time.Hour)
	lasting(&c.Lease, 30*time.Second)
	lasting(&c.Timeout, c.Lease*2/3)
	lasting(&c.BreakerPause, 15*time.Second)
	if c.Concurrency <= 0 {
		c.Concurrency = 4
	}
	if c.BreakerFailures <= 0 {
		c.BreakerFailures = 5
	}
	c.Retry = c.Retry.WithDefaults()
	return c
}

// reserve is the end of the lease, which is kept for the settlement.
func (c Config) reserve() time.Duration { return c.Lease / 6 }

func (c Config) validate() error {
	if most := c.Lease - c.reserve(); c.Timeout > most {
		return fmt.Errorf("delivery: Timeout must be at most %s, five sixths of Lease, not %s", most, c.Timeout)
	}
	if c.Concurrency > maxConcurrency {
		return fmt.Errorf("delivery: Concurrency must be at most %d, not %d", maxConcurrency, c.Concurrency)
	}
	return nil
}

// Engine delivers. Where a delivery can reach its target twice:
//
//   - The process dies, or is cut from the database for good, after a call had its
//     effect and before the settlement is stored. That is the time of one commit.
//     While the process lives it keeps trying to store the settlement, and a
//     message that comes back to it meanwhile is settled, not sent.
//   - A call times out or its connection breaks after the provider took the
//     message: nobody can know.
//   - A consumer stalls for longer than its lease (a suspended machine): another
//     one takes the message over.
type Engine struct {
	store     signalbox.DeliveryStore
	config    Config
	log       *slog.Logger
	metrics   *metrics
	settler   *settler
	consumers []*consumer
	instances func() int
	schedules Schedules
	explainer Explainer

	closing   chan struct{}
	closeOnce sync.Once
}

// New makes an engine. It starts no goroutine: the caller takes messages from the
// queue and hands them to [Engine.Consumers].
func New(deps Deps, config Config) (*Engine, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	if deps.Store == nil {
		return nil, errors.New("delivery: a store is required")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Registerer == nil {
		deps.Registerer = prometheus.NewRegistry()
	}
	if deps.Instances == nil {
		deps.Instances = func() int { return 1 }
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, fmt.Errorf("delivery: metrics: %w", err)
	}
	e := &Engine{
		store: deps.Store, config: config, log: deps.Logger, metrics: m, instances: deps.Instances,
		schedules: deps.Schedules, explainer: deps.Explainer,
		settler: &settler{store: deps.Store, timeout: config.reserve(), size: m.settled},
		closing: make(chan struct{}),
	}
	for _, channel := range deps.Channels {
		e.consumers = append(e.consumers, newChannelConsumer(e, channel))
	}
	for _, processor := range deps.Processors {
		e.consumers = append(e.consumers, newProcessorConsumer(e, processor))
	}
	return e, nil
}

// Consumer is a topic to consume. Each of its concurrent consumers hands over one
// message at a time.
type Consumer struct {
	Topic       string
	Concurrency int
	// Handle takes one message. After nil it is to be acknowledged: it was removed,
	// or put back as another one, so that removing it again changes nothing. After
	// an error it stays: the infrastructure failed. ctx ends with the lease, or
	// when the program must stop.
	Handle func(ctx context.Context, payload []byte, lease signalbox.Lease) error
}

// Consumers returns what is to be consumed.
func (e *Engine) Consumers() []Consumer {
	list := make([]Consumer, 0, len(e.consumers))
	for _, c := range e.consumers {
		list = append(list, Consumer{Topic: c.topic, Concurrency: c.concurrency, Handle: c.handle})
	}
	return list
}

// Health returns the state of every channel, in the order in which they were
// given, and then of processors.
func (e *Engine) Health() []ChannelHealth {
	list := make([]ChannelHealth, 0, len(e.consumers))
	for _, c := range e.consumers {
		list = append(list, c.healthNow())
	}
	return slices.Clip(list)
}

// Stop makes messages that wait in a consumer's hands go back to the queue at
// once. Call it when the program begins to stop.
func (e *Engine) Stop() { e.closeOnce.Do(func() { close(e.closing) }) }

// Close is Stop, and waits for commits under way. Call it after the consumers have
// ended.
func (e *Engine) Close() {
	e.Stop()
	e.settler.close()
}

// sleep waits so long, or until Stop. The error is of a ctx that ended.
func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-e.closing:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("delivery: interrupted: %w", ctx.Err())
	}
}

// stamp is the time as it is stored.
func stamp() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
