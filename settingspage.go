package signalbox

import (
	"cmp"
	"slices"
)

// SettingsPage is what a user sees of its settings, in Backstage's form: for
// every channel the origins and topics that can be switched.
type SettingsPage struct {
	Channels []ChannelSettings `json:"channels"`
}

// ChannelSettings are the switches of a channel.
type ChannelSettings struct {
	ID string `json:"id"`
	// Enabled is the switch of the channel as a whole, which counts for origins
	// that nobody chose about. It is nil, which means on, if neither the user nor
	// the operator said anything.
	Enabled *bool `json:"enabled,omitempty"`
	SettingsLock
	Origins []OriginSettings `json:"origins"`
}

// OriginSettings are the switches of an origin on a channel. Enabled is what
// holds for what has no topic, or one that nobody chose about.
type OriginSettings struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"`
	SettingsLock
	Topics []TopicSettings `json:"topics"`
}

// TopicSettings is the switch of a topic.
type TopicSettings struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"`
	SettingsLock
}

// SettingsLock says that a switch is not, or not wholly, the user's. Backstage
// does not have it.
type SettingsLock struct {
	// Locked means that the operator's configuration decides, whatever the
	// severity: a user's choice changes nothing, and is not stored.
	Locked bool `json:"locked,omitempty"`
	// MandatorySeverity is the least severity that is delivered even where
	// Enabled is false; empty if there is none, or if it is locked.
	MandatorySeverity Severity `json:"mandatorySeverity,omitempty"`
}

// Page returns what a user sees who made these choices and whom these origins
// and topics reached. It lists them, those of the defaults and mandatory rules,
// and those of the choices, on every channel. Every switch is shown as
// [SettingsPolicy.Decide] decides it, for what the channel's filter lets through.
func (p *SettingsPolicy) Page(choices []Choice, seen []SeenTopic) SettingsPage {
	user := NewChoices(choices)
	origins := p.list(choices, seen)
	page := SettingsPage{Channels: make([]ChannelSettings, 0, len(p.channels))}
	for _, name := range p.channels {
		channel := ChannelSettings{ID: name, Origins: make([]OriginSettings, 0, len(origins))}
		row := p.row(choiceKey(name, "", ""), user)
		channel.SettingsLock = row.lock
		if row.lock.Locked || row.rule != RuleDefault {
			channel.Enabled = &row.enabled
		}
		for _, o := range origins {
			row := p.row(choiceKey(name, o.id, ""), user)
			origin := OriginSettings{ID: o.id, Enabled: row.enabled, SettingsLock: row.lock, Topics: make([]TopicSettings, 0, len(o.topics))}
			for _, topic := range o.topics {
				row := p.row(choiceKey(name, o.id, topic), user)
				origin.Topics = append(origin.Topics, TopicSettings{ID: topic, Enabled: row.enabled, SettingsLock: row.lock})
			}
			channel.Origins = append(channel.Origins, origin)
		}
		page.Channels = append(page.Channels, channel)
	}
	return page
}

// Settable takes out the choices that have no effect because their switch is
// locked. A page that was opened before, or that sends back everything it shows,
// would otherwise overwrite what the user chose before it was locked.
func (p *SettingsPolicy) Settable(choices []Choice) []Choice {
	return slices.DeleteFunc(slices.Clone(choices), func(c Choice) bool {
		return p.row(c.Key(), Choices{}).lock.Locked
	})
}

// switchRow is one switch as it is shown.
type switchRow struct {
	enabled bool
	rule    Rule
	lock    SettingsLock
}

// row decides one switch. A switch is about all severities at once, so what
// depends on the severity is shown beside it.
func (p *SettingsPolicy) row(key ChoiceKey, user Choices) switchRow {
	chosen := p.choose(key, user)
	row := switchRow{enabled: chosen.Delivered, rule: chosen.Rule}
	if rank, ok := p.mandatoryFrom(key); ok {
		if rank == 0 {
			return switchRow{enabled: true, rule: RuleMandatory, lock: SettingsLock{Locked: true}}
		}
		row.lock.MandatorySeverity = SeverityFromRank(rank)
	}
	// The switch of an origin or a channel is about whatever topics the filter
	// lets through; that of a topic is about that one.
	if filter, ok := p.filters[key.Channel]; ok && key.Topic != "" {
		if rule := filter.dropsTopic(key.Topic); rule != "" {
			row.enabled, row.rule, row.lock.Locked = false, rule, true
		}
	}
	return row
}

// listedOrigin is an origin on the page, with its topics.
type listedOrigin struct {
	id     string
	topics []string
}

// list collects the origins and topics to show, sorted. Of several spellings of
// one identifier the one that senders use is shown, else the operator's.
func (p *SettingsPolicy) list(choices []Choice, seen []SeenTopic) []listedOrigin {
	type topicsOf struct {
		id     string
		topics map[string]string
	}
	origins := make(map[string]*topicsOf)
	add := func(origin, topic string) {
		if origin == "" {
			return
		}
		o := origins[FoldID(origin)]
		if o == nil {
			o = &topicsOf{id: origin, topics: make(map[string]string)}
			origins[FoldID(origin)] = o
		}
		if key := FoldID(topic); topic != "" && o.topics[key] == "" {
			o.topics[key] = topic
		}
	}
	for _, s := range seen {
		add(s.Origin, s.Topic)
	}
	for _, c := range p.listed {
		add(c.Origin, c.Topic)
	}
	for _, rule := range p.rules {
		add(rule.Origin, rule.Topic)
	}
	for _, c := range choices {
		add(c.Origin, c.Topic)
	}
	list := make([]listedOrigin, 0, len(origins))
	for _, o := range origins {
		one := listedOrigin{id: o.id}
		for _, topic := range o.topics {
			one.topics = append(one.topics, topic)
		}
		slices.SortFunc(one.topics, compareIDs)
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b listedOrigin) int { return compareIDs(a.id, b.id) })
	return list
}

func compareIDs(a, b string) int { return cmp.Compare(FoldID(a), FoldID(b)) }
