package configs

import (
	"strings"
	"testing"
)

func lookupTable(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestSubstitute(t *testing.T) {
	lookup := lookupTable(map[string]string{"A": "alpha", "B_2": "beta", "EMPTY": "", "NESTED": "${A}"})
	for _, test := range []struct {
		text, want string
		used       bool
	}{
		{"", "", false},
		{"plain", "plain", false},
		{"${A}", "alpha", true},
		{"x${A}y${B_2}z", "xalphaybetaz", true},
		{"${A}${A}", "alphaalpha", true},
		{"${EMPTY}", "", true},
		{"${EMPTY:-d}", "d", true},
		{"${MISSING:-d}", "d", true},
		{"${MISSING:-}", "", true},
		{"${MISSING:-a:-b}", "a:-b", true},
		{"${MISSING:-http://x/y}", "http://x/y", true},
		{"${A:-d}", "alpha", true},
		{"$${A}", "${A}", false},
		{"$$${A}", "$${A}", false},
		{"$${A}${A}", "${A}alpha", true},
		{"pa$$word$", "pa$$word$", false},
		{"$A", "$A", false},
		{"a}b", "a}b", false},
		{"${NESTED}", "${A}", true}, // what was put in is not looked at again
	} {
		got, used, err := substitute(test.text, lookup)
		if err != nil || got != test.want || used != test.used {
			t.Errorf("%q: got %q, %v, %v; want %q, %v", test.text, got, used, err, test.want, test.used)
		}
	}
}

func TestSubstituteRefuses(t *testing.T) {
	lookup := lookupTable(map[string]string{"A": "topsecret"})
	for _, test := range []struct{ text, want string }{
		{"${MISSING}", "MISSING"},
		{"${A}${MISSING}", "MISSING"},
		{"${A", `without "}"`},
		{"${}", "neither"},
		{"${A B}", "neither"},
		{"${1A}", "neither"},
		{"${A-x}", "neither"},
		{"${:-x}", "neither"},
	} {
		got, _, err := substitute(test.text, lookup)
		switch {
		case err == nil:
			t.Errorf("%q: got %q, want an error", test.text, got)
		case !strings.Contains(err.Error(), test.want):
			t.Errorf("%q: %q does not say %q", test.text, err, test.want)
		case strings.Contains(err.Error(), "topsecret"):
			t.Errorf("%q: %q shows a value", test.text, err)
		}
	}
}

func FuzzSubstitute(f *testing.F) {
	for _, seed := range []string{"${A}", "$${A}", "${A:-b}", "${", "$$$${{}}", "a${MISSING}b"} {
		f.Add(seed)
	}
	const value = "hunter2-hunter2"
	lookup := lookupTable(map[string]string{"A": value})
	f.Fuzz(func(t *testing.T, text string) {
		got, used, err := substitute(text, lookup)
		if err != nil && got != "" {
			t.Errorf("%q: result %q beside error %v", text, got, err)
		}
		if err != nil && !strings.Contains(text, value) && strings.Contains(err.Error(), value) {
			t.Errorf("%q: %v shows a value", text, err)
		}
		if !strings.Contains(text, "${") && (used || err != nil || got != text) {
			t.Errorf("%q without ${ became %q, %v, %v", text, got, used, err)
		}
		// Escaping every ${ keeps any text as it is.
		escaped := strings.ReplaceAll(text, "${", "$${")
		if got, used, err := substitute(escaped, lookup); err != nil || used || got != text {
			t.Errorf("%q escaped as %q became %q, %v, %v", text, escaped, got, used, err)
		}
	})
}
