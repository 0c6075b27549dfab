package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/isolate"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// Bounds of what is kept of a channel's words.
const (
	maxDetail   = 1000
	maxIdentity = 300
	maxState    = 4 << 10
	// minPause is the least pause a limit means, so that a channel that asks for
	// none is not asked in a loop; maxPause the longest.
	minPause = 100 * time.Millisecond
	maxPause = 24 * time.Hour
)

// threadWait is when to look again for a thread that another delivery has.
func threadWait() time.Duration { return 100*time.Millisecond + retry.Jitter(400*time.Millisecond) }

// delivered records what was sent.
func (a *attempt) delivered(sent channels.Sent) signalbox.Settlement {
	c, now := a.consumer, stamp()
	c.engine.metrics.delivered.WithLabelValues(c.name).Inc()
	c.health.succeeded(now)
	record := a.message.record(signalbox.DeliveryDelivered, now)
	record.Detail = retry.Text(sent.Reply, maxDetail)
	record.ProviderID = retry.Text(sent.ID, maxIdentity)
	settlement := signalbox.Settlement{Record: record, Lease: a.lease, Thread: a.thread}
	if a.thread != nil {
		if len(sent.State) > maxState {
			// It was sent; failing now would send it again.
			c.engine.log.LogAttrs(context.Background(), slog.LevelError, "a channel's state is too long and is not kept",
				slog.String("channel", c.name), slog.Int("bytes", len(sent.State)))
			sent.State = ""
		}
		settlement.Sent = &signalbox.Thread{Revision: a.message.Notification.Revision, State: sent.State}
	}
	return settlement
}

// suppressed records a decision against sending.
func (a *attempt) suppressed(rule signalbox.Rule, reason string) signalbox.Settlement {
	c := a.consumer
	c.engine.metrics.suppressed.WithLabelValues(c.name).Inc()
	record := a.message.record(signalbox.DeliverySuppressed, stamp())
	record.Rule, record.Detail = rule, retry.Text(reason, maxDetail)
	return signalbox.Settlement{Record: record, Lease: a.lease, Thread: a.thread}
}

// failed settles a call that did not succeed: what the error says follows.
func (a *attempt) failed(ctx context.Context, err error) (signalbox.Settlement, error) {
	c, m, now := a.consumer, &a.message, stamp()
	if rule, reason, ok := channels.AsSuppressed(err); ok {
		a.permit.answered()
		return a.suppressed(rule, reason), nil
	}
	pause, whole, limited := channels.AsLimited(err)
	_, asked := signalbox.RetryDelay(err)
	permanent := signalbox.IsPermanent(err)
	if ctx.Err() != nil && !limited && !asked && !permanent {
		return signalbox.Settlement{}, fmt.Errorf("delivery: interrupted: %w", ctx.Err())
	}
	c.health.failed(err, now)
	if limited || asked || permanent {
		a.permit.answered()
	} else {
		a.permit.failed()
	}
	if permanent {
		return a.giveUp(ctx, err), nil
	}
	m.failed(err, now)
	var delay time.Duration
	if limited {
		delay = min(max(pause, minPause), maxPause)
		// Not by the time as it is stored: a clock that is set back would make the
		// pause longer by as much.
		until := time.Now().Add(delay)
		if whole || !a.hasTarget() {
			c.gate.pause(until)
		} else {
			c.targets.pause(a.limitKey(), until)
		}
		delay += retry.Jitter(spread)
	} else {
		var again bool
		if delay, again = c.retry.Decide(err, &m.Tries); !again {
			return a.buried(ctx, err), nil
		}
	}
	delay = a.withinAge(delay)
	c.engine.metrics.retried.WithLabelValues(c.name).Inc()
	c.engine.log.LogAttrs(ctx, slog.LevelWarn, "a delivery failed", append(a.attrs(err), slog.Duration("next", delay))...)
	return a.putBack(delay, m.lastError())
}

// postpone puts the message off without a call.
func (a *attempt) postpone(put postponement) (signalbox.Settlement, error) {
	a.consumer.engine.metrics.postponed.WithLabelValues(a.consumer.name, put.reason).Inc()
	detail := a.message.lastError()
	if detail == "" {
		detail = reasonTexts[put.reason]
	}
	return a.putBack(a.withinAge(put.delay), detail)
}

// putBack is the settlement of a message that comes back.
func (a *attempt) putBack(delay time.Duration, detail string) (signalbox.Settlement, error) {
	payload, err := a.message.Encode()
	if err != nil {
		return signalbox.Settlement{}, err
	}
	now := stamp()
	record := a.message.record(signalbox.DeliveryQueued, now)
	record.Detail = detail
	if delay > 0 {
		record.Next = now.Add(delay).Truncate(time.Microsecond)
	}
	return signalbox.Settlement{
		Record: record, Lease: a.lease, Thread: a.thread,
		Postponed: &signalbox.Postponement{Payload: payload, Delay: delay},
	}, nil
}

