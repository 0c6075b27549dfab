package cmd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const jane, joe = "user:default/jane", "user:default/joe"

// withoutVolatile removes what differs from one send to the next.
func withoutVolatile(notification map[string]any) map[string]any {
	for _, key := range []string{"id", "created", "updated"} {
		delete(notification, key)
	}
	return notification
}

func TestSendEveryFlagArrives(t *testing.T) {
	data := t.TempDir()
	server := serve(t, "--listen", "127.0.0.1:0", "--data", data)
	o := run(t, "", "send", "--url", server.base, "--data", data, "--wait", "10s",
		"--to", jane, "--to", joe, "--to", "user:default/away", "--exclude", "user:default/away",
		"--title", "Build <1234> failed & stopped", "--description", "3 of 217\nchecks failed", "--link", "https://ci.example.com/b?a=1&b=2",
		"--severity", "high", "--topic", "builds", "--scope", "main", "--icon", "build",
		"--additional-link", "Runbook=https://wiki.example.com/run?x=1", "--additional-link", "https://logs.example.com/?q=a=b", "--additional-link", "/local?x=1",
		"--metadata", "version=1.10", "--metadata", "build=12345678901234567890", "--metadata", "branch=main",
		"--metadata", `{"nested":{"list":[1,null,"<x>"]}}`, "--metadata", "flag=true")
	o.want(t, 0)
	line := regexp.MustCompile(`^delivered  [0-9a-f-]{36}  user:default/(jane|joe)\ndelivered  [0-9a-f-]{36}  user:default/(jane|joe)\n$`)
	if !line.MatchString(o.stdout) || o.stderr != "" {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
	for _, user := range []string{jane, joe} {
		list := server.inbox(t, user)
		if len(list) != 1 {
			t.Fatalf("%s has %d notifications", user, len(list))
		}
		want := map[string]any{
			"user": user, "origin": "local", "read": nil, "saved": nil,
			"payload": map[string]any{
				"title": "Build <1234> failed & stopped", "description": "3 of 217\nchecks failed", "link": "https://ci.example.com/b?a=1&b=2",
				"severity": "high", "topic": "builds", "scope": "main", "icon": "build",
				"additionalLinks": []any{
					map[string]any{"title": "Runbook", "url": "https://wiki.example.com/run?x=1"},
					map[string]any{"url": "https://logs.example.com/?q=a=b"},
					map[string]any{"url": "/local?x=1"},
				},
				"metadata": map[string]any{
					"version": json.Number("1.10"), "build": json.Number("12345678901234567890"), "branch": "main", "flag": true,
					"nested": map[string]any{"list": []any{json.Number("1"), nil, "<x>"}},
				},
			},
		}
		if diff := cmp.Diff(want, withoutVolatile(list[0])); diff != "" {
			t.Error(diff)
		}
	}
	if list := server.inbox(t, "user:default/away"); len(list) != 0 {
		t.Errorf("who is excluded has %v", list)
	}

	again := run(t, "", "send", "--url", server.base, "--data", data, "--wait", "10s", "--to", jane, "--title", "again", "--scope", "main")
	again.want(t, 0, "updated  ", jane)
	run(t, "", "send", "--url", server.base, "--data", data, "--wait", "10s", "--broadcast", "--title", "all").want(t, 0, "delivered  ", "  everyone\n")
	run(t, "", "send", "--url", server.base, "--data", data, "--wait", "10s", "--to", "group:default/ops", "--title", "x").want(t, 0, "it reached nobody")
}

func TestSendFileAndFlags(t *testing.T) {
	data := t.TempDir()
	server := serve(t, "--listen", "127.0.0.1:0", "--data", data)
	t.Setenv("SIGNALBOX_URL", server.base+"/api/notifications/")
	t.Setenv("SIGNALBOX_DATA", data)
	body := `{"recipients":{"type":"entity","entityRef":"` + jane + `"},
		"payload":{"title":"from the file","description":"stays","severity":"low","metadata":{"n":12345678901234567890}}}`
	run(t, body, "send", "--file", "-", "--severity", "critical", "--wait", "10s").want(t, 0, jane)
	payload := server.inbox(t, jane)[0]["payload"].(map[string]any)
	if payload["title"] != "from the file" || payload["description"] != "stays" || payload["severity"] != "critical" {
		t.Errorf("%v", payload)
	}
	file := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "send", "--file", file, "--to", joe, "--title", "from the flag", "--wait", "10s").want(t, 0, joe)
	if payload := server.inbox(t, joe)[0]["payload"].(map[string]any); payload["title"] != "from the flag" || payload["description"] != "stays" {
		t.Errorf("%v", payload)
	}
	if n := len(server.inbox(t, jane)); n != 1 {
		t.Errorf("the file's recipient was not replaced: %d", n)
	}

	// A warning is not a result: it must not end up in a pipe.
	o := run(t, `{"recipients":{"type":"broadcast"},"payload":{"title":"x","colour":"red"}}`, "send", "--file", "-", "--json")
	o.want(t, 0)
	var receipt struct{ ID, Status string }
	if err := json.Unmarshal([]byte(o.stdout), &receipt); err != nil || receipt.ID == "" || receipt.Status != "accepted" {
		t.Errorf("%v: %s", err, o.stdout)
	}
	if o.stderr != "warning: unknown field 'payload.colour' was ignored\n" {
		t.Errorf("stderr %q", o.stderr)
	}
	var made []map[string]any
	o = run(t, "", "send", "--to", jane, "--title", "x", "--json", "--wait", "10s")
	if err := json.Unmarshal([]byte(o.stdout), &made); err != nil || len(made) != 1 || made[0]["user"] != jane {
		t.Errorf("%v: %s", err, o.stdout)
	}

	key := []string{"send", "--to", jane, "--title", "once", "--idempotency-key", "build 7"}
	first := run(t, "", key...)
	first.want(t, 0, "accepted  ")
	if again := run(t, "", key...); again.stdout != first.stdout {
		t.Errorf("first %q, then %q", first.stdout, again.stdout)
	}
	run(t, "", append(key, "--topic", "other")...).want(t, 2, "(409)", "idempotency key")
}

