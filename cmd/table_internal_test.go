package cmd

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	lines := newTable("NAME", "#COUNT", "TEXT")
	lines.add("ä", "1", "a\nb\t\x1b[31m\u202Ec")
	lines.add("longer", "1234567", strings.Repeat("word ", 10))
	lines.add("x", "", "")
	lines.fit(30, 5)
	var b strings.Builder
	if err := lines.print(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME      COUNT  TEXT\n" +
		"ä             1  a b \uFFFD[31m\uFFFDc\n" +
		"longer  1234567  word word wo…\n" +
		"x\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	lines.fit(5, 5)
	if last := lines.rows[2][2]; last != "word…" {
		t.Errorf("%q", last)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m", time.Hour: "1h",
		47 * time.Hour: "1d", 240 * time.Hour: "10d",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	now := time.Now()
	if ago(now.Add(time.Minute), now) != "now" || ago(now.Add(-time.Minute), now) != "1m ago" {
		t.Error("ago")
	}
}

func TestAskYes(t *testing.T) {
	for answer, yes := range map[string]bool{"y\n": true, "YES \n": true, "y": true, "\n": false, "n\n": false, "yep\n": false} {
		var asked strings.Builder
		err := askYes(strings.NewReader(answer), &asked, "Sure?")
		if (err == nil) != yes || errors.Is(err, errNoAnswer) || asked.String() != "Sure? [y/N] " {
			t.Errorf("%q: %v after %q", answer, err, asked.String())
		}
	}
	if err := askYes(strings.NewReader(""), io.Discard, "Sure?"); !errors.Is(err, errNoAnswer) {
		t.Errorf("no answer: %v", err)
	}
}
