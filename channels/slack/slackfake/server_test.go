package slackfake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// call returns the status and the answer of a method, which are zero if the
// connection broke.
func call(t *testing.T, s *Server, method string, values url.Values) (int, map[string]any) {
	t.Helper()
	if !values.Has("token") {
		values.Set("token", Token)
	}
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.PostForm(s.URL()+method, values)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	var answer map[string]any
	_ = json.Unmarshal(body, &answer)
	return response.StatusCode, answer
}

func TestAnswersAsSlack(t *testing.T) {
	s := New(t)
	s.AddUsers(User{ID: "U0JOE", Name: "joe", Email: "joe@example.com"})
	for _, c := range []struct {
		method, values string
		want           string // error, or channel
	}{
		{"auth.test", "token=wrong", "invalid_auth"},
		{"auth.test", "token=", "not_authed"},
		{"chat.nothing", "", "unknown_method"},
		{"users.lookupByEmail", "email=x@example.com", "users_not_found"},
		{"chat.postMessage", "channel=U0JOE&text=x", "D0JOE"},
		{"chat.postMessage", "channel=%23alerts&text=x", "C0ALERTS"},
		{"chat.postMessage", "channel=C0123&text=x", "C0123"},
		{"chat.postMessage", "channel=&text=x", "channel_not_found"},
		{"chat.postMessage", "channel=C0123", "no_text"},
		{"chat.postMessage", "channel=C0123&text=" + strings.Repeat("x", maxText+1), "msg_too_long"},
		{"chat.postMessage", "channel=C0123&text=x&blocks=x", "invalid_blocks_format"},
		{"chat.postMessage", `channel=C0123&text=x&blocks=[{"type":"section","text":{"type":"mrkdwn","text":"` + strings.Repeat("x", 3_001) + `"}}]`, "invalid_blocks"},
		{"chat.postMessage", `channel=C0123&text=x&blocks=[{"type":"header","text":{"type":"plain_text","text":"` + strings.Repeat("x", 151) + `"}}]`, "invalid_blocks"},
		{"chat.postMessage", `channel=C0123&text=x&blocks=[{"type":"section"}]`, "invalid_blocks"},
		{"chat.postMessage", `channel=C0123&text=x&blocks=[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"` + strings.Repeat("x", 76) + `"}}]}]`, "invalid_blocks"},
		{"chat.postMessage", `channel=C0123&text=x&attachments=[{"blocks":[{"type":"context","elements":[]}]}]`, "invalid_attachments"},
		{"chat.update", "channel=U0JOE&ts=1700000000.000100&text=y", "channel_not_found"},
		{"chat.update", "channel=D0JOE&ts=1700000000.000100&text=y", "D0JOE"},
		{"chat.update", "channel=D0JOE&ts=1.1&text=y", "message_not_found"},
		{"chat.delete", "channel=D0JOE&ts=1700000000.000100", "D0JOE"},
	} {
		values, err := url.ParseQuery(c.values)
		if err != nil {
			t.Fatal(err)
		}
		_, answer := call(t, s, c.method, values)
		if answer["error"] != c.want && answer["channel"] != c.want {
			t.Errorf("%s %.60s: %v, want %s", c.method, c.values, answer, c.want)
		}
	}
	if len(s.Messages()) != 2 || s.Calls("chat.update") != 3 {
		t.Errorf("%d messages, %d updates", len(s.Messages()), s.Calls("chat.update"))
	}
}

func TestFaults(t *testing.T) {
	post := url.Values{"channel": {"C0123"}, "text": {"x"}}
	s := New(t)
	s.FailAlways(Status(503))
	s.Fail(RateLimit(1500*time.Millisecond), Refuse("is_archived"), None(), CutAfter(), CutBefore())
	s.FailMethod("chat.postMessage", RateLimit(0))
	var got []string
	for range 7 {
		status, answer := call(t, s, "chat.postMessage", post)
		got = append(got, fmt.Sprint(status, " ", answer["error"]))
	}
	want := "429 ratelimited,429 ratelimited,200 is_archived,200 <nil>,0 <nil>,0 <nil>,503 <nil>"
	if strings.Join(got, ",") != want {
		t.Errorf("got  %q\nwant %s", got, want)
	}
	if len(s.Messages()) != 2 { // one was cut after it was taken
		t.Errorf("%d messages", len(s.Messages()))
	}
	s.Heal()
	if status, _ := call(t, s, "chat.postMessage", post); status != 200 {
		t.Errorf("healed: %d", status)
	}
}

func TestFaultsByChanceAreTheSameEveryTime(t *testing.T) {
	run := func() (s string) {
		server := New(t)
		server.FailRandomly(7, 0.5, Refuse("a"), Refuse("b"))
		for range 30 {
			_, answer := call(t, server, "auth.test", url.Values{})
			s += fmt.Sprint(answer["error"])[:1]
		}
		return s
	}
	first := run()
	if second := run(); first != second || !strings.Contains(first, "a") || !strings.Contains(first, "b") || !strings.Contains(first, "<") {
		t.Errorf("%s, then %s", first, second)
	}
}
