package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/delivery"
	"github.com/signalbox/signalbox/pipeline/isolate"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// Deps are what the pipeline works with. All are required unless noted.
type Deps struct {
	// Subscribe returns a new subscriber for one consumer of a topic.
	Subscribe func() message.Subscriber
	// Position returns the position in the queue of a message that a subscriber
	// handed out: unique, and higher for what was published later.
	Position func(*message.Message) int64
	// Leases returns how often such a message was leased, this time included.
	Leases func(*message.Message) int
	// Blame tells that such a message goes back for a reason of its own, so that its
	// lease counts; nil if none ever does.
	Blame     func(*message.Message)
	Accepter  signalbox.Accepter
	Committer signalbox.Committer
	// Deliveries keeps what is on its way to channels and processors.
	Deliveries signalbox.DeliveryStore
	// Snoozes tells which notifications are back.
	Snoozes signalbox.Snoozes
	// Instances returns how many instances share the limits of channels; nil means
	// one.
	Instances func() int
	Signaler  signalbox.Signaler
	// Listening reports whether signals reach anybody at all; nil means that they
	// may.
	Listening func() bool
	// Announcer reaches the other instances; nil if there are none.
	Announcer Announcer

	// Recipients is the built-in step that fills in [signalbox.Item.Users]. It
	// runs after the options phase of the processors.
	Recipients signalbox.Stage
	// Stages are the built-in steps between that and the per-recipient phase of
	// the processors; may be empty.
	Stages []signalbox.Stage
	// Processors are the custom steps, in order; may be empty.
	Processors []signalbox.Processor
	// Filters keep notifications from processors, by their names; may be empty.
	// Those of channels are part of what the settings stage decides.
	Filters map[string]signalbox.PayloadFilter
	// Channels are the outside channels; may be empty.
	Channels []channels.Channel
	// Schedules say when users want what is sent outside; nil for at once. Explainer
	// decides anew about what was held; may be nil.
	Schedules delivery.Schedules
	Explainer delivery.Explainer
	// Rules checks what custom processors leave behind.
	Rules Rules

	// Registerer defaults to a registry of its own.
	Registerer prometheus.Registerer
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Announcer tells every other instance something; their pipelines get it by
// [Pipeline.Announced]. Announcements may be lost.
type Announcer interface {
	Announce(payload []byte)
}

// Config tunes the pipeline. The zero value has the defaults.
type Config struct {
	// Consumers is how many messages of TopicNotifications are processed at a
	// time. Defaults to 2.
	Consumers int
	// FanoutConsumers is the same for TopicFanout. Defaults to 1: more of them
	// would take the database from what is not as large.
	FanoutConsumers int
	// RetryConsumers is the same for TopicRetry. Defaults to 4.
	RetryConsumers int
	// DeliveryConsumers is the same for each channel and post processor that has no
	// limit of its own. Defaults to 4.
	DeliveryConsumers int
	// DeliveryMaxAge is how long a delivery is tried before it becomes a dead
	// letter. Defaults to 24h.
	DeliveryMaxAge time.Duration
	// Lease is how long a consumer of the queue may keep a message. Defaults to 30s.
	Lease time.Duration
	// Committers is how many commits of accepted requests are under way at a
	// time. Defaults to 1: more of them make smaller commits.
	Committers int
	// Patience is how long custom processors may take for a batch before slow
	// items are set aside. Defaults to 1s.
	Patience time.Duration
	// ProcessorTimeout bounds all custom processors together for an item on its
	// own, and a call of a channel. It must be shorter than the queue's lease by
	// what a commit may take. Defaults to 20s.
	ProcessorTimeout time.Duration
	// AcceptTimeout bounds the commit of accepted requests. Defaults to 10s.
	AcceptTimeout time.Duration
	// CloseTimeout bounds how long Close waits for messages in work. Defaults to
	// 15s.
	CloseTimeout time.Duration
	// Retry says when what failed is tried again.
	Retry retry.Policy
}

func (c Config) withDefaults() Config {
	positive := func(n *int, otherwise int) {
		if *n <= 0 {
			*n = otherwise
		}
	}
	lasting := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	positive(&c.Consumers, 2)
	positive(&c.FanoutConsumers, 1)
	positive(&c.RetryConsumers, 4)
	positive(&c.DeliveryConsumers, 4)
	positive(&c.Committers, 1)
	lasting(&c.Patience, time.Second)
	lasting(&c.ProcessorTimeout, 20*time.Second)
	lasting(&c.AcceptTimeout, 10*time.Second)
	lasting(&c.CloseTimeout, 15*time.Second)
	lasting(&c.DeliveryMaxAge, 24*time.Hour)
	lasting(&c.Lease, 30*time.Second)
	c.Retry = c.Retry.WithDefaults()
	return c
}

// Pipeline takes send requests to inboxes and channels. It implements
// [signalbox.Submitter].
type Pipeline struct {
	deps     Deps
	config   Config
	log      *slog.Logger
	metrics  *metrics
	instance string
	// chain has the steps before and after a request is split into parts.
	chain [2]chain
	// posts are the processors that run after storing.
	posts []postPhase
	// engine takes deliveries to channels and posts.
	engine    *delivery.Engine
	coalescer *coalescer
	waiters   *waiters
	router    *message.Router
	topics    []string // that have consumers
	now       func() time.Time
}

// New makes a pipeline. It starts no goroutine; call [Pipeline.Run].
func New(deps Deps, config Config) (*Pipeline, error) {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Registerer == nil {
		deps.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, fmt.Errorf("pipeline: metrics: %w", err)
	}
	p := &Pipeline{
		deps:     deps,
		config:   config.withDefaults(),
		log:      deps.Logger,
		metrics:  m,
		instance: newID(),
		waiters:  newWaiters(),
		now:      func() time.Time { return time.Now().UTC() },
	}
	p.coalescer = newCoalescer(deps.Accepter, p.config.AcceptTimeout, m)
	if err := p.compose(); err != nil {
		return nil, err
	}
	p.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: p.config.CloseTimeout},
		watermill.NewSlogLoggerWithLevelMapping(deps.Logger, map[slog.Level]slog.Level{
			// Watermill tells every message and every handler at info.
			slog.LevelInfo: slog.LevelDebug,
		}))
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	p.route()
	return p, nil
}

