package signalbox_test

import (
	"context"
	"errors"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/signalbox/signalbox"
)

// chosen is a store with one schedule for everybody.
type chosen struct {
	signalbox.Schedule
	err error
}

func (c chosen) ScheduleOf(_ context.Context, user string) (signalbox.Schedule, bool, error) {
	return c.Schedule, user != "user:default/nobody", c.err
}
func (chosen) SaveSchedule(context.Context, string, signalbox.Schedule) error { return nil }
func (chosen) ForgetSchedule(context.Context, string) error                   { return nil }

func clockOf(t *testing.T, s signalbox.Schedule) signalbox.Clock {
	t.Helper()
	if where, what := s.Problem(); what != "" {
		t.Fatalf("%s %s", where, what)
	}
	clock, err := signalbox.NewSchedules(chosen{Schedule: s}, signalbox.Schedule{}).Clock(t.Context(), "user:default/a")
	if err != nil {
		t.Fatal(err)
	}
	return clock
}

func clock(t *testing.T, text string) signalbox.ClockTime {
	t.Helper()
	c, err := signalbox.ParseClockTime(text)
	if err != nil || c.String() != text {
		t.Fatalf("%s: %s, %v", text, c, err)
	}
	return c
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestRelease(t *testing.T) {
	daily := func(zone, at string) signalbox.Schedule {
		return signalbox.Schedule{TimeZone: zone, Digest: signalbox.DigestTimes{Every: signalbox.DigestDaily, At: clock(t, at)}}
	}
	hourly := func(zone string) signalbox.Schedule {
		return signalbox.Schedule{TimeZone: zone, Digest: signalbox.DigestTimes{Every: signalbox.DigestHourly}}
	}
	quiet := func(s signalbox.Schedule, from, to string, below signalbox.Severity) signalbox.Schedule {
		s.Quiet = &signalbox.QuietHours{From: clock(t, from), To: clock(t, to), Below: below}
		return s
	}
	high := daily("", "08:00")
	high.Digest.Below = signalbox.SeverityHigh
	const digest, hush = signalbox.RuleDigest, signalbox.RuleQuietHours
	for _, c := range []struct {
		name     string
		schedule signalbox.Schedule
		now      string
		severity signalbox.Severity
		plain    bool // a channel without digests
		want     string
		rule     signalbox.Rule
	}{
		{name: "nothing chosen", now: "2026-01-01T10:00:00Z", want: "2026-01-01T10:00:00Z"},
		{name: "never", schedule: signalbox.Schedule{Digest: signalbox.DigestTimes{Every: signalbox.DigestNever}}, now: "2026-01-01T10:00:00Z", want: "2026-01-01T10:00:00Z"},
		{name: "daily, later today", schedule: daily("", "18:00"), now: "2026-01-01T10:00:00Z", want: "2026-01-01T18:00:00Z", rule: digest},
		{name: "daily, tomorrow", schedule: daily("", "08:00"), now: "2026-01-01T10:00:00Z", want: "2026-01-02T08:00:00Z", rule: digest},
		{name: "daily, at its end the next begins", schedule: daily("", "08:00"), now: "2026-01-01T08:00:00Z", want: "2026-01-02T08:00:00Z", rule: digest},
		{name: "daily, elsewhere", schedule: daily("Asia/Tokyo", "08:00"), now: "2026-01-01T10:00:00Z", want: "2026-01-01T23:00:00Z", rule: digest},
		{name: "daily, the day is another one there", schedule: daily("Pacific/Kiritimati", "00:30"), now: "2026-01-01T10:00:00Z", want: "2026-01-01T10:30:00Z", rule: digest},
		{name: "critical does not wait", schedule: daily("", "08:00"), now: "2026-01-01T10:00:00Z", severity: "critical", want: "2026-01-01T10:00:00Z"},
		{name: "high waits below critical", schedule: daily("", "08:00"), now: "2026-01-01T10:00:00Z", severity: "high", want: "2026-01-02T08:00:00Z", rule: digest},
		{name: "high does not wait below high", schedule: high, now: "2026-01-01T10:00:00Z", severity: "high", want: "2026-01-01T10:00:00Z"},
		{name: "normal waits below high", schedule: high, now: "2026-01-01T10:00:00Z", want: "2026-01-02T08:00:00Z", rule: digest},
		{name: "a channel without digests", schedule: daily("", "08:00"), now: "2026-01-01T10:00:00Z", plain: true, want: "2026-01-01T10:00:00Z"},

		{name: "hourly", schedule: hourly(""), now: "2026-01-01T10:20:30.5Z", want: "2026-01-01T11:00:00Z", rule: digest},
		{name: "hourly, at its end the next begins", schedule: hourly(""), now: "2026-01-01T10:00:00Z", want: "2026-01-01T11:00:00Z", rule: digest},
		{name: "hourly, half an hour away", schedule: hourly("Asia/Kolkata"), now: "2026-01-01T10:20:00Z", want: "2026-01-01T10:30:00Z", rule: digest},
		// At 02:00 the clock of Lord Howe goes on to 02:30, at the end back to 01:30.
		{name: "hourly, put on by half an hour", schedule: hourly("Australia/Lord_Howe"), now: "2026-10-03T15:10:00Z", want: "2026-10-03T16:00:00Z", rule: digest},
		{name: "hourly, put back by half an hour", schedule: hourly("Australia/Lord_Howe"), now: "2026-04-04T14:45:00Z", want: "2026-04-04T15:30:00Z", rule: digest},

		// Berlin, 29 March 2026: 02:00 becomes 03:00. 25 October: 03:00 becomes 02:00.
		{name: "the day before the gap", schedule: daily("Europe/Berlin", "08:00"), now: "2026-03-28T12:00:00Z", want: "2026-03-29T06:00:00Z", rule: digest},
		{name: "in the gap", schedule: daily("Europe/Berlin", "02:30"), now: "2026-03-28T12:00:00Z", want: "2026-03-29T01:30:00Z", rule: digest},
		{name: "after the gap", schedule: daily("Europe/Berlin", "02:30"), now: "2026-03-29T01:30:00Z", want: "2026-03-30T00:30:00Z", rule: digest},
		{name: "twice: the first", schedule: daily("Europe/Berlin", "02:30"), now: "2026-10-24T12:00:00Z", want: "2026-10-25T00:30:00Z", rule: digest},
		{name: "twice: not again", schedule: daily("Europe/Berlin", "02:30"), now: "2026-10-25T00:30:00Z", want: "2026-10-26T01:30:00Z", rule: digest},
		{name: "New York, in the gap", schedule: daily("America/New_York", "02:30"), now: "2026-03-08T05:00:00Z", want: "2026-03-08T07:30:00Z", rule: digest},
		{name: "New York, twice", schedule: daily("America/New_York", "01:30"), now: "2026-11-01T04:00:00Z", want: "2026-11-01T05:30:00Z", rule: digest},
		{name: "midnight is left out", schedule: daily("America/Asuncion", "00:00"), now: "2023-09-30T12:00:00Z", want: "2023-10-01T04:00:00Z", rule: digest},
		{name: "a day is left out", schedule: daily("Pacific/Apia", "08:00"), now: "2011-12-30T09:00:00Z", want: "2011-12-30T18:00:00Z", rule: digest},

		{name: "quiet at night, before midnight", schedule: quiet(signalbox.Schedule{}, "22:00", "07:00", ""), now: "2026-01-01T23:00:00Z", want: "2026-01-02T07:00:00Z", rule: hush},
		{name: "quiet at night, after midnight", schedule: quiet(signalbox.Schedule{}, "22:00", "07:00", ""), now: "2026-01-02T06:59:59Z", plain: true, want: "2026-01-02T07:00:00Z", rule: hush},
		{name: "quiet is over", schedule: quiet(signalbox.Schedule{}, "22:00", "07:00", ""), now: "2026-01-02T07:00:00Z", want: "2026-01-02T07:00:00Z"},
		{name: "quiet by day", schedule: quiet(signalbox.Schedule{}, "09:00", "17:00", ""), now: "2026-01-02T09:00:00Z", want: "2026-01-02T17:00:00Z", rule: hush},
		{name: "quiet, but critical", schedule: quiet(signalbox.Schedule{}, "22:00", "07:00", ""), now: "2026-01-01T23:00:00Z", severity: "critical", want: "2026-01-01T23:00:00Z"},
		{name: "quiet below high", schedule: quiet(signalbox.Schedule{}, "22:00", "07:00", "high"), now: "2026-01-01T23:00:00Z", severity: "high", want: "2026-01-01T23:00:00Z"},
		{name: "quiet elsewhere", schedule: quiet(signalbox.Schedule{TimeZone: "Europe/Berlin"}, "22:00", "07:00", ""), now: "2026-03-28T21:30:00Z", want: "2026-03-29T05:00:00Z", rule: hush},
		{name: "a digest in quiet hours waits on", schedule: quiet(daily("", "06:00"), "22:00", "07:00", ""), now: "2026-01-01T12:00:00Z", want: "2026-01-02T07:00:00Z", rule: hush},
		{name: "a digest after quiet hours", schedule: quiet(daily("", "08:00"), "22:00", "07:00", ""), now: "2026-01-01T23:00:00Z", want: "2026-01-02T08:00:00Z", rule: digest},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.severity == "" {
				c.severity = signalbox.SeverityNormal
			}
			at, rule := clockOf(t, c.schedule).Release(instant(t, c.now), c.severity, !c.plain)
			if !at.Equal(instant(t, c.want)) || rule != c.rule {
				t.Errorf("%s %q, want %s %q", at.UTC().Format(time.RFC3339), rule, c.want, c.rule)
			}
		})
	}
}

