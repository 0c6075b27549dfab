package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// preferredWait returns the wait preference of Prefer headers (RFC 7240), cut at
// [signalbox.MaxWait]; 0 without a valid one. Of repeated preferences the first
// counts, and what is not understood is ignored, as the RFC has it.
func preferredWait(headers [][]byte) time.Duration {
	for _, header := range headers {
		rest := string(header)
		for rest != "" {
			var preference string
			preference, rest = cutOutsideQuotes(rest, ',')
			// What follows a semicolon are the preference's own parameters.
			preference, _ = cutOutsideQuotes(preference, ';')
			name, value, _ := strings.Cut(preference, "=")
			if strings.EqualFold(strings.TrimSpace(name), "wait") {
				return waitOf(strings.TrimSpace(value))
			}
		}
	}
	return 0
}

// waitOf reads seconds, which may be in quotes.
func waitOf(value string) time.Duration {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0
	}
	limit := int(signalbox.MaxWait / time.Second)
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds > limit {
		// All digits, so it was only too many of them.
		seconds = limit
	}
	return time.Duration(seconds) * time.Second
}

// cutOutsideQuotes cuts s at the first separator that is not within a quoted
// string.
func cutOutsideQuotes(s string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
