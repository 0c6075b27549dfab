package delivery

import (
	"time"

	"github.com/signalbox/signalbox"
)

// Notification is a notification as messages of the queue carry it. The wire
// format ([signalbox.Notification.MarshalJSON]) leaves out what only the router
// needs, and cuts times to milliseconds.
type Notification struct {
	ID        string            `json:"id"`
	User      string            `json:"user,omitempty"`
	Origin    string            `json:"origin"`
	Created   time.Time         `json:"created"`
	Updated   time.Time         `json:"updated,omitzero"`
	Read      time.Time         `json:"read,omitzero"`
	Saved     time.Time         `json:"saved,omitzero"`
	Payload   signalbox.Payload `json:"payload"`
	RequestID string            `json:"request"`
	Revision  int64             `json:"revision"`
}

// NotificationFrom returns n as messages carry it.
func NotificationFrom(n signalbox.Notification) Notification {
	return Notification{
		ID: n.ID, User: n.User, Origin: n.Origin, Created: n.Created,
		Updated: n.Updated, Read: n.Read, Saved: n.Saved,
		Payload: n.Payload, RequestID: n.RequestID, Revision: n.Revision,
	}
}

// Notification returns what n was made from.
func (n Notification) Notification() signalbox.Notification {
	return signalbox.Notification{
		ID: n.ID, User: n.User, Origin: n.Origin, Created: n.Created,
		Updated: n.Updated, Read: n.Read, Saved: n.Saved,
		Payload: n.Payload, RequestID: n.RequestID, Revision: n.Revision,
	}
}
