package slack

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// FuzzMessage renders anything: no output exceeds Slack's limits, has a control
// sequence that was not meant, or takes long.
func FuzzMessage(f *testing.F) {
	for _, seed := range []struct{ title, description, link string }{
		{"title", showcase, "/a"},
		{"title", hostile, "https://example.com/"},
		{"***", strings.Repeat("**a_b`c", 500), "x"},
		{"👩‍👩‍👧‍👦", strings.Repeat("👩‍👩‍👧‍👦🇩🇪é", 200), "//"},
		{"x", strings.Repeat("> - ", 300) + "x", "mailto:x"},
		{"x", strings.Repeat("<@user:default/jane> ", 300), "javascript:x"},
		{"x", strings.Repeat("[a](https://example.com/"+strings.Repeat("b", 400)+") ", 20), "?a=b"},
		{"x", "```\n" + strings.Repeat("`&<>", 2_000), "#x"},
		{"x", strings.Repeat("| a ", 400) + "\n" + strings.Repeat("|-", 400) + "\n" + strings.Repeat("| <!here> ", 400), "%"},
		{"x", strings.Repeat("*a _b ~~c **d ", 300), ""},
		{"x", strings.Repeat("[", 2_000) + strings.Repeat("](x)", 2_000), ""},
	} {
		f.Add(seed.title, seed.description, seed.link)
	}
	b := setUp(f)
	withTemplate := setUp(f, func(c *Config) {
		c.Template = "{{.Emoji}} {{.Title}}: {{.Description}} {{.Topic}} {{.Metadata.a}} {{link .Link .Title}} {{range .Links}}{{link .URL .Title}}{{end}}"
	})
	f.Fuzz(func(t *testing.T, title, description, link string) {
		if len(title)+len(description)+len(link) > 10_000 {
			t.Skip() // mutations of large texts find little, slowly
		}
		metadata, err := json.Marshal(map[string]string{"a": description})
		if err != nil {
			t.Fatal(err)
		}
		payload := signalbox.Payload{
			Title: title, Description: description, Link: link, Topic: title, Severity: signalbox.Severity(link), Metadata: metadata,
			AdditionalLinks: []signalbox.AdditionalLink{{Title: title, URL: link}, {URL: description}, {Title: description, URL: "https://example.com/" + title}},
		}
		for _, b := range []bench{b, withTemplate} {
			began := time.Now()
			m, err := b.render(context.Background(), channels.Delivery{Notification: signalbox.Notification{Origin: title, Payload: payload}})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			checkMessage(t, m)
			checkMarkup(t, "the plain form", m.plain().Text, 6_200)
		}
	})
}

func FuzzCut(f *testing.F) {
	f.Add("a text", 3)
	f.Add(strings.Repeat("👩‍👩‍👧‍👦", 10), 12)
	f.Add("&lt;<https://example.com/|x>&amp;", 20)
	f.Add("e"+strings.Repeat("\u0301", 100), 50)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + abs(limit)%200
		s = strings.ToValidUTF8(s, "")
		for what, got := range map[string]string{"cut": cut(s, limit), "cutMarkup": cutMarkup(s, limit)} {
			if units(got) > limit || !utf8.ValidString(got) {
				t.Errorf("%s(%q, %d) = %q", what, s, limit, got)
			}
			if units(s) <= limit && got != s {
				t.Errorf("%s shortened what fits: %q", what, got)
			}
			if kept, ok := strings.CutSuffix(got, ellipsis); !strings.HasPrefix(s, got) && (!ok || !strings.HasPrefix(s, kept)) {
				t.Errorf("%s(%q, %d) = %q, which is not its beginning", what, s, limit, got)
			}
		}
		checkMarkup(t, "the escaped text", cutMarkup(Escape(s), limit), limit)
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func TestCutAtCharacters(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abcdef", 6, "abcdef"},
		{"abcdef", 5, "abcd…"},
		{"ab cdef", 4, "ab…"},
		{"ae\u0301x", 3, "a…"},
		{"👍🏽👍🏽", 5, "👍🏽…"},
		{"👩‍👩‍👧 x", 6, "…"},
		{"🇩🇪🇫🇷🇮🇹", 9, "🇩🇪🇫🇷…"},
		{"x", 1, "x"},
		{"xy", 1, "…"},
	} {
		if got := cut(c.in, c.limit); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
	for in, want := range map[string]string{
		"aa &amp; bb":                  "aa…",
		"aaaa <https://example.com|x>": "aaaa…",
		"aaaa<":                        "aaaa<",
	} {
		if got := cutMarkup(in, 6); got != want {
			t.Errorf("cutMarkup(%q) = %q, want %q", in, got, want)
		}
	}
}
