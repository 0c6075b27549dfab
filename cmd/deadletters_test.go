package cmd_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/cmd"
)

// letter is a dead letter, as far as the tests look at it.
type letter struct {
	ID, Request string
	Delivery    struct{ Audience string }
}

// listed returns what "deadletters list" prints as JSON.
func listed(t *testing.T, args ...string) []letter {
	t.Helper()
	o := run(t, "", append([]string{"deadletters", "list", "--json"}, args...)...)
	o.want(t, 0)
	var page struct{ DeadLetters []letter }
	if err := json.Unmarshal([]byte(o.stdout), &page); err != nil || page.DeadLetters == nil {
		t.Fatalf("%v: %s", err, o.stdout)
	}
	return page.DeadLetters
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

// A channel that gives up on everything, a person who looks, mends and retries.
func TestDeadLetters(t *testing.T) {
	pager := &fakeChannel{name: "Pager"}
	pager.fail(signalbox.Permanent(fmt.Errorf("no such pager: \x1b[31mred\x1b[0m\n%s", strings.Repeat("long ", 100))))
	data := t.TempDir()
	server := serveWith(t, []cmd.Option{cmd.WithChannel(pager)}, "--listen", "127.0.0.1:0", "--data", data)
	t.Setenv("SIGNALBOX_URL", server.base)
	t.Setenv("SIGNALBOX_DATA", data)
	run(t, "", "deadletters", "list").want(t, 0, "No dead letters.\n")
	run(t, "", "deadletters", "retry", "--all").want(t, 0, "there are no such dead letters\n")

	for _, user := range []string{jane, joe, "user:default/jim"} {
		run(t, "", "send", "--to", user, "--title", "For "+user).want(t, 0)
	}
	eventually(t, "the third dead letter", func() bool { return len(listed(t)) == 3 })
	all := listed(t)

	table := run(t, "", "deadletters", "list")
	table.want(t, 0)
	lines := strings.Split(strings.TrimSpace(table.stdout), "\n")
	row := regexp.MustCompile(`^` + regexp.QuoteMeta(all[0].ID) + `  (now|\ds ago) +Pager  local +1  no such pager: \S+31mred\S+0m long .*…$`)
	if len(lines) != 4 || !regexp.MustCompile(`^ID +DIED +STAGE +ORIGIN +ATTEMPTS +ERROR$`).MatchString(lines[0]) || !row.MatchString(lines[1]) {
		t.Errorf("the table is\n%s", table.stdout)
	}
	if strings.Contains(table.stdout, "\x1b") {
		t.Error("an escape sequence goes to the terminal")
	}
	limited := run(t, "", "deadletters", "list", "--limit", "2")
	limited.want(t, 0, all[1].ID)
	if strings.Contains(limited.stdout, all[2].ID) || !strings.Contains(limited.stderr, "There are older ones") {
		t.Errorf("%s%s", limited.stdout, limited.stderr)
	}
	for args, want := range map[string]int{
		"--stage Pager": 3, "--stage pager": 0, "--origin local": 3, "--origin other": 0,
		"--since 1h": 3, "--until 1h": 0, "--since 2020-01-01 --until 2999-01-01": 3,
		"--request " + all[0].Request: 1, "--request none": 0,
	} {
		if got := listed(t, strings.Fields(args)...); len(got) != want {
			t.Errorf("%s: %d letters, want %d", args, len(got), want)
		}
	}

	show := run(t, "", "deadletters", "show", all[2].ID)
	to := all[2].Delivery.Audience
	show.want(t, 0, "Dead letter  "+all[2].ID+"\n", "\nStage        Pager\n", "\nDelivery     Pager to "+to+"\n",
		"\nQueue        deliveries.Pager\n", "\nAttempts     1\n", "\nHistory\n  20", "\nPayload\n  {\n", `"title": "For `+to+`"`)
	if strings.Contains(show.stdout, "\x1b") {
		t.Error("an escape sequence goes to the terminal")
	}
	var whole struct {
		ID      string
		History []any
		Payload map[string]any
	}
	raw := run(t, "", "deadletters", "show", all[2].ID, "--json")
	if err := json.Unmarshal([]byte(raw.stdout), &whole); err != nil || whole.ID != all[2].ID || len(whole.History) != 1 || len(whole.Payload) == 0 {
		t.Errorf("%v: %s", err, raw.stdout)
	}
	run(t, "", "deadletters", "show", "none").want(t, 2, "(404)", "There is no such dead letter")

	// What still fails dies again, and retrying comes to its end.
	run(t, "", "deadletters", "retry", "--all", "--stage", "Pager").want(t, 0, "3 dead letters are back on their queues\n")
	eventually(t, "dying again", func() bool { return len(pager.taken()) == 6 && len(listed(t)) == 3 })
	run(t, "", "deadletters", "retry", all[0].ID, "none", all[0].ID).want(t, 1, "1 dead letter is back on its queue; 1 of 2 were not found")
	eventually(t, "dying again", func() bool { return len(pager.taken()) == 7 && len(listed(t)) == 3 })

	run(t, "y\n", "deadletters", "drop", all[1].ID).want(t, 2, "this would delete 1 dead letter for good", "--yes")
	run(t, "", "deadletters", "drop", "--all", "--origin", "local", "--since", "1h").want(t, 2, "this would delete all dead letters, origin local, since 1h for good")
	if n := len(listed(t)); n != 3 {
		t.Errorf("%d letters after nothing was dropped", n)
	}
	run(t, "", "deadletters", "drop", all[1].ID, "--yes").want(t, 0, "dropped 1 dead letter\n")
	run(t, "", "deadletters", "drop", all[1].ID, "--yes").want(t, 1, "not found")

	pager.fail(nil)
	run(t, "", "deadletters", "retry", all[0].ID).want(t, 0, "1 dead letter is back on its queue\n")
	eventually(t, "the delivery", func() bool { return len(pager.taken()) == 8 })
	if n := len(listed(t)); n != 1 {
		t.Errorf("%d letters are left", n)
	}
	run(t, "", "deadletters", "drop", "--all", "--yes").want(t, 0, "dropped 1 dead letter\n")

	for _, text := range []string{"logger=audit", `what="retry dead letters"`, `what="drop dead letters"`, "who=local"} {
		if !strings.Contains(server.stderr.String(), text) {
			t.Errorf("the log has no %s", text)
		}
	}
}

func TestDeadLettersWrongCommandLines(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"list extra", `unknown argument "extra"`},
		{"list --limit 0", "--limit must be positive"},
		{"list --since yesterday", `--since: "yesterday" is neither a duration`},
		{"list --stage=", "--stage is empty"},
		{"list --timeout 0s", "--timeout must be positive"},
		{"show", "name one ID"},
		{"show a b", "name one ID"},
		{"retry", "nothing is chosen: name IDs, or use --all"},
		{"retry --stage Slack", "nothing is chosen: filters go with --all"},
		{"retry --all id", "exclude each other"},
		{"retry id --origin ci", "filters go with --all, not with IDs"},
		{"retry --all --origin=", "--origin is empty"},
		{"retry --yes --all", "unknown flag: --yes"},
		{"drop --yes", "nothing is chosen"},
		{"drop --yes --all --until=", "--until is empty"},
	} {
		run(t, "", append([]string{"deadletters"}, strings.Fields(c.args)...)...).want(t, 2, c.want)
	}
}