// compose builds the chain and the consumers of processors and channels.
func (p *Pipeline) compose() error {
	var (
		names            []string
		options, recipes []signalbox.Stage
		posts            []signalbox.PostProcessor
	)
	if len(p.deps.Channels) > maxChannels {
		return fmt.Errorf("pipeline: %d channels are more than %d", len(p.deps.Channels), maxChannels)
	}
	for _, c := range p.deps.Channels {
		names = append(names, c.Name())
	}
	for _, processor := range p.deps.Processors {
		names = append(names, processor.Name())
		filter := p.deps.Filters[processor.Name()]
		phases := 0
		if o, ok := processor.(signalbox.OptionsProcessor); ok {
			options = append(options, newOptionsStage(o, p.deps.Rules, filter, p.hasChannel))
			phases++
		}
		if r, ok := processor.(signalbox.PreProcessor); ok {
			recipes = append(recipes, newPreProcessStage(r, p.deps.Rules, filter))
			phases++
		}
		if o, ok := processor.(signalbox.PostProcessor); ok {
			p.posts = append(p.posts, postPhase{processor.Name(), filter})
			posts = append(posts, o)
			phases++
		}
		if phases == 0 {
			return fmt.Errorf("pipeline: processor %q has no phase: it needs ProcessOptions, PreProcess or PostProcess as in signalbox.OptionsProcessor, PreProcessor, PostProcessor", processor.Name())
		}
	}
	if err := checkNames(names); err != nil {
		return err
	}
	p.chain[0] = append(options, p.deps.Recipients)
	p.chain[1] = append(slices.Clone(p.deps.Stages), recipes...)
	var err error
	p.engine, err = delivery.New(delivery.Deps{
		Store: p.deps.Deliveries, Channels: p.deps.Channels, Processors: posts, Instances: p.deps.Instances,
		Schedules: p.deps.Schedules, Explainer: p.deps.Explainer,
		Registerer: p.deps.Registerer, Logger: p.deps.Logger,
	}, delivery.Config{
		Retry: p.config.Retry, MaxAge: p.config.DeliveryMaxAge,
		Timeout: min(p.config.ProcessorTimeout, p.config.Lease*2/3),
		Lease:   p.config.Lease, Concurrency: p.config.DeliveryConsumers,
	})
	return err
}

