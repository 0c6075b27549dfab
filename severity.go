package signalbox

import (
	"fmt"
	"strings"
)

// Severity says how urgent a notification is: critical > high > normal > low.
// The zero value is not a severity; an absent one means [SeverityNormal].
type Severity string

// The severities, most severe first.
const (
	SeverityCritical Severity = "critical"
	SeverityHigh     Severity = "high"
	SeverityNormal   Severity = "normal"
	SeverityLow      Severity = "low"
)

// Severities lists all severities, most severe first.
func Severities() []Severity {
	return []Severity{SeverityCritical, SeverityHigh, SeverityNormal, SeverityLow}
}

// ParseSeverity reads a severity; letters of either case are accepted, as
// Backstage does.
func ParseSeverity(s string) (Severity, error) {
	folded := Severity(strings.ToLower(s))
	for _, known := range Severities() {
		if folded == known {
			return known, nil
		}
	}
	return "", fmt.Errorf("must be equal to one of the allowed values: critical, high, normal, low")
}

// Rank orders severities by urgency: 3 for critical down to 0 for low.
// An unknown severity ranks as normal.
func (s Severity) Rank() int {
	switch s {
	case SeverityCritical:
		return 3
	case SeverityHigh:
		return 2
	case SeverityLow:
		return 0
	default:
		return 1
	}
}

// SeverityFromRank is the inverse of [Severity.Rank].
func SeverityFromRank(rank int) Severity {
	switch {
	case rank >= 3:
		return SeverityCritical
	case rank == 2:
		return SeverityHigh
	case rank <= 0:
		return SeverityLow
	default:
		return SeverityNormal
	}
}
