package cmd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// call makes a request with a token, and returns the status and the body.
func (r *running) call(t *testing.T, token, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.base+"/api/notifications"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

var secretLine = regexp.MustCompile(`^sbx_[0-9A-Za-z]{33}\n$`)

// createToken makes a token by the command line, and returns its ID and its secret.
func createToken(t *testing.T, args ...string) (id, secret string) {
	t.Helper()
	o := run(t, "", append([]string{"tokens", "create"}, args...)...)
	o.want(t, 0)
	match := regexp.MustCompile(`(?m)^ID +([0-9a-f-]{36})$`).FindStringSubmatch(o.stderr)
	if !secretLine.MatchString(o.stdout) || match == nil || strings.Contains(o.stderr, "sbx_") {
		t.Fatalf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
	return match[1], strings.TrimSpace(o.stdout)
}

// A token's life: an admin makes it, somebody uses it, the admin revokes it.
func TestTokens(t *testing.T) {
	data := t.TempDir()
	server := serve(t, "--listen", "127.0.0.1:0", "--data", data)
	t.Setenv("SIGNALBOX_URL", server.base)
	t.Setenv("SIGNALBOX_DATA", data)
	run(t, "", "tokens", "list").want(t, 0, "No tokens.\n")

	inboxID, inbox := createToken(t, "--name", "jane's laptop", "--user", "User:Jane")
	_, read := createToken(t, "--name", "dashboard", "--user", jane, "--read-only", "--expires", "1 h")
	sendID, send := createToken(t, "--name", "CI of  shop", "--send", "ci:shop", "--expires", time.Now().AddDate(0, 0, 300).Format("2006-01-02"), "--admin")

	// What each may do.
	body := `{"recipients":{"type":"entity","entityRef":"` + jane + `"},"payload":{"title":"Shipped"}}`
	for _, c := range []struct {
		token, method, path, body string
		want                      int
	}{
		{send, "POST", "", body, 202},
		{send, "GET", "", "", 403},
		{send, "GET", "/admin/status", "", 403}, // its origin is no admin
		{send, "GET", "/tokens", "", 403},
		{inbox, "GET", "/status", "", 200},
		{inbox, "POST", "/update", `{"filter":{},"read":true}`, 200},
		{inbox, "POST", "", body, 403},
		{inbox, "POST", "/tokens", `{"name":"more","scopes":["inbox"]}`, 403},
		{read, "GET", "/status", "", 200},
		{read, "POST", "/update", `{"filter":{},"read":true}`, 403},
		{inbox[:len(inbox)-1] + "x", "GET", "/status", "", 401},
	} {
		if status, answer := server.call(t, c.token, c.method, c.path, c.body); status != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, answer, c.want)
		}
	}
	eventually(t, "the notification of ci:shop", func() bool {
		list := server.inbox(t, jane)
		return len(list) == 1 && list[0]["origin"] == "ci:shop"
	})

	table := run(t, "", "tokens", "list")
	table.want(t, 0)
	want := regexp.MustCompile(`^ID +NAME +ACTS AS +SCOPES +EXPIRES +LAST USED +MADE BY
` + sendID + `  CI of shop +ci:shop +send,admin +in (300|299)d +(now|\d+s ago)  +local
\S{36}  dashboard      user:default/jane  read        in 59m +(now|\d+s ago)  +local
` + inboxID + `  jane's laptop  user:default/jane  inbox       in 89d +(now|\d+s ago)  +local
$`)
	if !want.MatchString(table.stdout) {
		t.Errorf("the table is\n%s", table.stdout)
	}
	for args, count := range map[string]int{"--user user:jane": 2, "--origin ci:shop": 1, "--origin ci": 0, "--all": 3, "": 3} {
		o := run(t, "", append([]string{"tokens", "list", "--json"}, strings.Fields(args)...)...)
		o.want(t, 0)
		if got := strings.Count(o.stdout, "\n"); got != count || strings.Contains(o.stdout, "sbx_") {
			t.Errorf("%s: %s", args, o.stdout)
		}
	}

	// Revoked, it is refused within seconds.
	for range 2 {
		run(t, "", "tokens", "revoke", inboxID).want(t, 0, "revoked "+inboxID+" (jane's laptop, user:default/jane)\n")
	}
	eventually(t, "the refusal", func() bool {
		status, answer := server.call(t, inbox, "GET", "/status", "")
		return status == 401 && strings.Contains(answer, "Invalid API token: "+inboxID+" was revoked")
	})
	if o := run(t, "", "tokens", "list"); strings.Contains(o.stdout, inboxID) {
		t.Errorf("a revoked token is listed: %s", o.stdout)
	}
	run(t, "", "tokens", "list", "--ended").want(t, 0, inboxID, "  revoked  ")
	run(t, "", "tokens", "revoke", "none").want(t, 2, "(404)", "There is no such token")

	// Neither tokens nor guests make tokens.
	t.Setenv("SIGNALBOX_TOKEN", send)
	run(t, "", "tokens", "create", "--name", "x", "--user", jane).want(t, 3, "This endpoint does not allow API tokens")

	log := server.stderr.String()
	for _, text := range []string{
		`msg="API token created" logger=audit kind=service who=local`, `token=` + inboxID + ` name="jane's laptop" user=user:default/jane`,
		`msg="API token revoked" logger=audit kind=service who=local`, `what="use revoked token" token=` + inboxID,
	} {
		if !strings.Contains(log, text) {
			t.Errorf("the log has no %s:\n%s", text, log)
		}
	}
	for _, secret := range []string{inbox, read, send} {
		if strings.Contains(log, secret) {
			t.Error("the log has a token")
		}
	}
}

