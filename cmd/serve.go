package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/configs"
	"github.com/signalbox/signalbox/web/auth"
)

func newServe(e *extras) *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the router",
		Long: `Serve runs the router: HTTP API, WebSocket, pipeline. Without any configuration it
listens on 127.0.0.1:7080, keeps its data in an embedded database in
./signalbox-data, and is in guest (development) mode.

SIGTERM and SIGINT stop it gracefully: what was accepted is finished or stays in the
queue. A second signal stops it at once; nothing accepted is lost then either.`,
		Example: `  signalbox serve
  signalbox serve --config signalbox.yaml
  signalbox serve --database postgres://signalbox@db.internal/signalbox`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := f.load(c.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(c.Context(), config, e, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.register(c)
	return c
}

func serve(ctx context.Context, config configs.Config, e *extras, stdout, stderr io.Writer) error {
	log := newLogger(config.Log, stderr)
	// The address first: a second start by mistake should end before it touches
	// the database.
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Listen)
	if err != nil {
		hint := ""
		if errors.Is(err, syscall.EADDRINUSE) {
			hint = "; is Signalbox running already? Use --listen for another port"
		}
		return exitWith(exitUsage, fmt.Errorf("cannot listen: %w%s", err, hint))
	}
	a, err := newApp(ctx, config, e, log)
	if err != nil {
		_ = ln.Close()
		return err
	}
	if config.Auth.Guest.Enabled {
		log.Warn("guest mode: everyone who reaches this address can read every inbox", "address", ln.Addr().String())
	}
	err = a.run(ctx, ln, func() { a.greet(stdout, ln.Addr()) })
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// greet says where everything is, and how to send a first notification.
func (a *app) greet(out io.Writer, address net.Addr) {
	host, port, err := net.SplitHostPort(address.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	at := net.JoinHostPort(host, port)

	var b strings.Builder
	fmt.Fprintf(&b, "\nSignalbox %s is running.\n\n", Version())
	fmt.Fprintf(&b, "  Inbox      %s://%s/\n", scheme(a.config.TLS, "http"), at)
	fmt.Fprintf(&b, "  API        %s://%s/api/notifications\n", scheme(a.config.TLS, "http"), at)
	fmt.Fprintf(&b, "  WebSocket  %s://%s/api/signals\n", scheme(a.config.TLS, "ws"), at)
	fmt.Fprintf(&b, "  Database   %s\n", a.config.Database)
	fmt.Fprintf(&b, "  Directory  %s\n", directoryText(a.config))
	if a.config.Auth.Guest.Enabled {
		fmt.Fprintf(&b, "  Mode       guest (development): you are %s, or whom X-Signalbox-User names\n", a.config.Auth.Guest.User)
	}
	if a.senderTokenPath != "" {
		fmt.Fprintf(&b, "  Token      %s\n", a.senderTokenPath)
		fmt.Fprintf(&b, `
Send a first notification:

  curl %[4]s://%[1]s/api/notifications \
    -H "Authorization: Bearer $(cat %[2]s)" \
    -H "Content-Type: application/json" \
    -d '{"recipients":{"type":"entity","entityRef":%[3]q},"payload":{"title":"Hello, Signalbox"}}'
`, at, shellQuote(a.senderTokenPath), a.firstRecipient(), scheme(a.config.TLS, "http"))
		if a.config.Auth.Guest.Enabled {
			fmt.Fprintf(&b, "\nAnd read it: in a browser at %[1]s://%[2]s/, or by\n\n  curl %[1]s://%[2]s/api/notifications\n", scheme(a.config.TLS, "http"), at)
		}
	}
	fmt.Fprintln(&b)
	_, _ = io.WriteString(out, b.String())
}

// firstRecipient is whom the first notification should go to: the guest, alone
// or with colleagues.
func (a *app) firstRecipient() string {
	const team = "group:default/team-a"
	if a.config.UsesSample() && a.config.Auth.Guest.User == auth.DefaultGuest {
		return team
	}
	return a.config.Auth.Guest.User
}

// shellQuote quotes a path for a POSIX shell if it needs it.
func shellQuote(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
