package signalbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// The levels in the order of their precedence, as choices about the same topic.
var levels = []struct {
	rule   Rule
	user   bool
	choice Choice
}{
	{RuleUserTopic, true, Choice{Channel: "Web", Origin: "ci", Topic: "deploys"}},
	{RuleUserOrigin, true, Choice{Channel: "Web", Origin: "ci"}},
	{RuleUserChannel, true, Choice{Channel: "Web"}},
	{RuleConfigTopic, false, Choice{Channel: "Web", Origin: "ci", Topic: "deploys"}},
	{RuleConfigOrigin, false, Choice{Channel: "Web", Origin: "ci"}},
	{RuleConfigChannel, false, Choice{Channel: "Web"}},
}

// Every combination of the six levels (unset, on, off), with and without a
// mandatory rule: the first that says something decides.
func TestDecideEveryCombination(t *testing.T) {
	combinations := 1
	for range levels {
		combinations *= 3
	}
	for n := range combinations {
		for _, mandatory := range []bool{false, true} {
			var (
				user   []Choice
				config = SettingsConfig{Channels: []string{"Web"}}
			)
			want, decided := SettingsDecision{true, RuleDefault}, false
			for i, rest := 0, n; i < len(levels); i, rest = i+1, rest/3 {
				if rest%3 == 0 {
					continue
				}
				choice := levels[i].choice
				choice.Enabled = rest%3 == 1
				if levels[i].user {
					user = append(user, choice)
				} else {
					config.Defaults = append(config.Defaults, choice)
				}
				if !decided {
					want, decided = SettingsDecision{choice.Enabled, levels[i].rule}, true
				}
			}
			if mandatory {
				config.Mandatory = []MandatoryRule{{Channel: "Web", Origin: "ci"}}
				want = SettingsDecision{true, RuleMandatory}
			}
			got := NewSettingsPolicy(config).Decide(Subject{"WEB", "CI", "Deploys", SeverityNormal}, NewChoices(user))
			if got != want {
				t.Errorf("user %v, config %v, mandatory %t: %v, want %v", user, config.Defaults, mandatory, got, want)
			}
		}
	}
}