// The commands for admins, and who may use them.
func TestAdminCommandsRefused(t *testing.T) {
	file := configFile(t, `listen: 127.0.0.1:0
data: `+t.TempDir()+`
auth: {admins: [ops]}
backend:
  auth:
    externalAccess:
      - {type: static, options: {token: `+secret+`, subject: ci}}
      - {type: static, options: {token: admin-`+secret+`, subject: ops}}
`)
	server := serve(t, "--config", file)
	t.Setenv("SIGNALBOX_URL", server.base)
	commands := [][]string{{"status"}, {"deadletters", "list"}, {"deadletters", "show", "x"}, {"deadletters", "retry", "x"}, {"deadletters", "drop", "x", "--yes"}}
	for _, args := range commands {
		t.Setenv("SIGNALBOX_TOKEN", secret)
		run(t, "", args...).want(t, 3, "(403): This endpoint is for admins; the token's subject is not in auth.admins")
		t.Setenv("SIGNALBOX_TOKEN", "wrong-"+secret)
		run(t, "", args...).want(t, 3, "(401)")
		t.Setenv("SIGNALBOX_TOKEN", "admin-"+secret)
		if o := run(t, "", args...); o.code == 3 {
			t.Errorf("%v: an admin is refused: %s", args, o.stderr)
		}
		run(t, "", append(args, "--url", "http://127.0.0.1:1")...).want(t, 4, "cannot reach the server")
	}
	if log := server.stderr.String(); strings.Contains(log, secret) || !strings.Contains(log, "kind=service who=ci") {
		t.Errorf("the log is %s", log)
	}
	// On the operator's own machine the guest is an admin, others are not.
	for user, want := range map[string]int{"": 200, "user:default/jane": 403} {
		request, err := http.NewRequest(http.MethodGet, server.base+"/api/notifications/admin/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			request.Header.Set("X-Signalbox-User", user)
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("guest %q: %d, want %d", user, response.StatusCode, want)
		}
	}
}

