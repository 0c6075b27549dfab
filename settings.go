package signalbox

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Choice is one switch: of a channel as a whole (no Origin), of an origin on a
// channel (no Topic), or of a topic of an origin on a channel. Users make
// choices, and the operator's defaults have the same form.
type Choice struct {
	Channel string
	Origin  string
	Topic   string
	Enabled bool
}

// Key returns what the choice is about; equal keys are the same switch.
func (c Choice) Key() ChoiceKey { return choiceKey(c.Channel, c.Origin, c.Topic) }

// ChoiceKey identifies a switch. Its parts are folded, see [FoldID]; an empty
// Topic is the origin's switch, an empty Origin too is the channel's.
type ChoiceKey struct{ Channel, Origin, Topic string }

func choiceKey(channel, origin, topic string) ChoiceKey {
	return ChoiceKey{FoldID(channel), FoldID(origin), FoldID(topic)}
}

// Choices are one user's choices, ready to be decided with. The zero value is no
// choice at all. It is read only, and so safe for concurrent use.
type Choices struct{ byKey map[ChoiceKey]bool }

// NewChoices collects choices; of several for the same switch the last counts.
func NewChoices(list []Choice) Choices {
	c := Choices{byKey: make(map[ChoiceKey]bool, len(list))}
	for _, choice := range list {
		c.byKey[choice.Key()] = choice.Enabled
	}
	return c
}

// FoldID brings the identifier of a channel, an origin or a topic into the form
// in which identifiers compare: two of them are the same if and only if
// [strings.EqualFold] says so, in all of Unicode. The form itself means nothing
// to readers.
func FoldID(id string) string {
	for i := range len(id) {
		if c := id[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return foldRunes(id)
		}
	}
	return id
}

func foldRunes(id string) string {
	folded := make([]byte, 0, len(id)+4)
	for _, r := range id { // invalid bytes become U+FFFD, which EqualFold compares too
		// The smallest of the runes that fold into each other stands for them;
		// where that is an ASCII letter, its lower case, as most ids are.
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		folded = utf8.AppendRune(folded, least)
	}
	return string(folded)
}

// Rule says what decided whether a notification goes to a channel.
type Rule string

// The rules, in the order of their precedence.
const (
	// RuleMandatory is the operator's: always delivered.
	RuleMandatory Rule = "mandatory"
	// RuleMinSeverity and the other filters are the channel's: what they drop is
	// not delivered.
	RuleMinSeverity    Rule = "filter.minSeverity"
	RuleMaxSeverity    Rule = "filter.maxSeverity"
	RuleExcludedTopics Rule = "filter.excludedTopics"
	RuleIncludedTopics Rule = "filter.includedTopics"
	// RuleBroadcast delivers broadcasts whatever the settings are.
	RuleBroadcast Rule = "broadcast"
	// RuleUserTopic and the next are the user's choices, the most specific first.
	RuleUserTopic   Rule = "user.topic"
	RuleUserOrigin  Rule = "user.origin"
	RuleUserChannel Rule = "user.channel"
	// RuleConfigTopic and the next are the operator's defaults, the most specific
	// first.
	RuleConfigTopic   Rule = "config.topic"
	RuleConfigOrigin  Rule = "config.origin"
	RuleConfigChannel Rule = "config.channel"
	// RuleDefault is on, when nothing else was said.
	RuleDefault Rule = "default"

	// RuleDecider is recorded when an adopter's own decider gives no reason.
	RuleDecider Rule = "decider"

	// RuleShared delivers to what is no single user's, such as a group's room or a
	// direct target: no user's settings apply there.
	RuleShared Rule = "shared"
	// RuleNoAddress and the next are why a channel does not send what it was given.
	RuleNoAddress Rule = "address.none"
	// RuleSuperseded is that a newer revision came first.
	RuleSuperseded Rule = "superseded"
	// RuleDigest and RuleQuietHours are why something waits, by its user's schedule.
	RuleDigest     Rule = "schedule.digest"
	RuleQuietHours Rule = "schedule.quietHours"
	// RuleProcessorPrefix, with a processor's name, is that the processor dropped it.
	RuleProcessorPrefix = "processor."
)

var ruleTexts = map[Rule]string{
	RuleMandatory:      "The operator made it mandatory on this channel",
	RuleMinSeverity:    "The channel takes only more severe notifications",
	RuleMaxSeverity:    "The channel takes only less severe notifications",
	RuleExcludedTopics: "The channel does not take this topic",
	RuleIncludedTopics: "The channel takes only certain topics, and this is none of them",
	RuleBroadcast:      "It is a broadcast, to which settings do not apply",
	RuleUserTopic:      "The user's choice for this topic of this origin",
	RuleUserOrigin:     "The user's choice for this origin",
	RuleUserChannel:    "The user's choice for this channel",
	RuleConfigTopic:    "The operator's default for this topic of this origin",
	RuleConfigOrigin:   "The operator's default for this origin",
	RuleConfigChannel:  "The operator's default for this channel",
	RuleDefault:        "Nobody chose: everything is on",
	RuleDecider:        "This installation's own rules decided",
	RuleShared:         "It goes to a shared place, to which no user's settings apply",
	RuleNoAddress:      "There is no address on this channel",
	RuleSuperseded:     "A newer revision was there first",
	RuleDigest:         "It waits for the user's digest",
	RuleQuietHours:     "It waits for the end of the user's quiet hours",
}

