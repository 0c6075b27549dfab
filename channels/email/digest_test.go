package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/unsubscribe"
)

// gmailClips is about how much of a mail Gmail shows, in bytes.
const gmailClips = 102_000

func berlin(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// item is one from so long before sentAt.
func item(origin, topic, title string, severity signalbox.Severity, before time.Duration) channels.DigestItem {
	n := delivery(title, signalbox.Payload{Title: title, Topic: topic, Severity: severity}).Notification
	n.Origin, n.Created = origin, sentAt.Add(-before)
	return channels.DigestItem{Notification: n}
}

// digest is one to Jane.
func digest(n string, items ...channels.DigestItem) channels.Digest {
	return channels.Digest{
		ID: signalbox.DeliveryKey{RequestID: n, Audience: jane, Channel: Name, Target: "digest"}.ID(), User: jane,
		Target: channels.Target{Address: "jane@example.com", Display: "Jane Doe <jane@example.com>", Limit: "example.com"},
		Items:  items, End: sentAt, Attempt: 1,
	}
}

// digestSamples are digests that golden files and screenshots show.
func digestSamples(t testing.TB) map[string]channels.Digest {
	with := func(i channels.DigestItem, link, description, scope string, updates int) channels.DigestItem {
		p := &i.Notification.Payload
		p.Link, p.Description, p.Scope, i.Updates = link, description, scope, updates
		return i
	}
	const hour, normal = time.Hour, signalbox.SeverityNormal
	rich := digest("rich",
		with(item("alertmanager", "latency", "payments-api answers slowly in eu-west-1", signalbox.SeverityHigh, hour),
			"https://grafana.example.com/d/payments?from=now-1h&to=now", "p99 is **2.4 s** (threshold 1 s) since `14:02`.\n\n- look at [the dashboard](https://grafana.example.com)\n- call Größenwahn 東京 🚒", "alert:77", 3),
		with(item("plugin:scaffolder", "template-runs", "Template run failed: payments-api", signalbox.SeverityHigh, 20*hour), "/create/tasks/42", description, "task:42", 0),
		with(item("plugin:scaffolder", "template-runs", "Template run succeeded: orders-api", normal, 2*hour), "/create/tasks/43", "", "task:43", 1),
		with(item("ci", "builds", "main is green again", normal, 3*hour), "https://ci.example.com/acme/main/1234", "All 1,204 tests passed after 3 red builds.", "branch:main", 12),
		with(item("ci", "", "Two runners were replaced", normal, 30*hour), "", "They ran on Debian 11, which is out of support. Jobs that ask for the label `debian-11` wait until they ask for another one.", "", 0),
		with(item("ci", "builds", "The nightly build took 48 minutes, which is more than its budget of 40 minutes and more than any other this month", normal, 100*hour), "https://ci.example.com/acme/nightly/88", "", "", 0),
		with(item("plugin:scaffolder", "", "A new template is there: Go service with a database", signalbox.SeverityLow, 9000*hour), "/create", "", "", 0),
	)
	rich.End = sentAt.In(berlin(t))

	evil := "<script>alert(1)</script>\r\nBcc: evil@example.com"
	hostile := digest("hostile",
		with(item("evil\r\nX-Evil: 1"+evil, "t\r\nX-Evil: 2"+evil, evil, signalbox.SeverityHigh, hour), "javascript:alert(1)",
			evil+" <img src=x onerror=alert(1)>\n\n![pixel](https://evil.example/pixel.png) [x](javascript:alert(1)) &lt;b&gt;\n\n<div onclick='x'>block</div>\n\n.\n\nFrom the start", "\x00", 0),
		with(item("evil\r\nX-Evil: 1"+evil, "", "\x00\r\n\x1b", normal, hour), "https://e.example/\"onclick=\"x\r\nX-Evil: 3", "}</style><style>*{display:none}", "", 1),
		with(item("plugin:ci", "t", "[x](y) {{.AppURL}}", normal, hour), "data:text/html,x", "-- \nends the mail?", "", -1),
		with(item("external:ci", "t", "\u202eright to left", "unknown", hour), "//evil.example", "\n\n\n", "", 0),
	)
	hostile.Target.Display = "Jane\r\nBcc: evil@example.com <jane@example.com>"

	var items []channels.DigestItem
	for i := range channels.MaxDigestItems {
		severity := []signalbox.Severity{signalbox.SeverityHigh, normal, signalbox.SeverityLow}[min(i/20, 2)]
		items = append(items, with(item(fmt.Sprintf("origin-%d", i%7), fmt.Sprintf("topic-%d", i%3), fmt.Sprintf("Notification number %d of many", i), severity, time.Duration(i)*time.Minute),
			fmt.Sprintf("/n/%d?a=1&b=2", i), strings.Repeat("Some more to read about this. ", 16), "", i%3))
	}
	big := digest("big", items...)
	big.More = 1234
	return map[string]channels.Digest{"rich": rich, "hostile": hostile, "big": big}
}

func digestChannel(t *testing.T) (*Channel, func() []byte) {
	return toWriter(t, Config{AppURL: "https://backstage.example.com", Unsubscribe: links(t, "https://signalbox.example.com/unsubscribe")})
}

func sendDigest(t *testing.T, c *Channel, d channels.Digest) channels.Sent {
	t.Helper()
	sent, err := c.DeliverDigest(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

func TestDigests(t *testing.T) {
	c, last := digestChannel(t)
	for name, d := range digestSamples(t) {
		t.Run(name, func(t *testing.T) {
			sent := sendDigest(t, c, d)
			raw := last()
			golden(t, "digest-"+name+".eml", raw)
			p := parse(t, raw)
			golden(t, "digest-"+name+".html", []byte(p.html))
			golden(t, "digest-"+name+".txt", []byte(p.text))
			holdsOnlyOurs(t, p.html)
			if len(p.html) > gmailClips {
				t.Errorf("%d bytes of HTML", len(p.html))
			}
			known := map[string]bool{}
			for _, header := range []string{
				"Auto-Submitted", "Content-Type", "Date", "From", "List-Id", "Message-Id", "Mime-Version", "Subject", "To",
				"X-Auto-Response-Suppress", "X-Signalbox-Severity",
			} {
				known[header] = true
			}
			for header, values := range p.header {
				if !known[header] || len(values) != 1 {
					t.Errorf("header %s: %q", header, values)
				}
			}
			if sent.ID != p.header.Get("Message-Id") || sent.State != "" {
				t.Errorf("sent %+v", sent)
			}
			// A second attempt is the same message.
			d.Attempt = 2
			if again := sendDigest(t, c, d); again != sent || !bytes.Equal(raw, last()) {
				t.Error("it is another message the second time")
			}
		})
	}
}

// holdsOnlyOurs checks that HTML holds only elements and attributes of the template's.
func holdsOnlyOurs(t *testing.T, text string) {
	t.Helper()
	for tokens := html.NewTokenizer(strings.NewReader(text)); tokens.Next() != html.ErrorToken; {
		token := tokens.Token()
		if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
			continue
		}
		switch token.Data {
		case "html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td", "h1", "h2", "a", "span", "br":
		default:
			t.Errorf("an element %s", token.Data)
		}
		for _, a := range token.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || strings.Contains(a.Val, "url(") ||
				a.Key == "href" && !strings.HasPrefix(a.Val, "https://") {
				t.Errorf("an attribute %s=%q", a.Key, a.Val)
			}
		}
	}
	if strings.Count(text, "<style>") != 1 {
		t.Error("another style sheet")
	}
}

func TestDigestHeaders(t *testing.T) {
	c, last := digestChannel(t)
	rich := digestSamples(t)["rich"]
	sendDigest(t, c, rich)
	p := parse(t, last())
	for name, want := range map[string]string{
		"Subject": "7 notifications (2 high) from alertmanager, scaffolder, ci",
		"Date":    "Sat, 14 Mar 2026 16:09:26 +0100", "List-Id": "<digest.example.org>", "Auto-Submitted": "auto-generated",
		"Message-Id": "<" + rich.ID + "@example.org>", "To": `"Jane Doe" <jane@example.com>`,
		"Importance": "", "Precedence": "", "References": "", "X-Signalbox-Severity": "high", "X-Signalbox-Origin": "", "List-Unsubscribe": "",
	} {
		if got := p.decoded(t, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestDigestUnsubscribe checks that a link to unsubscribe ends what the digest is
// about, and nothing else.
func TestDigestUnsubscribe(t *testing.T) {
	const normal = signalbox.SeverityNormal
	c, last := digestChannel(t)
	reader := links(t, "https://signalbox.example.com/unsubscribe")
	for name, test := range map[string]struct {
		items []channels.DigestItem
		want  unsubscribe.Subject
	}{
		"one topic": {
			[]channels.DigestItem{item("ci", "builds", "a", normal, 0), item("CI", "Builds", "b", normal, 0)},
			unsubscribe.Subject{User: jane, Channel: Name, Origin: "ci", Topic: "builds"},
		},
		"two topics": {
			[]channels.DigestItem{item("ci", "builds", "a", normal, 0), item("ci", "", "b", normal, 0)},
			unsubscribe.Subject{User: jane, Channel: Name, Origin: "ci"},
		},
		"two origins": {
			[]channels.DigestItem{item("ci", "builds", "a", normal, 0), item("ops", "builds", "b", normal, 0)},
			unsubscribe.Subject{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sendDigest(t, c, digest("1", test.items...))
			p := parse(t, last())
			link := strings.Trim(p.header.Get("List-Unsubscribe"), "<>")
			oneClick := p.header.Get("List-Unsubscribe-Post") != ""
			if test.want == (unsubscribe.Subject{}) {
				if link != "" || oneClick || strings.Contains(p.text+p.html, "/unsubscribe/") {
					t.Errorf("link %q", link)
				}
				return
			}
			got, err := reader.Parse(strings.TrimPrefix(link, "https://signalbox.example.com/unsubscribe/"))
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" || !oneClick || !strings.Contains(p.text, link) || !strings.Contains(p.html, link) {
				t.Errorf("link %q: %v\n%s", link, err, diff)
			}
			if p.header.Get("X-Signalbox-Origin") != "ci" || p.header.Get("X-Signalbox-Topic") != test.want.Topic {
				t.Errorf("headers %v", p.header)
			}
		})
	}
}

func TestDigestGroups(t *testing.T) {
	const high, normal = signalbox.SeverityHigh, signalbox.SeverityNormal
	c, _ := digestChannel(t)
	d := digest("1",
		item("plugin:ci", "b", "1", high, 0), item("external:ci", "", "2", high, 0), item("ops", "", "3", normal, 0),
		item("Plugin:CI", "a", "4", normal, 0), item("plugin:ci", "B", "5", normal, 0), item("ops", "", "6", normal, 0),
	)
	content := c.digestContent(d, c.entries(d))
	var got []string
	for _, group := range content.Groups {
		for _, topic := range group.Topics {
			line := group.Name + "/" + topic.Topic + ":"
			for _, entry := range topic.Entries {
				line += " " + entry.Title
			}
			got = append(got, line)
		}
	}
	// Two origins that people would call the same are told apart.
	want := []string{"plugin:ci/b: 1 5", "plugin:ci/a: 4", "external:ci/: 2", "ops/: 3 6"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDigestSubjects(t *testing.T) {
	const critical, high, normal = signalbox.SeverityCritical, signalbox.SeverityHigh, signalbox.SeverityNormal
	c, last := digestChannel(t)
	long := strings.Repeat("漢", signalbox.MaxOrigin)
	for want, d := range map[string]channels.Digest{
		"2 notifications from ci":                                    digest("1", item("ci", "", "a", normal, 0), item("CI", "", "b", normal, 0)),
		"1 notification from ci":                                     digest("1", item("ci", "", "a", "", 0)),
		"3 notifications (1 critical, 1 high) from a, b":             digest("1", item("a", "", "a", critical, 0), item("b", "", "b", high, 0), item("a", "", "c", normal, 0)),
		"5 notifications from a, b, c and 2 more":                    digest("1", item("a", "", "a", normal, 0), item("b", "", "a", normal, 0), item("c", "", "a", normal, 0), item("d", "", "a", normal, 0), item("e", "", "a", normal, 0)),
		"2 notifications from " + strings.Repeat("漢", 39) + "…, ops": digest("1", item(long, "", "a", normal, 0), item("ops", "", "a", normal, 0)),
	} {
		sendDigest(t, c, d)
		if got := parse(t, last()).decoded(t, "Subject"); got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
	}
	// What found no room may be as severe as the last that did.
	d := digest("1", item("a", "", "a", critical, 0), item("a", "", "a", high, 0))
	d.More = 7
	sendDigest(t, c, d)
	if got, want := parse(t, last()).decoded(t, "Subject"), "9 notifications (1 critical, 1 or more high) from a"; got != want {
		t.Errorf("subject %q, want %q", got, want)
	}
}

// TestDigestTimes has days that the clock makes shorter and longer.
func TestDigestTimes(t *testing.T) {
	zone := berlin(t)
	at := func(text string) time.Time {
		parsed, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, test := range []struct{ at, day, want string }{
		{"2026-03-29 00:10", "2026-03-29 23:00", "00:10"},
		{"2026-03-28 23:59", "2026-03-29 03:00", "Yesterday, 23:59"},
		{"2026-10-24 07:00", "2026-10-25 23:59", "Yesterday, 07:00"},
		{"2026-10-23 23:59", "2026-10-25 00:00", "23 October, 23:59"},
		{"2025-12-31 08:00", "2026-01-01 08:00", "Yesterday, 08:00"},
		{"2025-12-30 08:00", "2026-01-01 08:00", "30 December 2025, 08:00"},
		{"2026-03-01 08:00", "2026-02-28 08:00", "1 March, 08:00"},
	} {
		if got := when(at(test.at), at(test.day)); got != test.want {
			t.Errorf("%s on %s: %q, want %q", test.at, test.day, got, test.want)
		}
	}
	c, _ := digestChannel(t)
	d := digestSamples(t)["rich"]
	if got := c.entries(d)[0].When; got != "15:09" { // 14:09 UTC
		t.Errorf("in Berlin it is %q", got)
	}
}

// TestDigestsAreCut makes digests that no mail program would show to their end.
func TestDigestsAreCut(t *testing.T) {
	c, last := digestChannel(t)
	for name, fill := range map[string]string{"plain": "a ", "markup": `"&`, "wide": "漢"} {
		t.Run(name, func(t *testing.T) {
			var items []channels.DigestItem
			for i := range channels.MaxDigestItems {
				title := fmt.Sprintf("n%d. ", i)
				one := item(fmt.Sprint(i, strings.Repeat(fill, 100)), fmt.Sprint(i, strings.Repeat(fill, 100)), title+strings.Repeat(fill, 400), signalbox.SeverityNormal, 0)
				one.Notification.Payload.Link = "https://e.example/" + strings.Repeat(fill, 2_500)
				one.Notification.Payload.Description = strings.Repeat(fill, channels.MaxDigestText/2)
				items = append(items, one)
			}
			d := digest("1", items...)
			d.More = 3
			sendDigest(t, c, d)
			p := parse(t, last())
			shown := strings.Count(p.html, "https://e.example/")
			if len(p.html) > gmailClips || shown == 0 || !strings.Contains(p.html, ">n0. ") {
				t.Errorf("%d bytes of HTML show %d", len(p.html), shown)
			}
			if !strings.Contains(p.text, fmt.Sprintf("and %d more in your inbox", d.More+len(items)-shown)) || !strings.HasPrefix(p.decoded(t, "Subject"), "203 notifications") {
				t.Errorf("%d are shown; the text ends\n%s", shown, p.text[max(0, len(p.text)-500):])
			}
			for _, n := range []int{0, shown - 1} {
				if !strings.Contains(p.text, fmt.Sprintf("n%d. ", n)) {
					t.Errorf("number %d is not shown", n)
				}
			}
		})
	}
}

func TestNothingIsInjectedIntoDigests(t *testing.T) {
	c, last := digestChannel(t)
	for _, evil := range []string{"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "\r\n\r\nX-Evil: 1", "a\u2028X-Evil: 1\u0085X-Evil: 1", "=?utf-8?q?a=0D=0AX-Evil:_1?="} {
		one := item(evil, evil, evil, signalbox.SeverityHigh, 0)
		n := &one.Notification
		n.Payload.Description, n.Payload.Link, n.Payload.Scope, n.Payload.Icon = evil, "https://e.example/"+evil, evil, evil
		d := digest(evil, one, one)
		d.ID, d.Target.Display, d.Target.Limit = evil, evil+" <jane@example.com>", evil
		d.End = sentAt.In(time.FixedZone(evil, 3600))
		sendDigest(t, c, d)
		p := parse(t, last())
		if p.header.Get("X-Evil") != "" || len(p.header["Subject"]) != 1 {
			t.Errorf("%q: %v", evil, p.header)
		}
		for name, value := range map[string]string{"origin": p.decoded(t, "X-Signalbox-Origin"), "topic": p.decoded(t, "X-Signalbox-Topic")} {
			encoded := strings.HasPrefix(evil, "=?") // is what it was
			if value == "" || !encoded && strings.ContainsFunc(value, unicode.IsControl) {
				t.Errorf("%q: %s is %q", evil, name, value)
			}
		}
		if strings.HasPrefix(evil, "a") && strings.Contains(p.text, "\nX-Evil") {
			t.Errorf("%q: a line of the text is the sender's:\n%s", evil, p.text)
		}
		d.Target.Address = evil + "@example.com"
		if _, err := c.DeliverDigest(t.Context(), d); err == nil {
			t.Errorf("%q is taken for an address", d.Target.Address)
		}
	}
}

func TestDigestRefusals(t *testing.T) {
	c, last := toWriter(t, Config{Denied: []string{"jane@example.com"}})
	d := digestSamples(t)["rich"]
	_, err := c.DeliverDigest(t.Context(), d)
	if rule, _, ok := channels.AsSuppressed(err); !ok || rule != RuleDenied {
		t.Errorf("denied: %v", err)
	}
	d.Target.Address = "nobody"
	_, err = c.DeliverDigest(t.Context(), d)
	if rule, _, ok := channels.AsSuppressed(err); !ok || rule != signalbox.RuleNoAddress {
		t.Errorf("no address: %v", err)
	}
	d.Target.Address, d.Items = "joe@example.com", nil
	if _, err = c.DeliverDigest(t.Context(), d); !signalbox.IsPermanent(err) {
		t.Errorf("nothing in it: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d = digestSamples(t)["rich"]
	d.Target.Address = "joe@example.com"
	if _, err = c.DeliverDigest(ctx, d); !errors.Is(err, context.Canceled) || signalbox.IsPermanent(err) {
		t.Errorf("cancelled: %v", err)
	}
	if left := last(); len(left) > 0 {
		t.Errorf("sent %.100q", left)
	}
}

func TestDigestTemplateFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const each = "{{range .Groups}}{{range .Topics}}{{range .Entries}}"
	c, last := toWriter(t, Config{Templates: Templates{
		DigestSubject: write("s", "{{.Count}}:\n {{.From}}\n"),
		DigestHTML:    write("h", each+"<b>{{.Title}}</b>{{end}}{{end}}{{end}}"),
		DigestText:    write("t", each+"{{.Title}}{{.Scope}};{{end}}{{end}}{{end}}"),
	}})
	scoped := item("b", "", "y", "", 0)
	scoped.Notification.Payload.Scope = "build:7\r\n8"
	sendDigest(t, c, digest("1", item("a", "", "<i>", "", 0), scoped))
	p := parse(t, last())
	if p.decoded(t, "Subject") != "2: a, b" || p.html != "<b>&lt;i&gt;</b><b>y</b>" || p.text != "<i>;ybuild:7 8;\n" {
		t.Errorf("%q %q %q", p.header, p.text, p.html)
	}
	// The templates of single mails are not those of digests.
	send(t, c, simple("1"))
	if got := parse(t, last()).decoded(t, "Subject"); got != "Title 1" {
		t.Errorf("subject %q", got)
	}
	for _, broken := range []Templates{
		{DigestSubject: write("broken", "{{.Title")},
		{DigestHTML: write("of mails", "{{.DescriptionHTML}}")},
		{DigestText: filepath.Join(dir, "missing")},
	} {
		_, err := New(Config{Directory: janeOnly(), Sender: "a@example.com", Stream: &Stream{Directory: dir}, Templates: broken})
		if err == nil || !strings.Contains(err.Error(), "digest's") {
			t.Errorf("%+v: %v", broken, err)
		}
	}
}

func TestPlain(t *testing.T) {
	for source, want := range map[string]string{
		"":                                "",
		"two\nlines":                      "two lines",
		"**bold**ly `code`.":              "boldly code.",
		"# a\n\n- b\n- c\n\n> d":          "a · b · c · d",
		"[text](https://x) &lt;b":         "text <b",
		`\*not\* 1 < 2 &amp;&amp;`:        "*not* 1 < 2 &&",
		"<b>markup</b>":                   "<b>markup</b>",
		"```\na <b\n```":                  "a <b",
		"```\ncut off, un":                "cut off, un",
		"| a | b |\n|---|---|\n| 1 | 2 |": "a b · 1 2",
		"One.\n\nTwo\n\nthree":            "One. Two · three", "![alt](https://x/y.png)": "alt",
		strings.Repeat("> ", 100) + "deep": strings.Repeat("> ", 100) + "deep",
	} {
		if got := newMarkdown("").plain(source); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}
