package configs

import (
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// AuthTokens bounds the API tokens that people make.
type AuthTokens struct {
	// MaxAge is how long one works at most ("auth.tokens.maxAge"). Between 1h and 10
	// years. Defaults to 365 days.
	MaxAge time.Duration
}

// readSenders reads what each sender may send. It is strict: a mistyped limit would
// be none.
func readSenders(c *Config, e entry) {
	var rules []signalbox.SenderRule
	e.items(func(s *section) {
		s.only("subject", "recipients", "topics", "maxSeverity", "broadcast", "rateLimit")
		var rule signalbox.SenderRule
		if subject := s.field("subject"); subject.need("") {
			subject.id(&rule.Subject, signalbox.MaxOrigin)
		}
		rule.Recipients = readPatterns(s.field("recipients"))
		rule.Topics = readPatterns(s.field("topics"))
		s.field("maxSeverity").severity(&rule.MaxSeverity)
		var broadcast bool
		if s.field("broadcast").flag(&broadcast) {
			rule.Broadcast = &broadcast
		}
		readSendRate(s.field("rateLimit").section(), &rule.Rate)
		if s.ok() {
			rules = append(rules, rule)
		}
	})
	c.Auth.Senders = rules
}

// readPatterns reads a list that may be missing, which is something else than empty.
func readPatterns(e entry) []string {
	const most = 1_000
	list, _ := e.texts()
	switch {
	case len(list) > most:
		e.failSecret("must have at most " + strconv.Itoa(most) + " patterns")
	case slices.ContainsFunc(list, func(pattern string) bool {
		return pattern == "" || utf8.RuneCountInString(pattern) > signalbox.MaxOrigin
	}):
		e.fail("must have patterns of 1 to " + strconv.Itoa(signalbox.MaxOrigin) + " characters, such as group:default/*")
	case list == nil && !e.missing():
		return []string{}
	}
	return list
}

// readSendRate reads {count, per, burst}.
func readSendRate(s *section, into *signalbox.SendRate) {
	if s == nil {
		return
	}
	s.only("count", "per", "burst")
	const most = 1_000_000
	if count := s.field("count"); count.need("how many requests may be sent") {
		count.count(most, &into.Count)
	}
	into.Burst = into.Count
	s.field("burst").count(most, &into.Burst)
	if per := s.field("per"); per.need("in which time, such as 1m") && per.duration(&into.Per) {
		if err := between(into.Per, time.Second, day); err != nil {
			per.fail(err.Error())
		}
	}
}
