package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// gate says when calls of a channel may be made: not while it is paused, not
// while its circuit breaker is open, and at the channel's rate.
type gate struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex
	bucket *bucket
	// spare are tokens that were given back.
	spare int
	// paused is until when the provider wants nothing, opened until when the
	// breaker lets nothing through; both may be in the past.
	paused, opened time.Time
}

func newGate(config Config, limit channels.Rate, trips bool, changed func(gobreaker.State)) *gate {
	g := &gate{bucket: newBucket(limit)}
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout: config.BreakerPause,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return trips && int64(counts.ConsecutiveFailures) >= int64(config.BreakerFailures)
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				g.mu.Lock()
				// The breaker is half open only after that time.
				g.opened = time.Now().Add(config.BreakerPause + time.Millisecond)
				g.mu.Unlock()
			}
			changed(to)
		},
	})
	return g
}

// pause lets nothing through until then.
func (g *gate) pause(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.paused) {
		g.paused = until
	}
}

// closedUntil returns when the last pause ends or ended, and what it was for.
func (g *gate) closedUntil() (until time.Time, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened.After(g.paused) {
		return g.opened, reasonBreaker
	}
	return g.paused, reasonPaused
}

// token takes one of the channel's and returns how far away it is. If that is
// more than limit, it takes none.
func (g *gate) token(now time.Time, shares int, limit time.Duration) (wait time.Duration, taken bool) {
	if g.bucket == nil {
		return 0, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.bucket.isFull(now): // with a spare one there would be too many
		g.spare = 0
	case g.spare > 0:
		g.spare--
		return 0, true
	}
	reservation := g.bucket.reserve(now, shares)
	wait = reservation.DelayFrom(now)
	if wait > limit {
		reservation.CancelAt(now)
		return wait, false
	}
	return wait, true
}

// giveBack returns a token with which no call was made.
func (g *gate) giveBack() {
	if g.bucket == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spare = min(g.spare+1, g.bucket.whole.Burst)
}

// permit is the breaker's permission for calls. One of its methods must be called
// at the end, and makes it invalid; the zero value is invalid, and they have no
// effect on it.
type permit struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	done    func(success bool)
}

func (p *permit) valid() bool { return p.done != nil }

func (p *permit) report(success bool) {
	if p.done != nil {
		p.done(success)
		p.done = nil
	}
}

// answered says that the channel is there.
func (p *permit) answered() { p.report(true) }

// failed says that it may be down.
func (p *permit) failed() { p.report(false) }

// unused gives the permit back without a verdict: no call was made, or it asked
// nobody. A breaker that is half open waits for its one trial, so there it counts as
// good: if it was not, the next calls show it.
func (p *permit) unused() {
	if p.valid() && p.breaker.State() == gobreaker.StateHalfOpen {
		p.report(true)
	}
	p.done = nil
}

// Reasons of postponements, as the metrics have them.
const (
	reasonPaused  = "paused"
	reasonBreaker = "breaker"
	reasonLimited = "limited"
	reasonThread  = "thread"
	reasonStuck   = "stuck"
	reasonTime    = "time"
	// reasonSchedule has no text of its own: the rule has one.
	reasonSchedule = "schedule"
)

var reasonTexts = map[string]string{
	reasonPaused:  "The provider asked for a pause",
	reasonBreaker: "The channel failed several times in a row; it is tried again after a pause",
	reasonLimited: "It waits for its turn: the rate is limited",
	reasonThread:  "Another revision of the same scope is being sent",
	reasonStuck:   "Too many calls have not returned although their time was up",
	reasonTime:    "It goes on in a new lease",
}

// postponement is a delivery put off without a call.
type postponement struct {
	reason string
	delay  time.Duration
}

