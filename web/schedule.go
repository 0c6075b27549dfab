package web

import (
	"cmp"
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// schedule is a [signalbox.Schedule] on the wire.
type schedule struct {
	TimeZone string `json:"timeZone"`
	Digest   struct {
		Every signalbox.DigestEvery `json:"every"`
		At    wireClock             `json:"at"`
		Below signalbox.Severity    `json:"below"`
	} `json:"digest"`
	QuietHours *quietHours `json:"quietHours"`
}

type quietHours struct {
	From  *wireClock         `json:"from"`
	To    *wireClock         `json:"to"`
	Below signalbox.Severity `json:"below"`
}

// wireClock is a time of day, as in "07:30"; -1 if it was not one.
type wireClock signalbox.ClockTime

func (c wireClock) MarshalText() ([]byte, error) {
	return []byte(signalbox.ClockTime(c).String()), nil
}

func (c *wireClock) UnmarshalText(text []byte) error {
	read, err := signalbox.ParseClockTime(string(text))
	if err != nil {
		read = -1 // refused with its place, see [signalbox.Schedule.Problem]
	}
	*c = wireClock(read)
	return nil
}

func scheduleFrom(s signalbox.Schedule) schedule {
	var w schedule
	w.TimeZone = cmp.Or(s.TimeZone, "UTC")
	w.Digest.Every = cmp.Or(s.Digest.Every, signalbox.DigestNever)
	w.Digest.At, w.Digest.Below = wireClock(s.Digest.At), cmp.Or(s.Digest.Below, signalbox.SeverityCritical)
	if s.Quiet != nil {
		q := *s.Quiet
		w.QuietHours = &quietHours{(*wireClock)(&q.From), (*wireClock)(&q.To), cmp.Or(q.Below, signalbox.SeverityCritical)}
	}
	return w
}

func (w schedule) schedule() signalbox.Schedule {
	s := signalbox.Schedule{TimeZone: w.TimeZone, Digest: signalbox.DigestTimes{
		Every: w.Digest.Every, At: signalbox.ClockTime(w.Digest.At), Below: w.Digest.Below,
	}}
	if q := w.QuietHours; q != nil {
		s.Quiet = &signalbox.QuietHours{From: signalbox.ClockTime(*q.From), To: signalbox.ClockTime(*q.To), Below: q.Below}
	}
	return s
}

// shownSchedule is what a user is shown.
type shownSchedule struct {
	schedule
	// Chosen is unset while the user has the operator's schedule.
	Chosen bool `json:"chosen"`
	// Default is the operator's.
	Default schedule `json:"default"`
}

// readSchedule shows a user when it gets what is sent outside.
func (s *Server) readSchedule(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	return s.sendSchedule(ctx, c, user.Ref)
}

func (s *Server) sendSchedule(ctx context.Context, c *fiber.Ctx, user string) error {
	of, chosen, err := s.deps.Schedules.Of(ctx, user)
	if err != nil {
		return err
	}
	return sendJSON(c, shownSchedule{scheduleFrom(of), chosen, scheduleFrom(s.deps.Schedules.Default())})
}

// saveSchedule replaces a user's schedule.
func (s *Server) saveSchedule(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	chosen, err := decodeSchedule(c.Request().Body(), s.deps.Schedules.Default())
	if err != nil {
		return err
	}
	return s.chooseSchedule(c, user.Ref, &chosen)
}

// forgetSchedule gives a user the operator's schedule again.
func (s *Server) forgetSchedule(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	return s.chooseSchedule(c, user.Ref, nil)
}

func (s *Server) chooseSchedule(c *fiber.Ctx, user string, chosen *signalbox.Schedule) error {
	ctx, cancel := s.requestContext(0)
	defer cancel()
	if err := s.deps.Schedules.Choose(ctx, user, chosen); err != nil {
		return err
	}
	s.deps.Signaler.Signal(ctx, signalbox.Signal{
		Channel: signalbox.SignalChannelNotifications, Recipients: []string{user}, Message: settingsChanged,
	})
	return s.sendSchedule(ctx, c, user)
}

// decodeSchedule reads a schedule. What is left out is as the operator has it,
// except quiet hours, which are none then.
func decodeSchedule(body []byte, otherwise signalbox.Schedule) (signalbox.Schedule, error) {
	otherwise.Quiet = nil
	w := scheduleFrom(otherwise)
	err := decodeStrictly(body, &w)
	switch q := w.QuietHours; {
	case err != nil:
		return signalbox.Schedule{}, err
	case q != nil && q.From == nil:
		return signalbox.Schedule{}, signalbox.Errorf(signalbox.CodeInput, "request/body/quietHours must have required property 'from'")
	case q != nil && q.To == nil:
		return signalbox.Schedule{}, signalbox.Errorf(signalbox.CodeInput, "request/body/quietHours must have required property 'to'")
	}
	return w.schedule(), nil
}
