package signalbox

import (
	"context"
	"encoding/json"
)

// Signal is a transient JSON message to connected clients. It may be lost: a
// client refetches when it reconnects. Nothing durable hangs on it.
type Signal struct {
	// Channel is the signal channel that clients subscribe, for instance
	// [SignalChannelNotifications]. It has nothing to do with delivery channels.
	Channel string `json:"channel"`
	// Broadcast sends to every subscriber; otherwise Recipients decide.
	Broadcast bool `json:"broadcast,omitempty"`
	// Recipients are canonical entity references: a connection gets the signal
	// if its user owns one of them.
	Recipients []string `json:"recipients,omitempty"`
	// Message is any JSON value.
	Message json.RawMessage `json:"message"`
}

// SignalChannelNotifications is the signal channel of the inbox.
const SignalChannelNotifications = "notifications"

// The actions on [SignalChannelNotifications]. Backstage has the first three.
const (
	ActionNewNotification     = "new_notification"
	ActionNotificationRead    = "notification_read"
	ActionNotificationUnread  = "notification_unread"
	ActionNotificationSaved   = "notification_saved"
	ActionNotificationUnsaved = "notification_unsaved"
	// ActionNotificationSnoozed and ActionNotificationUnsnoozed tell what the user
	// did. What comes back by time is told of as new.
	ActionNotificationSnoozed   = "notification_snoozed"
	ActionNotificationUnsnoozed = "notification_unsnoozed"
	// ActionSettingsChanged tells a user's other clients to read the settings
	// again; its message has nothing else.
	ActionSettingsChanged = "settings_changed"
)

// Signaler publishes signals to the connected clients of every instance.
// It must not block on a slow client or a slow network, and must be called only
// after the commit that the signals tell of.
type Signaler interface {
	Signal(ctx context.Context, signals ...Signal)
}
