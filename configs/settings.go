package configs

import (
	"fmt"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

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
func readDefaultSettings(r *reader, c *Config, n *node, path string) {
	if !r.section(n, path, "channels") {
		return
	}
	d := defaultSettings{reader: r, known: map[signalbox.ChoiceKey]string{}}
	d.each(n, path, "channels", func(n *node, path string) {
		choice := signalbox.Choice{}
		if !d.row(n, path, "origins", &choice.Channel, signalbox.MaxOrigin) {
			return
		}
		d.add(n, path, choice)
		d.each(n, path, "origins", func(n *node, path string) {
			choice := choice
			if !d.row(n, path, "topics", &choice.Origin, signalbox.MaxOrigin) {
				return
			}
			d.add(n, path, choice)
			d.each(n, path, "topics", func(n *node, path string) {
				choice := choice
				if !d.row(n, path, "", &choice.Topic, signalbox.MaxTopic) {
					return
				}
				if d.add(n, path, choice) {
					return
				}
				r.failSecret(n, join(path, "enabled"), "is required: true or false")
			})
		})
	})
	c.Notifications.DefaultSettings = d.choices
}

// defaultSettings collects choices.
type defaultSettings struct {
	*reader
	choices []signalbox.Choice
	// known is where each switch was read.
	known map[signalbox.ChoiceKey]string
}

// each calls read for every item of the list in a field, which may be missing.
func (d *defaultSettings) each(n *node, path, field string, read func(n *node, path string)) {
	list := n.child(field)
	if list == nil || list.kind == null {
		return
	}
	d.items(list, join(path, field), read)
}

// items calls read for every item of a list.
func (r *reader) items(list *node, path string, read func(n *node, path string)) {
	if list.kind != sequence {
		r.fail(list, path, "must be a list, not "+list.kind.String())
		return
	}
	for i, item := range list.items {
		read(item, fmt.Sprintf("%s[%d]", path, i))
	}
}

// row reads the id of a switch. below is the field with those that it contains.
func (d *defaultSettings) row(n *node, path, below string, id *string, limit int) bool {
	fields := []string{"id", "enabled"}
	if below != "" {
		fields = append(fields, below)
	}
	ok := d.section(n, path, fields...)
	return n.kind == mapping && d.id(n, path, "id", id, limit) && ok
}

// id reads the identifier that a field must have.
func (r *reader) id(n *node, path, field string, into *string, limit int) bool {
	id, present := r.optional(n, path, field)
	switch {
	case !present:
		r.failSecret(n, join(path, field), "is required")
		return false
	case id == nil:
		return false
	case *id == "" || utf8.RuneCountInString(*id) > limit:
		r.fail(n.child(field), join(path, field), fmt.Sprintf("must have between 1 and %d characters", limit))
		return false
	}
	*into = *id
	return true
}

// add adds a choice if the switch says enabled; that it could not be read is
// reported, and counts as said.
func (d *defaultSettings) add(n *node, path string, choice signalbox.Choice) (said bool) {
	if earlier, twice := d.known[choice.Key()]; twice {
		d.failSecret(n, path, "is about the same as "+earlier+": letters of either case are equal")
		return true
	}
	d.known[choice.Key()] = path
	text, present := d.optional(n, path, "enabled")
	if text == nil {
		return present
	}
	enabled, err := asBool(*text)
	if err != nil {
		d.fail(n.child("enabled"), join(path, "enabled"), err.Error())
		return true
	}
	choice.Enabled = enabled
	d.choices = append(d.choices, choice)
	return true
}

// readMandatory reads the rules that make notifications mandatory.
func readMandatory(r *reader, c *Config, n *node, path string) {
	var rules []signalbox.MandatoryRule
	r.items(n, path, func(n *node, path string) {
		ok := r.section(n, path, "channel", "origin", "topic", "severity")
		if n.kind != mapping {
			return
		}
		var rule signalbox.MandatoryRule
		ok = r.id(n, path, "channel", &rule.Channel, signalbox.MaxOrigin) && ok
		ok = r.optionalID(n, path, "origin", &rule.Origin, signalbox.MaxOrigin) && ok
		ok = r.optionalID(n, path, "topic", &rule.Topic, signalbox.MaxTopic) && ok
		if ok = r.severity(n, path, "severity", &rule.Severity) && ok; ok {
			rules = append(rules, rule)
		}
	})
	c.Notifications.Mandatory = rules
}

func (r *reader) optionalID(n *node, path, field string, into *string, limit int) bool {
	if child := n.child(field); child == nil || child.kind == null {
		return true
	}
	return r.id(n, path, field, into, limit)
}

// severity reads a severity that may be missing.
func (r *reader) severity(n *node, path, field string, into *signalbox.Severity) bool {
	text, present := r.optional(n, path, field)
	if text == nil {
		return !present
	}
	severity, err := signalbox.ParseSeverity(*text)
	if err != nil {
		r.fail(n.child(field), join(path, field), "must be one of critical, high, normal, low")
		return false
	}
	*into = severity
	return true
}

// readFilters reads the filters of channels and processors, by their names.
func readFilters(r *reader, c *Config, n *node, path string) {
	if n.kind != mapping {
		r.fail(n, path, "must be a section, not "+n.kind.String())
		return
	}
	filters, known := map[string]signalbox.PayloadFilter{}, map[string]string{}
	for _, f := range n.fields {
		path := join(path, f.key)
		if earlier, twice := known[signalbox.FoldID(f.key)]; twice {
			r.failSecret(&node{at: f.at}, path, "is about the same as "+earlier+": letters of either case are equal")
			continue
		}
		known[signalbox.FoldID(f.key)] = path
		if f.value.kind == null {
			continue
		}
		if filter, ok := r.filter(f.value, path); ok {
			filters[f.key] = filter
		}
	}
	c.Notifications.Filters = filters
}

func (r *reader) filter(n *node, path string) (filter signalbox.PayloadFilter, ok bool) {
	ok = r.section(n, path, "minSeverity", "maxSeverity", "includedTopics", "excludedTopics")
	if n.kind != mapping {
		return filter, false
	}
	ok = r.severity(n, path, "minSeverity", &filter.MinSeverity) && ok
	ok = r.severity(n, path, "maxSeverity", &filter.MaxSeverity) && ok
	for _, topics := range []struct {
		field string
		into  *[]string
	}{{"includedTopics", &filter.IncludedTopics}, {"excludedTopics", &filter.ExcludedTopics}} {
		child := n.child(topics.field)
		if child == nil || child.kind == null {
			continue
		}
		list, read := r.list(child, join(path, topics.field))
		if read && len(list) == 0 && topics.field == "includedTopics" {
			// In Backstage an empty list would drop everything.
			r.fail(child, join(path, topics.field), "must have at least one topic, or be left out")
			read = false
		}
		*topics.into, ok = list, ok && read
	}
	if ok && filter.MinSeverity != "" && filter.MaxSeverity != "" && filter.MinSeverity.Rank() > filter.MaxSeverity.Rank() {
		r.failSecret(n, path, "lets nothing through: minSeverity is more severe than maxSeverity")
		ok = false
	}
	return filter, ok
}
