package pipeline

import (
	"context"
	"log/slog"
	"slices"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
)

// maxWoken bounds how many notifications a user is told of that come back at the
// same time. Their clients read the list anyway.
const maxWoken = 100

// wake tells a user of the notifications that are back because their time has come.
// They are in the lists without it, so that a message that comes late, or twice,
// changes nothing.
func (p *Pipeline) wake(ctx context.Context, msg *message.Message) error {
	w, err := signalbox.DecodeWake(msg.Payload)
	if err != nil {
		return p.bury(ctx, msg, signalbox.TopicWake, err)
	}
	if now := p.now(); w.Until.After(now) {
		// The clock of the queue is ahead of ours, by which the rows are still away.
		_, err := p.deps.Committer.Commit(ctx, signalbox.Commit{Messages: []signalbox.Message{w.Message(now)}})
		return err
	}
	if p.deps.Listening != nil && !p.deps.Listening() {
		return nil
	}
	woken, err := p.deps.Snoozes.Woken(ctx, w.User, w.Until, maxWoken)
	switch {
	case err == nil:
	case p.deps.Leases(msg) > buryAfterLeases && !signalbox.IsTransient(err):
		p.log.LogAttrs(ctx, slog.LevelError, "a user is not told of what was snoozed", slog.Any("error", err))
		return nil
	default:
		return err
	}
	signals := make([]signalbox.Signal, 0, len(woken))
	// The first of the list comes last, as it would if each came at its own time.
	for _, n := range slices.Backward(woken) {
		signal, err := newNotificationSignal(&n)
		if err != nil {
			continue // as in Pipeline.signal
		}
		// Broadcasts are back for this user only.
		signal.Broadcast, signal.Recipients = false, []string{w.User}
		signals = append(signals, signal)
	}
	if len(signals) > 0 {
		p.deps.Signaler.Signal(ctx, signals...)
	}
	return nil
}
