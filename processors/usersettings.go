package processors

import (
	"context"

	"github.com/signalbox/signalbox"
)

// UserSettings decides by the operator's policy and the users' stored choices.
// It keeps nothing in memory: a choice holds from the moment it is stored, on
// every instance.
type UserSettings struct {
	policy *signalbox.SettingsPolicy
	store  ChoiceReader
}

// ChoiceReader is what [UserSettings] needs of a [signalbox.SettingsStore].
type ChoiceReader interface {
	// ChoicesFor is as in [signalbox.SettingsStore].
	ChoicesFor(ctx context.Context, about []signalbox.Received) (map[string][]signalbox.Choice, error)
}

var _ Explainer = (*UserSettings)(nil)

// NewUserSettings makes the decider.
func NewUserSettings(policy *signalbox.SettingsPolicy, store ChoiceReader) *UserSettings {
	return &UserSettings{policy: policy, store: store}
}

// Explain implements [Explainer] with one query for all notifications.
func (u *UserSettings) Explain(ctx context.Context, notifications []*signalbox.Notification, channels []string) ([][]signalbox.SettingsDecision, error) {
	about := make([]signalbox.Received, 0, len(notifications))
	for _, n := range notifications {
		if !n.IsBroadcast() {
			about = append(about, signalbox.Received{User: n.User, Origin: n.Origin, Topic: n.Payload.Topic})
		}
	}
	choices := make(map[string]signalbox.Choices)
	if len(about) > 0 {
		stored, err := u.store.ChoicesFor(ctx, about)
		if err != nil {
			return nil, err
		}
		for user, list := range stored {
			choices[user] = signalbox.NewChoices(list)
		}
	}
	decisions := make([][]signalbox.SettingsDecision, len(notifications))
	all := make([]signalbox.SettingsDecision, len(notifications)*len(channels))
	for i, n := range notifications {
		decisions[i], all = all[:len(channels):len(channels)], all[len(channels):]
		for j, channel := range channels {
			subject := signalbox.Subject{Channel: channel, Origin: n.Origin, Topic: n.Payload.Topic, Severity: n.Payload.Severity}
			if n.IsBroadcast() {
				decisions[i][j] = u.policy.DecideBroadcast(subject)
			} else {
				decisions[i][j] = u.policy.Decide(subject, choices[n.User])
			}
		}
	}
	return decisions, nil
}

// ExplainShared implements [Explainer].
func (u *UserSettings) ExplainShared(n *signalbox.Notification, channel string) signalbox.SettingsDecision {
	return u.policy.DecideShared(signalbox.Subject{
		Channel: channel, Origin: n.Origin, Topic: n.Payload.Topic, Severity: n.Payload.Severity,
	})
}

// Decide implements [Decider].
func (u *UserSettings) Decide(ctx context.Context, notifications []*signalbox.Notification, channels []string) ([][]string, error) {
	decisions, err := u.Explain(ctx, notifications, channels)
	if err != nil {
		return nil, err
	}
	allowed := make([][]string, len(notifications))
	for i := range notifications {
		for j, channel := range channels {
			if decisions[i][j].Delivered {
				allowed[i] = append(allowed[i], channel)
			}
		}
	}
	return allowed, nil
}
