package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox"
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
local server. It is never given on the command line, where others could see it.

Exit codes: 0 accepted; 1 failure; 2 the command line or the request is wrong;
3 the credentials were refused; 4 the server cannot be reached or is overloaded.`,
		Example: `  # to one user, and wait until it is in the inbox
  signalbox send --to user:default/jane --title "Build finished" --wait 5s

  # to everyone, with a link
  signalbox send --broadcast --title "Maintenance tonight" --severity high \
      --link https://status.example.com --additional-link "Runbook=https://wiki.example.com/run"

  # from JSON
  echo '{"recipients":{"type":"broadcast"},"payload":{"title":"Hello"}}' | signalbox send --file -`,
		Args: usageArgs(cobra.NoArgs),
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

func (f *sendFlags) run(c *cobra.Command) error {
	body, err := f.body(c.InOrStdin())
	if err != nil {
		return exitWith(exitUsage, err)
	}
	token, err := f.token()
	if err != nil {
		return exitWith(exitUsage, err)
	}
	base := firstOf(f.url, os.Getenv("SIGNALBOX_URL"), "http://127.0.0.1:7080")
	endpoint := strings.TrimSuffix(strings.TrimRight(base, "/"), "/api/notifications") + "/api/notifications"

	ctx, cancel := context.WithTimeout(c.Context(), f.timeout+f.wait)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body)) //nolint:gosec // G704: see below
	if err != nil {
		return exitWith(exitUsage, fmt.Errorf("--url: %w", err))
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
		request.Header.Set("Prefer", "wait="+strconv.Itoa(int((f.wait+time.Second-1)/time.Second)))
	}
	response, err := http.DefaultClient.Do(request) //nolint:gosec // G704: the user names the server to send to
	if err != nil {
		return exitWith(exitUnavailable, fmt.Errorf("cannot reach the server: %w (is \"signalbox serve\" running?)", err))
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return exitWith(exitUnavailable, fmt.Errorf("the server's answer broke off: %w", err))
	}
	if response.StatusCode >= 300 {
		return refused(response.StatusCode, answer)
	}
	return f.print(c.OutOrStdout(), response.StatusCode, answer)
}

// token finds the token without ever taking it from the command line.
func (f *sendFlags) token() (string, error) {
	if f.tokenFile != "" {
		return readToken(f.tokenFile)
	}
	if token := os.Getenv("SIGNALBOX_TOKEN"); token != "" {
		return token, nil
	}
	data := firstOf(f.data, os.Getenv("SIGNALBOX_DATA"), "./signalbox-data")
	token, err := readToken(filepath.Join(data, senderTokenFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // the server will say that credentials are missing
	}
	return token, err
}

// body makes the request of the file and the flags. The server validates it.
func (f *sendFlags) body(stdin io.Reader) ([]byte, error) {
	request := map[string]any{}
	if f.file != "" {
		if err := readRequest(f.file, stdin, &request); err != nil {
			return nil, err
		}
	}
	if err := f.recipients(request); err != nil {
		return nil, err
	}
	payload, _ := request["payload"].(map[string]any)
	if payload == nil {
		payload = map[string]any{}
	}
	for key, value := range map[string]string{
		"title": f.title, "description": f.description, "link": f.link, "severity": f.severity,
		"topic": f.topic, "scope": f.scope, "icon": f.icon,
	} {
		if value != "" {
			payload[key] = value
		}
	}
	if len(f.additionalLinks) > 0 {
		payload["additionalLinks"] = parseLinks(f.additionalLinks)
	}
	if len(f.metadata) > 0 {
		metadata, err := parseMetadata(f.metadata)
		if err != nil {
			return nil, err
		}
		payload["metadata"] = metadata
	}
	request["payload"] = payload
	if title, _ := payload["title"].(string); title == "" {
		return nil, errors.New("--title is missing")
	}
	return json.Marshal(request)
}

func readRequest(name string, stdin io.Reader, request *map[string]any) error {
	source := stdin
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // G304: the user names the file to send
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		defer func() { _ = file.Close() }()
		source = file
	}
	decoder := json.NewDecoder(source)
	decoder.UseNumber()
	if err := decoder.Decode(request); err != nil {
		return fmt.Errorf("--file: the request is not a JSON object: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("--file: there is more than one JSON value")
	}
	return nil
}

func (f *sendFlags) recipients(request map[string]any) error {
	switch {
	case f.broadcast && len(f.to) > 0:
		return errors.New("--broadcast and --to exclude each other")
	case f.broadcast:
		request["recipients"] = map[string]any{"type": signalbox.RecipientsBroadcast}
	case len(f.to) > 0:
		request["recipients"] = map[string]any{"type": signalbox.RecipientsEntity, "entityRef": f.to}
	case request["recipients"] == nil:
		return errors.New("nobody is to get it: use --to ENTITY or --broadcast")
	}
	if len(f.exclude) > 0 {
		recipients, ok := request["recipients"].(map[string]any)
		if !ok {
			return errors.New("--exclude: the file's recipients are not an object")
		}
		recipients["excludeEntityRef"] = f.exclude
	}
	return nil
}

// parseLinks reads "URL" or "TITLE=URL". A URL may hold an equals sign, so only
// one before the scheme separates.
func parseLinks(flags []string) []signalbox.AdditionalLink {
	links := make([]signalbox.AdditionalLink, 0, len(flags))
	for _, flag := range flags {
		title, url, ok := strings.Cut(flag, "=")
		if !ok || strings.Contains(title, "://") || strings.HasPrefix(title, "/") {
			title, url = "", flag
		}
		links = append(links, signalbox.AdditionalLink{Title: title, URL: url})
	}
	return links
}

func parseMetadata(flags []string) (map[string]any, error) {
	metadata := map[string]any{}
	for _, flag := range flags {
		if strings.HasPrefix(strings.TrimSpace(flag), "{") {
			if err := json.Unmarshal([]byte(flag), &metadata); err != nil {
				return nil, fmt.Errorf("--metadata: %w", err)
			}
			continue
		}
		key, text, ok := strings.Cut(flag, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--metadata: %q is neither KEY=VALUE nor a JSON object", flag)
		}
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			value = text
		}
		metadata[key] = value
	}
	return metadata, nil
}

// refused turns an error answer into an error with the fitting exit code.
func refused(status int, answer []byte) error {
	var body struct {
		Error struct{ Name, Message string }
	}
	message := strings.TrimSpace(string(answer))
	if err := json.Unmarshal(answer, &body); err == nil && body.Error.Message != "" {
		message = body.Error.Message
	}
	code := exitFailure
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		code = exitDenied
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable ||
		status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		code = exitUnavailable
	case status >= 400 && status < 500:
		code = exitUsage
	}
	return exitWith(code, fmt.Errorf("the server refused (%d): %s", status, message))
}

// print tells a person what happened.
func (f *sendFlags) print(out io.Writer, status int, answer []byte) error {
	if f.json {
		_, err := fmt.Fprintln(out, strings.TrimSpace(string(answer)))
		return err
	}
	if status == http.StatusOK {
		var made []struct {
			ID      string  `json:"id"`
			User    *string `json:"user"`
			Updated *string `json:"updated"`
		}
		if err := json.Unmarshal(answer, &made); err != nil {
			return fmt.Errorf("the server's answer cannot be read: %w", err)
		}
		if len(made) == 0 {
			_, err := fmt.Fprintln(out, "accepted, and it reached nobody")
			return err
		}
		for _, n := range made {
			who, what := "everyone", "delivered"
			if n.User != nil {
				who = *n.User
			}
			if n.Updated != nil {
				what = "updated"
			}
			if _, err := fmt.Fprintf(out, "%s  %s  %s\n", what, n.ID, who); err != nil {
				return err
			}
		}
		return nil
	}
	var receipt signalbox.Receipt
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	suffix := ""
	if f.wait > 0 {
		suffix = "  (not processed yet)"
	}
	if _, err := fmt.Fprintf(out, "accepted  %s%s\n", receipt.ID, suffix); err != nil {
		return err
	}
	for _, warning := range receipt.Warnings {
		if _, err := fmt.Fprintln(out, "warning:", warning); err != nil {
			return err
		}
	}
	return nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
