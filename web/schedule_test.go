package web_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

// schedules is a [signalbox.ScheduleStore] in memory.
type schedules struct {
	mu     sync.Mutex
	byUser map[string]signalbox.Schedule
	err    error
}

func (s *schedules) ScheduleOf(_ context.Context, user string) (signalbox.Schedule, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	schedule, ok := s.byUser[user]
	return schedule, ok, s.err
}

func (s *schedules) SaveSchedule(_ context.Context, user string, schedule signalbox.Schedule) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byUser[user] = schedule
	return s.err
}

func (s *schedules) ForgetSchedule(_ context.Context, user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byUser, user)
	return s.err
}

const schedulePath = "/api/notifications/schedule"

func TestSchedule(t *testing.T) {
	const (
		tokyo = `{"timeZone":"Asia/Tokyo","digest":{"every":"hourly","at":"08:00","below":"critical"},"quietHours":{"from":"22:00","to":"07:00","below":"critical"}}`
		none  = `{"timeZone":"Asia/Tokyo","digest":{"every":"hourly","at":"08:00","below":"critical"},"quietHours":null}`
		mine  = `{"timeZone":"Europe/Berlin","digest":{"every":"daily","at":"07:30","below":"high"},"quietHours":{"from":"23:00","to":"06:05","below":"normal"}}`
	)
	shown := func(schedule, chosen string) string {
		return strings.TrimSuffix(schedule, "}") + `,"chosen":` + chosen + `,"default":` + tokyo + `}`
	}
	store := &schedules{byUser: map[string]signalbox.Schedule{}}
	h := start(t, func(d *web.Deps, _ *web.Config) {
		d.Schedules = signalbox.NewSchedules(store, signalbox.Schedule{
			TimeZone: "Asia/Tokyo", Digest: signalbox.DigestTimes{Every: signalbox.DigestHourly, At: 480},
			Quiet: &signalbox.QuietHours{From: 1320, To: 420},
		})
	})
	h.get(userToken, schedulePath).want(t, 200, shown(tokyo, "false"))
	// What is left out is the operator's, but for quiet hours.
	h.post(userToken, schedulePath, `{}`).want(t, 200, shown(none, "true"))
	h.post(userToken, schedulePath, mine).want(t, 200, shown(mine, "true"))
	h.get(userToken, schedulePath).want(t, 200, shown(mine, "true"))
	if signals := h.signaler.take(); len(signals) != 2 || string(signals[0].Message) != `{"action":"settings_changed"}` || signals[0].Recipients[0] != jane {
		t.Errorf("%+v", signals)
	}
	for range 2 {
		h.do(request{method: http.MethodDelete, path: schedulePath, token: userToken}).want(t, 200, shown(tokyo, "false"))
	}
	h.get(serviceToken, schedulePath).want(t, 403, errorOf(403, "NotAllowedError", "This endpoint does not allow 'service' credentials", "GET", "/schedule"))
}

func TestScheduleRefuses(t *testing.T) {
	h := start(t)
	for body, want := range map[string]string{
		``:                                     "request must have required property 'body'",
		`[]`:                                   "request/body must be object",
		`{} {}`:                                "request/body must be one JSON object",
		`{"quiet":{}}`:                         `request/body: unknown field "quiet"`,
		`{"timeZone":"Mars"}`:                  "request/body/timeZone must be a time zone of the IANA database, as in Europe/Berlin",
		`{"timeZone":1}`:                       "request/body/timeZone must be string",
		`{"digest":{"every":"weekly"}}`:        "request/body/digest/every must be equal to one of the allowed values: never, hourly, daily",
		`{"digest":{"at":"8 am"}}`:             "request/body/digest/at must be a time of day, as in 07:30",
		`{"digest":{"below":"low"}}`:           "request/body/digest/below must be equal to one of the allowed values: critical, high, normal",
		`{"quietHours":{"from":"22:00"}}`:      "request/body/quietHours must have required property 'to'",
		`{"quietHours":{"from":"9","to":"1"}}`: "request/body/quietHours/from must be a time of day, as in 22:00",
		`{"quietHours":{"from":"22:00","to":"22:00"}}`: "request/body/quietHours/to must differ from quietHours.from",
	} {
		h.post(userToken, schedulePath, body).want(t, 400, errorOf(400, "InputError", want, "POST", "/schedule"))
	}
	if len(h.schedules.byUser) != 0 {
		t.Errorf("%+v", h.schedules.byUser)
	}
}
