package signalbox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWakeMessage(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	w := Wake{User: "user:default/jane", Until: now.Add(time.Hour + 123456*time.Microsecond)}
	m := w.Message(now)
	if m.Topic != TopicWake || m.Delay != w.Until.Sub(now) {
		t.Errorf("%+v", m)
	}
	got, err := DecodeWake(m.Payload)
	if diff := cmp.Diff(w, got); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
	if late := w.Message(now.Add(2 * time.Hour)); late.Delay != 0 {
		t.Errorf("a late message is delayed by %s", late.Delay)
	}
	other := Wake{User: w.User, Until: w.Until.Add(time.Microsecond)}
	if w.Key() == other.Key() || w.Key() != got.Key() {
		t.Errorf("keys %q and %q", w.Key(), other.Key())
	}
	for _, bad := range []string{"", "[]", "{}", `{"user":"user:default/jane"}`, `{"until":"2026-11-21T08:00:00Z"}`} {
		if got, err := DecodeWake([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, got)
		}
	}
}

func TestChangeValidate(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for until, want := range map[time.Time]string{
		{}:                                 "",
		now.Add(time.Nanosecond):           "",
		now.Add(MaxSnooze):                 "",
		now:                                "body/snoozedUntil must be in the future",
		now.Add(-time.Hour):                "body/snoozedUntil must be in the future",
		now.Add(MaxSnooze + 1):             "body/snoozedUntil must NOT be more than a year ahead",
		now.AddDate(2, 0, 0):               "body/snoozedUntil must NOT be more than a year ahead",
		now.AddDate(1, 0, 0):               "",
		time.Unix(0, 0).AddDate(9e3, 0, 0): "body/snoozedUntil must NOT be more than a year ahead",
	} {
		err := Change{SnoozedUntil: &until}.Validate("body", now)
		if want == "" && err == nil {
			continue
		}
		wantInputError(t, err, want)
	}
	if err := (Change{}).Validate("body", now); err != nil {
		t.Error(err)
	}
}

func TestArrived(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC) }
	n := Notification{Created: at(1)}
	for _, step := range []func(){
		func() {},
		func() { n.Updated = at(2) },
		func() { n.Woken = at(3) },
		func() { n.SnoozedUntil, n.Woken = at(4), time.Time{} },
	} {
		step()
		hour := max(n.Created.Hour(), n.Updated.Hour(), n.Woken.Hour(), n.SnoozedUntil.Hour())
		if got := n.Arrived(); !got.Equal(at(hour)) {
			t.Errorf("%+v arrived %s", n, got)
		}
	}
	for field, n := range map[string]Notification{
		`"snoozedUntil":"2026-01-01T04:00:00.000Z"`: {SnoozedUntil: at(4)},
		`"woken":"2026-01-01T03:00:00.000Z"`:        {Woken: at(3)},
	} {
		body, err := n.MarshalJSON()
		if err != nil || !strings.Contains(string(body), field) || strings.Contains(string(body), "snoozedUntil") == strings.Contains(string(body), "woken") {
			t.Errorf("%s, %v", body, err)
		}
	}
}
