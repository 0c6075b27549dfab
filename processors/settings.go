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

// Explainer is a [Decider] that says why. The stage asks it in place of Decide.
type Explainer interface {
	Decider
	// Explain returns, for each notification, one decision for each of channels,
	// in their order. It is asked once per batch, for broadcasts too.
	Explain(ctx context.Context, notifications []*signalbox.Notification, channels []string) ([][]signalbox.SettingsDecision, error)
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
	explainer, explains := s.decider.(Explainer)
	var (
		routed        []*signalbox.Routed
		notifications []*signalbox.Notification
	)
	for _, item := range batch.Live() {
		for i := range item.Routed {
			if r := &item.Routed[i]; explains || !r.Notification.IsBroadcast() {
				routed = append(routed, r)
				notifications = append(notifications, &r.Notification)
			}
		}
	}
	if len(routed) == 0 {
		return nil
	}
	if !explains {
		allowed, err := s.decider.Decide(ctx, notifications, s.channels)
		if err != nil {
			return err
		}
		for i, r := range routed {
			s.apply(r, func(channel string) signalbox.SettingsDecision {
				return signalbox.SettingsDecision{Delivered: slices.Contains(allowed[i], channel), Rule: signalbox.RuleDecider}
			})
		}
		return nil
	}
	decisions, err := explainer.Explain(ctx, notifications, s.channels)
	if err != nil {
		return err
	}
	for i, r := range routed {
		s.apply(r, func(channel string) signalbox.SettingsDecision {
			if at := slices.Index(s.channels, channel); at >= 0 {
				return decisions[i][at]
			}
			return signalbox.SettingsDecision{Delivered: true, Rule: signalbox.RuleDefault}
		})
	}
	return nil
}

// apply takes away the channels that are decided against. The list of channels is
// shared by all notifications, so it is replaced and not changed.
func (s *Settings) apply(r *signalbox.Routed, decide func(channel string) signalbox.SettingsDecision) {
	var kept []string
	for i, channel := range r.Channels {
		decision := decide(channel)
		if !decision.Delivered {
			if len(r.Suppressed) == 0 {
				kept = slices.Clone(r.Channels[:i])
			}
			r.Suppressed = append(r.Suppressed, signalbox.Suppression{Channel: channel, Rule: decision.Rule})
		} else if len(r.Suppressed) > 0 {
			kept = append(kept, channel)
		}
	}
	if len(r.Suppressed) > 0 {
		r.Channels = kept
	}
}
