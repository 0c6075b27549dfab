package bus

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
)

// helloKind is the message of an instance that began to listen: it is there.
const helloKind = "hello"

// listen is the listener's goroutine. It connects again for ever.
func (b *Bus) listen(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		listened, err := b.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if listened {
			failures = 0
		}
		failures++
		if failures == 1 {
			b.config.Logger.LogAttrs(ctx, slog.LevelWarn, "bus: cannot listen; trying again", slog.Any("error", err))
		}
		b.pause(ctx, failures)
	}
}

// listenOnce listens on one connection until it breaks, and reports whether it
// came so far.
func (b *Bus) listenOnce(ctx context.Context) (listened bool, err error) {
	conn, err := b.connect(ctx, "signalbox-listen")
	if err != nil {
		return false, err
	}
	defer disconnect(conn)
	// In this order: whoever sees the lock, or hears the hello, is heard.
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{b.config.Channel}.Sanitize()); err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	if err := b.peers.announce(ctx, conn); err != nil {
		return false, err
	}
	b.Send(helloKind, nil)
	b.listens.Add(1)
	b.config.Logger.LogAttrs(ctx, slog.LevelDebug, "bus: listening", slog.String("channel", b.config.Channel))
	b.config.OnListen()

	frames := unpacker{instance: b.instance}
	for {
		notification, err := conn.WaitForNotification(ctx)
		if err != nil {
			return true, err
		}
		theirs, lost, err := frames.add(notification.Payload, b.dispatch)
		if theirs {
			b.peers.hear()
		}
		b.dropped.Add(int64(lost))
		if err != nil {
			// Another version of this program, or somebody else's channel.
			b.dropped.Add(1)
			b.config.Logger.LogAttrs(ctx, slog.LevelWarn, "bus: notification not understood", slog.Any("error", err))
		}
	}
}

func (b *Bus) dispatch(kind string, payload []byte) {
	if kind == helloKind {
		return
	}
	b.received.Add(1)
	if handler := (*b.handlers.Load())[kind]; handler != nil {
		handler(payload)
	}
}
