package configs

import "github.com/signalbox/signalbox"

// Broadcasts says how broadcasts are treated.
type Broadcasts struct {
	// RespectSettings are the channels on which broadcasts obey
	// "notifications.defaultSettings" ("notifications.broadcasts.respectSettings").
	// Users' own choices cannot apply to what is one row, and one delivery, for
	// everyone. Defaults to none.
	RespectSettings []string
}

// readDefaultSettings reads Backstage's notifications.defaultSettings into one
// choice for every switch that it names.
func readDefaultSettings(c *Config, e entry) {
	s := e.section()
	if s == nil || !s.only("channels") {
		return
	}
	d := defaultSettings{known: map[signalbox.ChoiceKey]string{}}
	s.field("channels").items(func(s *section) {
		choice := signalbox.Choice{}
		if !row(s, "origins", &choice.Channel, signalbox.MaxOrigin) {
			return
		}
		d.add(s, choice)
		s.field("origins").items(func(s *section) {
			choice := choice
			if !row(s, "topics", &choice.Origin, signalbox.MaxOrigin) {
				return
			}
			d.add(s, choice)
			s.field("topics").items(func(s *section) {
				choice := choice
				if row(s, "", &choice.Topic, signalbox.MaxTopic) && !d.add(s, choice) {
					s.field("enabled").need("true or false")
				}
			})
		})
	})
	c.Notifications.DefaultSettings = d.choices
}

// row reads the id of a switch. below is the field with those that it contains.
func row(s *section, below string, id *string, most int) bool {
	fields := []string{"id", "enabled"}
	if below != "" {
		fields = append(fields, below)
	}
	s.only(fields...)
	e := s.field("id")
	return e.need("") && e.id(id, most) && s.ok()
}

// defaultSettings collects choices.
type defaultSettings struct {
	choices []signalbox.Choice
	// known is where each switch was read.
	known map[signalbox.ChoiceKey]string
}

// add adds a choice if the switch says enabled; one that is there twice is
// reported, and counts as said.
func (d *defaultSettings) add(s *section, choice signalbox.Choice) (said bool) {
	if earlier, twice := d.known[choice.Key()]; twice {
		s.failSecret("is about the same as " + earlier + ": letters of either case are equal")
		return true
	}
	d.known[choice.Key()] = s.path
	if s.field("enabled").flag(&choice.Enabled) {
		d.choices = append(d.choices, choice)
	}
	return s.has("enabled")
}

// readMandatory reads the rules that make notifications mandatory.
func readMandatory(c *Config, e entry) {
	var rules []signalbox.MandatoryRule
	e.items(func(s *section) {
		s.only("channel", "origin", "topic", "severity")
		var rule signalbox.MandatoryRule
		if channel := s.field("channel"); channel.need("") {
			channel.id(&rule.Channel, signalbox.MaxOrigin)
		}
		s.field("origin").id(&rule.Origin, signalbox.MaxOrigin)
		s.field("topic").id(&rule.Topic, signalbox.MaxTopic)
		s.field("severity").severity(&rule.Severity)
		if s.ok() {
			rules = append(rules, rule)
		}
	})
	c.Notifications.Mandatory = rules
}

// readFilters reads the filters of channels and processors, by their names.
func readFilters(c *Config, e entry) {
	s := e.section()
	if s == nil {
		return
	}
	filters, known := map[string]signalbox.PayloadFilter{}, map[string]string{}
	for _, f := range s.n.fields {
		name := s.name(f, s.path)
		if earlier, twice := known[signalbox.FoldID(f.key)]; twice {
			name.failSecret("is about the same as " + earlier + ": letters of either case are equal")
			continue
		}
		known[signalbox.FoldID(f.key)] = name.path
		if filter := s.field(f.key).section(); filter != nil {
			filters[f.key] = readFilter(filter)
		}
	}
	c.Notifications.Filters = filters
}

// readFilter reads a filter that may be missing.
func readFilter(s *section) (filter signalbox.PayloadFilter) {
	if s == nil {
		return filter
	}
	s.only("minSeverity", "maxSeverity", "includedTopics", "excludedTopics")
	s.field("minSeverity").severity(&filter.MinSeverity)
	s.field("maxSeverity").severity(&filter.MaxSeverity)
	included := s.field("includedTopics")
	var ok bool
	if filter.IncludedTopics, ok = included.list(); ok && len(filter.IncludedTopics) == 0 && !included.missing() {
		// In Backstage an empty list would drop everything.
		included.fail("must have at least one topic, or be left out")
	}
	filter.ExcludedTopics, _ = s.field("excludedTopics").list()
	if s.ok() && filter.MinSeverity != "" && filter.MaxSeverity != "" && filter.MinSeverity.Rank() > filter.MaxSeverity.Rank() {
		s.failSecret("lets nothing through: minSeverity is more severe than maxSeverity")
	}
	return filter
}
