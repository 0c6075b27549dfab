package email

import (
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/unsubscribe"
)

func links(t testing.TB, endpoint string) *unsubscribe.Links {
	t.Helper()
	l, err := unsubscribe.New(unsubscribe.Config{
		Endpoint: endpoint, Keys: []unsubscribe.Key{{ID: "k1", Secret: []byte(strings.Repeat("s", 32))}},
		Now: func() time.Time { return sentAt },
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const description = `The run of **create-service** failed in step ` + "`publish:github`" + `.

> Error: name already exists on this account

1. Choose another name
2. Run the template again, see [the handbook](/docs/default/component/handbook)

` + "```" + `
POST https://api.github.com/orgs/acme/repos
422 Unprocessable Entity
` + "```" + `

| step | took |
| --- | ---: |
| fetch | 2 s |
| publish | 14 s |
`

// samples are mails that golden files and screenshots show.
func samples() map[string]channels.Delivery {
	rich := delivery("rich", signalbox.Payload{
		Title: "Template run failed: payments-api", Description: description,
		Link: "/create/tasks/42", Severity: signalbox.SeverityHigh, Topic: "template-runs", Scope: "task:42",
		AdditionalLinks: []signalbox.AdditionalLink{
			{Title: "Log of the run", URL: "https://ci.example.com/42/log"},
			{URL: "https://status.example.com/"},
			{Title: "not shown", URL: "javascript:alert(1)"},
		},
	})
	critical := delivery("critical", signalbox.Payload{
		Title:       "payments-api is down in eu-west-1",
		Description: "5xx rate is 38 % (threshold 1 %).\nOn call: Größenwahn 東京 🚒",
		Link:        "https://grafana.example.com/d/payments", Severity: signalbox.SeverityCritical, Topic: "incidents",
	})
	critical.Notification.Origin, critical.Named = "alertmanager", false
	critical.Via = []string{"group:default/payments", "component:default/payments-api"}
	update := delivery("update", signalbox.Payload{
		Title: "Template run succeeded: payments-api", Link: "/create/tasks/42", Severity: signalbox.SeverityNormal,
		Topic: "template-runs", Scope: "task:42",
	})
	update.Notification.Updated = sentAt.Add(9 * time.Minute)
	update.Previous = &channels.Sent{State: thread{"aaaa@example.org", "bbbb@example.org"}.state()}
	broadcast := delivery("broadcast", signalbox.Payload{
		Title: "Maintenance on Saturday", Description: "Backstage is read-only from 08:00 to 09:00 UTC.", Severity: signalbox.SeverityLow,
	})
	broadcast.Audience, broadcast.Named, broadcast.Notification.User = signalbox.Everyone, false, ""
	hostile := delivery("hostile", signalbox.Payload{
		Title:       "<script>alert(1)</script>\r\nBcc: evil@example.com",
		Description: "<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n![pixel](https://evil.example/pixel.png) [x](javascript:alert(1)) [y](data:text/html,x)\n\n<div onclick='x'>block</div>\n\n.\n\nFrom the start",
		Link:        "javascript:alert(1)", Topic: "a\r\nX-Evil: 1", Scope: "\x00",
	})
	hostile.Notification.Origin = "evil\r\nX-Evil: 2"
	hostile.Target.Display = "Jane\r\nBcc: evil@example.com <jane@example.com>"
	return map[string]channels.Delivery{"rich": rich, "critical": critical, "update": update, "broadcast": broadcast, "hostile": hostile}
}

func TestMessages(t *testing.T) {
	c, last := toWriter(t, Config{
		Sender: `"Signalbox, ACME" <signalbox@example.org>`, ReplyTo: "Größe <help@größe.example>",
		AppURL: "https://backstage.example.com", Unsubscribe: links(t, "https://signalbox.example.com/unsubscribe"),
	})
	for name, d := range samples() {
		t.Run(name, func(t *testing.T) {
			send(t, c, d)
			raw := last()
			golden(t, name+".eml", raw)
			p := parse(t, raw)
			golden(t, name+".html", []byte(p.html))
			golden(t, name+".txt", []byte(p.text))
			if strings.Contains(strings.ToLower(p.html), "<img") || strings.Contains(p.html, "<script") || strings.Contains(p.html, "url(") {
				t.Error("the HTML loads or runs something")
			}
			known := []string{
				"Auto-Submitted", "Content-Type", "Date", "From", "Importance", "In-Reply-To", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
				"Message-Id", "Mime-Version", "Precedence", "Priority", "References", "Reply-To", "Subject", "To", "X-Auto-Response-Suppress",
				"X-Msmail-Priority", "X-Priority", "X-Signalbox-Origin", "X-Signalbox-Severity", "X-Signalbox-Topic",
			}
			for header, values := range p.header {
				if !slices.Contains(known, header) || len(values) != 1 {
					t.Errorf("header %s: %q", header, values)
				}
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	c, last := toWriter(t, Config{AppURL: "https://b.example", Unsubscribe: links(t, "https://s.example/u")})
	send(t, c, samples()["critical"])
	p := parse(t, last())
	for name, want := range map[string]string{
		"Auto-Submitted": "auto-generated", "Precedence": "", "List-Id": "<alertmanager.example.org>",
		"List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Importance": "high", "In-Reply-To": "", "References": "",
		"Subject": "[Critical] payments-api is down in eu-west-1", "Date": "Sat, 14 Mar 2026 15:09:26 +0000",
		"To": `"Jane Doe" <jane@example.com>`, "X-Signalbox-Topic": "incidents",
	} {
		if got := p.decoded(t, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	link := strings.Trim(p.header.Get("List-Unsubscribe"), "<>")
	if !strings.HasPrefix(link, "https://s.example/u/") || !strings.Contains(p.text, link) || !strings.Contains(p.html, link) {
		t.Errorf("unsubscribe by %q", link)
	}
	subject, err := links(t, "https://s.example/u").Parse(strings.TrimPrefix(link, "https://s.example/u/"))
	if want := (unsubscribe.Subject{User: jane, Channel: "Email", Origin: "alertmanager", Topic: "incidents"}); err != nil || subject != want {
		t.Errorf("the link is about %+v: %v", subject, err)
	}

	send(t, c, samples()["broadcast"])
	p = parse(t, last())
	if p.header.Get("Precedence") != "bulk" || p.header.Get("List-Unsubscribe") != "" || p.header.Get("Importance") != "low" {
		t.Errorf("broadcast: %v", p.header)
	}
}

func TestOneClickNeedsHTTPS(t *testing.T) {
	c, last := toWriter(t, Config{Unsubscribe: links(t, "http://localhost/u")})
	send(t, c, simple("1"))
	if header := parse(t, last()).header; header.Get("List-Unsubscribe") == "" || header.Get("List-Unsubscribe-Post") != "" {
		t.Errorf("headers %v", header)
	}
	// What does not fit into a line stays out of the header, and in the footer.
	d := simple("2")
	d.Notification.Payload.Topic = strings.Repeat("漢", 255)
	send(t, c, d)
	if p := parse(t, last()); p.header.Get("List-Unsubscribe") != "" || !strings.Contains(p.text, "http://localhost/u/") {
		t.Errorf("headers %v", p.header)
	}
}

func TestThreads(t *testing.T) {
	c, last := toWriter(t, Config{})
	first := simple("1")
	sent := send(t, c, first)
	if header := parse(t, last()).header; header.Get("References")+header.Get("In-Reply-To") != "" {
		t.Errorf("the first: %v", header)
	}
	second := simple("2")
	second.Previous = &sent
	again := send(t, c, second)
	if header := parse(t, last()).header; header.Get("References") != sent.ID || header.Get("In-Reply-To") != sent.ID {
		t.Errorf("the second: %v", header)
	}
	third := simple("3")
	third.Previous = &again
	send(t, c, third)
	if header := parse(t, last()).header; header.Get("References") != sent.ID+" "+again.ID || header.Get("In-Reply-To") != again.ID {
		t.Errorf("the third: %v", header)
	}
	for _, state := range []string{"", "{}", "x", `{"first":"a@b\r\nX-Evil: 1","last":"a@b"}`, `{"first":"a@b"}`} {
		d := simple("4")
		d.Previous = &channels.Sent{State: state}
		send(t, c, d)
		if header := parse(t, last()).header; header.Get("References")+header.Get("In-Reply-To")+header.Get("X-Evil") != "" {
			t.Errorf("state %q: %v", state, header)
		}
	}
}

// TestNothingIsInjected puts line ends, and what would follow them, into every
// field that a sender, a directory or a previous message fills.
func TestNothingIsInjected(t *testing.T) {
	c, last := toWriter(t, Config{AppURL: "https://b.example", Unsubscribe: links(t, "https://s.example/u")})
	for _, evil := range []string{"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "\r\n\r\nX-Evil: 1", "a\u2028X-Evil: 1\u0085X-Evil: 1", "=?utf-8?q?a=0D=0AX-Evil:_1?="} {
		d := delivery(evil, signalbox.Payload{
			Title: evil, Description: evil, Link: "https://e.example/" + evil, Topic: evil, Scope: evil, Icon: evil,
			AdditionalLinks: []signalbox.AdditionalLink{{Title: evil, URL: "https://e.example/" + evil}},
		})
		d.ID, d.Notification.ID, d.Notification.Origin, d.Notification.RequestID = evil, evil, evil, evil
		d.Named, d.Via = false, []string{evil}
		d.Target.Display, d.Target.Limit = evil+" <jane@example.com>", evil
		d.Previous = &channels.Sent{ID: evil, Reply: evil, State: evil}
		send(t, c, d)
		p := parse(t, last())
		if p.header.Get("X-Evil") != "" || len(p.header["Subject"]) != 1 {
			t.Errorf("%q: %v", evil, p.header)
		}
		if _, err := p.header.AddressList("To"); err != nil {
			t.Errorf("%q: To: %v", evil, err)
		}
		d.Target.Address = evil + "@example.com"
		if _, err := c.Deliver(t.Context(), d); err == nil {
			t.Errorf("%q is taken for an address", d.Target.Address)
		}
	}
}

func TestNames(t *testing.T) {
	c, last := toWriter(t, Config{Sender: "Müller & Söhne <noreply@straße.example>", Directory: newDirectory(
		signalbox.Entity{Ref: jane, Title: `Dr. "Jane", Ünïcode`, Email: "Jane@BÜCHER.example"},
	)})
	d := simple("1")
	targets, err := c.Resolve(t.Context(), d, "")
	if err != nil {
		t.Fatal(err)
	}
	want := channels.Target{Address: "Jane@xn--bcher-kva.example", Display: `Dr. "Jane", Ünïcode <Jane@bücher.example>`, Limit: "xn--bcher-kva.example"}
	if diff := cmp.Diff([]channels.Target{want}, targets.Targets); diff != "" {
		t.Fatal(diff)
	}
	d.Target = targets.Targets[0]
	sent := send(t, c, d)
	p := parse(t, last())
	to, err := p.header.AddressList("To")
	if diff := cmp.Diff([]*mail.Address{{Name: `Dr. "Jane", Ünïcode`, Address: want.Address}}, to); err != nil || diff != "" {
		t.Error(err, diff)
	}
	from, err := p.header.AddressList("From")
	if diff := cmp.Diff([]*mail.Address{{Name: "Müller & Söhne", Address: "noreply@xn--strae-oqa.example"}}, from); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if !strings.HasSuffix(sent.ID, "@xn--strae-oqa.example>") {
		t.Errorf("ID %q", sent.ID)
	}
}

func TestTemplateFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	c, last := toWriter(t, Config{Templates: Templates{
		Subject: write("s", "{{.Severity}}:\n {{.Title}}\n"), HTML: write("h", "<b>{{.Title}}</b>{{.DescriptionHTML}}"), Text: write("t", "{{.Title}}"),
	}})
	send(t, c, delivery("1", signalbox.Payload{Title: "<i> & co", Description: "*x*"}))
	p := parse(t, last())
	if p.decoded(t, "Subject") != "normal: <i> & co" || p.text != "<i> & co\n" || !strings.HasPrefix(p.html, "<b>&lt;i&gt; &amp; co</b><p") || !strings.Contains(p.html, "<em>x</em>") {
		t.Errorf("%q %q %q", p.header, p.text, p.html)
	}
	for _, broken := range []Templates{
		{Subject: write("broken", "{{.Title")},
		{HTML: write("unknown", "{{.Nothing}}")},
		{Text: filepath.Join(dir, "missing")},
		{HTML: write("large", strings.Repeat("x", maxTemplate+1))},
	} {
		if _, err := New(Config{Directory: janeOnly(), Sender: "a@example.com", Stream: &Stream{Directory: dir}, Templates: broken}); err == nil {
			t.Errorf("%+v is taken", broken)
		}
	}
}

func TestLongSubjectsAreCut(t *testing.T) {
	c, last := toWriter(t, Config{})
	for i, title := range []string{strings.Repeat("a", 1000), strings.Repeat("漢", 1000), strings.Repeat("word ", 200)} {
		send(t, c, delivery(fmt.Sprint(i), signalbox.Payload{Title: title}))
		p := parse(t, last())
		if got := []rune(p.decoded(t, "Subject")); len(got) > maxSubject || got[len(got)-1] != '…' {
			t.Errorf("subject of %d characters: %q", len(got), string(got))
		}
		if !strings.Contains(p.text, strings.TrimSpace(title)) {
			t.Error("the text has not all of it")
		}
	}
}

func TestControlCharactersAreDropped(t *testing.T) {
	c, last := toWriter(t, Config{})
	send(t, c, delivery("1", signalbox.Payload{Title: "a\x00b\x1b[31m", Description: "one\r\ntwo\x00\x1b\u009b\xff\tend"}))
	p := parse(t, last())
	if !strings.Contains(p.text, "one\ntwo\uFFFD\tend\n") || strings.ContainsAny(p.text+p.html+p.header.Get("Subject"), "\x00\x1b\u009b") {
		t.Errorf("%q %q", p.header.Get("Subject"), p.text)
	}
}

func TestReason(t *testing.T) {
	for _, c := range []struct {
		d    channels.Delivery
		want string
	}{
		{channels.Delivery{Audience: signalbox.Everyone}, "This was sent to everyone."},
		{channels.Delivery{}, "The sender named this address."},
		{channels.Delivery{Audience: jane, Named: true, Via: []string{"group:default/a"}}, "This was sent to you."},
		{channels.Delivery{Audience: jane, Via: []string{"group:default/a", "group:x/b"}}, "This was sent to group:a, group:x/b, which you belong to or own."},
		{channels.Delivery{Audience: jane, Via: []string{"g:default/a", "g:default/b", "g:default/c", "g:default/d", "g:default/e"}}, "This was sent to g:a, g:b, g:c and 2 more, which you belong to or own."},
	} {
		if got := reason(c.d); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestListLabel(t *testing.T) {
	for origin, want := range map[string]string{
		"ci": "ci", "CI": "ci", "plugin:scaffolder": "plugin-scaffolder", "a b": "a-b-c8687a08", "漢": "",
	} {
		if got := listLabel(origin); want != "" && got != want || got == "" {
			t.Errorf("%q: %q, want %q", origin, got, want)
		}
	}
	if listLabel("a b") == listLabel("a/b") || listLabel("漢") == listLabel("字") {
		t.Error("two origins are one list")
	}
}
