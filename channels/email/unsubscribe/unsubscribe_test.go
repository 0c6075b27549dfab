package unsubscribe

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var (
	at      = time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC)
	subject = Subject{User: "user:default/jane", Channel: "Email", Origin: "plugin:scaffolder", Topic: "runs"}
	old     = Key{"2025", []byte(strings.Repeat("o", 32))}
	current = Key{"2026", []byte(strings.Repeat("n", 32))}
)

func newLinks(t testing.TB, now time.Time, keys ...Key) *Links {
	t.Helper()
	l, err := New(Config{Endpoint: "https://s.example/unsubscribe/", Keys: keys, TTL: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func token(t testing.TB, l *Links, s Subject) string {
	t.Helper()
	text, err := l.Token(s, at)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRoundTrip(t *testing.T) {
	l := newLinks(t, at, current)
	for _, s := range []Subject{
		subject,
		{User: "u", Channel: "c", Origin: "o"},
		{User: "ü\x00", Channel: "\r\n", Origin: strings.Repeat("漢", 255), Topic: "."},
	} {
		text := token(t, l, s)
		if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			t.Errorf("%q needs escaping", text)
		}
		if got, err := l.Parse(text); err != nil || got != s {
			t.Errorf("%+v becomes %+v: %v", s, got, err)
		}
		if text != token(t, l, s) {
			t.Error("another token the second time")
		}
	}
	link, err := l.URL(subject, at)
	if want := "https://s.example/unsubscribe/" + token(t, l, subject); err != nil || link != want {
		t.Errorf("%q, want %q: %v", link, want, err)
	}
}

func TestSubjectsAreTold(t *testing.T) {
	l := newLinks(t, at, current)
	// The same characters, at other places.
	if token(t, l, Subject{"a", "b", "cd", ""}) == token(t, l, Subject{"a", "b", "c", "d"}) {
		t.Error("two subjects have one token")
	}
	if _, err := l.Token(Subject{User: "u", Channel: "c"}, at); err == nil {
		t.Error("a token without an origin")
	}
}

func TestExpiry(t *testing.T) {
	text := token(t, newLinks(t, at, current), subject)
	if _, err := newLinks(t, at.Add(time.Hour), current).Parse(text); err != nil {
		t.Errorf("in time: %v", err)
	}
	got, err := newLinks(t, at.Add(time.Hour+time.Second), current).Parse(text)
	if !errors.Is(err, ErrExpired) || got != subject {
		t.Errorf("too late: %+v %v", got, err)
	}
	// A forged one is forged, whatever it says of its time.
	if _, err := newLinks(t, at.Add(2*time.Hour), Key{"2026", old.Secret}).Parse(text); !errors.Is(err, ErrForged) {
		t.Errorf("forged and expired: %v", err)
	}
}

func TestRotation(t *testing.T) {
	before := token(t, newLinks(t, at, old), subject)
	during := newLinks(t, at, current, old)
	if _, err := during.Parse(before); err != nil {
		t.Errorf("the old key: %v", err)
	}
	if text := token(t, during, subject); !strings.HasPrefix(text, "2026.") {
		t.Errorf("the newest key does not sign: %q", text)
	}
	if _, err := newLinks(t, at, current).Parse(before); !errors.Is(err, ErrForged) {
		t.Errorf("a key that is gone: %v", err)
	}
	// The ID is signed: a token is not another key's with the same secret.
	twin := newLinks(t, at, current, Key{"twin", current.Secret})
	if _, err := twin.Parse("twin" + strings.TrimPrefix(token(t, twin, subject), "2026")); !errors.Is(err, ErrForged) {
		t.Errorf("another ID: %v", err)
	}
}

// TestEveryChangeIsNoticed changes each character to each other one.
func TestEveryChangeIsNoticed(t *testing.T) {
	l := newLinks(t, at, current, old)
	text := token(t, l, subject)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=\n "
	for i := range text {
		for _, c := range alphabet {
			changed := text[:i] + string(c) + text[i+1:]
			if changed == text {
				continue
			}
			got, err := l.Parse(changed)
			if !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) || got != (Subject{}) {
				t.Fatalf("%q: %+v %v", changed, got, err)
			}
		}
		if _, err := l.Parse(text[:i]); err == nil {
			t.Fatalf("%q is taken", text[:i])
		}
	}
}

func TestMalformed(t *testing.T) {
	l := newLinks(t, at, current)
	good := token(t, l, subject)
	for _, text := range []string{
		"", ".", "..", "...", "2026", "2026..", good + ".", good + "\n", "\r" + good, good + "=", " " + good, strings.Repeat("a", MaxToken+1),
		"2026." + base64.RawURLEncoding.EncodeToString([]byte("x")) + ".AAAA",
	} {
		if _, err := l.Parse(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	// Signed, but not by this version.
	for _, claims := range [][]byte{{}, {2}, {1}, {1, 0}, {1, 0, 200}, {1, 0, 1, 'a'}, {1, 0, 0, 0, 0, 0, 9}, {1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}} {
		if _, err := l.Parse("2026." + encode(claims) + "." + encode(current.sign(claims))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%v: %v", claims, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for want, config := range map[string]Config{
		"endpoint":    {Endpoint: "s.example", Keys: []Key{current}},
		"query":       {Endpoint: "https://s.example/?a", Keys: []Key{current}},
		"no key":      {Endpoint: "https://s.example"},
		"two keys":    {Endpoint: "https://s.example", Keys: []Key{current, current}},
		"the ID":      {Endpoint: "https://s.example", Keys: []Key{{"a.b", current.Secret}}},
		"is shorter ": {Endpoint: "https://s.example", Keys: []Key{{"a", []byte("hunter2")}}},
	} {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v", current, []Key{current}, Config{Keys: []Key{current}}); strings.Contains(shown, "nnn") {
		t.Errorf("the secret shows: %s", shown)
	}
}

func FuzzParse(f *testing.F) {
	l := newLinks(f, at, current, old)
	good := token(f, l, subject)
	f.Add(good)
	f.Add("2026.AQ.AA")
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, text string) {
		got, err := l.Parse(text)
		if err == nil && (text != good || got != subject) {
			t.Errorf("%q is taken: %+v", text, got)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrForged) && !errors.Is(err, ErrExpired) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
