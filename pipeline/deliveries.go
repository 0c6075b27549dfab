package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// consumer takes notifications after they were stored: a channel or the
// after-storing phase of a processor. Each has a topic of its own.
type consumer struct {
	name  string
	topic string
	// channel is set for channels: only notifications routed to it are taken.
	channel bool
	// filter keeps notifications from a processor.
	filter    signalbox.PayloadFilter
	take      func(ctx context.Context, notification signalbox.Notification) error
	isolation *isolation
}

func channelConsumer(c channels.Channel) *consumer {
	return &consumer{
		name: c.Name(), topic: deliveryPrefix + c.Name(), channel: true,
		take: c.Deliver, isolation: newIsolation(c.Name()),
	}
}

func postConsumer(p signalbox.PostProcessor, filter signalbox.PayloadFilter) *consumer {
	return &consumer{
		name: p.Name(), topic: postPrefix + p.Name(), filter: filter,
		take: p.PostProcess, isolation: newIsolation(p.Name()),
	}
}

// delivery is the payload of a message on a consumer's topic: one notification
// revision for one consumer.
type delivery struct {
	Version int `json:"v"`
	tries
	Notification storedNotification `json:"notification"`
}

const deliveryVersion = 1

// planDeliveries makes the commit publish one message per notification and
// consumer, for exactly those revisions that the commit brings into being: a
// message that is processed again delivers nothing again. It returns nil if there
// is nobody to deliver to.
func (p *Pipeline) planDeliveries(c *plan, w *work) func([]signalbox.Outcome, func(string) bool) []signalbox.Message {
	if len(p.consumers) == 0 {
		return nil
	}
	for i := range w.entries {
		// What goes to channels only has no row to tell a repetition by.
		if slices.Contains(c.rowOf[i], -1) {
			c.commit.Once = append(c.commit.Once, w.entries[i].key())
		}
	}
	return func(outcomes []signalbox.Outcome, repeated func(string) bool) []signalbox.Message {
		var list []signalbox.Message
		for i, item := range w.batch.Items {
			for j := range c.rowOf[i] {
				routed := &item.Routed[j]
				notification := routed.Notification
				if row := c.rowOf[i][j]; row >= 0 {
					outcome := outcomes[row]
					if !outcome.Changed || outcome.Notification.RequestID != item.Request.ID {
						continue // stored before, or superseded by a newer revision
					}
					notification = outcome.Notification
				} else if repeated(w.entries[i].key()) {
					continue
				}
				list = append(list, p.deliveries(routed, notification)...)
			}
		}
		return list
	}
}

func (p *Pipeline) deliveries(routed *signalbox.Routed, notification signalbox.Notification) []signalbox.Message {
	var list []signalbox.Message
	for _, c := range p.consumers {
		if c.channel && !routed.To(c.name) || c.filter.Drops(notification.Payload.Topic, notification.Payload.Severity) != "" {
			continue
		}
		message, err := c.message(delivery{Notification: storedFrom(notification)}, 0)
		if err != nil {
			// Everything in it came out of JSON, so this cannot happen; if it
			// does, the notification still reaches the inbox.
			p.log.LogAttrs(context.Background(), slog.LevelError, "a delivery cannot be encoded",
				slog.String("consumer", c.name), slog.String("notification", notification.ID), slog.Any("error", err))
			continue
		}
		list = append(list, message)
	}
	return list
}

func (c *consumer) message(d delivery, delay time.Duration) (signalbox.Message, error) {
	d.Version = deliveryVersion
	payload, err := json.Marshal(d)
	if err != nil {
		return signalbox.Message{}, fmt.Errorf("delivery: %w", err)
	}
	return signalbox.Message{Topic: c.topic, ID: d.Notification.ID, Payload: payload, Delay: delay}, nil
}

// deliver hands one notification to its consumer. A returned error puts the
// message back; a failure of the consumer becomes a later message or a dead
// letter instead.
func (p *Pipeline) deliver(ctx context.Context, msg *message.Message, c *consumer) error {
	var d delivery
	if err := json.Unmarshal(msg.Payload, &d); err != nil {
		return p.bury(ctx, msg, c.topic, err)
	}
	if d.Version != deliveryVersion {
		return p.bury(ctx, msg, c.topic, fmt.Errorf("delivery: version %d is not known", d.Version))
	}
	if p.deps.Leases(msg) > buryAfterLeases {
		return p.redeliver(ctx, c, d, p.deps.Position(msg), signalbox.Permanent(errLeases))
	}
	callCtx, cancel := context.WithTimeout(ctx, p.config.ProcessorTimeout)
	defer cancel()
	cause := c.isolation.call(callCtx, func() error {
		return c.take(callCtx, d.Notification.notification())
	})
	if cause == nil {
		p.metrics.delivered.WithLabelValues(c.name).Inc()
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err // interrupted: it comes back
	}
	return p.redeliver(ctx, c, d, p.deps.Position(msg), cause)
}

// redeliver replaces the message by a later one, or by a dead letter.
func (p *Pipeline) redeliver(ctx context.Context, c *consumer, d delivery, position int64, cause error) error {
	delay, again := p.config.Retry.decide(cause, &d.tries)
	attempts := d.Attempt
	if !again {
		d.tries = tries{} // a person's retry starts afresh
	}
	next, err := c.message(d, delay)
	if err != nil {
		return err
	}
	var commit signalbox.Commit
	level := slog.LevelWarn
	if again {
		p.metrics.retried.WithLabelValues(c.name).Inc()
		// If the message at hand comes back, this attempt is not doubled.
		key := fmt.Sprintf("retry/%d/%s", position, c.topic)
		commit.Once = []string{key}
		commit.Then = func(_ []signalbox.Outcome, repeated func(string) bool) []signalbox.Message {
			if repeated(key) {
				return nil
			}
			return []signalbox.Message{next}
		}
	} else {
		level = slog.LevelError
		p.metrics.deadLetters.WithLabelValues(c.name).Inc()
		commit.DeadLetters = []signalbox.DeadLetter{{
			ID:    fmt.Sprintf("%s/%s/%d", c.topic, d.Notification.ID, d.Notification.Revision),
			Topic: c.topic, Payload: next.Payload, Stage: c.name, Error: errorText(cause), Attempts: attempts,
			RequestID: d.Notification.RequestID, Origin: d.Notification.Origin,
			Created: d.Notification.Created, Died: p.now(),
		}}
	}
	p.log.LogAttrs(ctx, level, "a delivery failed", slog.String("consumer", c.name),
		slog.String("notification", d.Notification.ID), slog.Int("attempt", attempts), slog.Int("waits", d.Waits),
		slog.Bool("deadLetter", !again), slog.Any("error", cause))
	_, err = p.deps.Committer.Commit(ctx, commit)
	return err
}
