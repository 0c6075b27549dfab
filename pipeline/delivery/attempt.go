package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// attempt is one message in a consumer's hands.
type attempt struct {
	consumer *consumer
	message  Message
	lease    signalbox.Lease
	// deadline is when calls must have ended, holdUntil how long the message may
	// be held before they begin.
	deadline, holdUntil time.Time

	// paid is set when the channel's token was taken, slotted when the target's
	// slot has come.
	paid, slotted bool
	// called is set when the token was spent on a call.
	called bool
	permit permit
	// thread is set while it is claimed.
	thread   *signalbox.ThreadKey
	previous *channels.Sent
	// digest is set for a delivery that carries others along.
	digest *digest
}

// run takes the message to its end and says what to settle. The error means that
// the infrastructure failed, or that ctx ended before anything was known.
func (a *attempt) run(ctx context.Context) (signalbox.Settlement, error) {
	c := a.consumer
	if settlement, err := a.wait(ctx); settlement != nil || err != nil {
		return or(settlement), err
	}
	if c.maxAge > 0 && time.Since(a.message.Since) >= c.maxAge {
		return a.giveUp(ctx, a.tooOld()), nil
	}
	if a.mustResolve() {
		if settlement, err := a.findTarget(ctx); settlement != nil || err != nil {
			return or(settlement), err
		}
	}
	put, err := a.admit(ctx)
	if err != nil {
		return signalbox.Settlement{}, err
	}
	if put != nil {
		return a.postpone(*put)
	}
	if c.channel && a.message.Notification.Payload.Scope != "" && !a.carriesDigest() {
		if settlement, err := a.claim(ctx); settlement != nil || err != nil {
			if a.paid && !a.called {
				c.gate.giveBack()
			}
			return or(settlement), err
		}
	}
	a.message.Slot = time.Time{} // it is used up
	var sent channels.Sent
	send := a.sending()
	err = a.call(ctx, func(ctx context.Context) error {
		taken, err := send(ctx)
		if err == nil {
			sent = taken // read only if the call was waited for
		}
		return err
	})
	a.message.Calls++
	if err != nil {
		return a.failed(ctx, err)
	}
	a.permit.answered()
	return a.delivered(sent), nil
}

// sending is the call to make.
func (a *attempt) sending() func(context.Context) (channels.Sent, error) {
	c := a.consumer
	if a.carriesDigest() {
		digest := a.digestToSend()
		return func(ctx context.Context) (channels.Sent, error) { return c.digest(ctx, digest) }
	}
	delivery := a.delivery()
	return func(ctx context.Context) (channels.Sent, error) { return c.deliver(ctx, delivery) }
}

func or(settlement *signalbox.Settlement) signalbox.Settlement {
	if settlement == nil {
		return signalbox.Settlement{}
	}
	return *settlement
}

// mustResolve reports whether the target is to be found out.
func (a *attempt) mustResolve() bool {
	return a.consumer.resolve != nil && !a.message.Resolved
}

// hasTarget reports whether the target is known.
func (a *attempt) hasTarget() bool { return a.consumer.channel && !a.mustResolve() }

// address is what identifies the target. A channel that does not resolve has one
// per audience.
func (a *attempt) address() string {
	if a.message.Target.Address != "" {
		return a.message.Target.Address
	}
	return string(a.message.Key.Audience)
}

// limitKey is what the target's limits go by.
func (a *attempt) limitKey() string {
	if a.message.Target.Limit != "" {
		return a.message.Target.Limit
	}
	return a.address()
}

// delivery is what the channel gets: values of its own, which it may keep beyond
// its call.
func (a *attempt) delivery() channels.Delivery {
	m := &a.message
	notification := m.Notification
	notification.Payload = notification.Payload.Clone()
	return channels.Delivery{
		ID: m.Key.ID(), Notification: notification, Audience: m.Key.Audience, Named: m.Named, Via: slices.Clone(m.Via),
		Target: m.Target, Attempt: m.Calls + 1, Previous: a.previous,
	}
}

