package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/isolate"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// consumer is what takes the messages of one topic: a channel, or a processor
// after storing, which is a channel without targets, limits and age.
type consumer struct {
	engine *Engine
	name   string
	topic  string

	concurrency int
	timeout     time.Duration
	retry       retry.Policy
	// maxAge ends deliveries; 0 for never.
	maxAge time.Duration

	// channel is set unless it is a processor.
	channel bool
	deliver func(ctx context.Context, delivery channels.Delivery) (channels.Sent, error)
	// digest is nil if it knows no digests.
	digest func(ctx context.Context, digest channels.Digest) (channels.Sent, error)
	// resolve is nil if targets need not be found out.
	resolve func(ctx context.Context, delivery channels.Delivery, cursor string) (channels.Targets, error)

	gate       *gate
	targets    *targets
	isolation  *isolate.Isolation
	health     health
	unrecorded unrecorded
}

func newChannelConsumer(e *Engine, channel channels.Channel) *consumer {
	var limits channels.Limits
	if limited, ok := channel.(channels.Limited); ok {
		limits = limited.Limits()
	}
	c := &consumer{
		engine: e, name: channel.Name(), topic: Topic(channel.Name()),
		concurrency: e.config.Concurrency, timeout: e.config.Timeout,
		retry: e.config.Retry, maxAge: e.config.MaxAge,
		channel: true, deliver: channel.Deliver, targets: newTargets(limits.PerTarget),
		isolation: isolate.New(maxStuck, lateness),
	}
	if limits.Concurrency > 0 {
		c.concurrency = min(limits.Concurrency, maxConcurrency)
	}
	if limits.Timeout > 0 {
		c.timeout = min(limits.Timeout, c.timeout)
	}
	if resolver, ok := channel.(channels.Resolver); ok {
		c.resolve = resolver.Resolve
	}
	if digester, ok := channel.(channels.Digester); ok {
		c.digest = digester.DeliverDigest
	}
	c.retry.MaxAttempts = retry.Unlimited // the age ends them
	e.metrics.breaker.WithLabelValues(c.name).Set(float64(gobreaker.StateClosed))
	c.gate = newGate(e.config, limits.PerChannel, true, c.breakerChanged)
	return c
}

func newProcessorConsumer(e *Engine, processor signalbox.PostProcessor) *consumer {
	c := &consumer{
		engine: e, name: processor.Name(), topic: ProcessorTopic(processor.Name()),
		concurrency: e.config.Concurrency, timeout: e.config.Timeout, retry: e.config.Retry,
		deliver: func(ctx context.Context, delivery channels.Delivery) (channels.Sent, error) {
			return channels.Sent{}, processor.PostProcess(ctx, delivery.Notification)
		},
		targets: newTargets(channels.Rate{}), isolation: isolate.New(maxStuck, lateness),
	}
	// What fails there may be the notification's fault, and holds up no other.
	c.gate = newGate(e.config, channels.Rate{}, false, c.breakerChanged)
	return c
}

// breakerChanged is called by the breaker, which must not be asked anything then.
func (c *consumer) breakerChanged(to gobreaker.State) {
	c.engine.metrics.breaker.WithLabelValues(c.name).Set(float64(to))
	level := slog.LevelInfo
	if to == gobreaker.StateOpen {
		level = slog.LevelWarn
	}
	c.engine.log.LogAttrs(context.Background(), level, "a channel's circuit breaker changed",
		slog.String("channel", c.name), slog.String("state", to.String()))
}

const (
	// maxStuck is how many calls of a consumer may hang before no more are made.
	maxStuck = 64
	// lateness is how long a call may go on after its context ended, so that its
	// own result counts: what was sent after all is not sent again.
	lateness = time.Second
)

// maxLeases is how often a message is leased before it is given up: its consumers
// die or run out of time, perhaps because of it.
const maxLeases = 10

var errLeases = errors.New("its consumers died or ran out of time, again and again")

// errLeaseEnds is why a message that is handed over again waits for another lease.
var errLeaseEnds = signalbox.Transient(errors.New("delivery: the lease ends too soon for a call"))

