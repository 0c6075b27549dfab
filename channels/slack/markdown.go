package slack

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/signalbox/signalbox"
)

// document is a description, parsed.
type document struct {
	source []byte
	root   ast.Node
	// mentions are the references of the users in it, each once.
	mentions []string
}

// markdown parses descriptions: CommonMark with tables, task lists, crossed out text
// and bare links, and mentions of users. It is safe for concurrent use.
var markdown = newMarkdown()

func newMarkdown() parser.Parser {
	return parser.NewParser(
		parser.WithBlockParsers(parser.DefaultBlockParsers()...),
		parser.WithInlineParsers(append(parser.DefaultInlineParsers(),
			util.Prioritized(mentionParser{}, 150), // before autolinks
			util.Prioritized(extension.NewLinkifyParser(), 999),
			util.Prioritized(extension.NewStrikethroughParser(), 500),
			util.Prioritized(extension.NewTaskCheckBoxParser(), 0),
		)...),
		parser.WithParagraphTransformers(append(parser.DefaultParagraphTransformers(),
			util.Prioritized(extension.NewTableParagraphTransformer(), 200))...),
	)
}

func parseMarkdown(s string) document {
	source := []byte(cut(clean(s), 2*signalbox.MaxDescription)) // no sender can send more
	context := parser.NewContext()
	d := document{source: source, root: markdown.Parse(text.NewReader(source), parser.WithContext(context))}
	d.mentions, _ = context.Get(mentionsKey).([]string)
	return d
}

// converter writes a document.
type converter struct {
	*writer
	source []byte
	base   string
	// users are what stands for the users that are mentioned: mrkdwn that is safe,
	// and a plain name.
	users map[string]mention
}

// mention is how a user is mentioned.
type mention struct{ id, name string }

// convert writes the document as mrkdwn, or as plain text, within a budget.
func (d document) convert(limit budget, plain bool, base string, users map[string]mention) string {
	c := converter{writer: newWriter(limit), source: d.source, base: base, users: users}
	c.plain = plain
	c.blocks(d.root, 2)
	return c.finish()
}

// blocks writes the blocks below a node, with a number of line breaks between them.
func (c *converter) blocks(parent ast.Node, breaks int) {
	for n := parent.FirstChild(); n != nil && !c.full; n = n.NextSibling() {
		c.breakLine(breaks)
		c.blockNode(n)
	}
}

func (c *converter) blockNode(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		leave := c.enter("*")
		c.inlines(n)
		leave()
	case *ast.Blockquote:
		quoted := c.quoted
		c.quoted = true
		c.blocks(n, 2)
		c.quoted = quoted
	case *ast.List:
		c.list(n)
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		c.block(c.lines(n))
	case *ast.HTMLBlock:
		c.text(strings.TrimRight(c.lines(n), "\n"))
		if n.HasClosure() {
			c.text(strings.TrimRight(string(n.ClosureLine.Value(c.source)), "\n"))
		}
	case *ast.ThematicBreak:
		c.text("———")
	case *extast.Table:
		c.block(c.table(n))
	default:
		c.inlines(n)
	}
}

func (c *converter) list(list *ast.List) {
	number := list.Start
	// A list within an item is indented, the outermost one is not.
	nested := list.Parent() != nil && list.Parent().Kind() == ast.KindListItem
	if nested {
		c.indent++
	}
	for item := list.FirstChild(); item != nil && !c.full; item = item.NextSibling() {
		c.breakLine(1)
		c.bullet = "• "
		if list.IsOrdered() {
			c.bullet = strconv.Itoa(number) + ". "
			number++
		} else if nested {
			c.bullet = "◦ "
		}
		c.blocks(item, 1)
	}
	if nested {
		c.indent--
	}
}

// lines returns the text of a block that is taken as it is.
func (c *converter) lines(n ast.Node) string {
	return string(n.Lines().Value(c.source))
}