func TestTokensAsJSON(t *testing.T) {
	data := t.TempDir()
	server := serve(t, "--listen", "127.0.0.1:0", "--data", data)
	o := run(t, "", "tokens", "create", "--url", server.base, "--data", data, "--name", "ci", "--send", "ci", "--json")
	o.want(t, 0)
	var token struct{ ID, Token, Origin, State string }
	if err := json.Unmarshal([]byte(o.stdout), &token); err != nil || !secretLine.MatchString(token.Token+"\n") || token.Origin != "ci" || token.State != "active" || o.stderr != "" {
		t.Errorf("%v: %s%s", err, o.stdout, o.stderr)
	}
}

func TestTokensWrongCommandLines(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"list extra", `unknown argument "extra"`},
		{"list --user=", "--user is empty"},
		{"list --user a --all", "exclude each other"},
		{"create", "--name is empty"},
		{"create --name x --user=", "--user is empty"},
		{"create --name x --send=", "--send is empty"},
		{"create --name x --send ci --user user:a", "--send excludes --user and --read-only"},
		{"create --name x --send ci --read-only", "--send excludes"},
		{"create --name x --expires=", "--expires is empty"},
		{"create --name x --expires soon", `--expires: "soon" is neither a duration`},
		{"revoke", "name IDs"},
		{"revoke sbx_abc", "this is a token; give its ID"},
		{"remove", `unknown command "remove"; did you mean "signalbox tokens revoke"?`},
	} {
		run(t, "", append([]string{"tokens"}, strings.Fields(c.args)...)...).want(t, 2, c.want)
	}
}

// Answers of something else are recognised.
func TestTokensUnderstandAnswers(t *testing.T) {
	answer, status := "", 200
	url, _ := fakeServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	commands := [][]string{{"list"}, {"create", "--name", "x", "--user", jane}, {"revoke", "x"}}
	for _, args := range commands {
		args = append(append([]string{"tokens"}, args...), "--url", url)
		for _, answer = range []string{"<html>Please log in</html>", "{}"} {
			status = 200
			if o := run(t, "", args...); o.code != 1 || o.stdout != "" {
				t.Errorf("%v: %+v", args, o)
			}
		}
		status, answer = 503, `{"error":{"message":"try again later"}}`
		run(t, "", args...).want(t, 4, "(503): try again later")
	}
}

// The rules of the configuration hold for what the commands send.
func TestSendersAreConfigured(t *testing.T) {
	data := t.TempDir()
	file := configFile(t, `listen: 127.0.0.1:0
data: `+data+`
auth:
  senders:
    - {subject: local, recipients: ["user:*"], rateLimit: {count: 2, per: 1h}}
`)
	server := serve(t, "--config", file)
	t.Setenv("SIGNALBOX_URL", server.base)
	t.Setenv("SIGNALBOX_DATA", data)
	run(t, "", "send", "--to", "group:default/ops", "--title", "x").want(t, 3, `(403): request/body/recipients/entityRef/0 must be a recipient that "local" may send to: user:*`)
	for range 2 {
		run(t, "", "send", "--to", jane, "--title", "x").want(t, 0)
	}
	run(t, "", "send", "--to", jane, "--title", "x").want(t, 4, `(429): "local" may send 2 requests in 1h0m0s`)
}
