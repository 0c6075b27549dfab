package cmd

import (
	"slices"

	"github.com/signalbox/signalbox"
)

// settingsPolicy makes the one place that decides who gets what, where.
func (a *app) settingsPolicy(e *extras) *signalbox.SettingsPolicy {
	a.warnUnknownNames(e)
	c := a.config.Notifications
	filters := make(map[string]signalbox.PayloadFilter)
	for _, channel := range a.channels {
		if filter, ok := a.filterOf(channel.Name(), channel); ok {
			filters[channel.Name()] = filter
		}
	}
	if filter, ok := a.filterOf(signalbox.ChannelWeb, nil); ok {
		filters[signalbox.ChannelWeb] = filter
	}
	return signalbox.NewSettingsPolicy(signalbox.SettingsConfig{
		Channels: a.channelNames(), Defaults: c.DefaultSettings, Mandatory: c.Mandatory,
		Filters: filters, BroadcastsRespect: c.Broadcasts.RespectSettings,
	})
}

// processorFilters are the filters of processors, by name.
func (a *app) processorFilters(e *extras) map[string]signalbox.PayloadFilter {
	filters := make(map[string]signalbox.PayloadFilter)
	for _, processor := range e.processors {
		if filter, ok := a.filterOf(processor.Name(), processor); ok {
			filters[processor.Name()] = filter
		}
	}
	return filters
}

// filterOf returns the filter that is configured for a name, else the one that
// its channel or processor has by itself.
func (a *app) filterOf(name string, owner any) (filter signalbox.PayloadFilter, ok bool) {
	for configured, filter := range a.config.Notifications.Filters {
		if signalbox.FoldID(configured) == signalbox.FoldID(name) {
			return filter, true
		}
	}
	if filtered, ok := owner.(signalbox.Filtered); ok {
		return filtered.Filter(), true
	}
	return signalbox.PayloadFilter{}, false
}

// warnUnknownNames tells of settings for channels that this binary does not
// have. They are no errors: a configuration may be shared with Backstage, or be
// ahead of the binary.
func (a *app) warnUnknownNames(e *extras) {
	var channels, names []string
	for _, name := range a.channelNames() {
		channels = append(channels, signalbox.FoldID(name))
	}
	names = slices.Clone(channels)
	for _, processor := range e.processors {
		names = append(names, signalbox.FoldID(processor.Name()))
	}
	told := make(map[string]bool)
	check := func(key, name string, known []string) {
		if !slices.Contains(known, signalbox.FoldID(name)) && !told[key+name] {
			told[key+name] = true
			a.log.Warn("the configuration names a channel that there is not; it has no effect", "key", key, "channel", name)
		}
	}
	c := a.config.Notifications
	for _, choice := range c.DefaultSettings {
		check("notifications.defaultSettings", choice.Channel, channels)
	}
	for _, rule := range c.Mandatory {
		check("notifications.mandatory", rule.Channel, channels)
	}
	for name := range c.Filters {
		check("notifications.filters", name, names)
	}
	for _, name := range c.Broadcasts.RespectSettings {
		check("notifications.broadcasts.respectSettings", name, channels)
	}
}
