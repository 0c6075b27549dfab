package signalbox

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Schedule is when what goes to a user's channels outside may reach it. The inbox
// knows no schedule. The zero value delivers everything at once.
type Schedule struct {
	// TimeZone is an IANA name, such as Europe/Berlin; empty for UTC.
	TimeZone string
	Digest   DigestTimes
	// Quiet is nil for none.
	Quiet *QuietHours
}

// DigestTimes says when held notifications are delivered. Channels that know
// no digests deliver everything at once.
type DigestTimes struct {
	// Every is how often; empty for [DigestNever].
	Every DigestEvery
	// At is when a daily digest is due, by the user's clock.
	At ClockTime
	// Below is the least severity that is delivered at once; empty for critical,
	// which always is.
	Below Severity
}

// DigestEvery is how often a user gets a digest.
type DigestEvery string

// The words that Every knows.
const (
	DigestNever  DigestEvery = "never"
	DigestHourly DigestEvery = "hourly"
	DigestDaily  DigestEvery = "daily"
)

// QuietHours is the time of every day, by the user's clock, in which channels
// outside stay silent. What they hold is delivered afterwards.
type QuietHours struct {
	// From and To differ. To may be earlier than From: it is of the next day then.
	From, To ClockTime
	// Below is the least severity that is delivered all the same; empty for critical,
	// which always is.
	Below Severity
}

// ClockTime is a time of day in minutes since midnight, 0 to 1439.
type ClockTime int

var clockTime = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)

// ParseClockTime reads a time of day, as in "07:30".
func ParseClockTime(text string) (ClockTime, error) {
	parts := clockTime.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("must be a time of day, as in 07:30")
	}
	hours, _ := strconv.Atoi(parts[1])   // two digits
	minutes, _ := strconv.Atoi(parts[2]) // two digits
	return ClockTime(60*hours + minutes), nil
}

// String is the time as [ParseClockTime] reads it.
func (c ClockTime) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// zoneName is how the IANA database spells names. A machine's own files have more, and
// each of them many spellings, such as Europe//Berlin.
var zoneName = regexp.MustCompile(`^([A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*)?$`)

// Problem says what is wrong with a schedule and where, in the names of the wire;
// empty if nothing is.
func (s Schedule) Problem() (where, what string) {
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" || !zoneName.MatchString(s.TimeZone) {
		return "timeZone", "must be a time zone of the IANA database, as in Europe/Berlin"
	}
	switch s.Digest.Every {
	case "", DigestNever, DigestHourly, DigestDaily:
	default:
		return "digest.every", "must be equal to one of the allowed values: never, hourly, daily"
	}
	if !s.Digest.At.valid() {
		return "digest.at", "must be a time of day, as in 07:30"
	}
	if !belowIsKnown(s.Digest.Below) {
		return "digest.below", "must be equal to one of the allowed values: critical, high, normal"
	}
	if q := s.Quiet; q != nil {
		switch {
		case !q.From.valid():
			return "quietHours.from", "must be a time of day, as in 22:00"
		case !q.To.valid():
			return "quietHours.to", "must be a time of day, as in 07:00"
		case q.From == q.To:
			return "quietHours.to", "must differ from quietHours.from"
		case !belowIsKnown(q.Below):
			return "quietHours.below", "must be equal to one of the allowed values: critical, high, normal"
		}
	}
	return "", ""
}

func (c ClockTime) valid() bool { return c >= 0 && c < 24*60 }

// belowIsKnown excludes low: nothing is below it.
func belowIsKnown(s Severity) bool {
	return s == "" || s == SeverityCritical || s == SeverityHigh || s == SeverityNormal
}

// Clock is a [Schedule] that can tell times.
type Clock struct {
	schedule Schedule
	zone     *time.Location
}

// Zone is where the user is.
func (c Clock) Zone() *time.Location { return c.zone }

// Schedule is what the clock goes by.
func (c Clock) Schedule() Schedule { return c.schedule }

// Release returns when something of a severity may be delivered that is ready now:
// now, or later. digests says whether the channel knows digests.
func (c Clock) Release(now time.Time, severity Severity, digests bool) (at time.Time, rule Rule) {
	at = now
	if digests && severity.Rank() < rankBelow(c.schedule.Digest.Below) {
		if next := c.nextDigest(now); !next.IsZero() {
			at, rule = next, RuleDigest
		}
	}
	if end := c.quietUntil(at, severity); !end.IsZero() {
		at, rule = end, RuleQuietHours
	}
	return at, rule
}

// QuietUntil returns when the quiet hours end that hold something of a severity
// back now; the zero time if none do.
func (c Clock) QuietUntil(now time.Time, severity Severity) time.Time {
	return c.quietUntil(now, severity)
}

func rankBelow(s Severity) int {
	if s == "" {
		s = SeverityCritical
	}
	return s.Rank()
}

