package signalbox

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an [Error]. The web package owns the one map from codes to
// HTTP statuses; the names follow Backstage's error names.
type Code string

// The codes an adapter may rely on. An error without a code is internal: it is
// logged in full and shown to nobody.
const (
	// CodeInput is bad input: the caller must change the request.
	CodeInput Code = "InputError"
	// CodeAuthentication is a missing or invalid credential.
	CodeAuthentication Code = "AuthenticationError"
	// CodeNotAllowed is a valid credential that may not do this.
	CodeNotAllowed Code = "NotAllowedError"
	// CodeNotFound is a thing that does not exist, or is not the caller's.
	CodeNotFound Code = "NotFoundError"
	// CodeConflict is a request that contradicts an earlier one.
	CodeConflict Code = "ConflictError"
	// CodeTooLarge is a request body beyond the limit.
	CodeTooLarge Code = "PayloadTooLargeError"
	// CodeTooManyRequests is a limit of how often this may be done.
	CodeTooManyRequests Code = "TooManyRequestsError"
	// CodeUnavailable is a condition that passes by itself: try again later.
	CodeUnavailable Code = "ServiceUnavailableError"
)

// Error is an error that a caller outside may see: what is wrong, and where.
// Message must never hold a secret or an internal detail.
type Error struct {
	Code    Code
	Message string
	// Cause is what went wrong underneath, for callers that look for it; it is
	// shown like Message. Nil if there is nothing to add.
	Cause *ErrorCause
	// RetryAfter hints when to try again; only used with CodeUnavailable and
	// CodeTooManyRequests.
	RetryAfter time.Duration
	// Err is the internal cause. It is logged, and never shown.
	Err error
}

// ErrorCause is the visible cause of an [Error], as Backstage sends it.
type ErrorCause struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// Error returns the message, followed by the internal cause if there is one.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the internal cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an [Error] with a code and a message that callers may see.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Unavailable wraps a passing failure (database gone, queue full) for the
// caller: message is shown, err is only logged.
func Unavailable(message string, retryAfter time.Duration, err error) *Error {
	return &Error{Code: CodeUnavailable, Message: message, RetryAfter: retryAfter, Err: err}
}

// ErrorCode returns the code of the first [Error] in err's chain, or "" when
// there is none (an internal error).
func ErrorCode(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// permanentError marks a failure that no retry can mend.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as final: the pipeline dead-letters at once instead of
// retrying. It returns nil for a nil error.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or an error it wraps, was marked by
// [Permanent].
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

// retryAfterError asks for the next attempt not before a given delay.
type retryAfterError struct {
	err   error
	after time.Duration
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter asks the pipeline to try again after d at the earliest, instead
// of after its own backoff. It returns nil for a nil error.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err: err, after: d}
}

// RetryDelay returns the delay that err, or an error it wraps, asked for with
// [RetryAfter].
func RetryDelay(err error) (time.Duration, bool) {
	var r *retryAfterError
	if errors.As(err, &r) {
		return r.after, true
	}
	return 0, false
}

// transientError marks a failure of the infrastructure, not of the data.
type transientError struct{ err error }

func (e *transientError) Error() string { return e.err.Error() }
func (e *transientError) Unwrap() error { return e.err }

// Transient marks err as a failure that has nothing to do with the data at hand
// (database or directory unreachable, deadlock, disk full): the same work will
// succeed later. The pipeline tries it again without limit and without counting
// an attempt. It returns nil for a nil error.
func Transient(err error) error {
	if err == nil {
		return nil
	}
	return &transientError{err}
}

// IsTransient reports whether err, or an error it wraps, was marked by
// [Transient].
func IsTransient(err error) bool {
	var t *transientError
	return errors.As(err, &t)
}
