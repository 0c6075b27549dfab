package channels

import (
	"errors"
	"time"

	"github.com/signalbox/signalbox"
)

// suppressedError is a decision against sending.
type suppressedError struct {
	rule   signalbox.Rule
	reason string
}

func (e *suppressedError) Error() string { return e.reason }

// Suppressed says that a delivery is not to be sent, and why: it is no failure,
// and the trace shows it. rule is a short identifier, such as
// [signalbox.RuleNoAddress] or one of the channel's own ("email.denylist");
// reason is a sentence for people.
func Suppressed(rule signalbox.Rule, reason string) error {
	return &suppressedError{rule, reason}
}

// AsSuppressed returns what [Suppressed] was told.
func AsSuppressed(err error) (rule signalbox.Rule, reason string, ok bool) {
	var s *suppressedError
	if errors.As(err, &s) {
		return s.rule, s.reason, true
	}
	return "", "", false
}

// limitedError asks for a pause.
type limitedError struct {
	err   error
	after time.Duration
	all   bool
}

func (e *limitedError) Error() string { return e.err.Error() }
func (e *limitedError) Unwrap() error { return e.err }

// ChannelLimited says that the provider wants nothing of this channel for a
// while. It uses up no attempt. It returns nil for a nil error.
func ChannelLimited(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &limitedError{err, after, true}
}

// TargetLimited says that the provider wants nothing for this target for a while
// ([Target].Limit tells what that is). It uses up no attempt. It returns nil for a
// nil error.
func TargetLimited(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &limitedError{err, after, false}
}

// AsLimited returns what [ChannelLimited] (channel is set) or [TargetLimited] was
// told.
func AsLimited(err error) (after time.Duration, channel, ok bool) {
	var l *limitedError
	if errors.As(err, &l) {
		return l.after, l.all, true
	}
	return 0, false, false
}