// TestDigestWindows goes through two years of every kind of clock change: windows
// follow each other, and a day has one digest.
func TestDigestWindows(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia"} {
		for _, at := range []string{"00:00", "00:30", "01:30", "02:00", "02:30", "03:00", "23:59"} {
			c := clockOf(t, signalbox.Schedule{TimeZone: zone, Digest: signalbox.DigestTimes{Every: signalbox.DigestDaily, At: clock(t, at)}})
			now, end := instant(t, "2025-01-01T00:00:00Z"), instant(t, "2027-01-01T00:00:00Z")
			days := map[string]bool{}
			for now.Before(end) {
				next, _ := c.Release(now, signalbox.SeverityNormal, true)
				// Whatever falls into a window leads to the same end.
				if between, _ := c.Release(now.Add(next.Sub(now)/2), signalbox.SeverityNormal, true); !between.Equal(next) {
					t.Fatalf("%s %s: from %s it is %s, from the middle %s", zone, at, now, next, between)
				}
				day := next.In(c.Zone()).Format(time.DateOnly)
				if wait := next.Sub(now); days[day] || wait <= 0 || len(days) > 0 && (wait < 22*time.Hour || wait > 26*time.Hour) {
					t.Fatalf("%s %s: after %s comes %s", zone, at, now, next)
				}
				days[day] = true
				now = next
			}
			if len(days) < 729 || len(days) > 731 {
				t.Errorf("%s %s: %d digests in two years", zone, at, len(days))
			}
		}
	}
}

