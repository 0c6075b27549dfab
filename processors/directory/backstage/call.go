package backstage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// errTooLarge is an answer beyond MaxResponse.
var errTooLarge = errors.New("the answer is too large")

// failure is a request that failed, and whether trying again could help.
type failure struct {
	err   error
	again bool
	// after is when the catalog asked to be tried again.
	after time.Duration
}

// call makes a request and reads its answer, again if need be. read may be
// called more than once; what it read before is void then. It ends with ctx.
func (c *Client) call(ctx context.Context, method, path string, body []byte, read func(*json.Decoder) error) error {
	for attempt := 1; ; attempt++ {
		failed := c.once(ctx, method, path, body, read)
		if failed == nil {
			c.metrics.requests.WithLabelValues("ok").Inc()
			return nil
		}
		if errors.Is(failed.err, errTooLarge) {
			c.metrics.requests.WithLabelValues("too_large").Inc()
			return failed.err
		}
		c.metrics.requests.WithLabelValues("failed").Inc()
		route, _, _ := strings.Cut(path, "?")
		err := fmt.Errorf("backstage catalog: %s %s: %w", method, route, failed.err)
		if failed.after > c.config.MaxBackoff {
			return signalbox.RetryAfter(err, failed.after)
		}
		if !failed.again || attempt >= c.config.Attempts {
			return err
		}
		if !pause(ctx, max(failed.after, c.backoff(attempt))) {
			return err
		}
	}
}

// backoff is between half of the delay and the whole of it, so that it is a
// delay and instances still come apart.
func (c *Client) backoff(attempt int) time.Duration {
	delay := c.config.MaxBackoff
	if shift := attempt - 1; shift < 32 && c.config.MinBackoff<<shift > 0 {
		delay = min(delay, c.config.MinBackoff<<shift)
	}
	return delay/2 + time.Duration(rand.Int64N(int64(delay/2)+1)) //nolint:gosec // G404: jitter is no secret
}

// pause waits; it returns false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once makes one request.
func (c *Client) once(ctx context.Context, method, path string, body []byte, read func(*json.Decoder) error) *failure {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.api+path, bytes.NewReader(body))
	if err != nil {
		return &failure{err: err}
	}
	request.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.config.Token != nil {
		token, err := c.config.Token()
		if err != nil {
			return &failure{err: fmt.Errorf("no token: %w", err), again: true}
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	begun := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return &failure{err: withoutURL(err), again: true}
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	defer func() { c.metrics.seconds.Observe(time.Since(begun).Seconds()) }()
	if response.StatusCode != http.StatusOK {
		// Its body is left alone: it says what was sent, at worst.
		return refused(response)
	}
	limited := &limitedReader{from: response.Body, left: c.config.MaxResponse}
	if err := read(json.NewDecoder(limited)); err != nil {
		if limited.exceeded {
			return &failure{err: errTooLarge}
		}
		return &failure{err: fmt.Errorf("the answer cannot be read: %w", err), again: true}
	}
	_, _ = io.CopyN(io.Discard, limited, 4<<10) // so that the connection can be used again
	return nil
}

// withoutURL takes the query out of what the client says of a failed request:
// the caller says what was asked.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// refused says what an answer other than 200 means.
func refused(response *http.Response) *failure {
	status := response.StatusCode
	f := &failure{
		err: fmt.Errorf("answered %d %s", status, http.StatusText(status)),
		again: status >= http.StatusInternalServerError || status == http.StatusTooManyRequests ||
			status == http.StatusRequestTimeout,
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		f.err = fmt.Errorf("%w: the token is not accepted", f.err)
	case status == http.StatusNotFound || (status >= 300 && status < 400):
		f.err = fmt.Errorf("%w: is the base URL that of Backstage's backend?", f.err)
	}
	if f.again {
		f.after = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	return f
}

// maxRetryAfter bounds what a catalog can ask for.
const maxRetryAfter = 10 * time.Minute

// retryAfter reads the header, seconds or a date.
func retryAfter(header string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.Atoi(header); err == nil {
		d = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// limitedReader fails beyond a limit, where io.LimitReader would end.
type limitedReader struct {
	from     io.Reader
	left     int64
	exceeded bool
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		// Only if there is more is it too much.
		var one [1]byte
		n, err := r.from.Read(one[:])
		if n > 0 {
			r.exceeded = true
			return 0, errTooLarge
		}
		return 0, err
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.from.Read(p)
	r.left -= int64(n)
	return n, err
}

// decodeAnswer reads {"items": […], "pageInfo": {"nextCursor": …}}, handing over
// the items one by one, so that only one of them is held as it came.
func decodeAnswer(d *json.Decoder, item func(*json.Decoder) error) (nextCursor string, err error) {
	if err := expect(d, '{'); err != nil {
		return "", err
	}
	items := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", err
		}
		switch key {
		case "items":
			items = true
			if err := expect(d, '['); err != nil {
				return "", err
			}
			for d.More() {
				if err := item(d); err != nil {
					return "", err
				}
			}
			if err := expect(d, ']'); err != nil {
				return "", err
			}
		case "pageInfo":
			var page struct {
				NextCursor string `json:"nextCursor"`
			}
			if err := d.Decode(&page); err != nil {
				return "", err
			}
			nextCursor = page.NextCursor
		default:
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return "", err
			}
		}
	}
	if err := expect(d, '}'); err != nil {
		return "", err
	}
	if !items {
		return "", errors.New("it has no items")
	}
	return nextCursor, nil
}

func expect(d *json.Decoder, delimiter json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != delimiter {
		return fmt.Errorf("unexpected %T where %q should be", token, delimiter.String())
	}
	return nil
}