// Text says in a sentence what the rule is. A rule that is not known, as from
// another version's trace, is its own text.
func (r Rule) Text() string {
	if text, ok := ruleTexts[r]; ok {
		return text
	}
	if name, ok := strings.CutPrefix(string(r), RuleProcessorPrefix); ok {
		return "The processor " + name + " dropped it"
	}
	return string(r)
}

// Subject is what is decided about: may a notification of this origin, topic
// (empty for none) and severity go to this channel?
type Subject struct {
	Channel  string
	Origin   string
	Topic    string
	Severity Severity
}

// SettingsDecision is an answer, and what it rests on.
type SettingsDecision struct {
	Delivered bool
	Rule      Rule
}

// MandatoryRule makes notifications on a channel be delivered whatever anyone
// chose. An empty field, except Channel, matches everything.
type MandatoryRule struct {
	Channel string
	Origin  string
	Topic   string
	// Severity is the least one that is mandatory; empty is all of them.
	Severity Severity
}

// SettingsConfig is what the operator says about settings.
type SettingsConfig struct {
	// Channels are the names of all channels there are, [ChannelWeb] among them,
	// in the order in which they are shown.
	Channels []string
	// Defaults hold where the user chose nothing. Those of channels that are not
	// there mean nothing.
	Defaults []Choice
	// Mandatory rules go before everything else.
	Mandatory []MandatoryRule
	// Filters are of channels, by name. A channel without one takes everything.
	Filters map[string]PayloadFilter
	// BroadcastsRespect are the channels on which broadcasts obey Defaults. A
	// broadcast is one row, and one delivery, for everyone: no user's choices can
	// apply to it.
	BroadcastsRespect []string
}

// SettingsPolicy decides who gets what, where. It is the only place that does:
// delivery, the settings page and the preview ask it. It is read only, and so
// safe for concurrent use.
type SettingsPolicy struct {
	channels  []string
	byKey     map[string]string
	defaults  Choices
	listed    []Choice // the defaults as they were spelled, for the page
	mandatory []foldedMandatory
	rules     []MandatoryRule
	filters   map[string]PayloadFilter
	respect   map[string]bool
}

// foldedMandatory is a [MandatoryRule], folded.
type foldedMandatory struct {
	key  ChoiceKey
	rank int
}

// NewSettingsPolicy makes a policy.
func NewSettingsPolicy(config SettingsConfig) *SettingsPolicy {
	p := &SettingsPolicy{
		channels: append([]string(nil), config.Channels...),
		byKey:    make(map[string]string, len(config.Channels)),
		defaults: NewChoices(config.Defaults),
		listed:   append([]Choice(nil), config.Defaults...),
		rules:    append([]MandatoryRule(nil), config.Mandatory...),
		filters:  make(map[string]PayloadFilter, len(config.Filters)),
		respect:  make(map[string]bool, len(config.BroadcastsRespect)),
	}
	for _, channel := range p.channels {
		p.byKey[FoldID(channel)] = channel
	}
	for _, rule := range config.Mandatory {
		rank := 0
		if rule.Severity != "" {
			rank = rule.Severity.Rank()
		}
		p.mandatory = append(p.mandatory, foldedMandatory{choiceKey(rule.Channel, rule.Origin, rule.Topic), rank})
	}
	for channel, filter := range config.Filters {
		p.filters[FoldID(channel)] = filter.folded()
	}
	for _, channel := range config.BroadcastsRespect {
		p.respect[FoldID(channel)] = true
	}
	return p
}

// Channels lists the channels, in the order in which they are shown.
func (p *SettingsPolicy) Channels() []string { return append([]string(nil), p.channels...) }

// Channel returns the channel that an identifier means, as it is spelled, and
// whether there is one.
func (p *SettingsPolicy) Channel(id string) (name string, ok bool) {
	name, ok = p.byKey[FoldID(id)]
	return name, ok
}

// Decide decides for a user who made these choices. The first of these that
// says something decides: a mandatory rule, the channel's filter, the user's
// choice for the topic, for the origin, for the channel, the default for the
// topic, for the origin, for the channel. If none does, it is delivered.
func (p *SettingsPolicy) Decide(s Subject, user Choices) SettingsDecision {
	key := choiceKey(s.Channel, s.Origin, s.Topic)
	if decision, decided := p.decideForAll(key, s.Severity); decided {
		return decision
	}
	return p.choose(key, user)
}

