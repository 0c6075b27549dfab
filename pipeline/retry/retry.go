// Package retry owns when something that failed is tried again, and what is kept
// of its error. It imports the root package only.
package retry

import (
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// Policy says how often and when what failed is tried again. The zero value has
// the defaults.
type Policy struct {
	// MaxAttempts is how often something is tried in all before it is given up.
	// Failures of the infrastructure ([signalbox.Transient]) do not count: they are
	// retried until they pass. Defaults to 8; [Unlimited] never gives up.
	MaxAttempts int
	// Min and Max bound the delay before the next attempt: it grows from Min,
	// doubling, up to Max, with full jitter. Default to 1s and 5m.
	Min, Max time.Duration
}

// Unlimited is a [Policy.MaxAttempts] that never ends: something else, such as
// an age, must.
const Unlimited = -1

// Bounds of delays.
const (
	// maxAskedDelay bounds what [signalbox.RetryAfter] can ask for.
	maxAskedDelay = 24 * time.Hour
	// maxWait bounds the delay of what waits for the infrastructure to come back.
	maxWait = 30 * time.Second
)

// WithDefaults returns the policy with its defaults filled in.
func (p Policy) WithDefaults() Policy {
	if p.MaxAttempts == 0 || p.MaxAttempts < Unlimited {
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

// Tries counts how often something failed. It travels with the message.
type Tries struct {
	// Attempt counts the failures that were its own, or may have been.
	Attempt int `json:"attempt,omitempty"`
	// Waits counts those of the infrastructure: it only waits for that.
	Waits int `json:"waits,omitempty"`
}

// Decide counts a failure and says what follows: another attempt after delay, or
// none. A [signalbox.Transient] one has nothing to do with the thing at hand, so
// that it uses up no attempt: an outage, however long, delays and buries nothing.
func (p Policy) Decide(err error, t *Tries) (delay time.Duration, again bool) {
	if signalbox.IsTransient(err) && !signalbox.IsPermanent(err) {
		t.Waits++
		return p.delay(err, t.Waits, min(p.Max, max(p.Min, maxWait))), true
	}
	t.Attempt++
	if signalbox.IsPermanent(err) || p.MaxAttempts != Unlimited && t.Attempt >= p.MaxAttempts {
		return 0, false
	}
	return p.delay(err, t.Attempt, p.Max), true
}

// delay is the time before the next attempt after so many failures. Full jitter
// (AWS Architecture Blog, "Exponential Backoff And Jitter"): what failed together
// does not come back together.
func (p Policy) delay(err error, failed int, limit time.Duration) time.Duration {
	ceiling := limit
	// The shift must not overflow: what is beyond limit is limit.
	if shift := failed - 1; shift < 63 && p.Min <= limit>>shift {
		ceiling = p.Min << shift
	}
	delay := Jitter(ceiling)
	if asked, ok := signalbox.RetryDelay(err); ok {
		asked = min(asked, maxAskedDelay)
		delay = max(delay, asked+Jitter(asked/10))
	}
	return delay
}

// Jitter returns a random duration from 0 up to and including limit.
func Jitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(rand.Int64N(int64(limit) + 1)) //nolint:gosec // G404: jitter is no secret
}

// MaxErrorText bounds, in bytes, what [ErrorText] keeps of an error.
const MaxErrorText = 4096

// ErrorText makes an error fit to be stored: valid UTF-8, no NUL, bounded. It is
// empty for nil.
func ErrorText(err error) string {
	if err == nil {
		return ""
	}
	return Text(err.Error(), MaxErrorText)
}

// Text makes a text fit to be stored: valid UTF-8, no NUL, and at most limit
// bytes (of 3 and more), the ellipsis that marks a cut included.
func Text(text string, limit int) string {
	const ellipsis = "…"
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if len(text) <= limit {
		return text
	}
	cut := max(0, limit-len(ellipsis))
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}