// route adds the consumers of every topic to the Watermill router.
func (p *Pipeline) route() {
	add := func(topic string, consumers int, handle func(context.Context, *message.Message) error) {
		p.topics = append(p.topics, topic)
		for i := range consumers {
			p.router.AddConsumerHandler(fmt.Sprintf("%s-%d", topic, i), topic, p.deps.Subscribe(),
				func(msg *message.Message) error { return p.guard(msg, handle) })
		}
	}
	add(TopicNotifications, p.config.Consumers, func(ctx context.Context, msg *message.Message) error {
		return p.handle(ctx, msg, TopicNotifications, p.config.Patience)
	})
	add(TopicFanout, p.config.FanoutConsumers, func(ctx context.Context, msg *message.Message) error {
		return p.handle(ctx, msg, TopicFanout, p.config.ProcessorTimeout)
	})
	add(TopicRetry, p.config.RetryConsumers, func(ctx context.Context, msg *message.Message) error {
		return p.handle(ctx, msg, TopicRetry, p.config.ProcessorTimeout)
	})
	add(signalbox.TopicWake, 1, p.wake)
	for _, c := range p.engine.Consumers() {
		add(c.Topic, c.Concurrency, func(ctx context.Context, msg *message.Message) error {
			return c.Handle(ctx, msg.Payload, signalbox.Lease{Position: p.deps.Position(msg), Count: p.deps.Leases(msg)})
		})
	}
}

// Topics are those that this pipeline consumes.
func (p *Pipeline) Topics() []string { return slices.Clone(p.topics) }

// guard counts the messages that go back to the queue. The router logs why, but of a
// panic not where.
func (p *Pipeline) guard(msg *message.Message, handle func(context.Context, *message.Message) error) error {
	err := signalbox.Guard(func() error { return handle(msg.Context(), msg) })
	if err != nil {
		p.metrics.redelivered.Inc()
		if p.deps.Blame != nil && !signalbox.IsTransient(err) && msg.Context().Err() == nil {
			p.deps.Blame(msg) // else it would come back for ever
		}
	}
	if bug := (*signalbox.PanicError)(nil); errors.As(err, &bug) {
		p.log.LogAttrs(msg.Context(), slog.LevelError, "a message was not processed", isolate.Attrs(err)...)
	}
	return err
}

// Submit implements [signalbox.Submitter].
func (p *Pipeline) Submit(ctx context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
	if len(s.Requests) == 0 {
		return signalbox.Submitted{Receipts: []signalbox.Receipt{}, Done: true}, nil
	}
	waiting := ""
	if s.Wait > 0 {
		waiting = p.instance
	}
	pending, ids, err := newPending(s, waiting, p.now().Truncate(time.Microsecond))
	if err != nil {
		return signalbox.Submitted{}, err
	}
	var result *waiter
	deadline := p.now().Add(s.Wait)
	if waiting != "" {
		result = p.waiters.expect(ids)
		defer p.waiters.forget(ids)
	}
	if err := p.coalescer.submit(ctx, pending); err != nil {
		return signalbox.Submitted{}, err
	}
	if pending.earlier != nil {
		return pending.repeated()
	}
	p.metrics.accepted.Add(float64(len(s.Requests)))
	submitted := signalbox.Submitted{Receipts: pending.receipts}
	if result != nil {
		submitted.Notifications, submitted.Done = p.waiters.await(ctx, result, ids, deadline.Sub(p.now()))
	}
	return submitted, nil
}

// Run processes messages until ctx is done or Close is called. It returns after
// everything it started has ended.
func (p *Pipeline) Run(ctx context.Context) error {
	p.coalescer.start(p.config.Committers)
	defer p.coalescer.close()
	if err := p.router.Run(ctx); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return nil
}

// Health says how each channel does.
func (p *Pipeline) Health() []delivery.ChannelHealth { return p.engine.Health() }

// Running is closed once messages are being processed.
func (p *Pipeline) Running() <-chan struct{} { return p.router.Running() }

// Close refuses new submissions, stores those that wait, lets the messages in
// work finish (up to [Config.CloseTimeout]), and leaves the others in the queue.
func (p *Pipeline) Close() error {
	p.coalescer.close()
	p.engine.Stop()
	err := p.router.Close()
	p.engine.Close()
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return nil
}

var _ signalbox.Submitter = (*Pipeline)(nil)
