package jwks

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
)

// maxRedirects is how often the fetch of a key set follows.
const maxRedirects = 3

// StatusError is an answer other than 200.
type StatusError struct {
	// Status is the HTTP status.
	Status int
}

// Error says what was answered.
func (e *StatusError) Error() string {
	return fmt.Sprintf("answered %d %s", e.Status, http.StatusText(e.Status))
}

// IsNotFound reports whether an error is the answer 404.
func IsNotFound(err error) bool {
	status := new(StatusError)
	return errors.As(err, &status) && status.Status == http.StatusNotFound
}

// silence is how long a connection may be silent, and then take to answer.
const silence = 5 * time.Second

// ownTransport is as the default one, but for connections that are lost.
var ownTransport = sync.OnceValue(func() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	return signalbox.GiveUpLost(standard.Clone(), silence)
})

// BoundedClient returns a client with the transport of the one given, or the
// default one, that follows at most so many redirects, only to the same host, and never from
// https to http: what is fetched is trusted for the address it comes from. It has
// no time limit but those of the requests' contexts.
func BoundedClient(client *http.Client, redirects int) *http.Client {
	bounded := &http.Client{Transport: ownTransport()}
	if client != nil && client.Transport != nil {
		bounded.Transport = client.Transport
	}
	bounded.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		switch first := via[0]; {
		case len(via) > redirects:
			return http.ErrUseLastResponse
		case next.URL.Hostname() != first.URL.Hostname():
			return errors.New("redirects to another host")
		case first.URL.Scheme == "https" && next.URL.Scheme != "https":
			return errors.New("redirects to plain HTTP")
		}
		return nil
	}
	return bounded
}

// Get does a request for JSON and returns the body of the answer, which must be
// 200 and at most limit bytes. The error holds neither the URL nor anything of
// the answer; it wraps a [StatusError] if the status is another.
func Get(client *http.Client, request *http.Request, limit int64) ([]byte, error) {
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request) //nolint:gosec // G704: callers make the address of configuration, and checked parts
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, &StatusError{Status: response.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("the answer cannot be read: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the answer has more than %d bytes", limit)
	}
	return body, nil
}