// Lists are read in pages, and answers of something else are recognised.
func TestDeadLettersUnderstandAnswers(t *testing.T) {
	var status int
	var bodies []string
	url, _ := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/base/api/notifications/admin/") {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, bodies[0])
			if len(bodies) > 1 {
				bodies = bodies[1:]
			}
		}
	})
	url += "/base/"
	ask := func(code int, answers []string, args ...string) outcome {
		t.Helper()
		status, bodies = code, answers
		return run(t, "", append(args, "--url", url)...)
	}
	page := func(next string, ids ...string) string {
		var list []string
		for _, id := range ids {
			list = append(list, `{"id":"`+id+`","died":"2026-11-21T01:58:16.598Z","stage":"s","error":"e","attempts":1}`)
		}
		return `{"deadLetters":[` + strings.Join(list, ",") + `],"nextCursor":"` + next + `"}`
	}
	o := ask(200, []string{page("x", "a", "b"), page("", "c")}, "deadletters", "list")
	o.want(t, 0, "\na ", "\nb ", "\nc ")
	if o.stderr != "" {
		t.Errorf("stderr %q", o.stderr)
	}
	for _, args := range [][]string{{"deadletters", "list"}, {"deadletters", "show", "x"}, {"deadletters", "retry", "x"}, {"status"}} {
		ask(200, []string{"<html>Please log in</html>"}, args...).want(t, 1, "does not look like the answer")
		ask(200, []string{"{}"}, args...).want(t, 1, "does not look like the answer")
		ask(503, []string{`{"error":{"message":"try again later"}}`}, args...).want(t, 4, "(503): try again later")
	}
	// More identifiers than a request may have: what was done is told.
	ids := make([]string, 250)
	for i := range ids {
		ids[i] = fmt.Sprintf("id-%03d", i)
	}
	retry := append([]string{"deadletters", "retry"}, ids...)
	ask(200, []string{`{"count":200}`, `{"count":50}`}, retry...).want(t, 0, "250 dead letters are back")
	ask(200, []string{`{"count":200}`, `<html>`}, retry...).want(t, 1, "200 dead letters are back on their queues, then: this does not look like")
	binary := `{"id":"a","topic":"q","stage":"decode","payloadBase64":"AP8=","error":"x","died":"2026-11-21T01:58:16.598Z"}`
	ask(200, []string{binary}, "deadletters", "show", "a").want(t, 0, "\nPayload\n  AP8=  (base64)\n")
	control := strings.Replace(binary, `"payloadBase64":"AP8="`, `"payload":{"t":"`+"\u009b"+`31m"}`, 1)
	ask(200, []string{control}, "deadletters", "show", "a").want(t, 0, "\nPayload\n  {\n    \"t\": \"\uFFFD31m\"\n  }\n")
}

// A drop that is asked for on a terminal.
func TestDropWithoutAnswer(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	stderr := filepath.Join(t.TempDir(), "stderr")
	out, err := os.Create(stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if code := cmd.Run(t.Context(), []string{"deadletters", "drop", "x", "--url", "http://127.0.0.1:1"}, null, io.Discard, out); code != 2 {
		t.Errorf("exit code %d", code)
	}
	if text, err := os.ReadFile(stderr); err != nil || !strings.Contains(string(text), "say --yes") {
		t.Errorf("%v: %s", err, text)
	}
}