func TestDecideLevels(t *testing.T) {
	policy := NewSettingsPolicy(SettingsConfig{
		Channels: []string{"Web", "Slack"},
		Defaults: []Choice{{"Web", "ci", "", false}, {"Slack", "", "", false}},
		Mandatory: []MandatoryRule{
			{Channel: "web", Origin: "security", Severity: SeverityHigh},
			{Channel: "Web", Origin: "security", Topic: "breach"},
			{Channel: "Web", Topic: "incident"},
		},
		Filters: map[string]PayloadFilter{"slack": {MinSeverity: SeverityNormal, ExcludedTopics: []string{"Noise"}}, "Web": {MaxSeverity: SeverityHigh}},
	})
	user := NewChoices([]Choice{
		{"Web", "security", "", false},
		{"Slack", "ci", "", true},
		{"slack", "CI", "Deploys", false},
		{"Slack", "", "", true},
	})
	for _, test := range []struct {
		name    string
		subject Subject
		want    SettingsDecision
	}{
		{"no topic: the origin decides", Subject{"Slack", "ci", "", SeverityNormal}, SettingsDecision{true, RuleUserOrigin}},
		{"another topic: the origin decides", Subject{"Slack", "ci", "x", SeverityNormal}, SettingsDecision{true, RuleUserOrigin}},
		{"the topic decides", Subject{"Slack", "ci", "DEPLOYS", SeverityNormal}, SettingsDecision{false, RuleUserTopic}},
		{"another origin: the channel decides", Subject{"Slack", "cd", "deploys", SeverityNormal}, SettingsDecision{true, RuleUserChannel}},
		{"a topic belongs to its origin", Subject{"Web", "cd", "deploys", SeverityNormal}, SettingsDecision{true, RuleDefault}},
		{"config decides where the user chose nothing", Subject{"Web", "ci", "deploys", SeverityNormal}, SettingsDecision{false, RuleConfigOrigin}},
		{"less severe than mandatory", Subject{"Web", "security", "", SeverityNormal}, SettingsDecision{false, RuleUserOrigin}},
		{"as severe as mandatory", Subject{"Web", "security", "", SeverityHigh}, SettingsDecision{true, RuleMandatory}},
		{"mandatory goes before a filter", Subject{"Web", "security", "", SeverityCritical}, SettingsDecision{true, RuleMandatory}},
		{"mandatory by topic", Subject{"Web", "security", "Breach", SeverityLow}, SettingsDecision{true, RuleMandatory}},
		{"mandatory by topic of any origin", Subject{"Web", "ci", "incident", SeverityLow}, SettingsDecision{true, RuleMandatory}},
		{"mandatory on another channel", Subject{"Slack", "ci", "incident", SeverityLow}, SettingsDecision{false, RuleMinSeverity}},
		{"a filter goes before choices", Subject{"Slack", "ci", "noise", SeverityNormal}, SettingsDecision{false, RuleExcludedTopics}},
		{"no severity is normal", Subject{"Slack", "ci", "", ""}, SettingsDecision{true, RuleUserOrigin}},
		{"a channel that nobody knows", Subject{"Pager", "ci", "", SeverityLow}, SettingsDecision{true, RuleDefault}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := policy.Decide(test.subject, user); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestDecideBroadcast(t *testing.T) {
	policy := NewSettingsPolicy(SettingsConfig{
		Channels: []string{"Web", "Slack", "Email"},
		Defaults: []Choice{{"Web", "ci", "", false}, {"Slack", "ci", "", false}, {"Email", "", "", false}},
		Filters:  map[string]PayloadFilter{"Email": {IncludedTopics: []string{"news"}}},
		Mandatory: []MandatoryRule{
			{Channel: "Slack", Severity: SeverityCritical},
		},
		BroadcastsRespect: []string{"slack"},
	})
	for _, test := range []struct {
		subject Subject
		want    SettingsDecision
	}{
		{Subject{"Web", "ci", "", SeverityNormal}, SettingsDecision{true, RuleBroadcast}},
		{Subject{"Slack", "ci", "", SeverityNormal}, SettingsDecision{false, RuleConfigOrigin}},
		{Subject{"Slack", "cd", "", SeverityNormal}, SettingsDecision{true, RuleDefault}},
		{Subject{"Slack", "ci", "", SeverityCritical}, SettingsDecision{true, RuleMandatory}},
		{Subject{"Email", "ci", "", SeverityNormal}, SettingsDecision{false, RuleIncludedTopics}},
		{Subject{"Email", "ci", "news", SeverityNormal}, SettingsDecision{true, RuleBroadcast}},
	} {
		if got := policy.DecideBroadcast(test.subject); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.subject, got, test.want)
		}
	}
}

func TestPayloadFilter(t *testing.T) {
	for _, test := range []struct {
		name     string
		filter   PayloadFilter
		topic    string
		severity Severity
		want     Rule
	}{
		{"nothing", PayloadFilter{}, "", SeverityLow, ""},
		{"min: less severe", PayloadFilter{MinSeverity: SeverityHigh}, "", SeverityNormal, RuleMinSeverity},
		{"min: as severe", PayloadFilter{MinSeverity: SeverityHigh}, "", SeverityHigh, ""},
		{"min: more severe", PayloadFilter{MinSeverity: SeverityHigh}, "", SeverityCritical, ""},
		{"min: none is normal", PayloadFilter{MinSeverity: SeverityHigh}, "", "", RuleMinSeverity},
		{"max: less severe", PayloadFilter{MaxSeverity: SeverityNormal}, "", SeverityLow, ""},
		{"max: as severe", PayloadFilter{MaxSeverity: SeverityNormal}, "", SeverityNormal, ""},
		{"max: more severe", PayloadFilter{MaxSeverity: SeverityNormal}, "", SeverityHigh, RuleMaxSeverity},
		{"max low drops normal", PayloadFilter{MaxSeverity: SeverityLow}, "", SeverityNormal, RuleMaxSeverity},
		{"included", PayloadFilter{IncludedTopics: []string{"a", "B"}}, "b", SeverityLow, ""},
		{"included: another", PayloadFilter{IncludedTopics: []string{"a", "b"}}, "c", SeverityLow, RuleIncludedTopics},
		{"included: none", PayloadFilter{IncludedTopics: []string{"a"}}, "", SeverityLow, RuleIncludedTopics},
		{"excluded", PayloadFilter{ExcludedTopics: []string{"a"}}, "A", SeverityLow, RuleExcludedTopics},
		{"excluded: another", PayloadFilter{ExcludedTopics: []string{"a"}}, "b", SeverityLow, ""},
		{"excluded: none", PayloadFilter{ExcludedTopics: []string{"a"}}, "", SeverityLow, ""},
		{"both", PayloadFilter{IncludedTopics: []string{"a"}, ExcludedTopics: []string{"a"}}, "a", SeverityLow, RuleExcludedTopics},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.filter.Drops(test.topic, test.severity); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// Two identifiers have the same form exactly if strings.EqualFold calls them
// equal, for every rune there is.
func TestFoldID(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		s := string(r)
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			if FoldID(s) != FoldID(string(other)) {
				t.Fatalf("%q and %q fold differently", s, string(other))
			}
		}
		if lower := string(unicode.ToLower(r)); (FoldID(s) == FoldID(lower)) != strings.EqualFold(s, lower) {
			t.Fatalf("%q and %q: FoldID and EqualFold disagree", s, lower)
		}
	}
	for _, pair := range [][2]string{
		{"plugin:CI", "Plugin:ci"}, {"K", "\u212a"}, {"straße", "STRASSE"}, {"İ", "i"}, {"σ", "ς"}, {"\xff", "\ufffd"}, {"a", "ab"}, {"", ""},
	} {
		if got, want := FoldID(pair[0]) == FoldID(pair[1]), strings.EqualFold(pair[0], pair[1]); got != want {
			t.Errorf("%q and %q: %t, EqualFold says %t", pair[0], pair[1], got, want)
		}
	}
	if got := FoldID("plugin:Scaffolder"); got != "plugin:scaffolder" {
		t.Errorf("%q", got)
	}
	if allocations := testing.AllocsPerRun(100, func() { FoldID("plugin:scaffolder") }); allocations > 0 {
		t.Errorf("%v allocations for what is folded already", allocations)
	}
}

// random makes settings of every kind out of a small alphabet, so that they meet.
func random(r *rand.Rand) (config SettingsConfig, user []Choice, seen []SeenTopic) {
	var (
		channels = []string{"Web", "Slack", "Email"}
		origins  = []string{"ci", "CI", "ops", "Ops", "straße"}
		topics   = []string{"", "", "a", "A", "b", "σ", "ς"}
	)
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	spelled := func(s string) string {
		if r.IntN(2) == 0 {
			return strings.ToUpper(s)
		}
		return s
	}
	choice := func() Choice {
		c := Choice{Channel: spelled(pick(channels)), Enabled: r.IntN(2) == 0}
		if r.IntN(4) > 0 {
			c.Origin, c.Topic = pick(origins), pick(topics)
		}
		return c
	}
	config.Channels = channels
	for range r.IntN(8) {
		config.Defaults = append(config.Defaults, choice())
	}
	for range r.IntN(8) {
		user = append(user, choice())
	}
	for range r.IntN(6) {
		seen = append(seen, SeenTopic{Origin: pick(origins), Topic: pick(topics)})
	}
	for range r.IntN(3) {
		c := choice()
		rule := MandatoryRule{Channel: c.Channel, Origin: c.Origin, Topic: c.Topic}
		if r.IntN(2) == 0 {
			rule.Severity = Severities()[r.IntN(4)]
		}
		config.Mandatory = append(config.Mandatory, rule)
	}
	if r.IntN(2) == 0 {
		f := PayloadFilter{}
		switch r.IntN(4) {
		case 0:
			f.MinSeverity = SeverityHigh
		case 1:
			f.MaxSeverity = SeverityNormal
		case 2:
			f.IncludedTopics = []string{"a"}
		case 3:
			f.ExcludedTopics = []string{"Σ"}
		}
		config.Filters = map[string]PayloadFilter{spelled(pick(channels)): f}
	}
	return config, user, seen
}

// What the page shows is what delivery does, for everything on the page and every
// severity.
func TestPageIsDelivery(t *testing.T) {
	for seed := range uint64(3000) {
		config, choices, seen := random(rand.New(rand.NewPCG(seed, 1)))
		policy, user := NewSettingsPolicy(config), NewChoices(choices)
		// check compares the switch that c is about with what happens to s.
		check := func(s Subject, c Choice, lock SettingsLock) {
			flipped := c
			flipped.Enabled = !c.Enabled
			other := NewChoices(append(slices.Clone(choices), flipped))
			for _, s.Severity = range Severities() {
				got := policy.Decide(s, user)
				if got.Rule == RuleMinSeverity || got.Rule == RuleMaxSeverity || s.Topic == "" && strings.HasPrefix(string(got.Rule), "filter.") {
					continue // the switch is about what the filter lets through
				}
				mandatory := lock.MandatorySeverity != "" && s.Severity.Rank() >= lock.MandatorySeverity.Rank()
				if want := c.Enabled || mandatory; got.Delivered != want {
					t.Fatalf("seed %d: %+v is %+v, the page shows %+v %+v\nconfig %+v\nuser %+v", seed, s, got, c, lock, config, choices)
				}
				if changed := policy.Decide(s, other) != got; changed && (lock.Locked || mandatory) {
					t.Fatalf("seed %d: %+v is locked, and a choice changes it", seed, s)
				} else if !changed && !lock.Locked && !mandatory {
					t.Fatalf("seed %d: %+v is not locked, and a choice does not change it", seed, s)
				}
			}
		}
		for _, channel := range policy.Page(choices, seen).Channels {
			shown := channel.Enabled == nil || *channel.Enabled
			check(Subject{Channel: channel.ID, Origin: "never seen"}, Choice{channel.ID, "", "", shown}, channel.SettingsLock)
			for _, origin := range channel.Origins {
				check(Subject{Channel: channel.ID, Origin: origin.ID}, Choice{channel.ID, origin.ID, "", origin.Enabled}, origin.SettingsLock)
				for _, topic := range origin.Topics {
					check(Subject{Channel: channel.ID, Origin: origin.ID, Topic: topic.ID}, Choice{channel.ID, origin.ID, topic.ID, topic.Enabled}, topic.SettingsLock)
				}
			}
		}
	}
}

// Sending the page back as it is changes nothing of what is delivered, and the
// page after it is the page before it.
func TestPageSentBackChangesNothing(t *testing.T) {
	for seed := range uint64(1000) {
		config, choices, seen := random(rand.New(rand.NewPCG(seed, 2)))
		policy := NewSettingsPolicy(config)
		before := policy.Page(choices, seen)
		var echo []Choice
		for _, channel := range before.Channels {
			if channel.Enabled != nil {
				echo = append(echo, Choice{Channel: channel.ID, Enabled: *channel.Enabled})
			}
			for _, origin := range channel.Origins {
				echo = append(echo, Choice{Channel: channel.ID, Origin: origin.ID, Enabled: origin.Enabled})
				for _, topic := range origin.Topics {
					echo = append(echo, Choice{channel.ID, origin.ID, topic.ID, topic.Enabled})
				}
			}
		}
		after := policy.Page(append(choices, policy.Settable(echo)...), seen)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("seed %d (-before +after):\n%s\nconfig %+v\nuser %+v", seed, diff, config, choices)
		}
	}
}