// table writes the cells in columns, for a font in which all characters are as wide.
func (c *converter) table(table *extast.Table) string {
	var rows [][]string
	var widths []int
	for row := table.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []string
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			content := strings.TrimSpace(strings.ReplaceAll(c.plainText(cell), "\n", " "))
			if len(cells) == len(widths) {
				widths = append(widths, 0)
			}
			widths[len(cells)] = max(widths[len(cells)], len([]rune(content)))
			cells = append(cells, content)
		}
		rows = append(rows, cells)
	}
	var b strings.Builder
	for _, cells := range rows {
		var line strings.Builder
		for i, content := range cells {
			const widest = 40 // what is wider is not lined up
			line.WriteString(content + strings.Repeat(" ", max(0, min(widths[i], widest)-len([]rune(content)))) + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

func (c *converter) inlines(parent ast.Node) {
	for n := parent.FirstChild(); n != nil && !c.full; n = n.NextSibling() {
		c.inline(n)
	}
}

func (c *converter) inline(n ast.Node) {
	switch n := n.(type) {
	case *ast.Text:
		c.text(oneLine(c.value(n)))
		if n.SoftLineBreak() || n.HardLineBreak() {
			c.breakLine(1) // people write lines, and chats show them
		}
	case *ast.String:
		c.text(oneLine(string(n.Value)))
	case *ast.CodeSpan:
		c.code(c.plainText(n))
	case *ast.Emphasis:
		mark := "_"
		if n.Level > 1 {
			mark = "*"
		}
		leave := c.enter(mark)
		c.inlines(n)
		leave()
	case *extast.Strikethrough:
		leave := c.enter("~")
		c.inlines(n)
		leave()
	case *ast.Link:
		c.link(safeURL(string(util.UnescapePunctuations(n.Destination)), c.base), c.plainText(n))
	case *ast.Image:
		c.link(safeURL(string(util.UnescapePunctuations(n.Destination)), c.base), c.plainText(n))
	case *ast.AutoLink:
		c.autoLink(n)
	case *mentionNode:
		c.mention(n.ref)
	case *extast.TaskCheckBox:
		box := "☐ "
		if n.IsChecked {
			box = "☑ "
		}
		if c.bullet == "" {
			c.text(box)
			return
		}
		c.bullet = box
	case *ast.RawHTML:
		html := string(n.Segments.Value(c.source))
		if tag := strings.ToLower(strings.Trim(html, "</> ")); tag == "br" {
			c.breakLine(1)
			return
		}
		c.text(oneLine(html))
	default:
		c.inlines(n)
	}
}

func (c *converter) autoLink(n *ast.AutoLink) {
	target, label := string(n.URL(c.source)), string(n.Label(c.source))
	if n.AutoLinkType == ast.AutoLinkEmail {
		if !emailPattern.MatchString(label) {
			c.text("<" + label + ">")
			return
		}
		target = "mailto:" + label
	}
	target = safeURL(target, "")
	if target == "" {
		c.text(label)
		return
	}
	c.link(target, label)
}

// emailPattern is narrower than what CommonMark takes for an email address.
var emailPattern = regexp.MustCompile(`^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$`)

func (c *converter) mention(ref string) {
	m, ok := c.users[ref]
	switch {
	case ok && m.id != "" && !c.plain:
		if !c.token("<@"+m.id+">", 'a') {
			c.full = true
		}
	case ok:
		c.text("@" + oneLine(m.name))
	default:
		_, name, _ := strings.Cut(ref, "/")
		c.text("@" + oneLine(name))
	}
}

// value returns the text of a node, with its escapes resolved.
func (c *converter) value(n *ast.Text) string {
	value := n.Segment.Value(c.source)
	if n.IsRaw() {
		return string(value)
	}
	value = util.UnescapePunctuations(value)
	value = util.ResolveNumericReferences(value)
	return string(util.ResolveEntityNames(value))
}

// plainText is the text below a node.
func (c *converter) plainText(parent ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(parent, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.WriteString(c.value(n))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte('\n')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(c.source))
		case *ast.RawHTML:
			b.Write(n.Segments.Value(c.source))
		case *mentionNode:
			name := c.users[n.ref].name
			if name == "" {
				_, name, _ = strings.Cut(n.ref, "/")
			}
			b.WriteString("@" + name)
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// otherHost returns the host of a link whose label looks like a URL of another host.
func otherHost(label, target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return ""
	}
	for word := range strings.FieldsSeq(label) {
		if !strings.Contains(word, "://") && !strings.HasPrefix(strings.ToLower(word), "www.") {
			continue
		}
		word = strings.Trim(word, "()[]<>.,;:!'\"")
		if _, rest, ok := strings.Cut(word, "://"); ok {
			word = rest
		}
		shown, _, _ := strings.Cut(word, "/")
		if !strings.EqualFold(shown, u.Host) && !strings.EqualFold(strings.TrimPrefix(strings.ToLower(shown), "www."), strings.TrimPrefix(u.Host, "www.")) {
			return u.Host
		}
	}
	return ""
}