// withinAge makes a delay end when the delivery is too old, so that nobody waits
// longer to hear of it.
func (a *attempt) withinAge(delay time.Duration) time.Duration {
	if a.consumer.maxAge <= 0 {
		return delay
	}
	return max(0, min(delay, a.consumer.maxAge-time.Since(a.message.Since)))
}

// tooOld is why a delivery ends by its age.
func (a *attempt) tooOld() error {
	last := a.message.lastError()
	if last == "" {
		return fmt.Errorf("it could not be tried within %s", a.consumer.maxAge)
	}
	return fmt.Errorf("it could not be delivered within %s, the last error: %s", a.consumer.maxAge, last)
}

// giveUp makes the delivery a dead letter, for a reason that is not in its history
// yet.
func (a *attempt) giveUp(ctx context.Context, cause error) signalbox.Settlement {
	a.message.failed(cause, stamp())
	return a.buried(ctx, cause)
}

// buried is the settlement of a delivery that was given up.
func (a *attempt) buried(ctx context.Context, cause error) signalbox.Settlement {
	c, m, now := a.consumer, &a.message, stamp()
	c.engine.metrics.deadLetters.WithLabelValues(c.name).Inc()
	c.engine.log.LogAttrs(ctx, slog.LevelError, "a delivery is given up", a.attrs(cause)...)
	record := m.record(signalbox.DeliveryFailed, now)
	record.Detail = retry.Text(cause.Error(), maxDetail)
	payload, err := m.afresh().Encode()
	if err != nil {
		// It was decoded from JSON, so this cannot happen.
		payload = nil
	}
	return signalbox.Settlement{
		Record: record, Lease: a.lease, Thread: a.thread,
		DeadLetter: &signalbox.DeadLetter{
			ID:    m.Key.RequestID + "/" + c.name + "/" + m.Key.ID(),
			Topic: c.topic, Payload: payload, Stage: c.name, Error: retry.ErrorText(cause), Attempts: m.Calls,
			RequestID: m.Key.RequestID, Origin: m.Origin, Delivery: m.Key, History: m.History,
			Created: m.Created, Died: now,
		},
	}
}

// maxSplitBytes bounds the payloads of the deliveries that are made in one
// transaction: each has the notification.
const maxSplitBytes = 4 << 20

// split makes deliveries of their own of several targets, and goes on with the
// next part of them later. Children that do not fit are stored at once; storing them
// again has no effect.
func (a *attempt) split(ctx context.Context, found channels.Targets) (signalbox.Settlement, error) {
	m, size := &a.message, 0
	children := make([]signalbox.NewDelivery, 0, len(found.Targets))
	seen := make(map[string]bool, len(found.Targets))
	for _, target := range found.Targets {
		if seen[target.Address] {
			continue
		}
		seen[target.Address] = true
		record := m.record(signalbox.DeliveryQueued, stamp())
		record.Target, record.Address, record.Attempts = target.Address, target.Display, 0
		if record.Address == "" {
			record.Address = target.Address
		}
		child, err := plan(a.consumer.topic, record, Message{
			Notification: m.Notification, Named: m.Named, Via: m.Via, Target: target, Resolved: true, Since: m.Since,
		})
		if err != nil {
			return signalbox.Settlement{}, err
		}
		if size += len(child.Message.Payload); size > maxSplitBytes && len(children) > 0 {
			if err := a.consumer.settle(ctx, signalbox.Settlement{Children: children}); err != nil {
				return signalbox.Settlement{}, err
			}
			children, size = children[:0:0], len(child.Message.Payload)
		}
		children = append(children, child)
	}
	m.Parts += len(seen)
	switch {
	case found.Next == "" && m.Parts == 0:
		return a.suppressed(signalbox.RuleNoAddress, noTarget), nil
	case found.Next == "": // its record gives way to those of the children
		record := m.record(signalbox.DeliveryQueued, stamp())
		return signalbox.Settlement{Record: record, Lease: a.lease, Children: children, Replaced: true}, nil
	}
	m.Cursor = found.Next
	settlement, err := a.putBack(0, "It becomes deliveries of its own")
	settlement.Children = children
	return settlement, err
}

// attrs are what a log says of the delivery: nothing of what is in it.
func (a *attempt) attrs(err error) []slog.Attr {
	m := &a.message
	return append([]slog.Attr{
		slog.String("channel", a.consumer.name), slog.String("delivery", m.Key.ID()), slog.String("request", m.Key.RequestID),
		slog.Int("calls", m.Calls), slog.Int("attempt", m.Tries.Attempt),
	}, isolate.Attrs(err)...)
}
