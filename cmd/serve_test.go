package cmd_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/storage/storagetest"
)

// curlLines are the commands in the greeting.
func curlLines(greeting string) []string {
	return regexp.MustCompile(`(?m)^  (curl (?:.*\\\n)*.*)$`).FindAllString(greeting, -1)
}

// What somebody sees who starts it for the first time, and then pastes.
func TestFirstRun(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is needed to paste what the server prints: %v", program, err)
		}
	}
	// A folder whose name needs quotes, as the folders of people do.
	home := filepath.Join(t.TempDir(), "Jane's $HOME folder")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(home)
	// The default port may be taken on the machine that runs the tests.
	t.Setenv("SIGNALBOX_LISTEN", "127.0.0.1:0")
	server := serve(t)
	greeting := server.stdout.String()
	for _, want := range []string{
		"Inbox      " + server.base + "/\n",
		"API        " + server.base + "/api/notifications\n",
		"WebSocket  ws" + strings.TrimPrefix(server.base, "http") + "/api/signals\n",
		"Database   sqlite:signalbox-data/signalbox.db\n",
		"Mode       guest (development): you are user:default/guest",
		"Token      " + home + "/signalbox-data/sender.token\n",
	} {
		if !strings.Contains(greeting, want) {
			t.Errorf("%q is missing in the greeting", want)
		}
	}
	if log := server.stderr.String(); !strings.Contains(log, "guest mode: everyone who reaches this address can read every inbox") {
		t.Error("guest mode is not logged")
	}
	lines := curlLines(greeting)
	if len(lines) != 2 {
		t.Fatalf("%d curl lines", len(lines))
	}
	paste := func(line string) string {
		t.Helper()
		shell := exec.Command("bash", "-c", line)
		shell.Dir = t.TempDir() // another terminal is in another folder
		shell.Env = append(os.Environ(), "NO_PROXY=*")
		answer, err := shell.Output()
		if err != nil {
			t.Fatalf("%s\n%v", line, err)
		}
		return string(answer)
	}
	if answer := paste(lines[0]); !strings.Contains(answer, `"status":"accepted"`) {
		t.Errorf("%s\nwas answered %s", lines[0], answer)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		answer := paste(lines[1])
		if strings.Contains(answer, `"title":"Hello, Signalbox"`) && strings.Contains(answer, `"totalCount":1`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s\nwas answered %s", lines[1], answer)
		}
	}

	// From the same folder, "send" needs nothing but what to say.
	run(t, "", "send", "--url", server.base, "--to", "user:default/guest", "--title", "Second", "--wait", "5s").want(t, 0, "delivered")

	again := run(t, "", "serve", "--listen", strings.TrimPrefix(server.base, "http://"))
	again.want(t, 2, "cannot listen", "address already in use", "is Signalbox running already? Use --listen for another port")

	for path, mode := range map[string]os.FileMode{
		"signalbox-data": 0o700, "signalbox-data/sender.token": 0o600, "signalbox-data/signalbox.db": 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s: %v, others can get at it (%v)", path, info.Mode(), err)
		}
	}
	token, err := os.ReadFile("signalbox-data/sender.token")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.TrimSpace(string(token)); strings.Contains(greeting+server.stderr.String(), text) {
		t.Error("the token is printed")
	}
	if code := server.stop(t, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	serve(t)
	if kept, err := os.ReadFile("signalbox-data/sender.token"); err != nil || string(kept) != string(token) {
		t.Errorf("the token of the second start is another one (%v)", err)
	}
}

func TestServeRefusesToBeOpenToAll(t *testing.T) {
	o := run(t, "", "serve", "--listen", ":0", "--data", t.TempDir())
	o.want(t, 2, "others can reach this address", "externalAccess:", "type: static", "token: ${CI_TOKEN}",
		"SIGNALBOX_AUTH_GUEST_ENABLED=true", "127.0.0.1")

	// The way out that the text offers works.
	file := configFile(t, `backend:
  auth:
    externalAccess:
      - type: static
        options:
          token: ${CI_TOKEN}
          subject: ci
`)
	t.Setenv("CI_TOKEN", secret)
	data := t.TempDir()
	server := serve(t, "--listen", ":0", "--data", data, "--config", file)
	greeting := server.stdout.String()
	if strings.Contains(greeting, "guest") || strings.Contains(greeting, "Token") || strings.Contains(greeting+server.stderr.String(), secret) {
		t.Error("the greeting of a closed server")
	}
	t.Setenv("SIGNALBOX_TOKEN", secret)
	run(t, "", "send", "--url", server.base, "--to", jane, "--title", "x", "--wait", "10s").want(t, 0, "delivered")
	if _, err := os.Stat(filepath.Join(data, "sender.token")); err == nil {
		t.Error("there is a local token besides the configured ones")
	}
}

// TestMain sees to it that nothing runs on afterwards.
func TestServeStops(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		data := t.TempDir()
		server := serve(t, "--listen", "127.0.0.1:0", "--data", data, "--database", url)
		run(t, "", "send", "--url", server.base, "--data", data, "--to", jane, "--title", "x", "--wait", "10s").want(t, 0)
		if code := server.stop(t, 10*time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if log := server.stderr.String(); !strings.Contains(log, "msg=stopping") || !strings.Contains(log, "msg=stopped") {
			t.Error("the stop is not logged")
		}
		address := strings.TrimPrefix(server.base, "http://")
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			t.Error("it listens still")
		}
	})
}
