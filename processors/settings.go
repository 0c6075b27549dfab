package processors

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
)

// Decider knows what users want to receive, and where. It must be safe for concurrent
// use and return soon after ctx is done: the batch, and what comes after it, waits for
// the answer.
type Decider interface {
	// Decide returns, for each notification and in their order, which of channels it
	// may go to. It is asked once per batch. Broadcasts are not asked for.
	Decide(ctx context.Context, notifications []*signalbox.Notification, channels []string) ([][]string, error)
}

// Explainer is a [Decider] that says why. The stage asks it in place of Decide.
type Explainer interface {
	Decider
	// Explain returns, for each notification, one decision for each of channels,
	// in their order. It is asked once per batch, for broadcasts too.
	Explain(ctx context.Context, notifications []*signalbox.Notification, channels []string) ([][]signalbox.SettingsDecision, error)
	// ExplainShared decides for what is no single user's, such as a group's room.
	ExplainShared(notification *signalbox.Notification, channel string) signalbox.SettingsDecision
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
			switch r := &item.Routed[i]; {
			case r.Audience.IsUser(), explains && r.Audience == signalbox.Everyone:
				routed = append(routed, r)
				notifications = append(notifications, &r.Notification)
			case explains && r.Audience != signalbox.Everyone:
				apply(r, func(channel string) signalbox.SettingsDecision {
					return explainer.ExplainShared(&r.Notification, channel)
				})
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
		if len(allowed) != len(notifications) {
			return fmt.Errorf("settings: %d answers about %d notifications", len(allowed), len(notifications))
		}
		for i, r := range routed {
			apply(r, func(channel string) signalbox.SettingsDecision {
				return signalbox.SettingsDecision{Delivered: slices.Contains(allowed[i], channel), Rule: signalbox.RuleDecider}
			})
		}
		return nil
	}
	decisions, err := explainer.Explain(ctx, notifications, s.channels)
	if err != nil {
		return err
	}
	if len(decisions) != len(notifications) {
		return fmt.Errorf("settings: %d answers about %d notifications", len(decisions), len(notifications))
	}
	for _, decided := range decisions { // all of them before any is applied
		if len(decided) != len(s.channels) {
			return fmt.Errorf("settings: %d decisions about %d channels", len(decided), len(s.channels))
		}
	}
	for i, r := range routed {
		apply(r, func(channel string) signalbox.SettingsDecision {
			if at := slices.Index(s.channels, channel); at >= 0 {
				return decisions[i][at]
			}
			return signalbox.SettingsDecision{Delivered: true, Rule: signalbox.RuleDefault}
		})
	}
	return nil
}

// apply takes away the channels that are decided against.
func apply(r *signalbox.Routed, decide func(channel string) signalbox.SettingsDecision) {
	r.Suppress(func(channel string) signalbox.Rule {
		if decision := decide(channel); !decision.Delivered {
			return cmp.Or(decision.Rule, signalbox.RuleDecider)
		}
		return ""
	})
}
