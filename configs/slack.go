package configs

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
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
func readSlack(r *reader, c *Config, n *node, path string) {
	var all []Slack
	named := map[string]string{signalbox.FoldID(signalbox.ChannelWeb): "the inbox"}
	r.items(n, path, func(n *node, path string) {
		s := slackReader{reader: r, n: n, path: path, ok: true}
		if workspace, ok := s.read(named); ok {
			all = append(all, workspace)
		}
	})
	c.Notifications.Slack = all
}

// slackReader reads one workspace; ok turns false at the first problem.
type slackReader struct {
	*reader
	n    *node
	path string
	ok   bool
}

func (s *slackReader) read(named map[string]string) (Slack, bool) {
	s.ok = s.section(s.n, s.path, "name", "token", "apiURL", "username", "broadcastChannels", "broadcastRoutes", "groupFallback",
		"threadUpdates", "filter", "concurrencyLimit", "throttleInterval", "targetInterval", "template")
	if s.n.kind != mapping {
		return Slack{}, false
	}
	into := Slack{GroupFallback: SlackFallbackNone, ConcurrencyLimit: 10, TargetInterval: time.Second}
	s.name(&into.Name, named)
	s.token(&into.Token)
	slackField(s, "apiURL", &into.APIURL, func(text string) (string, error) {
		text = strings.TrimRight(text, "/")
		return text, checkBaseURL(text)
	})
	slackField(s, "username", &into.Username, func(text string) (string, error) {
		if utf8.RuneCountInString(text) > maxSlackUsername || strings.ContainsFunc(text, unicode.IsControl) {
			return "", fmt.Errorf("must be one line of at most %d characters", maxSlackUsername)
		}
		return text, nil
	})
	into.BroadcastChannels = s.channels(s.n.child("broadcastChannels"), join(s.path, "broadcastChannels"))
	into.BroadcastRoutes = s.routes()
	slackField(s, "groupFallback", &into.GroupFallback, func(text string) (string, error) {
		if text != SlackFallbackNone && text != SlackFallbackMembers {
			return "", errors.New("must be one of none, members")
		}
		return text, nil
	})
	slackField(s, "threadUpdates", &into.ThreadUpdates, asBool)
	if filter := s.n.child("filter"); !filter.missing() {
		read, ok := s.filter(filter, join(s.path, "filter"))
		into.Filter, s.ok = read, s.ok && ok
	}
	slackField(s, "concurrencyLimit", &into.ConcurrencyLimit, func(text string) (int, error) {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > 10_000 {
			return 0, errors.New("must be a whole number between 1 and 10000")
		}
		return limit, nil
	})
	s.lasting("throttleInterval", day, &into.ThrottleInterval)
	s.lasting("targetInterval", time.Hour, &into.TargetInterval)
	slackField(s, "template", &into.Template, asText)
	return into, s.ok
}

// slackField reads a scalar that may be missing.
func slackField[T any](s *slackReader, field string, into *T, parse func(string) (T, error)) {
	text, present := s.optional(s.n, s.path, field)
	if text == nil {
		s.ok = s.ok && !present
		return
	}
	parsed, err := parse(strings.TrimSpace(*text))
	if err != nil {
		s.fail(s.n.child(field), join(s.path, field), err.Error())
		s.ok = false
		return
	}
	*into = parsed
}

func (s *slackReader) refuse(n *node, path, message string) {
	s.failSecret(n, path, message)
	s.ok = false
}

// name reads the name, which no other channel may have.
func (s *slackReader) name(into *string, named map[string]string) {
	*into = "Slack"
	field := s.n.child("name")
	given := !field.missing()
	slackField(s, "name", into, func(text string) (string, error) {
		if !channelName.MatchString(text) {
			return "", errors.New("must have between 1 and 40 characters of a-z, A-Z, 0-9, '_', '.' and '-'")
		}
		return text, nil
	})
	path := join(s.path, "name")
	switch earlier, taken := named[signalbox.FoldID(*into)]; {
	case taken && given:
		s.refuse(field, path, "is the name of "+earlier+" already: letters of either case are equal")
	case taken:
		s.refuse(s.n, path, "is required: "+earlier+" is called Slack already")
	default:
		named[signalbox.FoldID(*into)] = s.path
	}
}

func (s *slackReader) token(into *signalbox.Secret) {
	field, path := s.n.child("token"), join(s.path, "token")
	text, present := s.optional(s.n, s.path, "token")
	switch {
	case text == nil && present:
		s.ok = false
		return
	case text == nil:
		s.refuse(s.n, path, "is required: the bot token of the Slack app, which begins with xoxb-")
		return
	}
	token := strings.TrimSpace(*text)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		s.refuse(field, path, "must be printable ASCII without white space")
		return
	}
	*into = signalbox.NewSecret(token)
}

// channels reads ids and names of channels, and email addresses. One may stand
// without a list.
func (s *slackReader) channels(n *node, path string) []string {
	if n.missing() {
		return nil
	}
	list, ok := s.list(n, path)
	if !ok {
		s.ok = false
		return nil
	}
	if len(list) > maxSlackChannels {
		s.refuse(n, path, fmt.Sprintf("must have at most %d channels", maxSlackChannels))
		return nil
	}
	for i, channel := range list {
		list[i] = strings.TrimSpace(channel)
		if list[i] == "" || utf8.RuneCountInString(list[i]) > maxSlackAddress || strings.ContainsFunc(list[i], func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			s.refuse(n, fmt.Sprintf("%s[%d]", path, i), "must be the id or name of a channel, such as C012AB3CD or #alerts, or a user's id or email address")
		}
	}
	return list
}

func (s *slackReader) routes() []SlackRoute {
	list := s.n.child("broadcastRoutes")
	if list.missing() {
		return nil
	}
	var routes []SlackRoute
	if list.kind != sequence {
		s.ok = false // which items reports
	}
	s.items(list, join(s.path, "broadcastRoutes"), func(n *node, path string) {
		s.ok = s.section(n, path, "origin", "topic", "channel") && s.ok
		if n.kind != mapping {
			return
		}
		var route SlackRoute
		if !n.child("origin").missing() {
			s.ok = s.id(n, path, "origin", &route.Origin, signalbox.MaxOrigin) && s.ok
		}
		if !n.child("topic").missing() {
			s.ok = s.id(n, path, "topic", &route.Topic, signalbox.MaxTopic) && s.ok
		}
		if n.child("origin").missing() && n.child("topic").missing() {
			s.refuse(n, path, "matches nothing: set origin, topic or both")
		}
		route.Channels = s.channels(n.child("channel"), join(path, "channel"))
		if child := n.child("channel"); child.missing() || child.kind == sequence && len(child.items) == 0 {
			s.refuse(n, join(path, "channel"), "is required: a channel, or a list of some")
		}
		routes = append(routes, route)
	})
	return routes
}

func (s *slackReader) lasting(field string, most time.Duration, into *time.Duration) {
	n := s.n.child(field)
	if n.missing() {
		return
	}
	d, ok := s.duration(n, join(s.path, field))
	if ok && d > most {
		s.refuse(n, join(s.path, field), "must be at most "+plain(most))
		return
	}
	*into, s.ok = d, s.ok && ok
}
