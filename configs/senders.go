package configs

import (
	"errors"
	"strconv"
	"strings"
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
func readSenders(r *reader, c *Config, n *node, path string) {
	var rules []signalbox.SenderRule
	r.items(n, path, func(n *node, path string) {
		if rule, ok := r.sender(n, path); ok {
			rules = append(rules, rule)
		}
	})
	c.Auth.Senders = rules
}

func (r *reader) sender(n *node, path string) (rule signalbox.SenderRule, ok bool) {
	ok = r.section(n, path, "subject", "recipients", "topics", "maxSeverity", "broadcast", "rateLimit")
	if n.kind != mapping {
		return rule, false
	}
	ok = r.id(n, path, "subject", &rule.Subject, signalbox.MaxOrigin) && ok
	ok = r.patterns(n, path, "recipients", &rule.Recipients) && ok
	ok = r.patterns(n, path, "topics", &rule.Topics) && ok
	ok = r.severity(n, path, "maxSeverity", &rule.MaxSeverity) && ok
	if text, present := r.optional(n, path, "broadcast"); text != nil {
		broadcast, err := asBool(strings.TrimSpace(*text))
		if err != nil {
			r.fail(n.child("broadcast"), join(path, "broadcast"), err.Error())
			ok = false
		}
		rule.Broadcast = &broadcast
	} else if present {
		ok = false
	}
	if limit := n.child("rateLimit"); !limit.missing() {
		ok = r.sendRate(limit, join(path, "rateLimit"), &rule.Rate) && ok
	}
	return rule, ok
}

// patterns reads a list that may be missing, which is something else than empty.
func (r *reader) patterns(n *node, path, field string, into *[]string) bool {
	child := n.child(field)
	if child.missing() {
		return true
	}
	const most = 1_000
	list, ok := r.list(child, join(path, field))
	if !ok {
		return false
	}
	if len(list) > most {
		r.failSecret(child, join(path, field), "must have at most "+strconv.Itoa(most)+" patterns")
		return false
	}
	*into = []string{}
	for _, pattern := range list {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" || utf8.RuneCountInString(pattern) > signalbox.MaxOrigin {
			r.fail(child, join(path, field), "must have patterns of 1 to "+strconv.Itoa(signalbox.MaxOrigin)+" characters, such as group:default/*")
			return false
		}
		*into = append(*into, pattern)
	}
	return true
}

// sendRate reads {count, per, burst}.
func (r *reader) sendRate(n *node, path string, into *signalbox.SendRate) bool {
	ok := r.section(n, path, "count", "per", "burst")
	if n.kind != mapping {
		return false
	}
	number := func(field string, into *int) {
		text, present := r.optional(n, path, field)
		if text == nil {
			ok = ok && !present
			return
		}
		value, err := asCount(strings.TrimSpace(*text))
		if err != nil {
			r.fail(n.child(field), join(path, field), err.Error())
			ok = false
		}
		*into = value
	}
	number("count", &into.Count)
	if n.child("count").missing() {
		r.failSecret(n, join(path, "count"), "is required: how many requests may be sent")
		ok = false
	}
	into.Burst = into.Count
	number("burst", &into.Burst)
	per := n.child("per")
	if per.missing() {
		r.failSecret(n, join(path, "per"), "is required: in which time, such as 1m")
		return false
	}
	span, read := r.duration(per, join(path, "per"))
	if !read {
		return false
	}
	into.Per = span
	if into.Per < time.Second || into.Per > day {
		r.fail(per, join(path, "per"), "must be between 1s and 24h")
		ok = false
	}
	return ok
}

func asCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, errors.New("must be a whole number between 1 and 1000000")
	}
	return n, nil
}