func TestScheduleProblems(t *testing.T) {
	for where, s := range map[string]signalbox.Schedule{
		"timeZone":         {TimeZone: "Mars/Olympus"},
		"digest.every":     {Digest: signalbox.DigestTimes{Every: "weekly"}},
		"digest.at":        {Digest: signalbox.DigestTimes{At: 1440}},
		"digest.below":     {Digest: signalbox.DigestTimes{Below: "low"}},
		"quietHours.from":  {Quiet: &signalbox.QuietHours{From: -1}},
		"quietHours.to":    {Quiet: &signalbox.QuietHours{From: 60, To: 60}},
		"quietHours.below": {Quiet: &signalbox.QuietHours{To: 60, Below: "worst"}},
	} {
		if got, what := s.Problem(); got != where || what == "" {
			t.Errorf("%s: %q %q", where, got, what)
		}
	}
	for _, zone := range []string{"Local", "localtime", "Europe//Berlin", "Europe/./Berlin", "./UTC", "UTC\n", "posix/UTC", "right/UTC", "posixrules"} {
		if where, _ := (signalbox.Schedule{TimeZone: zone}).Problem(); where != "timeZone" {
			t.Errorf("%q is no name of a zone, but one of the machine's own files", zone)
		}
	}
	for _, zone := range []string{"", "UTC", "Etc/GMT+5", "PST8PDT", "America/Port-au-Prince", "America/Argentina/ComodRivadavia", "GB-Eire"} {
		if where, what := (signalbox.Schedule{TimeZone: zone}).Problem(); where != "" {
			t.Errorf("%q: %s", zone, what)
		}
	}
	for _, text := range []string{"", "7:30", "24:00", "07:60", "07:30:00", " 07:30", "07.30"} {
		if _, err := signalbox.ParseClockTime(text); err == nil {
			t.Errorf("%q passed", text)
		}
	}
}

func TestSchedules(t *testing.T) {
	otherwise := signalbox.Schedule{TimeZone: "Asia/Tokyo"}
	s := signalbox.NewSchedules(chosen{Schedule: signalbox.Schedule{TimeZone: "No/Longer"}}, otherwise)
	if c, err := s.Clock(t.Context(), "user:default/nobody"); err != nil || c.Zone().String() != "Asia/Tokyo" || c.Schedule() != otherwise {
		t.Errorf("%v %v", c, err)
	}
	// What is not known here any more must not keep notifications back.
	if c, err := s.Clock(t.Context(), "user:default/a"); err != nil || c.Zone() != time.UTC {
		t.Errorf("%v %v", c, err)
	}
	outage := errors.New("outage")
	if _, err := signalbox.NewSchedules(chosen{err: outage}, otherwise).Clock(t.Context(), "user:default/a"); !errors.Is(err, outage) {
		t.Error(err)
	}
}
