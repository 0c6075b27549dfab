// Package cmd is the command line of Signalbox, and the one place that wires the
// packages together. It can be imported: a main package of a few lines builds a
// binary with processors and channels of its own, without a fork.
//
//	func main() {
//		os.Exit(cmd.Main(
//			cmd.WithProcessor(redact{}),
//			cmd.WithChannel(pager{}),
//		))
//	}
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/slack"
	"github.com/signalbox/signalbox/processors"
)

// Option adds to the binary.
type Option func(*extras)

// extras are what options add.
type extras struct {
	processors []signalbox.Processor
	channels   []channels.Channel
	decider    processors.Decider
	directory  signalbox.Directory
	slack      slack.Renderer
}

// WithProcessor adds a step to the pipeline. Steps run in the order in which
// they are added.
func WithProcessor(p signalbox.Processor) Option {
	return func(e *extras) { e.processors = append(e.processors, p) }
}

// WithChannel adds a way out.
func WithChannel(c channels.Channel) Option {
	return func(e *extras) { e.channels = append(e.channels, c) }
}

// WithDecider replaces what decides which channels a user lets through. By
// default the users' settings and the configuration decide; with another decider,
// what the settings page shows is no longer what is delivered.
func WithDecider(d processors.Decider) Option {
	return func(e *extras) { e.decider = d }
}

// WithDirectory replaces the directory that the configuration describes. Package
// processors/directory makes one of any source that can look records up.
func WithDirectory(d signalbox.Directory) Option {
	return func(e *extras) { e.directory = d }
}

// WithSlackRenderer changes or replaces the messages of the Slack channels that are
// configured.
func WithSlackRenderer(render slack.Renderer) Option {
	return func(e *extras) { e.slack = render }
}

// The exit codes.
const (
	exitOK = iota
	// exitFailure is any failure without a code of its own.
	exitFailure
	// exitUsage is a wrong command line, configuration or request: trying again
	// unchanged is pointless.
	exitUsage
	// exitDenied means that the credentials were refused.
	exitDenied
	// exitUnavailable means that the server could not be reached or asks to be
	// tried again later.
	exitUnavailable
)

// exitError carries an exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exitWith gives err an exit code.
func exitWith(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// Main runs the command line of the process and returns its exit code. SIGINT
// and SIGTERM stop it gracefully; a second one stops it at once.
func Main(options ...Option) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default handling is restored, so that the
	// second one ends the process.
	context.AfterFunc(ctx, stop)
	return Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, options...)
}

// Run runs one command line until it ends or ctx is done, and returns its exit
// code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, options ...Option) int {
	var e extras
	for _, option := range options {
		option(&e)
	}
	root := newRoot(&e)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(stderr, "signalbox:", err)
	var coded *exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitFailure
}

func newRoot(e *extras) *cobra.Command {
	root := &cobra.Command{
		Use:   "signalbox",
		Short: "A self-hosted notification router",
		Long: `Signalbox takes notifications by HTTP, stores each user's inbox, tells connected
clients at once, and forwards to other channels. It is a drop-in for Backstage's
notifications and signals backends.`,
		Example: `  signalbox serve
  signalbox send --to user:default/jane --title "Build finished"`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(usageFlags)
	root.AddCommand(newServe(e), newMigrate(), newSend(), newStatus(), newDeadLetters(), newTokens(), newChannels(e), newConfig(e), newVersion())
	return root
}
