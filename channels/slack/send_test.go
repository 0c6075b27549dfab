package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	slackapi "github.com/slack-go/slack"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/slack/slackfake"
)

// titled is a revision of a scoped notification.
func titled(address, title string, previous *channels.Sent) channels.Delivery {
	d := to(address)
	d.Notification.Payload.Title, d.Notification.Payload.Scope = title, "scope"
	d.Previous = previous
	return d
}

func TestUpdatesWhatWasSent(t *testing.T) {
	for _, address := range []string{"U0JANE", "#alerts", "C0123"} {
		b := setUp(t)
		first, err := b.Deliver(t.Context(), titled(address, "first", nil))
		if err != nil {
			t.Fatal(err)
		}
		posted := b.last(t)
		if first.ID != posted.Channel+"/"+posted.TS || first.Reply != "ok, ts "+posted.TS {
			t.Errorf("sent %+v", first)
		}
		second, err := b.Deliver(t.Context(), titled(address, "second", &first))
		if err != nil {
			t.Fatal(err)
		}
		messages := b.server.Messages()
		if len(messages) != 1 || messages[0].Updates != 1 || !strings.Contains(messages[0].Text, "second") || !strings.Contains(string(messages[0].Blocks), "second") {
			t.Errorf("%s: %+v", address, messages)
		}
		if messages[0].Options["parse"] != "none" {
			t.Errorf("an update that parses names: %v", messages[0].Options)
		}
		if second.ID != first.ID || second.State != first.State || !strings.HasPrefix(second.Reply, "updated") {
			t.Errorf("%s: sent %+v, then %+v", address, first, second)
		}
	}
}