// handle takes one message to its settlement. See [Consumer].Handle.
func (c *consumer) handle(ctx context.Context, payload []byte, lease signalbox.Lease) error {
	// A message that is handed over again, after an error, has only what is left.
	end := time.Now().Add(c.engine.config.Lease)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	message, err := Decode(payload)
	if err == nil && message.Key.Channel != c.name {
		err = fmt.Errorf("delivery: a delivery to %q does not belong here", message.Key.Channel)
	}
	if err != nil {
		return c.bury(ctx, payload, lease, err)
	}
	a := &attempt{
		consumer: c, message: message, lease: lease,
		deadline:  end.Add(-c.engine.config.reserve()),
		holdUntil: end.Add(c.patience() - c.engine.config.Lease),
	}
	if settlement, ok := c.unrecorded.get(message.Key.ID()); ok {
		settlement.Lease = lease
		return c.settleSent(ctx, settlement)
	}
	if lease.Count > maxLeases {
		return c.settle(ctx, a.tooOften(ctx))
	}
	// Somebody may have settled it: the consumer before, or the first of two that
	// were made of one dead letter.
	if lease.Count > 1 || message.Since.IsZero() {
		record, found, err := c.engine.store.Delivery(ctx, message.Key)
		if err != nil {
			return fmt.Errorf("delivery: %w", err)
		}
		if found && (record.Status == signalbox.DeliveryDelivered || record.Status == signalbox.DeliverySuppressed) {
			return nil
		}
	}
	if message.Since.IsZero() {
		a.message.Since = stamp()
	}
	defer a.permit.unused()
	if time.Until(a.deadline) < c.timeout*3/4 { // a little is always gone
		// There is nothing to do but to wait for one whose time is whole.
		return errors.Join(errLeaseEnds, c.engine.sleep(ctx, time.Until(end)))
	}
	settlement, err := a.run(ctx)
	if err != nil {
		return err
	}
	sent := settlement.Record.Status == signalbox.DeliveryDelivered
	settlement = a.withMembers(settlement)
	settlement.Lease = lease
	if sent {
		return c.settleSent(ctx, settlement)
	}
	return c.settle(ctx, settlement)
}

// patience is how long a message may be held before its calls begin: a third of
// the lease, if that leaves the time for a call and the settlement.
func (c *consumer) patience() time.Duration {
	config := c.engine.config
	return max(0, min(config.Lease/3, config.Lease-config.reserve()-c.timeout))
}

func (c *consumer) settle(ctx context.Context, settlement signalbox.Settlement) error {
	return c.engine.settler.settle(ctx, settlement)
}

// settleSent records a success, and remembers it for as long as that fails.
func (c *consumer) settleSent(ctx context.Context, settlement signalbox.Settlement) error {
	id := settlement.Record.ID()
	if err := c.settle(ctx, settlement); err != nil {
		c.unrecorded.put(id, settlement)
		return err
	}
	c.unrecorded.remove(id)
	return nil
}

// bury keeps a message that cannot be read as a dead letter. Its record, if it can be
// told which one that is, must not go on waiting.
func (c *consumer) bury(ctx context.Context, payload []byte, lease signalbox.Lease, cause error) error {
	c.engine.metrics.deadLetters.WithLabelValues(c.name).Inc()
	c.engine.log.LogAttrs(ctx, slog.LevelError, "a message cannot be read",
		slog.String("channel", c.name), slog.Int64("position", lease.Position), slog.Any("error", cause))
	now := stamp()
	letter := signalbox.DeadLetter{
		ID: fmt.Sprintf("%s/%d", c.topic, lease.Position), Topic: c.topic, Payload: payload,
		Stage: "decode", Error: retry.ErrorText(cause), Attempts: 1, Created: now, Died: now,
	}
	if m := identify(payload); m.Key.RequestID != "" && m.Key.Channel == c.name {
		known := letter
		known.RequestID, known.Origin, known.Delivery = m.Key.RequestID, m.Origin, m.Key
		record := m.record(signalbox.DeliveryFailed, now)
		record.Detail = retry.Text(cause.Error(), maxDetail)
		err := c.settle(ctx, signalbox.Settlement{Record: record, Lease: lease, DeadLetter: &known})
		if err == nil || signalbox.IsTransient(err) {
			return err
		}
		// What it says cannot be stored.
	}
	return c.settle(ctx, signalbox.Settlement{Lease: lease, DeadLetter: &letter})
}
