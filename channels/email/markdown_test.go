package email

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMarkdown(t *testing.T) {
	m := newMarkdown("https://b.example/app")
	for _, c := range []struct{ source, has, hasNot string }{
		{"**b** *i* ~~s~~", "<strong>b</strong> <em>i</em> <del>s</del>", ""},
		{"one\ntwo", "one<br>\ntwo", ""},
		{"<b>x</b>", "&lt;b&gt;x&lt;/b&gt;", "<b>"},
		{"<script>\nalert(1)\n</script>", "&lt;script&gt;\nalert(1)\n&lt;/script&gt;", "<script"},
		{"<!-- c -->", "&lt;!-- c --&gt;", "<!--"},
		{"[a](https://x.example/?a=1&b=2)", `href="https://x.example/?a=1&amp;b=2">a</a>`, ""},
		{"[a](/catalog)", `href="https://b.example/app/catalog">a</a>`, ""},
		{"[a](mailto:x@example.com)", `href="mailto:x@example.com"`, ""},
		{"[a](javascript:alert(1))", ">a</p>", "javascript"},
		{"[a](JaVaScRiPt&colon;alert(1))", ">a</p>", "cript"},
		{"[a](https://x.example/?a=1&amp;b=2)", `href="https://x.example/?a=1&amp;b=2"`, ""},
		{"[a](data:text/html,x)", ">a</p>", "data:"},
		{"[a](//evil.example)", ">a</p>", "evil"},
		{"<javascript:alert(1)>", "javascript:alert(1)", "href"},
		{"https://x.example/a.", `href="https://x.example/a">https://x.example/a</a>.`, ""},
		{"x@example.com", `href="mailto:x@example.com">x@example.com</a>`, ""},
		{"![pixel](https://x.example/p.png)", `href="https://x.example/p.png">pixel</a>`, "<img"},
		{"![](https://x.example/p.png)", `>image</a>`, "<img"},
		{"![a](x:y)", ">a</p>", "<img"},
		{"`<b>`", "&lt;b&gt;</code>", "<b>"},
		{"```html\" onload=\"x\n<b>&\n```", "&lt;b&gt;&amp;\n</pre>", "onload"},
		{"    <b>", "&lt;b&gt;", "<b>"},
		{`[a](https://x.example/"onclick="x)`, "<p", `"onclick`},
		{strings.Repeat("> ", 60) + "x", "&gt; &gt;", "<blockquote"},
		{"a\n\n" + strings.Repeat("- ", 60) + "x", "- - ", "<ul"},
		{strings.Repeat(">", 20) + "x", "<blockquote", "&gt;"},
		{strings.Repeat("-", 80), "<hr", ""},
	} {
		got := string(m.render(c.source))
		if !strings.Contains(got, c.has) || c.hasNot != "" && strings.Contains(got, c.hasNot) {
			t.Errorf("%.60q: %.400q, want %q and not %q", c.source, got, c.has, c.hasNot)
		}
	}
	if m.render("") != "" {
		t.Error("nothing becomes something")
	}
}

// TestMarkdownIsBounded has what takes other renderers time in the square of its
// length.
func TestMarkdownIsBounded(t *testing.T) {
	m := newMarkdown("")
	for _, unit := range []string{">", "> ", "* ", "- ", "1. ", "[", "![", "`", "*", "_", "<", "[a](", "~~", "|", "a|", "\\", "&", "<a ", "<!--", "\t", "**a ", "[a][", "> a\n", "1) - ", "- x\n"} {
		source := strings.Repeat(unit, 20_000/len(unit))
		begin := time.Now()
		got := m.render(source)
		// What grows with the square takes many minutes; a busy machine takes some time
		// for the rest.
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%q takes %s", unit, took)
		}
		if len(got) > max(maxRendered, 6*len(source)+200) {
			t.Errorf("%q makes %d bytes", unit, len(got))
		}
	}
}

// element matches what a description may bring into a mail.
var (
	element   = regexp.MustCompile(`<(/?)([a-zA-Z!?][a-zA-Z0-9]*)([^>]*)>`)
	harmless  = regexp.MustCompile(`^(p|br|strong|em|del|a|blockquote|ul|ol|li|code|pre|h[1-6]|hr|table|thead|tbody|tr|th|td)$`)
	attribute = regexp.MustCompile(`^( /)?( (class="sb-[a-z]+"|style="[^"<>]*"|align="(left|right|center)"|start="\d+"|href="(https?://|mailto:)[^"<>]*"))*$`)
)

func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{description, "<a href='x'>", "[a](javascript:x)", "![x](y)", "<x@y.z>", "a\x00b", "|a|\n|:-:|\n|b|", "1. a\n   - b\n\n       c", "[a]: x\n\n[a]", "&lt;b&gt; &#60;b&#62;"} {
		f.Add(seed)
	}
	m := newMarkdown("https://b.example")
	f.Fuzz(func(t *testing.T, source string) {
		if len(source) > 20_000 {
			return
		}
		got := string(m.render(printable(source)))
		rest := element.ReplaceAllStringFunc(got, func(tag string) string {
			match := element.FindStringSubmatch(tag)
			if !harmless.MatchString(match[2]) || !attribute.MatchString(match[3]) {
				t.Errorf("%q makes %q", source, tag)
			}
			return ""
		})
		if strings.ContainsAny(rest, "<") {
			t.Errorf("%q leaves %q", source, rest)
		}
	})
}
