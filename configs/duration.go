package configs

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// day is 24 hours: configuration knows no daylight saving time.
const day = 24 * time.Hour

// The calendar units have the lengths that Backstage's libraries give them when
// there is no date to count from.
const (
	week  = 7 * day
	month = 30 * day
	year  = 365 * day
)

var errDuration = errors.New(`must be a duration, such as 30s, 1h30m, "2 days", P1DT12H or {hours: 36}`)

// ParseDuration reads a duration in any of the forms that Backstage and Go
// write: "1h30m", "2 days", "1.5h", "P1DT12H". Several parts add up. A day has 24
// hours, a month 30 days, a year 365 days. A number without a unit is an error,
// except 0, as are negative durations and more than about 292 years. Errors do
// not hold the text.
func ParseDuration(s string) (time.Duration, error) {
	const longest = 64 // no sensible duration is longer
	s = strings.TrimSpace(s)
	if s == "0" {
		return 0, nil
	}
	if s == "" || len(s) > longest {
		return 0, errDuration
	}
	if s[0] == 'P' {
		return parseISO(s)
	}
	return parseParts(s)
}

var (
	// One part of "1h30m" or "2 days, 3 hours".
	durationPart = regexp.MustCompile(`^[\s,]*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµμ]+)`)
	isoDuration  = regexp.MustCompile(`^P(?:(\d+(?:[.,]\d+)?)Y)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?(?:T(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$`)
	isoUnits     = []time.Duration{year, month, week, day, time.Hour, time.Minute, time.Second}
)

func parseISO(s string) (time.Duration, error) {
	match := isoDuration.FindStringSubmatch(s)
	// "P" and "P1DT" match too, but name nothing after the letter.
	if match == nil || strings.HasSuffix(s, "P") || strings.HasSuffix(s, "T") {
		return 0, errDuration
	}
	total := new(big.Rat)
	for i, number := range match[1:] {
		if number != "" {
			add(total, strings.Replace(number, ",", ".", 1), isoUnits[i])
		}
	}
	return bounded(total)
}

func parseParts(s string) (time.Duration, error) {
	total := new(big.Rat)
	for s != "" {
		match := durationPart.FindStringSubmatch(s)
		if match == nil {
			return 0, errDuration
		}
		unit, ok := durationUnit(match[2])
		if !ok {
			return 0, errDuration
		}
		add(total, match[1], unit)
		s = s[len(match[0]):]
	}
	return bounded(total)
}

// add adds number units to total. It counts in fractions, so that "0.1h" is
// exactly six minutes.
func add(total *big.Rat, number string, unit time.Duration) {
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		// The patterns above match nothing else than decimal numbers.
		panic(fmt.Sprintf("configs: %q is no decimal number", number))
	}
	total.Add(total, value.Mul(value, new(big.Rat).SetInt64(int64(unit))))
}

// bounded rounds down to nanoseconds.
func bounded(total *big.Rat) (time.Duration, error) {
	nanoseconds := new(big.Int).Quo(total.Num(), total.Denom())
	if !nanoseconds.IsInt64() {
		return 0, fmt.Errorf("must be a duration of at most %d years", math.MaxInt64/int64(year))
	}
	return time.Duration(nanoseconds.Int64()), nil
}

// durationUnit knows the units of Go and those of the JavaScript package ms,
// which Backstage uses. Letters of either case mean the same.
func durationUnit(name string) (time.Duration, bool) {
	switch strings.ToLower(name) {
	case "ns":
		return time.Nanosecond, true
	case "us", "µs", "μs":
		return time.Microsecond, true
	case "ms", "msec", "msecs", "millisecond", "milliseconds":
		return time.Millisecond, true
	case "s", "sec", "secs", "second", "seconds":
		return time.Second, true
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute, true
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour, true
	case "d", "day", "days":
		return day, true
	case "w", "week", "weeks":
		return week, true
	case "mo", "month", "months":
		return month, true
	case "y", "yr", "yrs", "year", "years":
		return year, true
	}
	return 0, false
}

// durationFields are the keys of Backstage's object form.
func durationFields() []string {
	return []string{"years", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds"}
}

// lasting reads a duration within bounds.
func (e entry) lasting(least, most time.Duration, into *time.Duration) {
	if !e.duration(into) {
		return
	}
	if err := between(*into, least, most); err != nil {
		e.failSecret(err.Error())
	}
}

// duration reads a duration, as text or as Backstage's object.
func (e entry) duration(into *time.Duration) bool {
	if e.isObject() {
		return e.section().duration(into)
	}
	return parsed(e, into, ParseDuration)
}

// isObject tells whether an entry is a section, and not {$env: NAME}, which is a text.
func (e entry) isObject() bool {
	return !e.missing() && e.n.kind == mapping && (len(e.n.fields) != 1 || !strings.HasPrefix(e.n.fields[0].key, "$"))
}

// duration reads {days: 2, hours: 12}. Its parts are put together as text, so that
// there is one place that counts.
func (s *section) duration(into *time.Duration) bool {
	if !s.only(durationFields()...) {
		return false
	}
	var parts []string
	for _, f := range s.n.fields {
		e := s.at(f.value, join(s.path, f.key))
		text, ok := e.text()
		if !ok {
			return false
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			e.fail("must be a number")
			return false
		}
		parts = append(parts, text+f.key)
	}
	d, err := ParseDuration(strings.Join(parts, " "))
	if err != nil {
		s.fail(err.Error())
		return false
	}
	*into = d
	return true
}