const (
	// moment is a wait for which a message is not put back.
	moment = 50 * time.Millisecond
	// trialWait is how often it is looked whether a half-open breaker's trial is
	// over.
	trialWait = 250 * time.Millisecond
	// stuckWait is the same for calls that hang.
	stuckWait = time.Second
	// spread is the jitter of what was waiting for the same time.
	spread = time.Second
	// slotAge is how long after its time a reserved slot is still good. Older ones
	// would come in a burst, as after an outage.
	slotAge = 10 * time.Second
)

// admit waits until a call may be made, and gets the permit for it. What all
// deliveries of the channel wait for is waited for here, holding the lease as long
// as it allows: there is nothing else to do for the consumer, and putting every
// message back would churn the queue. What only this target waits for goes back to
// the queue at once, so that it blocks nobody. The error is of a ctx that ended.
func (a *attempt) admit(ctx context.Context) (*postponement, error) {
	c := a.consumer
	for {
		now := time.Now()
		if until, reason := c.gate.closedUntil(); until.After(now) {
			a.permit.unused() // it is of the time before
			if put, err := a.hold(ctx, until.Sub(now), reason); put != nil || err != nil {
				return put, err
			}
			continue
		}
		if c.isolation.Full() {
			if put, err := a.hold(ctx, stuckWait, reasonStuck); put != nil || err != nil {
				return put, err
			}
			continue
		}
		if put := a.slot(now); put != nil {
			if put.delay > moment {
				return put, nil
			}
			if put, err := a.hold(ctx, put.delay, put.reason); put != nil || err != nil {
				return put, err
			}
		}
		if !a.paid {
			wait, taken := c.gate.token(now, c.engine.instances(), max(a.holdUntil.Sub(now), moment))
			a.paid = taken
			if wait > 0 {
				if put, err := a.hold(ctx, wait, reasonLimited); put != nil || err != nil {
					return put, err
				}
				continue // much may have happened meanwhile
			}
		}
		if a.permit.valid() {
			return nil, nil //nolint:nilnil // Nothing is in the way.
		}
		done, err := c.gate.breaker.Allow()
		if err == nil {
			a.permit = permit{c.gate.breaker, done}
			return nil, nil //nolint:nilnil // Nothing is in the way.
		}
		// It opened just now, or another delivery is its trial.
		if put, err := a.hold(ctx, trialWait, reasonBreaker); put != nil || err != nil {
			return put, err
		}
	}
}

// hold waits so long, or as long as the lease allows, and then puts the message
// off by the rest.
func (a *attempt) hold(ctx context.Context, wait time.Duration, reason string) (*postponement, error) {
	end := time.Now().Add(wait)
	if patience := min(wait, max(time.Until(a.holdUntil), moment)); patience > 0 {
		if err := a.consumer.engine.sleep(ctx, patience); err != nil {
			return nil, err
		}
	}
	if rest := time.Until(end); rest > 0 {
		return &postponement{reason, rest + retry.Jitter(spread)}, nil
	}
	return nil, nil //nolint:nilnil // There is nothing in the way any more.
}

// slot says how long the target has to be waited for; nil if not at all.
func (a *attempt) slot(now time.Time) *postponement {
	c := a.consumer
	if !a.hasTarget() || a.slotted {
		return nil
	}
	slot := a.message.Slot
	closed, _ := c.gate.closedUntil()
	paused := c.targets.pausedUntil(a.limitKey())
	if wait := paused.Sub(now); wait > 0 && slot.Before(paused) {
		return &postponement{reasonPaused, wait + retry.Jitter(spread)}
	}
	// A slot in a pause is void, and so is one that was missed.
	if slot.IsZero() || slot.Before(closed) || slot.Before(paused) || slot.Before(now.Add(-slotAge)) {
		a.message.Slot = now.Add(c.targets.reserve(a.limitKey(), now, c.engine.instances()))
	}
	wait := a.message.Slot.Sub(now)
	a.slotted = wait <= moment
	if wait <= 0 {
		return nil
	}
	return &postponement{reasonLimited, wait}
}