// DecideBroadcast is Decide for a broadcast: no user's choices apply to it, and
// the defaults only on the channels that are configured so.
func (p *SettingsPolicy) DecideBroadcast(s Subject) SettingsDecision {
	key := choiceKey(s.Channel, s.Origin, s.Topic)
	if decision, decided := p.decideForAll(key, s.Severity); decided {
		return decision
	}
	if !p.respect[key.Channel] {
		return SettingsDecision{true, RuleBroadcast}
	}
	return p.choose(key, Choices{})
}

// DecideShared is Decide for what is no single user's: only mandatory rules and
// filters apply.
func (p *SettingsPolicy) DecideShared(s Subject) SettingsDecision {
	if decision, decided := p.decideForAll(choiceKey(s.Channel, s.Origin, s.Topic), s.Severity); decided {
		return decision
	}
	return SettingsDecision{true, RuleShared}
}

// decideForAll applies the rules that are the same for every user.
func (p *SettingsPolicy) decideForAll(key ChoiceKey, severity Severity) (decision SettingsDecision, decided bool) {
	if rank, ok := p.mandatoryFrom(key); ok && severity.Rank() >= rank {
		return SettingsDecision{true, RuleMandatory}, true
	}
	if filter, ok := p.filters[key.Channel]; ok {
		if rule := filter.drops(key.Topic, severity); rule != "" {
			return SettingsDecision{false, rule}, true
		}
	}
	return SettingsDecision{}, false
}

// mandatoryFrom returns the least rank of severity that is mandatory, if any is.
func (p *SettingsPolicy) mandatoryFrom(key ChoiceKey) (rank int, ok bool) {
	for _, rule := range p.mandatory {
		if rule.key.Channel == key.Channel &&
			(rule.key.Origin == "" || rule.key.Origin == key.Origin) &&
			(rule.key.Topic == "" || rule.key.Topic == key.Topic) &&
			(!ok || rule.rank < rank) {
			rank, ok = rule.rank, true
		}
	}
	return rank, ok
}

// choose applies choices and defaults: the most specific wins, the user's before
// the operator's.
func (p *SettingsPolicy) choose(key ChoiceKey, user Choices) SettingsDecision {
	for _, level := range [...]struct {
		choices Choices
		rules   [3]Rule
	}{
		{user, [3]Rule{RuleUserTopic, RuleUserOrigin, RuleUserChannel}},
		{p.defaults, [3]Rule{RuleConfigTopic, RuleConfigOrigin, RuleConfigChannel}},
	} {
		if len(level.choices.byKey) == 0 {
			continue
		}
		for i, at := range [...]ChoiceKey{key, {key.Channel, key.Origin, ""}, {key.Channel, "", ""}} {
			if i == 0 && key.Topic == "" || i == 1 && key.Origin == "" {
				continue // the next one is the same switch
			}
			if enabled, ok := level.choices.byKey[at]; ok {
				return SettingsDecision{enabled, level.rules[i]}
			}
		}
	}
	return SettingsDecision{true, RuleDefault}
}

// Received is that something of an origin and a topic (empty: none) was meant for
// a user (empty: everyone).
type Received struct {
	User   string
	Origin string
	Topic  string
}

// SeenTopic is an origin and one of its topics (empty: none) that a user knows.
type SeenTopic struct {
	Origin string
	Topic  string
}

// SettingsStore keeps what users chose, and what was meant for them, which outlives
// the notifications. Implementations are held to storage/storagetest.
type SettingsStore interface {
	// ChoicesFor returns the stored choices that can matter for what each of
	// about tells of, by user; who has none is not in it. It is one query for
	// thousands of them.
	ChoicesFor(ctx context.Context, about []Received) (map[string][]Choice, error)
	// ChoicesOf returns all choices of a user, sorted by their keys.
	ChoicesOf(ctx context.Context, user string) ([]Choice, error)
	// SaveChoices stores choices of a user. Those about other switches stay as
	// they are; of several about the same switch the last counts. The error is an
	// [Error] with [CodeInput], and nothing is stored, if the user would have more
	// than [MaxChoices].
	SaveChoices(ctx context.Context, user string, choices []Choice) error
	// ForgetChoice removes a user's choice about one switch, so that what is less
	// specific holds again. It does nothing if there is none.
	ForgetChoice(ctx context.Context, user string, about ChoiceKey) error
	// Seen returns the origins and topics of what was meant for a user,
	// broadcasts included: at most [MaxSeenTopics] of them, the newest topics of
	// every origin before older ones of any. The pipeline's commits record them.
	Seen(ctx context.Context, user string) ([]SeenTopic, error)
}
