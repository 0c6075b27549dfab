package web

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

func TestPreferredWait(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                          0,
		"wait=5":                    5 * time.Second,
		"Wait = 5":                  5 * time.Second,
		`wait="5"`:                  5 * time.Second,
		"wait=05; foo=bar":          5 * time.Second,
		"respond-async, wait=10":    10 * time.Second,
		`foo="a, wait=3", wait=4`:   4 * time.Second,
		`foo="a\", wait=3", wait=4`: 4 * time.Second,
		"foo; wait=3, wait=4":       4 * time.Second,
		"wait=1, wait=2":            time.Second,
		"wait=60":                   time.Minute,
		"wait=61":                   time.Minute,
		"wait=99999999999999999999": time.Minute,
		"wait":                      0,
		"wait=":                     0,
		"wait=-1":                   0,
		"wait=+1":                   0,
		"wait=1.5":                  0,
		"wait=x, wait=2":            0,
		`wait="`:                    0,
		"awaits=5":                  0,
		"return=minimal\nwait=7":    7 * time.Second,
	} {
		var headers [][]byte
		for line := range strings.SplitSeq(header, "\n") {
			headers = append(headers, []byte(line))
		}
		if got := preferredWait(headers); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func TestCursorRoundTrip(t *testing.T) {
	n := signalbox.Notification{
		ID:      "019aa3f2-5c3e-8b1c-9d51-0c6c3a1f2b4d",
		Created: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
		Updated: time.Date(2026, 11, 21, 1, 58, 16, 598_123_000, time.UTC),
	}
	got, err := decodeCursor(encodeCursor(&n))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&signalbox.Cursor{Arrived: n.Updated, ID: n.ID}, got); diff != "" {
		t.Error(diff)
	}
	if got := encodeCursor(&signalbox.Notification{ID: "x"}); got != "" {
		t.Errorf("a cursor for what has no UUID: %s", got)
	}
	raw := make([]byte, cursorSize)
	raw[0] = cursorVersion
	for i := range 8 {
		raw[1+i] = 0x7f // a year that no database knows
	}
	for _, bad := range []string{
		"", "x", "=", encodeCursor(&n) + "A", encodeCursor(&n)[1:], "!" + encodeCursor(&n)[1:], "B" + encodeCursor(&n)[1:],
		base64.RawURLEncoding.EncodeToString(raw),
	} {
		if _, err := decodeCursor(bad); signalbox.ErrorCode(err) != signalbox.CodeInput {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestParseUUID(t *testing.T) {
	if id, ok := canonicalUUID("019AA3F2-5c3e-8b1c-9d51-0c6c3a1f2b4d"); !ok || id != "019aa3f2-5c3e-8b1c-9d51-0c6c3a1f2b4d" {
		t.Errorf("%q, %v", id, ok)
	}
	for _, bad := range []string{
		"", "nope", "019aa3f25c3e8b1c9d510c6c3a1f2b4d", "{019aa3f2-5c3e-8b1c-9d51-0c6c3a1f2b4d}",
		"019aa3f2-5c3e-8b1c-9d51-0c6c3a1f2b4g", "019aa3f2-5c3e-8b1c-9d510-c6c3a1f2b4d", "019aa3f2-5c3e-8b1c-9d51-0c6c3a1f2b4d0",
	} {
		if _, ok := canonicalUUID(bad); ok {
			t.Errorf("%q is a UUID", bad)
		}
	}
}

// Every code of the domain has a status.
func TestEveryCodeHasAStatus(t *testing.T) {
	for _, code := range []signalbox.Code{
		signalbox.CodeInput, signalbox.CodeAuthentication, signalbox.CodeNotAllowed, signalbox.CodeNotFound,
		signalbox.CodeConflict, signalbox.CodeTooLarge, signalbox.CodeUnavailable,
	} {
		if statuses[code] < 400 {
			t.Errorf("%s: %d", code, statuses[code])
		}
	}
}

// A route without exactly one rule is refused.
func TestRouteWithoutRuleIsRefused(t *testing.T) {
	s := &Server{routes: []route{{method: "GET", path: "/x"}}}
	if _, err := s.newApp(); err == nil {
		t.Error("no error")
	}
}
