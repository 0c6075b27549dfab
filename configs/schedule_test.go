package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScheduleRefuses(t *testing.T) {
	for section, want := range map[string][]string{
		"{timeZone: Mars}":                                     {`notifications.schedule.timeZone: must be a time zone of the IANA database, as in Europe/Berlin, got "Mars"`},
		"{digest: {every: weekly}}":                            {`notifications.schedule.digest.every: must be never, hourly or daily, got "weekly"`},
		`{digest: {at: "8:00"}}`:                               {`notifications.schedule.digest.at: must be a time of day, as in 07:30, got "8:00"`},
		"{digest: {below: low}}":                               {`notifications.schedule.digest.below: must be equal to one of the allowed values: critical, high, normal, got "low"`},
		"{digest: {below: worst}}":                             {`notifications.schedule.digest.below: must be equal to one of the allowed values: critical, high, normal, low, got "worst"`},
		"{digest: {evry: daily}}":                              {"notifications.schedule.digest.evry: unknown key; did you mean notifications.schedule.digest.every?"},
		`{quietHours: {frm: "22:00", from: "22:00", to: "1"}}`: {"notifications.schedule.quietHours.frm: unknown key; did you mean from?"},
		`{quietHours: {from: "22:00"}}`: {
			"notifications.schedule.quietHours.to: is required: a time of day, as in 22:00",
		},
		`{quietHours: {from: "22:00", to: "22:00"}}`: {"notifications.schedule.quietHours: to must differ from quietHours.from"},
		`{quietHours: {from: [], to: "24:00", below: none}}`: {
			"notifications.schedule.quietHours.from: must be a single value, not a list",
			`notifications.schedule.quietHours.to: must be a time of day, as in 07:30, got "24:00"`,
			`notifications.schedule.quietHours.below: must be equal to one of the allowed values: critical, high, normal, low, got "none"`,
		},
	} {
		_, _, problems := load(t, Sources{Files: write(t, "notifications: {schedule: "+section+"}\n")})
		for i, problem := range problems {
			_, problems[i], _ = strings.Cut(problem, ": ") // the place
		}
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", section, diff)
		}
	}
}
