package signalbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// MaxSnooze bounds how long a notification can be snoozed: a year, leap years
// included.
const MaxSnooze = 366 * 24 * time.Hour

// TopicWake carries [Wake] messages on the queue.
const TopicWake = "notifications.wake"

// Wake is the message that arrives when a user's snoozes end. One message serves all
// snoozes that end at the same time. It only triggers signals: the rows are visible
// again without it.
type Wake struct {
	User string `json:"user"`
	// Until has microseconds, as the database keeps it.
	Until time.Time `json:"until"`
}

// Key identifies the message: one serves all snoozes of the user until that time.
func (w Wake) Key() string {
	return fmt.Sprintf("wake/%s/%d", w.User, w.Until.UnixMicro())
}

// Message is w on the queue, to come at its time.
func (w Wake) Message(now time.Time) Message {
	payload, _ := json.Marshal(w) // strings and times of these years always encode
	return Message{Topic: TopicWake, ID: w.Key(), Payload: payload, Delay: max(w.Until.Sub(now), 0)}
}

// DecodeWake reads the payload of a message of [TopicWake].
func DecodeWake(payload []byte) (Wake, error) {
	var w Wake
	if err := json.Unmarshal(payload, &w); err != nil {
		return w, fmt.Errorf("wake: %w", err)
	}
	if w.User == "" || w.Until.IsZero() {
		return w, fmt.Errorf("wake: user or time is missing")
	}
	return w, nil
}

// Snoozes tells which snoozes have ended. Implementations are held to
// storage/storagetest.
type Snoozes interface {
	// Woken returns the notifications of a user that were snoozed until exactly
	// this time and that nobody has touched since: unread, not snoozed anew, in the
	// same revision. It returns at most limit of them, those that lists show first.
	Woken(ctx context.Context, user string, until time.Time, limit int) ([]Notification, error)
}

// Validate checks a change before it is made: a snooze must end after now, and not
// later than [MaxSnooze] from now. Errors have [CodeInput] and name the field below
// at, as in "request/body".
func (c Change) Validate(at string, now time.Time) error {
	switch until := c.SnoozedUntil; {
	case until == nil || until.IsZero():
		return nil
	case !until.After(now):
		return invalid(at+"/snoozedUntil", "must be in the future")
	case until.Sub(now) > MaxSnooze:
		return invalid(at+"/snoozedUntil", "must NOT be more than a year ahead")
	}
	return nil
}
