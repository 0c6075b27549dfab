package pipeline

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// RetryPolicy says how often and when what failed is tried again.
type RetryPolicy struct {
	// MaxAttempts is how often an item is tried in all before it becomes a dead
	// letter. Defaults to 8.
	MaxAttempts int
	// Min and Max bound the delay before the next attempt: it grows from Min,
	// doubling, up to Max, with full jitter. Default to 1s and 5m.
	Min, Max time.Duration
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = 8
	}
	if p.Min <= 0 {
		p.Min = time.Second
	}
	if p.Max <= 0 {
		p.Max = 5 * time.Minute
	}
	p.Max = max(p.Max, p.Min)
	return p
}

// decide says what becomes of an item after its failed'th failed attempt.
func (p RetryPolicy) decide(err error, failed int) (delay time.Duration, again bool) {
	if signalbox.IsPermanent(err) || failed >= p.MaxAttempts {
		return 0, false
	}
	// Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"):
	// what failed together does not come back together.
	ceiling := p.Max
	if shift := failed - 1; shift < 32 && p.Min<<shift > 0 {
		ceiling = min(p.Max, p.Min<<shift)
	}
	delay = time.Duration(rand.Int64N(int64(ceiling) + 1)) //nolint:gosec // G404: jitter is no secret
	if asked, ok := signalbox.RetryDelay(err); ok {
		delay = max(delay, min(asked, maxAskedDelay))
	}
	return delay, true
}

// maxAskedDelay bounds what [signalbox.RetryAfter] can ask for.
const maxAskedDelay = 24 * time.Hour

// maxDeferral bounds the delay of what waits for the infrastructure to come back.
const maxDeferral = 30 * time.Second

// setAside says what becomes of a request that failed: a message for another
// attempt, or a dead letter. The entry carries its Revision.
func (p *Pipeline) setAside(e entry, stage string, cause error) (*signalbox.Message, *signalbox.DeadLetter, error) {
	var (
		delay time.Duration
		again = true
	)
	switch {
	case !e.Alone && errors.Is(cause, signalbox.ErrPatience):
		// It only has to leave its batch: that is no attempt.
	case signalbox.IsTransient(cause):
		// Not its fault, so it is tried until it succeeds.
		e.Deferred++
		policy := p.config.Retry
		policy.Max = min(policy.Max, maxDeferral)
		policy.MaxAttempts = math.MaxInt
		delay, _ = policy.decide(cause, e.Deferred)
	default:
		e.Attempt++
		delay, again = p.config.Retry.decide(cause, e.Attempt)
	}
	e.Alone = true
	if again {
		payload, err := encodeSingle(e)
		if err != nil {
			return nil, nil, err
		}
		p.metrics.retried.WithLabelValues(stage).Inc()
		return &signalbox.Message{Topic: TopicRetry, ID: e.Request.ID, Payload: payload, Delay: delay}, nil, nil
	}
	dead, err := p.deadLetter(e, stage, cause)
	return nil, dead, err
}

// deadLetter gives a request up. Its payload starts afresh when a person puts it
// back on its topic.
func (p *Pipeline) deadLetter(e entry, stage string, cause error) (*signalbox.DeadLetter, error) {
	attempts := e.Attempt
	e.Attempt, e.Deferred = 0, 0
	payload, err := encodeSingle(e)
	if err != nil {
		return nil, err
	}
	p.metrics.deadLetters.WithLabelValues(stage).Inc()
	return &signalbox.DeadLetter{
		ID: e.key() + "/" + stage, Topic: TopicRetry, Payload: payload,
		Stage: stage, Error: errorText(cause), Attempts: attempts,
		RequestID: e.Request.ID, Origin: e.Request.Origin,
		Created: e.Request.Created, Died: p.now(),
	}, nil
}

// maxErrorText bounds, in bytes, what is kept of an error.
const maxErrorText = 4096

// errorText makes an error fit to be stored: valid UTF-8, no NUL, bounded.
func errorText(err error) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "")
	if len(text) > maxErrorText {
		cut := maxErrorText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

// protect turns a panic of fn into an error.
func protect(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return fn()
}
