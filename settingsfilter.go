package signalbox

import "slices"

// PayloadFilter keeps notifications from a channel or a processor by what they
// are. The zero value lets everything through. Topics compare as [FoldID] says.
type PayloadFilter struct {
	// MinSeverity drops what is less severe; empty drops nothing.
	MinSeverity Severity
	// MaxSeverity drops what is more severe; empty drops nothing.
	MaxSeverity Severity
	// IncludedTopics, if there are any, drop every other topic, and what has no
	// topic.
	IncludedTopics []string
	// ExcludedTopics drop these topics.
	ExcludedTopics []string
}

// Filtered is an optional interface of processors and channels that take only
// some notifications. What is configured for their name replaces it.
type Filtered interface {
	// Filter returns the filter. It is asked once, when the router starts.
	Filter() PayloadFilter
}

// IsZero reports whether the filter lets everything through.
func (f PayloadFilter) IsZero() bool {
	return f.MinSeverity == "" && f.MaxSeverity == "" && len(f.IncludedTopics) == 0 && len(f.ExcludedTopics) == 0
}

// Drops returns the rule by which the filter drops a notification of this topic
// and severity, or "" if it lets it through.
func (f PayloadFilter) Drops(topic string, severity Severity) Rule {
	if f.IsZero() {
		return ""
	}
	return f.folded().drops(FoldID(topic), severity)
}

// folded returns the filter with folded topics, as drops needs it.
func (f PayloadFilter) folded() PayloadFilter {
	f.IncludedTopics, f.ExcludedTopics = foldAll(f.IncludedTopics), foldAll(f.ExcludedTopics)
	return f
}

func foldAll(ids []string) []string {
	folded := make([]string, len(ids))
	for i, id := range ids {
		folded[i] = FoldID(id)
	}
	return folded
}

// drops is Drops for a folded filter and topic.
func (f PayloadFilter) drops(topic string, severity Severity) Rule {
	switch {
	case f.MinSeverity != "" && severity.Rank() < f.MinSeverity.Rank():
		return RuleMinSeverity
	case f.MaxSeverity != "" && severity.Rank() > f.MaxSeverity.Rank():
		return RuleMaxSeverity
	}
	return f.dropsTopic(topic)
}

// dropsTopic is what a folded filter says whatever the severity is.
func (f PayloadFilter) dropsTopic(topic string) Rule {
	switch {
	case topic != "" && slices.Contains(f.ExcludedTopics, topic):
		return RuleExcludedTopics
	case len(f.IncludedTopics) > 0 && (topic == "" || !slices.Contains(f.IncludedTopics, topic)):
		return RuleIncludedTopics
	}
	return ""
}
