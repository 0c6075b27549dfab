package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

func TestSettings(t *testing.T) {
	got, warnings, problems := load(t, Sources{Files: write(t, `
notifications:
  defaultSettings:
    channels:
      - id: Web
        origins:
          - id: plugin:scaffolder
            enabled: false
            topics:
              - {id: approvals, enabled: '${APPROVALS}'}
          - id: ci
            topics: [{id: deploys, enabled: false}]
      - {id: Email, enabled: FALSE, origins: ~}
  mandatory:
    - {channel: Web, origin: plugin:security}
    - {channel: Email, topic: incidents, severity: High}
  filters:
    Slack: {minSeverity: normal, maxSeverity: HIGH, includedTopics: [a, b], excludedTopics: c}
    redact: {excludedTopics: []}
    Email:
  broadcasts: {respectSettings: [Slack, Email]}
`), Environ: []string{"APPROVALS=true"}})
	if warnings != nil || problems != nil {
		t.Fatalf("warnings %q, problems %q", warnings, problems)
	}
	want := Notifications{
		Retention: Default().Notifications.Retention, Trace: Default().Notifications.Trace,
		DefaultSettings: []signalbox.Choice{
			{Channel: "Web", Origin: "plugin:scaffolder"},
			{Channel: "Web", Origin: "plugin:scaffolder", Topic: "approvals", Enabled: true},
			{Channel: "Web", Origin: "ci", Topic: "deploys"},
			{Channel: "Email"},
		},
		Mandatory: []signalbox.MandatoryRule{
			{Channel: "Web", Origin: "plugin:security"},
			{Channel: "Email", Topic: "incidents", Severity: signalbox.SeverityHigh},
		},
		Filters: map[string]signalbox.PayloadFilter{
			"Slack": {
				MinSeverity: signalbox.SeverityNormal, MaxSeverity: signalbox.SeverityHigh,
				IncludedTopics: []string{"a", "b"}, ExcludedTopics: []string{"c"},
			},
			"redact": {ExcludedTopics: []string{}},
		},
		Broadcasts: Broadcasts{RespectSettings: []string{"Slack", "Email"}},
		Schedule:   Default().Notifications.Schedule,
	}
	if diff := cmp.Diff(want, got.Notifications); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSettingsRefuses(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       []string
	}{
		{"wrong kinds", "{defaultSettings: [], mandatory: {}, filters: [], broadcasts: {respectSettings: {}}}", []string{
			"notifications.defaultSettings: must be a section, not a list",
			"notifications.mandatory: must be a list, not a section",
			"notifications.filters: must be a section, not a list",
			"notifications.broadcasts.respectSettings: must be a single value, not a section",
		}},
		{"mistyped", "{defaultSettings: {chanels: []}, mandatory: [{channel: Web, origim: x}], filters: {Slack: {minSeverty: low}}}", []string{
			"notifications.defaultSettings.chanels: unknown key; did you mean channels?",
			"notifications.mandatory[0].origim: unknown key; did you mean origin?",
			"notifications.filters.Slack.minSeverty: unknown key; did you mean minSeverity?",
		}},
		{"missing and empty ids", "{defaultSettings: {channels: [{enabled: true}, {id: Web, origins: [{id: ''}, {id: a, topics: [{id: t}, x]}]}]}, mandatory: [{origin: x}, {channel: Web, topic: ''}]}", []string{
			"notifications.defaultSettings.channels[0].id: is required",
			`notifications.defaultSettings.channels[1].origins[0].id: must have between 1 and 255 characters, got ""`,
			"notifications.defaultSettings.channels[1].origins[1].topics[0].enabled: is required: true or false",
			"notifications.defaultSettings.channels[1].origins[1].topics[1]: must be a section, not a single value, got \"x\"",
			"notifications.mandatory[0].channel: is required",
			`notifications.mandatory[1].topic: must have between 1 and 255 characters, got ""`,
		}},
		{"wrong values", "{defaultSettings: {channels: [{id: Web, enabled: maybe}]}, mandatory: [{channel: Web, severity: urgent}], filters: {Slack: {maxSeverity: 1}, Email: 7}}", []string{
			`notifications.defaultSettings.channels[0].enabled: must be true or false, got "maybe"`,
			`notifications.mandatory[0].severity: must be one of critical, high, normal, low, got "urgent"`,
			`notifications.filters.Slack.maxSeverity: must be one of critical, high, normal, low, got "1"`,
			"notifications.filters.Email: must be a section, not a single value, got \"7\"",
		}},
		{"twice, in other letters", "{defaultSettings: {channels: [{id: Web, origins: [{id: a, topics: [{id: t, enabled: true}, {id: T, enabled: true}]}, {id: A}]}, {id: WEB}]}, filters: {Slack: {}, slack: {}}}", []string{
			"notifications.defaultSettings.channels[0].origins[0].topics[1]: is about the same as notifications.defaultSettings.channels[0].origins[0].topics[0]: letters of either case are equal",
			"notifications.defaultSettings.channels[0].origins[1]: is about the same as notifications.defaultSettings.channels[0].origins[0]: letters of either case are equal",
			"notifications.defaultSettings.channels[1]: is about the same as notifications.defaultSettings.channels[0]: letters of either case are equal",
			"notifications.filters.slack: is about the same as notifications.filters.Slack: letters of either case are equal",
		}},
		{"filters that let nothing through", "{filters: {Slack: {minSeverity: critical, maxSeverity: low}, Email: {includedTopics: []}}}", []string{
			"notifications.filters.Slack: lets nothing through: minSeverity is more severe than maxSeverity",
			"notifications.filters.Email.includedTopics: must have at least one topic, or be left out",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, problems := load(t, Sources{Files: write(t, "notifications: "+test.file+"\n")})
			for i, problem := range problems {
				_, problems[i], _ = strings.Cut(problem, ": ") // the place
			}
			if diff := cmp.Diff(test.want, problems); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
