package cmd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// sendFlags are the flags of "send".
type sendFlags struct {
	serverFlags

	file      string
	to        []string
	exclude   []string
	broadcast bool

	title, description, link, severity, topic, scope, icon string
	additionalLinks                                        []string
	metadata                                               []string

	wait           time.Duration
	idempotencyKey string
	json           bool
}

func newSend() *cobra.Command {
	var f sendFlags
	c := &cobra.Command{
		Use:   "send [flags]",
		Short: "Send a notification",
		Long: `Send a notification to a running Signalbox (or Backstage) server.

The request is made of flags, or read as JSON from a file (--file, "-" is standard
input); flags replace what the file says.

The token is read from --token-file, from SIGNALBOX_TOKEN, or from the folder of a
local server; a server on another machine gets that one only if --data names it. It is
never given on the command line, where others could see it.

Exit codes: 0 accepted; 1 failure; 2 the command line or the request is wrong;
3 the credentials were refused; 4 the server cannot be reached or is overloaded.`,
		Example: `  # to one user, and wait until it is in the inbox
  signalbox send --to user:default/jane --title "Build finished" --wait 5s

  # to everyone, with a link
  signalbox send --broadcast --title "Maintenance tonight" --severity high \
      --link https://status.example.com --additional-link "Runbook=https://wiki.example.com/run"

  # from JSON
  echo '{"recipients":{"type":"broadcast"},"payload":{"title":"Hello"}}' | signalbox send --file -`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c, 30*time.Second, ", beyond --wait")
	flags := c.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "read the request as JSON from a file; - is standard input")
	flags.StringArrayVar(&f.to, "to", nil, "receiving entity, such as user:default/jane (repeatable)")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "entity that is not to get it (repeatable)")
	flags.BoolVar(&f.broadcast, "broadcast", false, "send to everyone")
	flags.StringVar(&f.title, "title", "", "title")
	flags.StringVar(&f.description, "description", "", "description")
	flags.StringVar(&f.link, "link", "", "link, http or https or relative to app.baseUrl")
	flags.StringVar(&f.severity, "severity", "", "critical, high, normal (default) or low")
	flags.StringVar(&f.topic, "topic", "", "topic, which groups notifications of one kind")
	flags.StringVar(&f.scope, "scope", "", "scope: a re-send with the same scope updates instead of adding")
	flags.StringVar(&f.icon, "icon", "", "icon name")
	flags.StringArrayVar(&f.additionalLinks, "additional-link", nil, "further link: URL or TITLE=URL (repeatable)")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "KEY=VALUE (VALUE is JSON, else text), or a JSON object (repeatable)")
	flags.DurationVar(&f.wait, "wait", 0, "wait so long for it to be in the inboxes, and print what was made")
	flags.StringVar(&f.idempotencyKey, "idempotency-key", "", "makes a repeated send return the first receipt")
	flags.BoolVar(&f.json, "json", false, "print the server's answer as it is")
	return c
}

func (f *sendFlags) run(c *cobra.Command) error {
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout+f.wait)
	defer cancel()
	request, err := f.request(ctx, c.InOrStdin())
	if err != nil {
		return exitWith(exitUsage, err)
	}
	status, answer, err := exchange(c.Context(), request, "interrupted: the notification may have been accepted or not", "")
	if err != nil {
		return err
	}
	return f.print(c.OutOrStdout(), c.ErrOrStderr(), status, answer)
}

// request makes the HTTP request. Its errors are the user's mistakes.
func (f *sendFlags) request(ctx context.Context, stdin io.Reader) (*http.Request, error) {
	if f.wait < 0 {
		return nil, errors.New("--wait must not be negative")
	}
	body, err := f.body(stdin)
	if err != nil {
		return nil, err
	}
	request, err := f.newRequest(ctx, http.MethodPost, "", nil, body)
	if err != nil {
		return nil, err
	}
	if f.idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", f.idempotencyKey)
	}
	if f.wait > 0 {
		request.Header.Set("Prefer", "wait="+strconv.FormatInt(int64((f.wait+time.Second-1)/time.Second), 10))
	}
	return request, nil
}
