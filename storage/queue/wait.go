package queue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
)

const (
	// settleTime is how long the clock is not looked at after a change: with
	// messages coming in, there is always a next one, and the look is saved.
	settleTime = 25 * time.Millisecond
	// firstBackoff and lastBackoff bound the pause after a failed query.
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

var _ watermillsql.BackoffManager = (*subscription)(nil)

// HandleError is called by the library between two batches. It returns when it is
// time for the next one, so the pause that it asks for is none.
func (s *subscription) HandleError(_ watermill.LoggerAdapter, _ bool, err error) time.Duration {
	switch {
	case s.isStopping() || errors.Is(err, errBatchOver):
		return 0
	case err != nil:
		s.failures++
		s.backOff(err)
		return 0
	case s.failures > 0:
		s.queue.config.Logger.LogAttrs(s.ctx, slog.LevelInfo, "queue: reading again",
			slog.String("topic", s.topic), slog.Int("failures", s.failures))
		s.failures = 0
	}
	if batch := s.current(); !batch.hasMore() {
		s.wait(!batch.complete())
	}
	return 0
}

// backOff pauses after the nth failure in a row: longer each time, and never at
// the same moment as the other consumers. An outage is logged once.
func (s *subscription) backOff(err error) {
	pause := min(firstBackoff<<min(s.failures-1, 16), lastBackoff)
	pause = pause/2 + rand.N(pause/2) //nolint:gosec // no secret
	level := slog.LevelDebug
	if s.failures == 1 {
		level = slog.LevelWarn
	}
	s.queue.config.Logger.LogAttrs(s.ctx, level, "queue: cannot read; trying again",
		slog.String("topic", s.topic), slog.Int("failures", s.failures),
		slog.Duration("pause", pause), slog.Any("error", err))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping:
	}
}

// wait returns when there may be a message: because the consumer was woken, or
// because it watches the clock for its topic and the next row has become visible
// or the safety poll is due; or when the subscription is stopped. With nudge, the
// one who watches looks at the clock again, because this consumer may have seen
// or left a row that becomes visible sooner than was known.
func (s *subscription) wait(nudge bool) {
	list := &s.queue.waiting
	if !list.enter(s.topic, s.waiter, nudge) {
		return
	}
	const (
		sleeping = iota // someone else watches
		settling        // about to look at the clock
		watching        // until clock fires
	)
	state := sleeping
	clock := time.NewTimer(time.Hour)
	clock.Stop()
	defer clock.Stop()
	for {
		select {
		case <-s.waiter.woken:
			return
		case <-s.waiter.watch:
			if state != settling {
				state = settling
				clock.Reset(settleTime)
			}
		case <-clock.C:
			if state == settling {
				if until := s.untilNext(); until > 0 {
					state = watching
					clock.Reset(until)
					continue
				}
			}
			list.exit(s.topic, s.waiter)
			return
		case <-s.stopping:
			if !list.exit(s.topic, s.waiter) {
				s.queue.Wake(s.topic) // not for us any more
			}
			return
		}
	}
}

// untilNext returns for how long there is nothing to do unless something new is
// published; at most until the safety poll.
func (s *subscription) untilNext() time.Duration {
	ctx, cancel := context.WithTimeout(s.ctx, statementTimeout)
	defer cancel()
	until, ok, err := nextDue(ctx, s.queue.db, s.topic)
	switch {
	case err != nil:
		return 0 // The lease meets the same error, and backs off.
	case !ok:
		return s.queue.config.Poll
	default:
		return min(until, s.queue.config.Poll)
	}
}