func TestPage(t *testing.T) {
	policy := NewSettingsPolicy(SettingsConfig{
		Channels: []string{"Web", "Slack"},
		Defaults: []Choice{{"Slack", "", "", false}, {"Web", "ops", "deploys", false}, {"Pager", "ops", "", false}},
		Mandatory: []MandatoryRule{
			{Channel: "Web", Origin: "security"},
			{Channel: "Slack", Origin: "security", Topic: "breach", Severity: SeverityHigh},
		},
		Filters: map[string]PayloadFilter{"Slack": {ExcludedTopics: []string{"builds"}}},
	})
	got := policy.Page(
		[]Choice{{"Web", "CI", "builds", false}, {"Slack", "forgotten", "", true}},
		[]SeenTopic{{Origin: "ci"}, {Origin: "ci", Topic: "Builds"}},
	)
	off, locked := false, SettingsLock{Locked: true}
	want := SettingsPage{Channels: []ChannelSettings{
		{ID: "Web", Origins: []OriginSettings{
			{ID: "ci", Enabled: true, Topics: []TopicSettings{{ID: "Builds", Enabled: false}}},
			{ID: "forgotten", Enabled: true, Topics: []TopicSettings{}},
			{ID: "ops", Enabled: true, Topics: []TopicSettings{{ID: "deploys", Enabled: false}}},
			{ID: "security", Enabled: true, SettingsLock: locked, Topics: []TopicSettings{{ID: "breach", Enabled: true, SettingsLock: locked}}},
		}},
		{ID: "Slack", Enabled: &off, Origins: []OriginSettings{
			{ID: "ci", Topics: []TopicSettings{{ID: "Builds", SettingsLock: locked}}},
			{ID: "forgotten", Enabled: true, Topics: []TopicSettings{}},
			{ID: "ops", Topics: []TopicSettings{{ID: "deploys"}}},
			{ID: "security", Topics: []TopicSettings{{ID: "breach", SettingsLock: SettingsLock{MandatorySeverity: SeverityHigh}}}},
		}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if empty := NewSettingsPolicy(SettingsConfig{Channels: []string{"Web"}}).Page(nil, nil); len(empty.Channels) != 1 || empty.Channels[0].Enabled != nil || empty.Channels[0].Origins == nil {
		t.Errorf("%+v", empty)
	}
}

func TestRulesHaveTexts(t *testing.T) {
	for _, rule := range []Rule{
		RuleMandatory, RuleMinSeverity, RuleMaxSeverity, RuleExcludedTopics, RuleIncludedTopics, RuleBroadcast, RuleUserTopic,
		RuleUserOrigin, RuleUserChannel, RuleConfigTopic, RuleConfigOrigin, RuleConfigChannel, RuleDefault, RuleDecider,
	} {
		if rule.Text() == string(rule) {
			t.Errorf("%s has no text", rule)
		}
	}
	if got := Rule("of.tomorrow").Text(); got != "of.tomorrow" {
		t.Errorf("%q", got)
	}
}

func TestDecodeSettings(t *testing.T) {
	got, err := DecodeSettings([]byte(`{"channels":[
		{"id":"Web","enabled":true,"locked":true,"origins":[
			{"topics":[{"id":"t","enabled":false,"":[1]},{"enabled":true,"id":"u"}],"enabled":false,"id":"ci"},
			{"id":"no choice","topics":null}]},
		{"origins":[],"id":"Slack","enabled":null}],"x":[{}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := SettingsRequest{
		Channels: []string{"Web", "Slack"},
		Choices:  []Choice{{"Web", "ci", "t", false}, {"Web", "ci", "u", true}, {"Web", "ci", "", false}, {"Web", "", "", true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeSettingsRefuses(t *testing.T) {
	channel := func(s string) string { return `{"channels":[` + s + `]}` }
	many := strings.TrimSuffix(strings.Repeat(`{"id":"o","enabled":true},`, MaxChoices+1), ",")
	for body, want := range map[string]string{
		``:                                    "Unexpected end of JSON input",
		`[]`:                                  "request/body must be object",
		`{}`:                                  "request/body must have required property 'channels'",
		`{"channels":{}}`:                     "request/body/channels must be array",
		channel(`1`):                          "request/body/channels/0 must be object",
		channel(`{}`):                         "request/body/channels/0 must have required property 'id'",
		channel(`{"id":""}`):                  "request/body/channels/0/id must NOT have fewer than 1 characters",
		channel(`{"id":7}`):                   "request/body/channels/0/id must be string",
		channel(`{"id":"W"`):                  "Expected ',' or '}' after property value in JSON at position 22",
		channel("{\"id\":\"\xff\"}"):          "request/body must be valid UTF-8: invalid byte at position 20",
		channel(`{"id":"W","enabled":"yes"}`): "request/body/channels/0/enabled must be boolean",
		channel(`{"id":"W","origins":{}}`):    "request/body/channels/0/origins must be array",
		channel(`{"id":"W","origins":[{"enabled":true}]}`):                                   "request/body/channels/0/origins/0 must have required property 'id'",
		channel(`{"id":"W","origins":[{"id":"a\u0000"}]}`):                                   "request/body/channels/0/origins/0/id must NOT contain control characters: U+0000",
		channel(`{"id":"W","origins":[{"id":"` + strings.Repeat("x", 256) + `"}]}`):          "request/body/channels/0/origins/0/id must NOT have more than 255 characters",
		channel(`{"id":"W","origins":[{"id":"o","enabled":1}]}`):                             "request/body/channels/0/origins/0/enabled must be boolean",
		channel(`{"id":"W","origins":[{"id":"o","topics":7}]}`):                              "request/body/channels/0/origins/0/topics must be array",
		channel(`{"id":"W","origins":[{"id":"o","topics":[{"id":"t"}]}]}`):                   "request/body/channels/0/origins/0/topics/0 must have required property 'enabled'",
		channel(`{"id":"W","origins":[{"id":"o","topics":[{"id":"t","enabled":true},{}]}]}`): "request/body/channels/0/origins/0/topics/1 must have required property 'id'",
		channel(`{"id":"W","origins":[` + many + `]}`):                                       fmt.Sprintf("request/body/channels/0/origins/%d must NOT have more than %d choices before it", MaxChoices, MaxChoices),
	} {
		_, err := DecodeSettings([]byte(body))
		if ErrorCode(err) != CodeInput || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", body, err, want)
		}
	}
}

func FuzzDecodeSettings(f *testing.F) {
	f.Add([]byte(`{"channels":[{"id":"Web","enabled":true,"origins":[{"id":"o","enabled":true,"topics":[{"id":"t","enabled":false}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := DecodeSettings(body)
		if err != nil && ErrorCode(err) != CodeInput {
			t.Errorf("%v", err)
		}
		for _, c := range request.Choices {
			if c.Channel == "" || c.Origin == "" && c.Topic != "" {
				t.Errorf("%+v", c)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	policy := NewSettingsPolicy(SettingsConfig{
		Channels: []string{"Web"}, Defaults: []Choice{{"Web", "ci", "", true}},
		Mandatory: []MandatoryRule{{Channel: "Web", Origin: "security"}},
	})
	user := NewChoices([]Choice{{"Web", "ci", "deploys", false}})
	for b.Loop() {
		policy.Decide(Subject{"Web", "ci", "deploys", SeverityNormal}, user)
	}
}

func TestDecideShared(t *testing.T) {
	p := NewSettingsPolicy(SettingsConfig{
		Channels:  []string{"Web", "Slack"},
		Defaults:  []Choice{{Channel: "Slack", Enabled: false}},
		Mandatory: []MandatoryRule{{Channel: "Slack", Origin: "alerts"}},
		Filters:   map[string]PayloadFilter{"Slack": {MinSeverity: SeverityHigh}},
	})
	for _, c := range []struct {
		subject Subject
		want    SettingsDecision
	}{
		{Subject{Channel: "Slack", Origin: "ci", Severity: SeverityHigh}, SettingsDecision{true, RuleShared}},
		{Subject{Channel: "Slack", Origin: "ci", Severity: SeverityLow}, SettingsDecision{false, RuleMinSeverity}},
		{Subject{Channel: "slack", Origin: "Alerts", Severity: SeverityLow}, SettingsDecision{true, RuleMandatory}},
	} {
		if got := p.DecideShared(c.subject); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.subject, got, c.want)
		}
	}
}
