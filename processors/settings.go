package processors

import (
	"context"
	"slices"

	"github.com/signalbox/signalbox"
)

// Decider knows what users want to receive, and where.
type Decider interface {
	// Decide returns, for each notification, which of channels it may go to. It
	// is asked once per batch. Broadcasts are not asked for.
	Decide(ctx context.Context, notifications []*signalbox.Notification, channels []string) ([][]string, error)
}

// Settings is the stage that takes away the channels that a user switched off.
// A notification without [signalbox.ChannelWeb] is not stored in the inbox and
// signals nothing; its other channels still get it.
type Settings struct {
	decider  Decider
	channels []string
}

// NewSettings makes the stage. channels are all channels there are.
func NewSettings(decider Decider, channels []string) *Settings {
	return &Settings{decider: decider, channels: slices.Clone(channels)}
}

// Name returns "settings".
func (*Settings) Name() string { return "settings" }

// Process asks the decider once for all notifications of the batch.
func (s *Settings) Process(ctx context.Context, batch *signalbox.Batch) error {
	var (
		routed        []*signalbox.Routed
		notifications []*signalbox.Notification
	)
	for _, item := range batch.Live() {
		for i := range item.Routed {
			if r := &item.Routed[i]; !r.Notification.IsBroadcast() {
				routed = append(routed, r)
				notifications = append(notifications, &r.Notification)
			}
		}
	}
	if len(routed) == 0 {
		return nil
	}
	allowed, err := s.decider.Decide(ctx, notifications, s.channels)
	if err != nil {
		return err
	}
	for i, r := range routed {
		r.Channels = allowed[i]
	}
	return nil
}