// nextDigest is the end of the window that now is in; zero without digests.
func (c Clock) nextDigest(now time.Time) time.Time {
	switch c.schedule.Digest.Every {
	case DigestHourly:
		// By the user's clock: not every zone is whole hours away from another. A
		// clock that is put on or back by half an hour is looked at again.
		next := now
		for range 3 {
			next = next.Add(time.Minute - time.Duration(next.Second())*time.Second - time.Duration(next.Nanosecond()))
			minute := next.In(c.zone).Minute()
			next = next.Add(time.Duration((60-minute)%60) * time.Minute)
			if next.In(c.zone).Minute() == 0 {
				break
			}
		}
		return next
	case DigestDaily:
		// Tomorrow's may be due today where a zone crossed the date line, and
		// yesterday's is looked at for the same reason.
		for days := -1; days <= 2; days++ {
			if at := c.at(now, days, c.schedule.Digest.At); at.After(now) {
				return at
			}
		}
	}
	return time.Time{}
}

func (c Clock) quietUntil(now time.Time, severity Severity) time.Time {
	q := c.schedule.Quiet
	if q == nil || severity.Rank() >= rankBelow(q.Below) {
		return time.Time{}
	}
	for days := -1; days <= 0; days++ {
		from, to := c.at(now, days, q.From), c.at(now, days, q.To)
		if q.To < q.From {
			to = c.at(now, days+1, q.To)
		}
		if !now.Before(from) && now.Before(to) {
			return to
		}
	}
	return time.Time{}
}

// at is when the user's clock shows a time on a day, counted from the one it shows
// now. A time that occurs twice is the first of the two; one that is left out counts
// by the offset before the gap (RFC 5545 section 3.3.5).
func (c Clock) at(now time.Time, days int, clock ClockTime) time.Time {
	year, month, day := now.In(c.zone).Date()
	wall := time.Date(year, month, day+days, 0, int(clock), 0, 0, time.UTC)
	offsetAt := func(t time.Time) time.Duration {
		_, seconds := t.In(c.zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	// Before any change of that day, and after it.
	before := wall.Add(-offsetAt(wall.Add(-26 * time.Hour)))
	after := wall.Add(-offsetAt(wall.Add(26 * time.Hour)))
	for _, candidate := range []time.Time{before, after} {
		if wall.Equal(candidate.Add(offsetAt(candidate))) {
			return candidate
		}
	}
	return before
}

// ScheduleStore keeps the schedules that users chose. Implementations are held to
// storage/storagetest.
type ScheduleStore interface {
	// ScheduleOf returns what a user chose, and whether it chose.
	ScheduleOf(ctx context.Context, user string) (Schedule, bool, error)
	// SaveSchedule stores a valid schedule.
	SaveSchedule(ctx context.Context, user string, schedule Schedule) error
	// ForgetSchedule removes what a user chose.
	ForgetSchedule(ctx context.Context, user string) error
}

// Schedules knows everybody's schedule: the user's own, else the operator's. It is
// safe for concurrent use.
type Schedules struct {
	store     ScheduleStore
	otherwise Schedule
	zones     sync.Map // of *time.Location by name: there are some hundred
}

// NewSchedules returns them. otherwise is for users who chose nothing; it is valid.
func NewSchedules(store ScheduleStore, otherwise Schedule) *Schedules {
	return &Schedules{store: store, otherwise: otherwise}
}

// Default is the operator's schedule.
func (s *Schedules) Default() Schedule { return s.otherwise }

// Of returns a user's schedule, and whether the user chose it.
func (s *Schedules) Of(ctx context.Context, user string) (schedule Schedule, chosen bool, err error) {
	schedule, chosen, err = s.store.ScheduleOf(ctx, user)
	if err != nil {
		return Schedule{}, false, fmt.Errorf("schedule of a user: %w", err)
	}
	if !chosen {
		schedule = s.otherwise
	}
	return schedule, chosen, nil
}

// Choose stores what a user chose; nil forgets it. The error has [CodeInput] if it
// is not valid.
func (s *Schedules) Choose(ctx context.Context, user string, schedule *Schedule) error {
	if schedule == nil {
		return s.store.ForgetSchedule(ctx, user)
	}
	if where, what := schedule.Problem(); what != "" {
		return Errorf(CodeInput, "request/body/%s %s", strings.ReplaceAll(where, ".", "/"), what)
	}
	return s.store.SaveSchedule(ctx, user, *schedule)
}

// Clock returns the user's schedule.
func (s *Schedules) Clock(ctx context.Context, user string) (Clock, error) {
	schedule, _, err := s.Of(ctx, user)
	if err != nil {
		return Clock{}, err
	}
	return s.clock(schedule), nil
}

func (s *Schedules) clock(schedule Schedule) Clock {
	if zone, ok := s.zones.Load(schedule.TimeZone); ok {
		return Clock{schedule: schedule, zone: zone.(*time.Location)} //nolint:forcetypeassert // only these are stored
	}
	zone, err := time.LoadLocation(schedule.TimeZone)
	if err != nil {
		// It was known when it was saved: another machine has another database.
		return Clock{schedule: schedule, zone: time.UTC}
	}
	s.zones.Store(schedule.TimeZone, zone)
	return Clock{schedule: schedule, zone: zone}
}
