package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// RetryPolicy says how often and when what failed is tried again.
type RetryPolicy struct {
	// MaxAttempts is how often an item is tried in all before it becomes a dead
	// letter. Failures of the infrastructure ([signalbox.Transient]) do not count:
	// they are retried until they pass. Defaults to 8.
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

// tries counts how often something failed. It travels with the message.
type tries struct {
	// Attempt counts the failures that were its own, or may have been.
	Attempt int `json:"attempt,omitempty"`
	// Waits counts those of the infrastructure: it only waits for that.
	Waits int `json:"waits,omitempty"`
}

// decide counts a failure and says what follows. A [signalbox.Transient] one has
// nothing to do with the thing at hand, so that it uses up no attempt: an outage,
// however long, delays and buries nothing.
func (p RetryPolicy) decide(err error, t *tries) (delay time.Duration, again bool) {
	if signalbox.IsTransient(err) && !signalbox.IsPermanent(err) {
		t.Waits++
		return p.delay(err, t.Waits, min(p.Max, max(p.Min, maxWait))), true
	}
	t.Attempt++
	if signalbox.IsPermanent(err) || t.Attempt >= p.MaxAttempts {
		return 0, false
	}
	return p.delay(err, t.Attempt, p.Max), true
}

// delay is the time before the next attempt after so many failures.
func (p RetryPolicy) delay(err error, failed int, limit time.Duration) time.Duration {
	// Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"):
	// what failed together does not come back together.
	ceiling := limit
	if shift := failed - 1; shift < 32 && p.Min<<shift > 0 {
		ceiling = min(limit, p.Min<<shift)
	}
	delay := time.Duration(rand.Int64N(int64(ceiling) + 1)) //nolint:gosec // G404: jitter is no secret
	if asked, ok := signalbox.RetryDelay(err); ok {
		delay = max(delay, min(asked, maxAskedDelay))
	}
	return delay
}

// maxAskedDelay bounds what [signalbox.RetryAfter] can ask for.
const maxAskedDelay = 24 * time.Hour

// maxWait bounds the delay of what waits for the infrastructure to come back.
const maxWait = 30 * time.Second

// setAside says what becomes of a request that failed: a message for another
// attempt, or a dead letter. The entry carries its Revision.
func (p *Pipeline) setAside(e entry, stage string, cause error) (*signalbox.Message, *signalbox.DeadLetter, error) {
	var (
		delay time.Duration
		again = true
	)
	// An item that only has to leave its batch has made no attempt.
	if e.Alone || !errors.Is(cause, signalbox.ErrPatience) {
		delay, again = p.config.Retry.decide(cause, &e.tries)
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
	e.tries = tries{}
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
