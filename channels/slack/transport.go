package slack

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/signalbox/signalbox"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 1 << 20
	// idleTimeout is how long a connection is kept for the next call.
	idleTimeout = 90 * time.Second
)

func newHTTPClient(config Config) *http.Client {
	transport := config.Transport
	if transport == nil {
		transport = signalbox.GiveUpLost(&http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   min(config.ConcurrencyLimit, maxConcurrency),
			IdleConnTimeout:       idleTimeout,
			TLSHandshakeTimeout:   config.Timeout,
			ExpectContinueTimeout: time.Second,
		}, config.Timeout)
	}
	return &http.Client{
		Transport: transport,
		Timeout:   config.Timeout,
		// A redirect would carry the token, which is in the body, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// boundedClient is an HTTP client for slack-go, which reads answers of any size and
// gives up on a Retry-After that is no number.
type boundedClient struct{ http *http.Client }

// Do sends a request.
func (c boundedClient) Do(r *http.Request) (*http.Response, error) {
	response, err := c.http.Do(r) //nolint:gosec // the operator says where Slack is
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxAnswer), response.Body}
	if _, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31); err != nil {
		response.Header.Del("Retry-After") // then slack-go reports the status
	}
	return response, nil
}
