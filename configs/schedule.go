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
func readQuietHours(r *reader, c *Config, n *node, path string) {
	if !r.section(n, path, "from", "to", "below") {
		return
	}
	var quiet signalbox.QuietHours
	ok := true
	for _, part := range []struct {
		name     string
		required bool
		read     func(text string) error
	}{
		{"from", true, func(text string) (err error) { quiet.From, err = signalbox.ParseClockTime(text); return err }},
		{"to", true, func(text string) (err error) { quiet.To, err = signalbox.ParseClockTime(text); return err }},
		{"below", false, func(text string) (err error) { quiet.Below, err = signalbox.ParseSeverity(text); return err }},
	} {
		child := n.child(part.name)
		if child.missing() {
			if part.required {
				r.fail(n, join(path, part.name), "is required: a time of day, as in 22:00")
				ok = false
			}
			continue
		}
		text, isText := r.text(child, join(path, part.name))
		if !isText {
			ok = false
			continue
		}
		if err := part.read(text); err != nil {
			r.fail(child, join(path, part.name), err.Error())
			ok = false
		}
	}
	if ok {
		c.Notifications.Schedule.Quiet = &quiet
	}
}