func TestPostsAnewWhatIsGone(t *testing.T) {
	for code := range gone {
		b := setUp(t)
		first, err := b.Deliver(t.Context(), titled("U0JANE", "first", nil))
		if err != nil {
			t.Fatal(err)
		}
		b.server.FailMethod(methodUpdate, slackfake.Refuse(code))
		second, err := b.Deliver(t.Context(), titled("U0JANE", "second", &first))
		if err != nil || second.ID == first.ID || len(b.server.Messages()) != 2 || b.last(t).To != "U0JANE" {
			t.Errorf("%s: %+v, %v", code, second, err)
		}
	}
	// And for real.
	b := setUp(t)
	first, _ := b.Deliver(t.Context(), titled("#alerts", "first", nil))
	channel, ts, _ := strings.Cut(first.ID, "/")
	b.server.Delete(channel, ts)
	if second, err := b.Deliver(t.Context(), titled("#alerts", "second", &first)); err != nil || second.ID == first.ID || len(b.server.Messages()) != 1 {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestUpdateThatFailsPostsNothing(t *testing.T) {
	for name, fault := range map[string]slackfake.Fault{
		"500": slackfake.Status(500), "auth": slackfake.Refuse("invalid_auth"), "limit": slackfake.RateLimit(time.Second), "cut": slackfake.CutAfter(),
	} {
		b := setUp(t)
		first, _ := b.Deliver(t.Context(), titled("#alerts", "first", nil))
		b.server.FailMethod(methodUpdate, fault)
		if _, err := b.Deliver(t.Context(), titled("#alerts", "second", &first)); err == nil || b.server.Calls(methodPost) != 1 {
			t.Errorf("%s: %v, %d posts", name, err, b.server.Calls(methodPost))
		}
	}
}

func TestThreadUpdates(t *testing.T) {
	b := setUp(t, func(c *Config) { c.ThreadUpdates = true })
	first, err := b.Deliver(t.Context(), titled("U0JANE", "first", nil))
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Deliver(t.Context(), titled("U0JANE", "second", &first))
	messages := b.server.Messages()
	if err != nil || len(messages) != 2 {
		t.Fatalf("%v, %+v", err, messages)
	}
	if reply := messages[1]; reply.ThreadTS != messages[0].TS || reply.Channel != messages[0].Channel || !strings.Contains(reply.Text, "second") || !strings.Contains(second.Reply, reply.TS) {
		t.Errorf("reply %+v, sent %+v", reply, second)
	}
	if second.State != first.State {
		t.Error("the next update would go to the reply")
	}
	// A reply that cannot be is no reason to send the update again.
	b.server.FailMethod(methodPost, slackfake.Refuse("restricted_action_thread_locked"))
	if _, err := b.Deliver(t.Context(), titled("U0JANE", "third", &second)); err != nil {
		t.Error(err)
	}
	b.server.FailMethod(methodPost, slackfake.Status(500))
	if _, err := b.Deliver(t.Context(), titled("U0JANE", "fourth", &second)); err == nil || signalbox.IsPermanent(err) {
		t.Error(err)
	}
}

func TestWhatSlackDoesNotTakeArrivesAsText(t *testing.T) {
	for code, refusal := range refusals {
		if refusal.class != unfit {
			continue
		}
		b := setUp(t)
		b.server.Fail(slackfake.Refuse(code))
		d := to("#alerts")
		d.Notification.Payload.Link = "/x?a=1&b=2"
		if _, err := b.Deliver(t.Context(), d); err != nil {
			t.Errorf("%s: %v", code, err)
		}
		if m := b.last(t); m.Attachments != nil || m.Blocks != nil || !strings.HasSuffix(m.Text, "Title\n<https://portal.example.com/app/x?a=1&amp;b=2>") {
			t.Errorf("%s: %+v", code, m)
		}
		b.server.Fail(slackfake.Refuse(code), slackfake.Refuse(code), slackfake.Refuse(code))
		if _, err := b.Deliver(t.Context(), d); !signalbox.IsPermanent(err) || b.server.Calls(methodPost) != 4 {
			t.Errorf("%s twice: %v, %d calls", code, err, b.server.Calls(methodPost))
		}
	}
}

// TestDirectTargets are not resolved before: they come as the sender wrote them.
func TestDirectTargets(t *testing.T) {
	for in, want := range map[string]string{"#Alerts": "#alerts", "alerts": "#alerts", "C0123": "C0123", "Joe@example.com": "U0JOE"} {
		b := setUp(t)
		if _, err := b.Deliver(t.Context(), to(in)); err != nil || b.last(t).To != want {
			t.Errorf("%q: to %q, %v", in, b.last(t).To, err)
		}
	}
	b := setUp(t)
	if _, err := b.Deliver(t.Context(), to("nobody@example.com")); err == nil {
		t.Error("nobody has an address")
	} else if rule, _, _ := channels.AsSuppressed(err); rule != signalbox.RuleNoAddress {
		t.Error(err)
	}
	for _, bad := range []string{"", "a b", "<!channel>"} {
		if _, err := b.Deliver(t.Context(), to(bad)); !signalbox.IsPermanent(err) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if len(b.server.Messages()) != 0 {
		t.Errorf("%+v", b.server.Messages())
	}
}

func TestErrors(t *testing.T) {
	const token = slackfake.Token
	for name, c := range map[string]struct {
		fault slackfake.Fault
		want  string // "permanent", "limited 30s", "plain"
		text  string
	}{
		"invalid_auth":           {slackfake.Refuse("invalid_auth"), "permanent", "create a new bot token"},
		"account_inactive":       {slackfake.Refuse("account_inactive"), "permanent", "bot token"},
		"token_revoked":          {slackfake.Refuse("token_revoked"), "permanent", "revoked"},
		"token_expired":          {slackfake.Refuse("token_expired"), "permanent", "rotation"},
		"not_authed":             {slackfake.Refuse("not_authed"), "permanent", "proxy"},
		"channel_not_found":      {slackfake.Refuse("channel_not_found"), "permanent", "/invite"},
		"not_in_channel":         {slackfake.Refuse("not_in_channel"), "permanent", "chat:write.public"},
		"is_archived":            {slackfake.Refuse("is_archived"), "permanent", "archived"},
		"user_not_found":         {slackfake.Refuse("user_not_found"), "permanent", "slack.com/bot-notify"},
		"restricted_action":      {slackfake.Refuse("restricted_action"), "permanent", "administrator"},
		"restricted_action_more": {slackfake.Refuse("restricted_action_read_only_channel"), "permanent", "administrator"},
		"missing_scope":          {slackfake.Answer(200, jsonHeader(), `{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"x"}`), "permanent", "needed: chat:write"},
		"internal_error":         {slackfake.Refuse("internal_error"), "plain", "passes"},
		"fatal_error":            {slackfake.Refuse("fatal_error"), "plain", "passes"},
		"service_unavailable":    {slackfake.Refuse("service_unavailable"), "plain", "passes"},
		"request_timeout":        {slackfake.Refuse("request_timeout"), "plain", "whole"},
		"something new":          {slackfake.Refuse("brand_new_error"), "plain", "does not know"},
		"ratelimited":            {slackfake.Refuse("ratelimited"), "limited 30s", "limits the rate"},
		"rate_limited":           {slackfake.Refuse("rate_limited"), "limited 30s", "too many"},
		"message_limit_exceeded": {slackfake.Refuse("message_limit_exceeded"), "limited 30s", "too many"},
		"429":                    {slackfake.RateLimit(0), "limited 30s", "without saying"},
		"429 with a time":        {slackfake.RateLimit(7 * time.Second), "limited 7s", "7s"},
		"429 for ages":           {slackfake.RateLimit(1000 * time.Hour), "limited 1h0m0s", ""},
		"429 with a zero":        {slackfake.Answer(429, http.Header{"Retry-After": {"0"}}, ""), "limited 30s", ""},
		"429 with a date":        {slackfake.Answer(429, http.Header{"Retry-After": {"Wed, 21 Oct 2026 07:28:00 GMT"}}, ""), "limited 30s", ""},
		"429 below zero":         {slackfake.Answer(429, http.Header{"Retry-After": {"-5"}}, ""), "limited 30s", ""},
		"500":                    {slackfake.Status(500), "plain", "500"},
		"503":                    {slackfake.Status(503), "plain", "503"},
		"403":                    {slackfake.Status(403), "plain", "proxy"},
		"404":                    {slackfake.Status(404), "plain", "apiURL"},
		"redirect":               {slackfake.Answer(307, http.Header{"Location": {"http://127.0.0.1:1/"}}, ""), "plain", "307"},
		"cut before":             {slackfake.CutBefore(), "plain", "EOF"},
		"cut after":              {slackfake.CutAfter(), "plain", "EOF"},
		"no JSON":                {slackfake.Answer(200, nil, "token="+token), "plain", "is apiURL right"},
		"JSON of another server": {slackfake.Answer(200, jsonHeader(), `{"status":"fine"}`), "plain", "is apiURL right"},
		"ok without an id":       {slackfake.Answer(200, jsonHeader(), `{"ok":true}`), "plain", "is apiURL right"},
		"not ok, for no reason":  {slackfake.Answer(200, jsonHeader(), `{"ok":false}`), "plain", "is apiURL right"},
		"the token as a code":    {slackfake.Answer(200, jsonHeader(), `{"ok":false,"error":"bad `+token+`"}`), "plain", "none of its codes"},
		"the token as a detail":  {slackfake.Answer(200, jsonHeader(), `{"ok":false,"error":"is_archived","response_metadata":{"messages":["[ERROR] `+token+`"]}}`), "permanent", "archived"},
		"endless":                {slackfake.Answer(200, jsonHeader(), `{"pad":"`+strings.Repeat("1", 2*maxAnswer)+`","ok":true,"channel":"C0123","ts":"1.1"}`), "plain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp(t)
			b.server.Fail(c.fault)
			_, err := b.Deliver(t.Context(), to("#alerts"))
			if err == nil {
				t.Fatal("no error")
			}
			got := "plain"
			after, all, limited := channels.AsLimited(err)
			switch {
			case signalbox.IsPermanent(err):
				got = "permanent"
			case limited && all:
				got = "limited " + after.String()
			}
			if got != c.want {
				t.Errorf("%s, want %s: %v", got, c.want, err)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v does not say %q", err, c.text)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), token) {
					t.Errorf("%T holds the token", e)
				}
			}
		})
	}
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// TestUpdateLimitIsTheTargets: Slack counts by method, and only some targets update.
func TestUpdateLimitIsTheTargets(t *testing.T) {
	b := setUp(t)
	first, _ := b.Deliver(t.Context(), titled("#alerts", "first", nil))
	b.server.FailMethod(methodUpdate, slackfake.RateLimit(7*time.Second))
	_, err := b.Deliver(t.Context(), titled("#alerts", "second", &first))
	if after, all, ok := channels.AsLimited(err); !ok || all || after != 7*time.Second {
		t.Errorf("%v: %s, %v, %v", err, after, all, ok)
	}
}

// TestEveryRefusalTellsWhatToDo keeps the table complete.
func TestEveryRefusalTellsWhatToDo(t *testing.T) {
	for code, refusal := range refusals {
		if len(refusal.text) < 10 || !errorCode.MatchString(code) {
			t.Errorf("%s: %q", code, refusal.text)
		}
	}
	for code := range gone {
		if known, ok := refusals[code]; ok && known.class == passing {
			t.Errorf("%s is gone, but passes", code)
		}
	}
}

// leaky fails with errors that hold what was sent.
type leaky struct{ wrap bool }

func (l leaky) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	err := errors.New("proxy refuses " + string(body))
	if l.wrap {
		return nil, &url.Error{Op: "Post", URL: "http://x/?token=" + slackfake.Token, Err: err}
	}
	return nil, err
}

func TestTransportErrorsHoldNoToken(t *testing.T) {
	for _, transport := range []leaky{{false}, {true}} {
		b := setUp(t, func(c *Config) { c.Transport = transport })
		_, err := b.Deliver(t.Context(), to("#alerts"))
		for _, err := range []error{err, b.Check(t.Context())} {
			if err == nil || signalbox.IsPermanent(err) || strings.Contains(err.Error(), slackfake.Token) {
				t.Errorf("%v", err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), slackfake.Token) {
					t.Errorf("%T holds the token", e)
				}
			}
		}
	}
	b := setUp(t, func(c *Config) { c.APIURL = "http://127.0.0.1:1/" })
	if _, err := b.Deliver(t.Context(), to("#alerts")); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody listens: %v", err)
	}
}