// call makes one call of the channel, in time for the settlement, and measures
// it.
func (a *attempt) call(ctx context.Context, fn func(context.Context) error) error {
	c := a.consumer
	a.called = true
	deadline := time.Now().Add(c.timeout)
	if deadline.After(a.deadline) {
		deadline = a.deadline
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	began := time.Now()
	c.health.begin()
	c.engine.metrics.inFlight.WithLabelValues(c.name).Inc()
	err := c.isolation.Call(ctx, func() error { return fn(ctx) })
	c.engine.metrics.inFlight.WithLabelValues(c.name).Dec()
	c.health.end()
	c.engine.metrics.seconds.WithLabelValues(c.name).Observe(time.Since(began).Seconds())
	return err
}

// findTarget resolves. It returns nothing if the attempt goes on with the one
// target that there is.
func (a *attempt) findTarget(ctx context.Context) (*signalbox.Settlement, error) {
	put, err := a.admit(ctx)
	if err != nil {
		return nil, err
	}
	if put != nil {
		return some(a.postpone(*put))
	}
	var found channels.Targets
	delivery, cursor := a.delivery(), a.message.Cursor
	err = a.call(ctx, func(ctx context.Context) error {
		targets, err := a.consumer.resolve(ctx, delivery, cursor)
		if err == nil {
			err = checkTargets(targets, cursor)
		}
		if err == nil && a.carriesDigest() && len(targets.Targets) == 0 {
			err = channels.Suppressed(signalbox.RuleNoAddress, "The channel knows no target for the digest")
		}
		if err == nil {
			found = targets // read only if the call was waited for
		}
		return err
	})
	if err != nil {
		a.message.Calls++
		return some(a.failed(ctx, err))
	}
	if !a.carriesDigest() && (cursor != "" || found.Next != "" || len(found.Targets) > 1) {
		a.permit.answered()
		return some(a.split(ctx, found))
	}
	a.message.Target, a.message.Resolved = found.Targets[0], true
	if time.Until(a.deadline) < a.consumer.timeout {
		return some(a.postpone(postponement{reason: reasonTime}))
	}
	// The breaker learns nothing from a good answer, which may be out of a cache:
	// the permit goes on to the call that counts.
	return nil, nil //nolint:nilnil // The attempt goes on.
}

func some(settlement signalbox.Settlement, err error) (*signalbox.Settlement, error) {
	if err != nil {
		return nil, err
	}
	return &settlement, nil
}

// noTarget explains a delivery for which the channel has no target.
const noTarget = "The channel knows no target"

// checkTargets refuses what a channel must not return.
func checkTargets(found channels.Targets, cursor string) error {
	switch {
	case len(found.Targets) > channels.MaxTargets:
		return signalbox.Permanent(fmt.Errorf("the channel returned %d targets at a time; %d are the most", len(found.Targets), channels.MaxTargets))
	case found.Next != "" && found.Next == cursor:
		return signalbox.Permanent(errors.New("the channel returned the same part of its targets twice"))
	case len(found.Targets) == 0 && found.Next == "" && cursor == "":
		return channels.Suppressed(signalbox.RuleNoAddress, noTarget)
	}
	for _, target := range found.Targets {
		if target.Address == "" {
			return signalbox.Permanent(errors.New("the channel returned a target without an address"))
		}
	}
	return nil
}

// claim reserves the thread of a scoped notification. It returns nothing if the
// attempt goes on.
func (a *attempt) claim(ctx context.Context) (*signalbox.Settlement, error) {
	c, m := a.consumer, &a.message
	key := signalbox.ThreadKey{Channel: c.name, Address: a.address(), Origin: m.Origin, Scope: m.Notification.Payload.Scope}
	last, held, err := c.engine.store.ClaimThread(ctx, key, m.Key.ID(), c.engine.config.Lease)
	if err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	if !held {
		return some(a.postpone(postponement{reason: reasonThread, delay: threadWait()}))
	}
	a.thread = &key
	switch mine := m.Notification.Revision; {
	case last.Revision > mine:
		return some(a.suppressed(signalbox.RuleSuperseded, signalbox.RuleSuperseded.Text()), nil)
	case last.Revision == mine && mine != 0:
		// The settlement that said so was of another delivery to the same place.
		settlement := a.delivered(channels.Sent{Reply: "This revision had been sent there before", State: last.State})
		return &settlement, nil
	case last.Revision != 0:
		a.previous = &channels.Sent{State: last.State}
	}
	return nil, nil //nolint:nilnil // The attempt goes on.
}
