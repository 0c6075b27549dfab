// Command example is Signalbox with a processor and a channel of its own: what an
// adopter's main package looks like.
package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/cmd"
)

// shouty marks critical notifications before they are stored.
type shouty struct{}

func (shouty) Name() string { return "shouty" }

//nolint:unparam // the signature is signalbox.PreProcessor's
func (shouty) PreProcess(_ context.Context, n *signalbox.Notification) (keep bool, err error) {
	if n.Payload.Severity == signalbox.SeverityCritical {
		n.Payload.Title = "‼ " + strings.TrimPrefix(n.Payload.Title, "‼ ")
	}
	return true, nil
}

// logbook is a channel that writes to a log.
type logbook struct{ log *slog.Logger }

func (logbook) Name() string { return "Logbook" }

func (l logbook) Deliver(ctx context.Context, d channels.Delivery) (channels.Sent, error) {
	l.log.InfoContext(ctx, "logbook", "to", d.Audience, "title", d.Notification.Payload.Title)
	return channels.Sent{Reply: "logged"}, nil
}

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	os.Exit(cmd.Main(cmd.WithProcessor(shouty{}), cmd.WithChannel(logbook{log})))
}