// stuck answers with a body that never ends.
type stuck struct{ cancel context.CancelFunc }

func (s stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: jsonHeader(), Request: r, Body: io.NopCloser(readerFunc(func([]byte) (int, error) {
		s.cancel()
		<-r.Context().Done()
		return 0, io.ErrUnexpectedEOF
	}))}, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestCancelWithinAnAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := setUp(t, func(c *Config) { c.Transport = stuck{cancel} })
	if _, err := b.Deliver(ctx, to("#alerts")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTimeout(t *testing.T) {
	b := setUp(t, func(c *Config) { c.Timeout = 50 * time.Millisecond })
	b.server.Fail(slackfake.Hang())
	if _, err := b.Deliver(t.Context(), to("#alerts")); err == nil || signalbox.IsPermanent(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestCheckWantsTheScope(t *testing.T) {
	b := setUp(t)
	b.server.SetScopes("users:read,chat:write.public")
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "chat:write") {
		t.Error(err)
	}
	b.server.SetScopes("")
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	b.server.Fail(slackfake.Answer(200, jsonHeader(), `{"ok":false}`))
	if err := b.Check(t.Context()); err == nil {
		t.Error("an answer that says nothing is taken for a success")
	}
}

func TestTemplate(t *testing.T) {
	d := to("#alerts")
	d.Notification.Payload = signalbox.Payload{
		Title: "<!channel>", Description: "**b** <!here>", Link: "/x", Topic: "<t>", Severity: signalbox.SeverityHigh,
		AdditionalLinks: []signalbox.AdditionalLink{{Title: "<more>|", URL: "https://example.com/?a=1&b=<"}},
		Metadata:        json.RawMessage(`{"a":{"b":["<!channel>",7]},"<k>":true}`),
	}
	for name, c := range map[string]struct{ template, want string }{
		"escaped":       {`{{.Emoji}} {{.Title}}/{{.Topic}}/{{.Severity}}/{{.Description}}`, "⚠️ &lt;!channel&gt;/&lt;t&gt;/high/*b* &lt;!here&gt;"},
		"metadata":      {`{{index .Metadata.a.b 0}} {{index .Metadata.a.b 1}} {{.Metadata.gone}}{{range $k, $v := .Metadata}}{{$k}} {{end}}`, "&lt;!channel&gt; 7 &lt;k&gt; a"},
		"links":         {`{{link .Link "Open <it>"}} {{range .Links}}{{link .URL .Title}}{{end}} {{link "javascript:x" .Title}}`, "<https://portal.example.com/app/x|Open &lt;it&gt;> <https://example.com/?a=1&amp;b=%3C|&lt;more&gt;|> &lt;!channel&gt;"},
		"cut and raw":   {`{{cut 5 "abcdefgh"}} {{raw .Topic}}`, "abcd… <t>"},
		"fails":         {`{{index .Links 7}}`, ""},
		"writes naught": {` {{/* nothing */}} `, ""},
		"long":          {`{{range .Links}}{{range 100000}}x{{end}}{{end}}`, ""},
		"open code":     {"```{{range 3000}}y{{end}}", "```" + strings.Repeat("y", 2992) + "…\n```"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp(t, func(config *Config) { config.Template = c.template })
			m, err := b.render(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				if len(m.Blocks) != 1 || !strings.Contains(b.logs.String(), "The template fails") {
					t.Errorf("%+v, log %s", m, b.logs)
				}
				return
			}
			section := m.Attachments[0].Blocks.BlockSet[0].(*slackapi.SectionBlock)
			if section.Text.Text != c.want || !section.Text.Verbatim {
				t.Errorf("got  %q\nwant %q", section.Text.Text, c.want)
			}
		})
	}
}

func TestRenderer(t *testing.T) {
	failure := signalbox.Permanent(errors.New("no"))
	b := setUp(t, func(c *Config) {
		c.Render = func(_ context.Context, d channels.Delivery, m Message) (Message, error) {
			if d.Notification.Payload.Title == "no" {
				return Message{}, failure
			}
			return Message{Text: "mine: " + Escape(d.Notification.Payload.Title) + m.Text}, nil
		}
	})
	if _, err := b.Deliver(t.Context(), titled("#a", "<x>", nil)); err != nil || !strings.HasPrefix(b.last(t).Text, "mine: &lt;x&gt;🔔") || b.last(t).Attachments != nil {
		t.Errorf("%v, %+v", err, b.last(t))
	}
	if _, err := b.Deliver(t.Context(), titled("#a", "no", nil)); !errors.Is(err, failure) {
		t.Error(err)
	}
}

func TestOnlyUsersAreMentioned(t *testing.T) {
	b := setUp(t)
	for _, annotation := range []string{"C0123", "#room", "two words"} {
		b.directory.entities["user:default/room"] = signalbox.Entity{Ref: "user:default/room", Annotations: map[string]string{signalbox.AnnotationSlack: annotation}}
		d := to("#alerts")
		d.Notification.Payload.Description = "<@user:default/room> <@user:default/byemail>"
		if _, err := b.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		var attachments []slackapi.Attachment
		if err := json.Unmarshal(b.last(t).Attachments, &attachments); err != nil {
			t.Fatal(err)
		}
		section := attachments[0].Blocks.BlockSet[0].(*slackapi.SectionBlock)
		if got := section.Text.Text; got != "@room <@U0JOE>" {
			t.Errorf("%s: %s", annotation, got)
		}
	}
}

func TestMentionsDoNotDelay(t *testing.T) {
	d := to("#alerts")
	d.Notification.Payload.Description = "<@user:default/joe> <@user:default/jane>"
	for name, fail := range map[string]func(bench){
		"directory": func(b bench) { b.directory.err = errors.New("down") },
		"Slack":     func(b bench) { b.server.FailMethod(methodLookup, slackfake.RateLimit(time.Minute)) },
	} {
		b := setUp(t)
		fail(b)
		if _, err := b.Deliver(t.Context(), d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := string(b.last(t).Attachments); !strings.Contains(strings.ToLower(got), "@joe") || strings.Contains(got, "U0JOE") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{Token: signalbox.NewSecret("xoxb-1"), Directory: organisation()}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", good, good, good); strings.Contains(shown, "xoxb") {
		t.Errorf("the token shows: %s", shown)
	}
	for name, change := range map[string]func(*Config){
		"no token":           func(c *Config) { c.Token = signalbox.Secret{} },
		"a token with space": func(c *Config) { c.Token = signalbox.NewSecret("xoxb-secret\n") },
		"no directory":       func(c *Config) { c.Directory = nil },
		"Web":                func(c *Config) { c.Name = "web" },
		"a bad name":         func(c *Config) { c.Name = "a b" },
		"no URL":             func(c *Config) { c.APIURL = "slack.com" },
		"a password":         func(c *Config) { c.APIURL = "https://a:xoxb-secret@slack.com/" },
		"a negative limit":   func(c *Config) { c.ConcurrencyLimit = -1 },
		"a fallback":         func(c *Config) { c.GroupFallback = "all" },
		"a long user name":   func(c *Config) { c.Username = strings.Repeat("x", 81) },
		"a channel":          func(c *Config) { c.BroadcastChannels = []string{"a b"} },
		"an empty route":     func(c *Config) { c.BroadcastRoutes = []Route{{Channels: []string{"a"}}} },
		"a route to nothing": func(c *Config) { c.BroadcastRoutes = []Route{{Origin: "a"}} },
		"a route's channel":  func(c *Config) { c.BroadcastRoutes = []Route{{Origin: "a", Channels: []string{"<"}}} },
		"many channels":      func(c *Config) { c.BroadcastChannels = strings.Split(strings.Repeat("a,", 501)+"a", ",") },
		"a template":         func(c *Config) { c.Template = "{{" },
		"a template's field": func(c *Config) { c.Template = "{{.Titel}}" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
