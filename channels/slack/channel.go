package slack

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"text/template"
	"time"

	slackapi "github.com/slack-go/slack"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// Channel is a [channels.Channel] for one Slack workspace. It is safe for
// concurrent use.
type Channel struct {
	config   Config
	api      *slackapi.Client
	http     *http.Client
	people   *people
	circles  *circles
	template *template.Template
	log      *slog.Logger
}

var (
	_ channels.Channel   = (*Channel)(nil)
	_ channels.Selector  = (*Channel)(nil)
	_ channels.Resolver  = (*Channel)(nil)
	_ channels.Limited   = (*Channel)(nil)
	_ channels.Checker   = (*Channel)(nil)
	_ signalbox.Filtered = (*Channel)(nil)
)

// New makes a channel. It asks nobody: [Channel.Check] does.
func New(config Config) (*Channel, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Channel{config: config, log: config.Logger.With("channel", config.Name)}
	if config.Template != "" {
		if c.template, err = parseTemplate(config.Template); err != nil {
			return nil, err
		}
	}
	c.http = newHTTPClient(config)
	c.api = slackapi.New(config.Token.Reveal(),
		slackapi.OptionAPIURL(config.APIURL),
		slackapi.OptionHTTPClient(boundedClient{c.http}))
	c.people = newPeople(c.lookUp)
	c.circles = newCircles(config.Directory)
	return c, nil
}

// Close closes idle connections. Calls that are under way go on.
func (c *Channel) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Name implements [channels.Channel].
func (c *Channel) Name() string { return c.config.Name }

// Filter implements [signalbox.Filtered].
func (c *Channel) Filter() signalbox.PayloadFilter { return c.config.Filter }

// Takes implements [channels.Selector]: everything but users who were not named,
// and those too if they are the fallback of their groups.
func (c *Channel) Takes(audience signalbox.Audience, named bool) bool {
	return !audience.IsUser() || named || c.config.GroupFallback == FallbackMembers
}

// Limits implements [channels.Limited].
func (c *Channel) Limits() channels.Limits {
	l := channels.Limits{Concurrency: min(c.config.ConcurrencyLimit, maxConcurrency)}
	if interval := c.config.ThrottleInterval; interval > 0 {
		// As in Backstage: so many per interval, at once if need be.
		l.PerChannel = channels.Rate{Every: max(1, interval/time.Duration(c.config.ConcurrencyLimit)), Burst: c.config.ConcurrencyLimit}
	}
	if interval := c.config.TargetInterval; interval > 0 {
		l.PerTarget = channels.Rate{Every: interval, Burst: 1}
	}
	return l
}

// scopePost is what the token must be allowed to do.
const scopePost = "chat:write"

// Check implements [channels.Checker]: the token must be valid and may post.
func (c *Channel) Check(ctx context.Context) error {
	const method = "auth.test"
	answer, err := c.api.AuthTestContext(ctx)
	if err != nil {
		return c.explain(ctx, method, err)
	}
	if answer.UserID == "" {
		return errNoAnswer(method)
	}
	granted := answer.Header.Get("X-Oauth-Scopes")
	if granted == "" {
		return nil // not every kind of token tells
	}
	for scope := range strings.SplitSeq(granted, ",") {
		if strings.TrimSpace(scope) == scopePost {
			return nil
		}
	}
	return signalbox.Permanent(errors.New("the token lacks the scope " + scopePost +
		": add it under OAuth & Permissions of the Slack app and install the app again"))
}
