package email

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program writes a shell script.
func program(t *testing.T, body string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sendmail")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func toProgram(t *testing.T, s Sendmail) *Channel {
	t.Helper()
	return open(t, Config{Directory: janeOnly(), Sender: "signalbox@example.org", Sendmail: &s})
}

func TestSendmail(t *testing.T) {
	for _, windows := range []bool{false, true} {
		out := t.TempDir()
		c := toProgram(t, Sendmail{Path: program(t, `echo "$@" > `+out+`/args; cat > `+out+`/mail; echo queued as 7`), Windows: windows})
		if err := c.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if sent := send(t, c, simple("1")); sent.Reply != "queued as 7" {
			t.Errorf("reply %q", sent.Reply)
		}
		args, err := os.ReadFile(filepath.Join(out, "args"))
		if err != nil || string(args) != "-i -f signalbox@example.org -- jane@example.com\n" {
			t.Errorf("arguments %q: %v", args, err)
		}
		data, err := os.ReadFile(filepath.Join(out, "mail"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "\r") != windows {
			t.Errorf("line ends of %q", data)
		}
		if !windows {
			data = []byte(strings.ReplaceAll(string(data), "\n", "\r\n"))
		}
		if got := parse(t, data).header.Get("Subject"); got != "Title 1" {
			t.Errorf("subject %q", got)
		}
	}
}

func TestSendmailFails(t *testing.T) {
	for body, want := range map[string]string{
		"cat >/dev/null; exit 75": "channel down", // EX_TEMPFAIL
		"exit 1":                  "channel down",
		"cat >/dev/null; echo no such user; exit 67": "permanent",
	} {
		c := toProgram(t, Sendmail{Path: program(t, body)})
		_, err := c.Deliver(t.Context(), simple("1"))
		if got := outcome(err); got != want {
			t.Errorf("%q: %s: %v", body, got, err)
		}
		if strings.Contains(body, "no such") && !strings.Contains(err.Error(), "no such user") {
			t.Errorf("what it said is not in the error: %v", err)
		}
	}
	c := toProgram(t, Sendmail{Path: program(t, "exec sleep 60")})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Deliver(ctx, simple("1")); !errors.Is(err, context.DeadlineExceeded) || outcome(err) != "channel down" {
		t.Errorf("a program that hangs: %v", err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "missing"), t.TempDir()} {
		c := toProgram(t, Sendmail{Path: path})
		if err := c.Check(t.Context()); err == nil {
			t.Errorf("check of %s finds nothing", path)
		}
		if _, err := c.Deliver(t.Context(), simple("1")); outcome(err) != "channel down" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestStreamFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mails")
	c := open(t, Config{Directory: janeOnly(), Sender: "signalbox@example.org", Stream: &Stream{Directory: dir}})
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	d := simple("1")
	send(t, c, d)
	send(t, c, d)
	evil := simple("2")
	evil.ID = "../../evil"
	send(t, c, evil)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v: %v", files, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, d.ID+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, data).header.Get("Subject"); got != "Title 1" {
		t.Errorf("subject %q", got)
	}
}
