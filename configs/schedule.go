package configs

import (
	"errors"

	"github.com/signalbox/signalbox"
)

func asDigestEvery(text string) (signalbox.DigestEvery, error) {
	switch every := signalbox.DigestEvery(text); every {
	case signalbox.DigestNever, signalbox.DigestHourly, signalbox.DigestDaily:
		return every, nil
	default:
		return "", errors.New("must be never, hourly or daily")
	}
}

// readQuietHours reads {from, to, below}.
func readQuietHours(c *Config, e entry) {
	s := e.section()
	if s == nil || !s.only("from", "to", "below") {
		return
	}
	var quiet signalbox.QuietHours
	for _, part := range []struct {
		name string
		into *signalbox.ClockTime
	}{{"from", &quiet.From}, {"to", &quiet.To}} {
		if e := s.field(part.name); e.need("a time of day, as in 22:00") {
			parsed(e, part.into, signalbox.ParseClockTime)
		}
	}
	parsed(s.field("below"), &quiet.Below, signalbox.ParseSeverity)
	if s.ok() {
		c.Notifications.Schedule.Quiet = &quiet
	}
}
