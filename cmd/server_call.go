package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// serverFlags are the flags that say which server a command talks to, and as
// whom.
type serverFlags struct {
	url, tokenFile, data string
	timeout              time.Duration
}

// register adds the flags. beyond is what the timeout does not count.
func (f *serverFlags) register(c *cobra.Command, timeout time.Duration, beyond string) {
	flags := c.Flags()
	flags.StringVar(&f.url, "url", "", "address of the server (default $SIGNALBOX_URL, else http://127.0.0.1:7080)")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the service token (default $SIGNALBOX_TOKEN, else the local server's)")
	flags.StringVar(&f.data, "data", "", "folder of the local server, for its token (default $SIGNALBOX_DATA, else ./signalbox-data)")
	flags.DurationVar(&f.timeout, "timeout", timeout, "give up on the server after this time"+beyond)
}

// newRequest makes a request of the notifications API. Its errors are the user's
// mistakes. body is JSON; without one, there is none.
func (f *serverFlags) newRequest(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	if f.timeout <= 0 {
		return nil, errors.New("--timeout must be positive")
	}
	endpoint, err := f.endpoint()
	if err != nil {
		return nil, err
	}
	token, err := f.token(endpoint)
	if err != nil {
		return nil, err
	}
	endpoint.Path += path
	if len(query) > 0 {
		endpoint.RawQuery = query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("User-Agent", "signalbox/"+Version())
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

// endpoint is the URL of the API: of a server's address, or of the API's own.
func (f *serverFlags) endpoint() (*url.URL, error) {
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
func (f *serverFlags) token(endpoint *url.URL) (string, error) {
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

// maxAnswer bounds what is read of the server's answer. It has room for the
// notifications of a request with the most recipients.
const maxAnswer = 256 << 20

// exchange makes a request and returns a successful answer; any other is an error
// with the fitting exit code. interrupted is what to say when command ends first,
// hint what to add where the credentials are not enough.
func exchange(command context.Context, request *http.Request, interrupted, hint string) (status int, answer []byte, err error) {
	client := &http.Client{
		// One request: a connection that is kept open would outlive the command.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		// A redirected POST becomes a GET, which would succeed and do nothing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if command.Err() != nil {
		return 0, nil, errors.New(interrupted)
	}
	if err != nil {
		return 0, nil, exitWith(exitUnavailable, fmt.Errorf("cannot reach the server: %w (is \"signalbox serve\" running?)", err))
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, nil, exitWith(exitUnavailable, fmt.Errorf("the server's answer broke off: %w", err))
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return 0, nil, refused(response, answer, hint)
	}
	return response.StatusCode, answer, nil
}

// refused turns an error answer into an error with the fitting exit code.
func refused(response *http.Response, answer []byte, hint string) error {
	var body struct {
		Error struct{ Name, Message string }
	}
	message := brief(answer)
	if err := json.Unmarshal(answer, &body); err == nil && body.Error.Message != "" {
		message = body.Error.Message
	}
	status := response.StatusCode
	code := exitFailure
	switch {
	case status < http.StatusBadRequest:
		code = exitUsage
		message = fmt.Sprintf("it redirects to %q; use that address as --url", response.Header.Get("Location"))
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		code = exitDenied
		switch {
		// Guest mode takes who has no token for a user, who may not send.
		case response.Request.Header.Get("Authorization") == "":
			message += "; no token was found: use --token-file or SIGNALBOX_TOKEN, or --data for the folder of a local server"
		case status == http.StatusForbidden:
			message += hint
		}
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable ||
		status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		code = exitUnavailable
	case status < http.StatusInternalServerError:
		code = exitUsage
	}
	return exitWith(code, fmt.Errorf("the server refused (%d): %s", status, message))
}

// brief makes one line of an answer that is not what was expected, such as the
// page of a proxy.
func brief(answer []byte) string {
	const most = 200
	text := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(string(answer), "\uFFFD")), " "))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

func printJSON(out io.Writer, answer []byte) error {
	_, err := fmt.Fprintln(out, strings.TrimSpace(string(answer)))
	return err
}

func unreadable(answer []byte) error {
	return fmt.Errorf("this does not look like the answer of a notifications server (is --url right?): %s", brief(answer))
}

// adminTimeout is how long commands for admins wait: longer than the server works
// on a request.
const adminTimeout = 45 * time.Second

// callAdmin makes a request of the admin API and returns the answer. A body is
// sent as JSON.
func (f *serverFlags) callAdmin(c *cobra.Command, method, path string, query url.Values, body any) ([]byte, error) {
	return f.call(c, method, "/admin"+path, query, body, "; the token's subject is not in auth.admins of its configuration")
}

// call makes a request of the notifications API and returns the answer. hint is what
// to add where the credentials are not enough.
func (f *serverFlags) call(c *cobra.Command, method, path string, query url.Values, body any, hint string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := f.newRequest(ctx, method, path, query, encoded)
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	interrupted := "interrupted"
	if method != http.MethodGet {
		interrupted = "interrupted: it may have been done, in full or in part"
	}
	_, answer, err := exchange(c.Context(), request, interrupted, hint)
	return answer, err
}
