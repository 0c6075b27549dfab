package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// Config says how one Slack workspace is used.
type Config struct {
	// Name is the channel's name. Defaults to "Slack".
	Name string
	// Token is a bot token (xoxb-…). Required.
	Token signalbox.Secret
	// APIURL is the base of the Web API, http or https. Defaults to Slack's.
	APIURL string
	// Username is shown as the sender; it needs the scope chat:write.customize.
	// Defaults to the app's own name.
	Username string

	// BroadcastChannels are where broadcasts go that no route matches. Defaults to
	// none.
	BroadcastChannels []string
	// BroadcastRoutes are where certain broadcasts go. Defaults to none.
	BroadcastRoutes []Route
	// GroupFallback says whether users get a direct message who were not named but
	// reached through an entity without a Slack channel. Defaults to nobody, as in
	// Backstage.
	GroupFallback GroupFallback
	// ThreadUpdates adds a reply in the thread of a message that was updated, which
	// notifies people as an update does not. Defaults to no.
	ThreadUpdates bool
	// Filter drops notifications by severity and topic. Defaults to none.
	Filter signalbox.PayloadFilter

	// ConcurrencyLimit is how many calls may be under way at a time, at most 64 in
	// one process, and how many messages may be sent per ThrottleInterval. Defaults
	// to 10.
	ConcurrencyLimit int
	// ThrottleInterval is the time in which ConcurrencyLimit messages may be sent.
	// Defaults to no such limit (in Backstage a minute).
	ThrottleInterval time.Duration
	// TargetInterval is the time between messages to the same conversation. A
	// negative one is no limit. Defaults to 1s, which is what Slack allows.
	TargetInterval time.Duration

	// Template is a text/template that replaces the text of messages, see
	// [TemplateData]. Defaults to none.
	Template string
	// Render may change or replace every message. Defaults to none.
	Render Renderer
	// BaseURL is the web application's, for relative links. Without one they are
	// left out.
	BaseURL string

	// Directory knows the annotations and email addresses of entities. Required.
	Directory signalbox.Directory
	// Timeout bounds a call of Slack. Defaults to 10s.
	Timeout time.Duration
	// Transport carries the calls. Defaults to one of the channel's own, with the
	// proxy of the environment.
	Transport http.RoundTripper
	// Logger defaults to none.
	Logger *slog.Logger
}

// Route says where broadcasts of an origin, a topic, or a topic of an origin go.
type Route struct {
	// Origin and Topic are matched exactly, as in Backstage. At least one is set.
	Origin, Topic string
	// Channels are ids or names of channels, ids of users, or email addresses.
	Channels []string
}

// GroupFallback says who gets a direct message instead of a group's channel.
type GroupFallback string

// The fallbacks.
const (
	// FallbackNone sends nothing.
	FallbackNone GroupFallback = "none"
	// FallbackMembers sends to each user that the group led to.
	FallbackMembers GroupFallback = "members"
)

// Renderer changes or replaces a message. standard is what would be sent without
// it. Whatever it adds from the notification it must escape, see [Escape], and keep
// within Slack's limits. Its errors are as of [channels.Channel].
type Renderer func(ctx context.Context, delivery channels.Delivery, standard Message) (Message, error)

const (
	defaultName        = "Slack"
	defaultConcurrency = 10
	maxConcurrency     = 64
	defaultInterval    = time.Second
	defaultTimeout     = 10 * time.Second
	// maxUsername is Slack's.
	maxUsername = 80
)

var validName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// withDefaults returns the configuration that is meant, or what is wrong with it.
// No error holds the token.
func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.APIURL == "" {
		c.APIURL = slackapi.APIURL
	}
	c.APIURL = strings.TrimRight(c.APIURL, "/") + "/"
	if c.GroupFallback == "" {
		c.GroupFallback = FallbackNone
	}
	if c.ConcurrencyLimit == 0 {
		c.ConcurrencyLimit = defaultConcurrency
	}
	if c.TargetInterval == 0 {
		c.TargetInterval = defaultInterval
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, c.validate()
}

func (c Config) validate() error {
	switch {
	case !validName.MatchString(c.Name) || strings.EqualFold(c.Name, signalbox.ChannelWeb):
		return fmt.Errorf("slack: the name must match %s and not be %s", validName, signalbox.ChannelWeb)
	case c.Token.Reveal() == "":
		return errors.New("slack: a token is required")
	case strings.ContainsFunc(c.Token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("slack: the token must be printable ASCII without white space")
	case c.Directory == nil:
		return errors.New("slack: a directory is required")
	case c.ConcurrencyLimit < 0 || c.ThrottleInterval < 0 || c.Timeout < 0:
		return errors.New("slack: limits must not be negative")
	case c.GroupFallback != FallbackNone && c.GroupFallback != FallbackMembers:
		return fmt.Errorf("slack: the group fallback must be %q or %q", FallbackNone, FallbackMembers)
	case units(c.Username) > maxUsername:
		return fmt.Errorf("slack: the user name must not have more than %d characters", maxUsername)
	}
	if u, err := url.Parse(c.APIURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("slack: the API URL must be http or https, with a host and without user or query")
	}
	return validateRoutes(c.BroadcastChannels, c.BroadcastRoutes)
}

func validateRoutes(fallback []string, routes []Route) error {
	check := func(what string, list []string) error {
		if len(list) > channels.MaxTargets {
			return fmt.Errorf("slack: %s have more than %d channels", what, channels.MaxTargets)
		}
		for _, address := range list {
			if _, err := parseAddress(address); err != nil {
				return fmt.Errorf("slack: %s: %w", what, err)
			}
		}
		return nil
	}
	if err := check("the broadcast channels", fallback); err != nil {
		return err
	}
	for i, route := range routes {
		what := fmt.Sprintf("broadcast route %d", i+1)
		if route.Origin == "" && route.Topic == "" {
			return fmt.Errorf("slack: %s has neither origin nor topic", what)
		}
		if len(route.Channels) == 0 {
			return fmt.Errorf("slack: %s has no channel", what)
		}
		if err := check(what, route.Channels); err != nil {
			return err
		}
	}
	return nil
}
