package slack

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	slackapi "github.com/slack-go/slack"
)

// checkMessage holds a message to Slack's limits and to what must never be in one.
func checkMessage(t testing.TB, m Message) {
	t.Helper()
	checkMarkup(t, "the text", m.Text, 4_000)
	check := func(blocks []slackapi.Block) {
		if len(blocks) > 50 {
			t.Errorf("%d blocks", len(blocks))
		}
		for _, block := range blocks {
			switch block := block.(type) {
			case *slackapi.SectionBlock:
				checkMarkup(t, "a section", block.Text.Text, 3_000)
				if block.Text.Text == "" {
					t.Error("an empty section")
				}
			case *slackapi.ActionBlock:
				for _, e := range block.Elements.ElementSet {
					button := e.(*slackapi.ButtonBlockElement)
					if units(button.Text.Text) > 75 || units(button.URL) > 3_000 || safeURL(button.URL, "") != button.URL {
						t.Errorf("button %q to %q", button.Text.Text, button.URL)
					}
				}
			case *slackapi.ContextBlock:
				if len(block.ContextElements.Elements) > 10 {
					t.Errorf("%d elements in a context", len(block.ContextElements.Elements))
				}
				for _, e := range block.ContextElements.Elements {
					text := e.(*slackapi.TextBlockObject)
					checkMarkup(t, "a context", text.Text, 2_000)
				}
			default:
				t.Errorf("a block of type %T", block)
			}
		}
	}
	check(m.Blocks)
	for _, a := range m.Attachments {
		check(a.Blocks.BlockSet)
	}
	wire, err := json.Marshal([]any{m.Blocks, m.Attachments})
	if err != nil || len(wire) > 13_000 {
		t.Errorf("the blocks have %d bytes, error %v", len(wire), err)
	}
}

// control is what Slack may be told: a link, or a user of the tests' workspace.
var control = regexp.MustCompile(`^<((https?://|mailto:)[!-;=?-{}~]+(\|[^<>]+)?|@U0(JANE|JOE|ANN))>`)

// checkMarkup checks that mrkdwn has no control sequence but these, and is cut well.
func checkMarkup(t testing.TB, what, s string, limit int) {
	t.Helper()
	if units(s) > limit {
		t.Errorf("%s has %d characters, more than %d", what, units(s), limit)
	}
	if !utf8.ValidString(s) {
		t.Errorf("%s is not valid UTF-8: %q", what, s)
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '<':
			match := control.FindString(s[i:])
			if match == "" {
				t.Fatalf("%s has a control sequence at %d: %q", what, i, around(s, i))
			}
			for j := i; j < i+len(match); j++ {
				if s[j] == '&' {
					checkEntity(t, what, s, j)
				}
			}
			i += len(match) - 1
		case c == '>' && i > 0 && s[i-1] != '\n' && !strings.HasPrefix(s[i:], "> "):
			t.Fatalf("%s has an unescaped > at %d: %q", what, i, around(s, i))
		case c == '&':
			checkEntity(t, what, s, i)
		case c < ' ' && c != '\n' && c != '\t' || c == 0x7f:
			t.Fatalf("%s has the control character %#x", what, c)
		}
	}
	if strings.Count(s, fence)%2 != 0 {
		t.Errorf("%s leaves a block of code open: %q", what, s)
	}
}

func checkEntity(t testing.TB, what, s string, at int) {
	t.Helper()
	for _, entity := range []string{"&amp;", "&lt;", "&gt;"} {
		if strings.HasPrefix(s[at:], entity) {
			return
		}
	}
	t.Fatalf("%s has an unescaped & at %d: %q", what, at, around(s, at))
}

func around(s string, at int) string { return s[max(0, at-40):min(len(s), at+60)] }