func TestSendRefused(t *testing.T) {
	data := t.TempDir()
	server := serve(t, "--listen", "127.0.0.1:0", "--data", data)
	wrong := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(wrong, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	send := func(args ...string) []string {
		return append([]string{"send", "--url", server.base, "--data", data}, args...)
	}
	for name, c := range map[string]struct {
		args  []string
		stdin string
		code  int
		want  []string
	}{
		"the server's message": {send("--to", jane, "--title", "x", "--link", "javascript:alert(1)"), "", 2, []string{"(400)", "Only HTTP/HTTPS links are allowed"}},
		"bad reference":        {send("--to", "jane", "--title", "x"), "", 2, []string{"(400)", `"jane"`}},
		"bad severity":         {send("--to", jane, "--title", "x", "--severity", "mega"), "", 2, []string{"(400)", "severity"}},
		"bad token":            {[]string{"send", "--url", server.base, "--token-file", wrong, "--to", jane, "--title", "x"}, "", 3, []string{"(401)"}},
		"no token":             {[]string{"send", "--url", server.base, "--to", jane, "--title", "x"}, "", 3, []string{"no token was found", "--token-file", "SIGNALBOX_TOKEN", "--data"}},
		"server down":          {[]string{"send", "--url", "http://127.0.0.1:1", "--to", jane, "--title", "x"}, "", 4, []string{"cannot reach the server", `is "signalbox serve" running?`}},
		"no title":             {send("--to", jane), "", 2, []string{"--title is missing"}},
		"nobody":               {send("--title", "x"), "", 2, []string{"--to ENTITY or --broadcast"}},
		"both":                 {send("--title", "x", "--to", jane, "--broadcast"), "", 2, []string{"exclude each other"}},
		"no JSON":              {send("--file", "-"), "title: x", 2, []string{"--file: the request is not a JSON object"}},
		"two values":           {send("--file", "-"), "{} {}", 2, []string{"more than one JSON value"}},
		"an array":             {send("--file", "-"), "[]", 2, []string{"not a JSON object"}},
		"payload is text":      {send("--file", "-", "--to", jane, "--title", "x"), `{"payload":"x"}`, 2, []string{"the payload is not an object"}},
		"no file":              {send("--file", "none.json"), "", 2, []string{"--file: ", "none.json"}},
		"no token file":        {send("--to", jane, "--title", "x", "--token-file", "none"), "", 2, []string{"none"}},
		"no data folder":       {[]string{"send", "--url", server.base, "--data", "none", "--to", jane, "--title", "x"}, "", 2, []string{"sender.token"}},
		"bad metadata":         {send("--to", jane, "--title", "x", "--metadata", "x"), "", 2, []string{"KEY=VALUE"}},
		"bad address":          {[]string{"send", "--url", "localhost:7080", "--to", jane, "--title", "x"}, "", 2, []string{"http://HOST:PORT"}},
		"negative wait":        {send("--to", jane, "--title", "x", "--wait", "-1s"), "", 2, []string{"--wait"}},
		"no time":              {send("--to", jane, "--title", "x", "--timeout", "0s"), "", 2, []string{"--timeout"}},
		"token as a flag":      {send("--to", jane, "--title", "x", "--token="+secret), "", 2, []string{"did you mean --token-file?"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := run(t, c.stdin, c.args...)
			o.want(t, c.code, c.want...)
			if strings.Contains(o.stderr, secret) {
				t.Error("the token is shown")
			}
		})
	}
	t.Setenv("SIGNALBOX_TOKEN", secret)
	o := run(t, "", "send", "--url", server.base, "--to", jane, "--title", "x")
	o.want(t, 3, "(401)")
	if strings.Contains(o.stderr, secret) {
		t.Error("the token is shown")
	}
	if n := len(server.inbox(t, jane)); n != 0 {
		t.Errorf("%d notifications of refused sends", n)
	}
}

// fakeServer answers as told and notes what it was asked.
func fakeServer(t *testing.T, answer http.HandlerFunc) (url string, asked *http.Header) {
	t.Helper()
	asked = &http.Header{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = r.Header.Clone()
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestSendUnderstandsAnswers(t *testing.T) {
	status := 0
	var body, location string
	url, asked := fakeServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	for _, c := range []struct {
		status int
		body   string
		code   int
		want   string
	}{
		{200, `[]`, 0, "nobody"},
		{200, `[{"id":"1","user":null,"updated":null},{"id":"2","user":"user:default/jane","updated":"2026-11-21T01:58:16.598Z"}]`, 0, "delivered  1  everyone\nupdated  2  user:default/jane\n"},
		{200, `<html>Please   log in</html>`, 1, "does not look like the answer"},
		{202, `{"id":"7","status":"accepted"}`, 0, "accepted  7\n"},
		{202, `OK`, 1, "does not look like the answer"},
		{302, ``, 2, `redirects to "https://login.example.com/"`},
		{403, `{"error":{"name":"NotAllowedError","message":"not you"}}`, 3, "(403): not you"},
		{404, `<html>` + strings.Repeat("long ", 1000), 2, "(404): <html>long"},
		{413, `{"error":{"name":"PayloadTooLargeError","message":"too big"}}`, 2, "too big"},
		{429, ``, 4, "(429)"},
		{500, `{"error":{"name":"Error","message":"An internal error occurred"}}`, 1, "An internal error occurred"},
		{502, `bad gateway`, 4, "bad gateway"},
		{503, `{"error":{"name":"ServiceUnavailableError","message":"try again later"}}`, 4, "try again later"},
	} {
		status, body, location = c.status, c.body, "https://login.example.com/"
		o := run(t, "", "send", "--url", url, "--broadcast", "--title", "x")
		o.want(t, c.code, c.want)
		if len(o.stdout)+len(o.stderr) > 1000 {
			t.Errorf("%d: the answer is printed in full", c.status)
		}
	}
	status, body = 202, `{"id":"7","status":"accepted"}`
	run(t, "", "send", "--url", url, "--broadcast", "--title", "x", "--wait", "1500ms").want(t, 0, "accepted  7  (not processed yet)\n")
	if asked.Get("Prefer") != "wait=2" || asked.Get("Content-Type") != "application/json" {
		t.Errorf("asked with %v", asked)
	}
}

func TestSendGivesUp(t *testing.T) {
	block := make(chan struct{})
	url, _ := fakeServer(t, func(http.ResponseWriter, *http.Request) { <-block })
	t.Cleanup(func() { close(block) })
	begun := time.Now()
	run(t, "", "send", "--url", url, "--broadcast", "--title", "x", "--timeout", "100ms").want(t, 4, "cannot reach the server")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestSendTokens(t *testing.T) {
	url, asked := fakeServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[]`)
	})
	folder := t.TempDir()
	file := filepath.Join(folder, "sender.token")
	if err := os.WriteFile(file, []byte("of-the-folder\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("signalbox-data", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("signalbox-data/sender.token", []byte("of-here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sent := func(args ...string) string {
		t.Helper()
		run(t, "", append([]string{"send", "--broadcast", "--title", "x"}, args...)...).want(t, 0)
		return asked.Get("Authorization")
	}
	if got := sent("--url", url); got != "Bearer of-here" {
		t.Errorf("the local server's token: %q", got)
	}
	if got := sent("--url", url, "--data", folder); got != "Bearer of-the-folder" {
		t.Errorf("--data: %q", got)
	}
	// Another server is not told the local one's token, unless one says so.
	elsewhere := strings.Replace(url, "127.0.0.1", "0.0.0.0", 1) // is here, but need not be
	if got := sent("--url", elsewhere); got != "" {
		t.Errorf("another server got %q", got)
	}
	if got := sent("--url", elsewhere, "--data", folder); got != "Bearer of-the-folder" {
		t.Errorf("another server with --data: %q", got)
	}
	t.Setenv("SIGNALBOX_TOKEN", " of-the-environment\n")
	if got := sent("--url", url); got != "Bearer of-the-environment" {
		t.Errorf("SIGNALBOX_TOKEN: %q", got)
	}
	if got := sent("--url", url, "--token-file", file); got != "Bearer of-the-folder" {
		t.Errorf("--token-file: %q", got)
	}
}
