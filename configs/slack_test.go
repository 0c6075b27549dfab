package configs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

func TestSlack(t *testing.T) {
	got, warnings, problems := load(t, Sources{Files: write(t, `
notifications:
  processors:
    slack:
      - token: ${SLACK_TOKEN}
        broadcastChannels: [C012AB3CD, "#general"]
        broadcastRoutes:
          - {origin: 'plugin:catalog', topic: entity-updated, channel: '#catalog'}
          - {topic: alerts, channel: [alerts, ops@example.com]}
        username: Backstage
        concurrencyLimit: 20
        throttleInterval: {minutes: 1}
      - name: Slack.ops
        token: {$env: OTHER_TOKEN}
        apiURL: https://slack.example.com/api/
        groupFallback: members
        threadUpdates: true
        throttleInterval: P1D
        targetInterval: 0
        filter: {minSeverity: high}
        template: |
          *{{.Title}}*
          {{.Description}}
`), Environ: []string{"SLACK_TOKEN=xoxb-1", "OTHER_TOKEN=xoxb-2\n"}})
	if warnings != nil || problems != nil {
		t.Fatalf("warnings %q, problems %q", warnings, problems)
	}
	want := []Slack{{
		Name: "Slack", Token: signalbox.NewSecret("xoxb-1"), Username: "Backstage", GroupFallback: SlackFallbackNone,
		BroadcastChannels: []string{"C012AB3CD", "#general"},
		BroadcastRoutes: []SlackRoute{
			{Origin: "plugin:catalog", Topic: "entity-updated", Channels: []string{"#catalog"}},
			{Topic: "alerts", Channels: []string{"alerts", "ops@example.com"}},
		},
		ConcurrencyLimit: 20, ThrottleInterval: time.Minute, TargetInterval: time.Second,
	}, {
		Name: "Slack.ops", Token: signalbox.NewSecret("xoxb-2"), APIURL: "https://slack.example.com/api", GroupFallback: SlackFallbackMembers,
		ThreadUpdates: true, ConcurrencyLimit: 10, ThrottleInterval: day,
		Filter:   signalbox.PayloadFilter{MinSeverity: signalbox.SeverityHigh},
		Template: "*{{.Title}}*\n{{.Description}}",
	}}
	if diff := cmp.Diff(want, got.Notifications.Slack, allow); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if printed := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(printed, "xoxb") {
		t.Error("printing shows a token")
	}
}

func TestSlackInTheEnvironment(t *testing.T) {
	got, _, problems := load(t, Sources{Environ: []string{"SIGNALBOX_NOTIFICATIONS_PROCESSORS_SLACK=[{token: xoxb-1, name: Chat}]"}})
	if problems != nil || len(got.Notifications.Slack) != 1 || got.Notifications.Slack[0].Name != "Chat" || got.Notifications.Slack[0].Token != signalbox.NewSecret("xoxb-1") {
		t.Errorf("%+v, %q", got.Notifications.Slack, problems)
	}
}

func TestSlackRefuses(t *testing.T) {
	const at = "notifications.processors.slack"
	for _, c := range []struct {
		name, slack string
		want        []string
	}{
		{"no list", "{token: x}", []string{": must be a list, not a section"}},
		{"no section", "[x]", []string{`[0]: must be a section, not a single value, got "x"`}},
		{"no token", "[{}]", []string{"[0].token: is required: the bot token of the Slack app, which begins with xoxb-"}},
		{"an empty token", "[{token: ''}]", []string{"[0].token: must be printable ASCII without white space"}},
		{"a token that is none", "[{token: 'hunter2 hunter2'}]", []string{"[0].token: must be printable ASCII without white space"}},
		{"a token that is a list", "[{token: [hunter2]}]", []string{"[0].token: must be a single value, not a list"}},
		{"mistyped", "[{token: x, brodcastChannels: []}]", []string{"[0].brodcastChannels: unknown key; did you mean broadcastChannels?"}},
		{"mistyped below", "[{token: x, broadcastRoutes: [{origi: a, topic: b, channel: c}], filter: {minSeverty: low}}]", []string{
			"[0].broadcastRoutes[0].origi: unknown key; did you mean origin?",
			"[0].filter.minSeverty: unknown key; did you mean minSeverity?",
		}},
		{"two without a name", "[{token: x}, {token: y}]", []string{"[1].name: is required: " + at + "[0] is called Slack already"}},
		{"the same name", "[{token: x}, {token: y, name: slack}]", []string{"[1].name: is the name of " + at + "[0] already: letters of either case are equal"}},
		{"the inbox's name", "[{token: x, name: WEB}]", []string{"[0].name: is the name of the inbox already: letters of either case are equal"}},
		{"a bad name", "[{token: x, name: 'a b'}]", []string{`[0].name: must have between 1 and 40 characters of a-z, A-Z, 0-9, '_', '.' and '-', got "a b"`}},
		{"routes", "[{token: x, broadcastRoutes: [{channel: a}, {origin: a}, {origin: a, channel: []}, {topic: '', channel: a}, {topic: a, channel: ['']}, x]}]", []string{
			"[0].broadcastRoutes[0]: matches nothing: set origin, topic or both",
			"[0].broadcastRoutes[1].channel: is required: a channel, or a list of some",
			"[0].broadcastRoutes[2].channel: is required: a channel, or a list of some",
			`[0].broadcastRoutes[3].topic: must have between 1 and 255 characters, got ""`,
			"[0].broadcastRoutes[4].channel[0]: must be the id or name of a channel, such as C012AB3CD or #alerts, or a user's id or email address",
			`[0].broadcastRoutes[5]: must be a section, not a single value, got "x"`,
		}},
		{"routes that are no list", "[{token: x, broadcastRoutes: {origin: a}}]", []string{"[0].broadcastRoutes: must be a list, not a section"}},
		{"channels", "[{token: x, broadcastChannels: ['a b', {c: d}]}]", []string{"[0].broadcastChannels[1]: must be a single value, not a section"}},
		{"many channels", "[{token: x, broadcastChannels: '" + strings.Repeat("a,", 501) + "'}]", []string{"[0].broadcastChannels: must have at most 500 channels"}},
		{"values", "[{token: x, apiURL: slack.com, groupFallback: all, threadUpdates: often, concurrencyLimit: 0, throttleInterval: 10, targetInterval: 2h, username: \"a\\tb\"}]", []string{
			`[0].apiURL: must be an http:// or https:// URL with a host, got "slack.com"`,
			`[0].groupFallback: must be one of none, members, got "all"`,
			`[0].threadUpdates: must be true or false, got "often"`,
			`[0].concurrencyLimit: must be a whole number between 1 and 10000, got "0"`,
			`[0].throttleInterval: ` + errDuration.Error() + `, got "10"`,
			"[0].targetInterval: must be at most 1h",
			`[0].username: must be one line of at most 80 characters, got "a\tb"`,
		}},
		{"a password in the URL", "[{token: x, apiURL: 'https://u:hunter2@h/'}]", []string{"[0].apiURL: must not hold a user or password"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, problems := load(t, Sources{Files: write(t, "notifications: {processors: {slack: "+c.slack+"}}\n")})
			for i, problem := range problems {
				if strings.Contains(problem, "hunter2") {
					t.Errorf("a secret is told: %s", problem)
				}
				_, problems[i], _ = strings.Cut(problem, at)
			}
			if diff := cmp.Diff(c.want, problems); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
