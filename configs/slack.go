package configs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// Slack is the channel of one Slack workspace, with Backstage's keys
// ("notifications.processors.slack[]") and some of ours.
type Slack struct {
	// Name is the channel's name ("name", ours). Defaults to Slack for the first
	// workspace without one; others need names.
	Name string
	// Token is the bot token ("token"). Required.
	Token signalbox.Secret
	// APIURL is the base of Slack's Web API ("apiURL", ours). Defaults to Slack's.
	APIURL string
	// Username is shown as the sender ("username"). Defaults to the app's name.
	Username string
	// BroadcastChannels are where broadcasts go that no route matches
	// ("broadcastChannels"). Defaults to none.
	BroadcastChannels []string
	// BroadcastRoutes are where certain broadcasts go ("broadcastRoutes"). Defaults
	// to none.
	BroadcastRoutes []SlackRoute
	// GroupFallback says who gets a direct message where a group has no channel
	// ("groupFallback", ours): none or members. Defaults to none.
	GroupFallback string
	// ThreadUpdates adds a reply to a message that is updated ("threadUpdates",
	// ours). Defaults to false.
	ThreadUpdates bool
	// Filter keeps notifications from the channel ("filter", ours). Defaults to none.
	Filter signalbox.PayloadFilter
	// ConcurrencyLimit is how many messages are sent at a time, and per
	// ThrottleInterval if that is set ("concurrencyLimit"). 1 to 10000. Defaults to
	// 10.
	ConcurrencyLimit int
	// ThrottleInterval is how long ConcurrencyLimit messages take at least
	// ("throttleInterval"). At most 24h. Defaults to 0, which does not limit; in
	// Backstage a minute.
	ThrottleInterval time.Duration
	// TargetInterval is the time between messages to the same conversation
	// ("targetInterval", ours). At most 1h; 0 does not limit. Defaults to 1s.
	TargetInterval time.Duration
	// Template replaces the text of messages ("template", ours). Defaults to none.
	Template string
}

// SlackRoute says where broadcasts of an origin, a topic, or a topic of an origin
// go. At least one of both is set.
type SlackRoute struct {
	Origin, Topic string
	Channels      []string
}

// The values of [Slack.GroupFallback].
const (
	SlackFallbackNone    = "none"
	SlackFallbackMembers = "members"
)

const (
	// maxSlackChannels bounds the channels of a route.
	maxSlackChannels = 500
	// maxSlackAddress bounds a channel's name or id, in characters.
	maxSlackAddress = 254
	// maxSlackUsername is Slack's limit, in characters.
	maxSlackUsername = 80
)

// channelName matches the names of channels.
var channelName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// readSlack reads the workspaces.
func readSlack(c *Config, e entry) {
	var all []Slack
	named := map[string]string{signalbox.FoldID(signalbox.ChannelWeb): "the inbox"}
	e.items(func(s *section) {
		workspace := Slack{Name: "Slack", GroupFallback: SlackFallbackNone, ConcurrencyLimit: 10, TargetInterval: time.Second}
		if workspace.read(s, named); s.ok() {
			all = append(all, workspace)
		}
	})
	c.Notifications.Slack = all
}

func (w *Slack) read(s *section, named map[string]string) {
	s.only("name", "token", "apiURL", "username", "broadcastChannels", "broadcastRoutes", "groupFallback",
		"threadUpdates", "filter", "concurrencyLimit", "throttleInterval", "targetInterval", "template")
	w.readName(s, named)
	if token := s.field("token"); token.need("the bot token of the Slack app, which begins with xoxb-") {
		secret(token, &w.Token, func(text string) (signalbox.Secret, error) {
			if strings.TrimSpace(text) == "" {
				return signalbox.Secret{}, errToken
			}
			return asToken(text)
		})
	}
	parsed(s.field("apiURL"), &w.APIURL, func(text string) (string, error) {
		return asURL(strings.TrimRight(text, "/"))
	})
	parsed(s.field("username"), &w.Username, func(text string) (string, error) {
		if utf8.RuneCountInString(text) > maxSlackUsername || strings.ContainsFunc(text, unicode.IsControl) {
			return "", fmt.Errorf("must be one line of at most %d characters", maxSlackUsername)
		}
		return text, nil
	})
	w.BroadcastChannels = readSlackChannels(s.field("broadcastChannels"))
	s.field("broadcastRoutes").items(w.readRoute)
	s.field("groupFallback").choice(&w.GroupFallback, SlackFallbackNone, SlackFallbackMembers)
	s.field("threadUpdates").flag(&w.ThreadUpdates)
	w.Filter = readFilter(s.field("filter").section())
	s.field("concurrencyLimit").count(10_000, &w.ConcurrencyLimit)
	for _, interval := range []struct {
		field string
		most  time.Duration
		into  *time.Duration
	}{{"throttleInterval", day, &w.ThrottleInterval}, {"targetInterval", time.Hour, &w.TargetInterval}} {
		if e := s.field(interval.field); e.duration(interval.into) && *interval.into > interval.most {
			e.failSecret("must be at most " + plain(interval.most))
		}
	}
	parsed(s.field("template"), &w.Template, asText)
}

// readName reads the name, which no other channel may have.
func (w *Slack) readName(s *section, named map[string]string) {
	name := s.field("name")
	parsed(name, &w.Name, func(text string) (string, error) {
		if !channelName.MatchString(text) {
			return "", errors.New("must have between 1 and 40 characters of a-z, A-Z, 0-9, '_', '.' and '-'")
		}
		return text, nil
	})
	switch earlier, taken := named[signalbox.FoldID(w.Name)]; {
	case taken && !name.missing():
		name.failSecret("is the name of " + earlier + " already: letters of either case are equal")
	case taken:
		name.need(earlier + " is called Slack already")
	default:
		named[signalbox.FoldID(w.Name)] = s.path
	}
}

// readSlackChannels reads ids and names of channels, and email addresses. One may
// stand without a list.
func readSlackChannels(e entry) []string {
	list, _ := e.texts()
	if len(list) > maxSlackChannels {
		e.failSecret(fmt.Sprintf("must have at most %d channels", maxSlackChannels))
		return nil
	}
	for i, channel := range list {
		if channel == "" || utf8.RuneCountInString(channel) > maxSlackAddress || strings.ContainsFunc(channel, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			e.item(i, e.n).failSecret("must be the id or name of a channel, such as C012AB3CD or #alerts, or a user's id or email address")
		}
	}
	return list
}

func (w *Slack) readRoute(s *section) {
	s.only("origin", "topic", "channel")
	var route SlackRoute
	s.field("origin").id(&route.Origin, signalbox.MaxOrigin)
	s.field("topic").id(&route.Topic, signalbox.MaxTopic)
	if !s.has("origin") && !s.has("topic") {
		s.failSecret("matches nothing: set origin, topic or both")
	}
	channel := s.field("channel")
	route.Channels = readSlackChannels(channel)
	if channel.missing() || channel.empty() {
		s.at(s.n, channel.path).failSecret(isRequired("a channel, or a list of some"))
	}
	w.BroadcastRoutes = append(w.BroadcastRoutes, route)
}
