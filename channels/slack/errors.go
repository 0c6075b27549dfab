package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

const (
	// defaultPause is for a rate limit that does not say how long it holds.
	defaultPause = 30 * time.Second
	// maxPause bounds what is believed of a rate limit.
	maxPause = time.Hour
)

// refusal is that Slack answered ok:false.
type refusal struct {
	method, code string
	// text says what it means and what to do; detail is Slack's own.
	text, detail string
}

func (e *refusal) Error() string {
	s := "Slack refused " + e.method + " with " + e.code
	if e.text != "" {
		s += ": " + e.text
	}
	if e.detail != "" {
		s += " (" + e.detail + ")"
	}
	return s
}

// refused returns Slack's error code, or "".
func refused(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return ""
}

// errNoAnswer is about answers that say neither ok nor what is wrong, such as those
// of another server.
func errNoAnswer(method string) error {
	return fmt.Errorf("%s: the answer is not Slack's: is apiURL right, and is there a proxy in between?", method)
}

// explain turns an error of slack-go into one of [channels.Channel]. Nothing of
// what the server wrote gets through unchecked, since it could repeat the token.
func (c *Channel) explain(ctx context.Context, method string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
	// A deliberate error of Slack's.
	var response slackapi.SlackErrorResponse
	if errors.As(err, &response) {
		return c.meaning(method, response)
	}
	// slack-go's first form of a rate limit, and its second one below.
	var limited *slackapi.RateLimitedError
	if errors.As(err, &limited) {
		return pause(method, fmt.Errorf("%s: Slack limits the rate, for %s", method, limited.RetryAfter), limited.RetryAfter)
	}
	var status slackapi.StatusCodeError
	if errors.As(err, &status) {
		if status.Code == http.StatusTooManyRequests {
			return pause(method, fmt.Errorf("%s: Slack limits the rate, without saying for how long", method), 0)
		}
		err := fmt.Errorf("%s: HTTP status %d %s", method, status.Code, http.StatusText(status.Code))
		if status.Code < http.StatusInternalServerError {
			err = fmt.Errorf("%w: Slack answers 200 or 429, so this is something else: is apiURL right, and is there a proxy in between?", err)
		}
		return err
	}
	return c.transportError(method, err)
}

// transportError is about a call without an answer of use.
func (c *Channel) transportError(method string, err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		var syntax *json.SyntaxError
		var network net.Error
		if errors.As(err, &syntax) || !errors.As(err, &network) {
			return errNoAnswer(method)
		}
		return c.withoutToken(method, err)
	}
	return c.withoutToken(method, failed.Err) // the URL tells nothing
}

// withoutToken wraps an error, unless its text holds the token.
func (c *Channel) withoutToken(method string, err error) error {
	if c.holdsToken(err.Error()) {
		return fmt.Errorf("%s: failed with an error that holds the token and so is not shown", method)
	}
	return fmt.Errorf("%s: %w", method, err)
}

func (c *Channel) holdsToken(s string) bool {
	token := c.config.Token.Reveal()
	return strings.Contains(s, token) || strings.Contains(s, url.QueryEscape(token))
}

// pause is a rate limit. Slack counts by method: posting stops for everything,
// updating for those that update, and a lookup hurts only who is looked up.
func pause(method string, err error, after time.Duration) error {
	if after <= 0 {
		after = defaultPause
	}
	after = min(max(after, time.Second), maxPause)
	switch method {
	case methodUpdate:
		return channels.TargetLimited(err, after)
	case methodLookup:
		return signalbox.RetryAfter(err, after)
	default:
		return channels.ChannelLimited(err, after)
	}
}

var (
	errorCode = regexp.MustCompile(`^[a-z0-9_.]{1,80}$`)
	scopeList = regexp.MustCompile(`^[a-z0-9_.:, -]{1,200}$`)
)

// meaning classifies an ok:false.
func (c *Channel) meaning(method string, response slackapi.SlackErrorResponse) error {
	code := response.Err
	if !errorCode.MatchString(code) || c.holdsToken(code) {
		return fmt.Errorf("%s: Slack refused it with an error that is none of its codes", method)
	}
	e := &refusal{method: method, code: code}
	known, ok := refusals[code]
	switch {
	case ok:
		e.text = known.text
	case strings.HasPrefix(code, "restricted_action"):
		known = refusals["restricted_action"]
		e.text = known.text
	default:
		e.text = "this version does not know it, and tries again"
	}
	e.detail = c.detail(response)
	switch known.class {
	case final, unfit:
		return signalbox.Permanent(e)
	case limit:
		return pause(method, e, 0)
	case passing:
	}
	return e
}

// detail is what Slack says besides the code.
func (c *Channel) detail(response slackapi.SlackErrorResponse) string {
	if response.Needed != "" && scopeList.MatchString(response.Needed) && !c.holdsToken(response.Needed) {
		return "needed: " + response.Needed
	}
	if len(response.ResponseMetadata.Messages) > 0 {
		const longest = 200
		detail := cut(clean(response.ResponseMetadata.Messages[0]), longest)
		if !c.holdsToken(response.ResponseMetadata.Messages[0]) {
			return detail
		}
	}
	return ""
}
