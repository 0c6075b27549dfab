package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	slackapi "github.com/slack-go/slack"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// view shows a message as readers of a test want it.
func view(t *testing.T, m Message) []byte {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "text:\n%s\n", m.Text)
	show := func(where string, blocks []slackapi.Block) {
		for _, block := range blocks {
			fmt.Fprintf(&b, "\n[%s %s]\n", where, block.BlockType())
			switch block := block.(type) {
			case *slackapi.SectionBlock:
				fmt.Fprintf(&b, "%s\n", block.Text.Text)
				if block.Text.Type != "mrkdwn" || !block.Text.Verbatim {
					t.Errorf("a section is not verbatim mrkdwn: %+v", block.Text)
				}
			case *slackapi.ActionBlock:
				for _, e := range block.Elements.ElementSet {
					button := e.(*slackapi.ButtonBlockElement)
					fmt.Fprintf(&b, "( %s ) → %s\n", button.Text.Text, button.URL)
				}
			case *slackapi.ContextBlock:
				for _, e := range block.ContextElements.Elements {
					text := e.(*slackapi.TextBlockObject)
					fmt.Fprintf(&b, "%s (%s)\n", text.Text, text.Type)
				}
			}
		}
	}
	show("block", m.Blocks)
	for _, a := range m.Attachments {
		show(a.Color, a.Blocks.BlockSet)
	}
	return b.Bytes()
}

func notification(p signalbox.Payload) channels.Delivery {
	if p.Severity == "" {
		p.Severity = signalbox.SeverityNormal
	}
	return channels.Delivery{Notification: signalbox.Notification{Origin: "plugin:scaffolder", Payload: p}}
}

const showcase = "The pipeline stopped at stage **deploy**, see [the log](https://ci.example.com/run/17?a=1&b=2).\n" +
	"Thanks to <@user:default/jane>, <@user:default/joe> and <@User:Default/Mute>; `<@user:default/jane>` is code.\n\n" +
	"## What failed\n" +
	"1. build of `checkout`\n2. *two* of ~~three~~ **_four_** checks\n   - unit\n   - end to end\n      more of it\n\n" +
	"- [x] rolled back\n- [ ] post mortem\n\n" +
	"> 5 < 7 & 7 > 5\n> still quoted\n\n" +
	"```go\nif a < b && c > d {\n\tfmt.Println(\"<!channel>\")\n}\n```\n" +
	"| Stage | Result |\n|---|---|\n| build | ok |\n| deploy | **failed** |\n\n" +
	"---\nBare links work: https://example.com/a_b_c, and mid**word**formatting does.  \n" +
	"![a diagram](/static/x.png)<br>[in the portal](/catalog/default/component/checkout)"

const hostile = "<!channel> <!here|here> <!everyone> <!subteam^S123|@team> <@U0VICTIM> <@W0VICTIM|x> <#C0123|general>\n" +
	"<https://evil.example.com|https://bank.example.com> <javascript:alert(1)> <mailto:a@example.com|x>\n\n" +
	"[x](@U0VICTIM) [x](!channel) [x](#C0123) [x](javascript:alert(1)) [x](<!channel>) [x](https://a.example.com/|x> <!channel>)\n" +
	"[x](https://a.example.com/?a=%3E<!here>) [https://bank.example.com/login](https://evil.example.com/login) [](https://a.example.com/)\n" +
	"[<!channel>|](https://a.example.com/) ![<!here>](https://a.example.com/ \"<!here>\")\n\n" +
	"<@user:default/<!channel>> <@user:default/nobody> <@group:default/team> <@user:../..>\n\n" +
	"&lt;!channel&gt; &#60;!channel&#62; &#x3c;!here&#x3e; \\<!channel\\> &amp;lt; &#7; &#x202e;gpj.exe\n\n" +
	"<b onclick='x'>bold</b> <!-- <!channel> -->\n\n<div>\n<!channel>\n</div>\n\n" +
	"```\n``` <!channel>\n\n`` <!here> ` ``\n\n    <!channel> ```\n\n> <!channel>\n\n| <!channel> | `<!here>` |\n|---|---|\n| <https://evil.example.com\\|x> | y |\n"

func TestMessages(t *testing.T) {
	links := []signalbox.AdditionalLink{
		{Title: "Run 17", URL: "https://ci.example.com/17"},
		{URL: "/docs/runbook?x=a|b"},
		{Title: "<!channel>|x", URL: "https://a.example.com/>x"},
		{Title: "no way", URL: "//example.com"},
		{Title: "https://bank.example.com", URL: "https://evil.example.com"},
	}
	for name, p := range map[string]signalbox.Payload{
		"minimal": {Title: "Build finished"},
		"critical": {
			Title: "Deployment of checkout failed", Description: showcase, Link: "/catalog/default/component/checkout?tab=ci&x=1",
			Severity: signalbox.SeverityCritical, Topic: "deployments", AdditionalLinks: links[:2],
		},
		"high":      {Title: "Certificate expires in 3 days", Description: "Renew it.", Link: "https://ca.example.com/renew", Severity: signalbox.SeverityHigh, Topic: "certificates"},
		"low":       {Title: "2 * 3 * 4 = *24* & more", Description: "one line\nanother line", Severity: signalbox.SeverityLow},
		"hostile":   {Title: "<!channel> <@U0VICTIM> *x* `y` <https://evil.example.com|bank> &lt;!here&gt;", Description: hostile, Link: "https://a.example.com/<!here>|x", Topic: "<!channel>", AdditionalLinks: links},
		"unsafe":    {Title: "Links that cannot be", Link: "http:///", AdditionalLinks: links[3:4], Description: "[a](ftp://a.example.com) [b](data:text/html,x) [c](http://) [d](%zz)"},
		"long":      {Title: strings.Repeat("A long title. ", 70), Description: strings.Repeat("A **long** description with [links](https://example.com/) & more. ", 200), Topic: strings.Repeat("t", 255)},
		"long-code": {Title: "Stack trace", Description: "It says:\n```\n" + strings.Repeat("at Object.<anonymous> (/srv/app.js:1:1)\n", 300) + "```\nafter"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp(t)
			m, err := b.render(context.Background(), notification(p))
			if err != nil {
				t.Fatal(err)
			}
			checkMessage(t, m)
			golden(t, name+".txt", view(t, m))
		})
	}
}

// TestWire is what goes to Slack, of which the other tests show only parts.
func TestWire(t *testing.T) {
	b := setUp(t, func(c *Config) { c.Username = "Signalbox" })
	d := to("#alerts")
	d.Notification.Payload = signalbox.Payload{Title: "Deployment failed", Description: "At **once**.", Link: "https://ci.example.com/", Severity: signalbox.SeverityCritical, Topic: "deployments"}
	if _, err := b.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	m := b.last(t)
	var pretty bytes.Buffer
	encoder := json.NewEncoder(&pretty)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(map[string]any{"channel": m.To, "username": m.Username, "text": m.Text, "blocks": m.Blocks, "attachments": m.Attachments, "options": m.Options}); err != nil {
		t.Fatal(err)
	}
	golden(t, "wire.json", pretty.Bytes())
}
