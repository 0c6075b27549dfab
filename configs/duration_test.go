package configs

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
	}{
		// Go
		{"0", 0},
		{"1m30s", 90 * time.Second},
		{"1.5h", 90 * time.Minute},
		{".5s", 500 * time.Millisecond},
		{"300ms", 300 * time.Millisecond},
		{"5us", 5 * time.Microsecond},
		{"5µs", 5 * time.Microsecond},
		{"7ns", 7},
		// ms
		{"2 days", 48 * time.Hour},
		{"1d", 24 * time.Hour},
		{"1m", time.Minute},
		{"2.5 hrs", 150 * time.Minute},
		{"10H", 10 * time.Hour},
		{"1 week", 7 * 24 * time.Hour},
		{"1y", 365 * 24 * time.Hour},
		{"3 months", 90 * 24 * time.Hour},
		{" 1 d,\t12 h ", 36 * time.Hour},
		{"0.1h", 6 * time.Minute}, // exact, unlike a float
		// ISO 8601
		{"PT1M", time.Minute},
		{"P1D", 24 * time.Hour},
		{"P1DT12H", 36 * time.Hour},
		{"P2W", 14 * 24 * time.Hour},
		{"P1Y", 365 * 24 * time.Hour},
		{"P1M", 30 * 24 * time.Hour},
		{"PT0.5S", 500 * time.Millisecond},
		{"PT0,5S", 500 * time.Millisecond},
		{"9223372036854775807ns", math.MaxInt64},
	} {
		got, err := ParseDuration(test.text)
		if err != nil || got != test.want {
			t.Errorf("%q: got %v, %v; want %v", test.text, got, err, test.want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "5", "1.5", "-1s", "+1s", "s", "1x", "1 fortnight", "one day", "1e3s", "1..5s",
		"P", "PT", "P1", "P1DT", "PT1D", "P1H", "P-1D", "p1d", "1s garbage", "1h -1m",
		"9223372036854775808ns", "1000 years", "P999999999999Y", strings.Repeat("1", 80) + "s",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"1m30s", "2 days", "P1DT12H", "PT0,5S", "1.5h", "0", "µs", "9223372036854775808ns"} {
		f.Add(seed, int64(90*time.Second))
	}
	f.Fuzz(func(t *testing.T, text string, nanoseconds int64) {
		if d, err := ParseDuration(text); err == nil && d < 0 {
			t.Errorf("%q is negative: %v", text, d)
		}
		// Whatever Go writes is read back the same.
		if d := time.Duration(nanoseconds); d >= 0 {
			if got, err := ParseDuration(d.String()); err != nil || got != d {
				t.Errorf("%v: got %v, %v", d, got, err)
			}
		}
		// Whatever Go reads is read the same, where both do.
		if want, err := time.ParseDuration(text); err == nil && want > 0 {
			got, err := ParseDuration(text)
			if err == nil && (got-want).Abs() > time.Microsecond {
				t.Errorf("%q: got %v, Go reads %v", text, got, want)
			}
		}
	})
}
