package pipeline

import (
	"time"

	"github.com/signalbox/signalbox"
)

// storedNotification is a notification as the pipeline's own messages carry it.
// The wire format ([signalbox.Notification.MarshalJSON]) leaves out what only
// the router needs, and cuts times to milliseconds.
type storedNotification struct {
	ID        string            `json:"id"`
	User      string            `json:"user,omitempty"`
	Origin    string            `json:"origin"`
	Created   time.Time         `json:"created"`
	Updated   *time.Time        `json:"updated,omitempty"`
	Read      *time.Time        `json:"read,omitempty"`
	Saved     *time.Time        `json:"saved,omitempty"`
	Payload   signalbox.Payload `json:"payload"`
	RequestID string            `json:"request"`
	Revision  int64             `json:"revision"`
}

func storedFrom(n signalbox.Notification) storedNotification {
	return storedNotification{
		ID: n.ID, User: n.User, Origin: n.Origin, Created: n.Created,
		Updated: timePointer(n.Updated), Read: timePointer(n.Read), Saved: timePointer(n.Saved),
		Payload: n.Payload, RequestID: n.RequestID, Revision: n.Revision,
	}
}

func (s storedNotification) notification() signalbox.Notification {
	return signalbox.Notification{
		ID: s.ID, User: s.User, Origin: s.Origin, Created: s.Created,
		Updated: timeValue(s.Updated), Read: timeValue(s.Read), Saved: timeValue(s.Saved),
		Payload: s.Payload, RequestID: s.RequestID, Revision: s.Revision,
	}
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeValue(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
