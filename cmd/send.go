package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// sendFlags are the flags of "send".
type sendFlags struct {
	url, tokenFile, data string

	file      string
	to        []string
	exclude   []string
	broadcast bool

	title, description, link, severity, topic, scope, icon string
	additionalLinks                                        []string
	metadata                                               []string

	wait           time.Duration
	timeout        time.Duration
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
	flags := c.Flags()
	flags.StringVar(&f.url, "url", "", "address of the server (default $SIGNALBOX_URL, else http://127.0.0.1:7080)")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the service token (default $SIGNALBOX_TOKEN, else the local server's)")
	flags.StringVar(&f.data, "data", "", "folder of the local server, for its token (default $SIGNALBOX_DATA, else ./signalbox-data)")
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
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "give up on the server after this time, beyond --wait")
	flags.StringVar(&f.idempotencyKey, "idempotency-key", "", "makes a repeated send return the first receipt")
	flags.BoolVar(&f.json, "json", false, "print the server's answer as it is")
	return c
}

// maxAnswer bounds what is read of the server's answer. It has room for the
// notifications of a request with the most recipients.
const maxAnswer = 256 << 20

func (f *sendFlags) run(c *cobra.Command) error {
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout+f.wait)
	defer cancel()
	request, err := f.request(ctx, c.InOrStdin())
	if err != nil {
		return exitWith(exitUsage, err)
	}
	client := &http.Client{
		// One request: a connection that is kept open would outlive the command.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		// A redirected POST becomes a GET, which would succeed and send nothing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if c.Context().Err() != nil {
		return errors.New("interrupted: the notification may have been accepted or not")
	}
	if err != nil {
		return exitWith(exitUnavailable, fmt.Errorf("cannot reach the server: %w (is \"signalbox serve\" running?)", err))
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return exitWith(exitUnavailable, fmt.Errorf("the server's answer broke off: %w", err))
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return f.refused(response, answer)
	}
	return f.print(c.OutOrStdout(), c.ErrOrStderr(), response.StatusCode, answer)
}

// request makes the HTTP request. Its errors are the user's mistakes.
func (f *sendFlags) request(ctx context.Context, stdin io.Reader) (*http.Request, error) {
	switch {
	case f.wait < 0:
		return nil, errors.New("--wait must not be negative")
	case f.timeout <= 0:
		return nil, errors.New("--timeout must be positive")
	}
	endpoint, err := f.endpoint()
	if err != nil {
		return nil, err
	}
	body, err := f.body(stdin)
	if err != nil {
		return nil, err
	}
	token, err := f.token(endpoint)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "signalbox/"+Version())
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if f.idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", f.idempotencyKey)
	}
	if f.wait > 0 {
		request.Header.Set("Prefer", "wait="+strconv.FormatInt(int64((f.wait+time.Second-1)/time.Second), 10))
	}
	return request, nil
}

// endpoint is the URL to POST to: the address of a server, or of its API.
func (f *sendFlags) endpoint() (*url.URL, error) {
	address := firstOf(f.url, os.Getenv("SIGNALBOX_URL"), "http://127.0.0.1:7080")
	endpoint, err := url.Parse(address)
	if err != nil {
		var parsing *url.Error
		if errors.As(err, &parsing) {
			err = parsing.Err // without the address, which may hold a password
		}
		return nil, fmt.Errorf("--url: %w", err)
	}
	if (endpoint.Scheme != "http" && endpoint.Scheme != "https") || endpoint.Host == "" {
		return nil, errors.New("--url must be http://HOST:PORT or https://HOST:PORT")
	}
	const api = "/api/notifications"
	endpoint.Path = strings.TrimSuffix(strings.TrimRight(endpoint.Path, "/"), api) + api
	return endpoint, nil
}

// token finds the token without ever taking it from the command line. The one of
// the local server is for the local server: another one gets it only from the
// folder that --data names.
func (f *sendFlags) token(endpoint *url.URL) (string, error) {
	if f.tokenFile != "" {
		return readToken(f.tokenFile)
	}
	if token := strings.TrimSpace(os.Getenv("SIGNALBOX_TOKEN")); token != "" {
		return token, nil
	}
	if f.data == "" && !isLoopback(endpoint.Hostname()) {
		return "", nil // the server will say that credentials are missing
	}
	token, err := readToken(filepath.Join(firstOf(f.data, os.Getenv("SIGNALBOX_DATA"), "./signalbox-data"), senderTokenFile))
	if errors.Is(err, os.ErrNotExist) && f.data == "" {
		return "", nil
	}
	return token, err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
