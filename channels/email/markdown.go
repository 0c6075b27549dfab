package email

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	gmhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	nethtml "golang.org/x/net/html"
)

// maxRendered bounds the HTML of a description, in bytes: mail programs cut off
// what is larger, and deep nesting makes much of little.
const maxRendered = 96 << 10

// markdown renders descriptions.
type markdown struct {
	engine goldmark.Markdown
}

// newMarkdown makes a renderer. base is what relative links are resolved against.
func newMarkdown(base string) *markdown {
	return &markdown{goldmark.New(
		goldmark.WithExtensions(
			extension.Linkify,
			extension.Strikethrough,
			extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
		),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(styles{}, 500))),
		goldmark.WithRendererOptions(
			// Plain text, which many senders mean, keeps its lines.
			gmhtml.WithHardWraps(),
			renderer.WithNodeRenderers(util.Prioritized(&safeNodes{base}, 100)),
		),
	)}
}

// render makes safe HTML of Markdown: no markup of the sender's, nothing that is
// loaded, links to http, https and mailto only. What cannot be rendered within
// bounds becomes plain text.
func (m *markdown) render(source string) template.HTML {
	if source == "" {
		return ""
	}
	var out bytes.Buffer
	if !nestsTooDeep(source) {
		if err := m.engine.Convert([]byte(source), &out); err == nil && out.Len() <= maxRendered {
			return template.HTML(out.String()) //nolint:gosec // safeNodes lets no markup of the source through
		}
	}
	escaped := strings.ReplaceAll(template.HTMLEscapeString(source), "\n", "<br>\n")
	return template.HTML(`<p class="sb-text" style="margin:0;">` + escaped + "</p>\n") //nolint:gosec // escaped
}

// plain returns the text of Markdown on one line: a dot parts blocks that do not end
// like a sentence.
func (m *markdown) plain(source string) string {
	var blocks []string
	var block strings.Builder
	end := func() {
		if text := oneLine(block.String()); text != "" {
			blocks = append(blocks, text)
		}
		block.Reset()
	}
	tokens := nethtml.NewTokenizer(strings.NewReader(string(m.render(source))))
	for kind := tokens.Next(); kind != nethtml.ErrorToken; kind = tokens.Next() { // the error is the end: the HTML is our own
		if kind == nethtml.TextToken {
			block.WriteString(nethtml.UnescapeString(string(tokens.Raw())))
			continue
		}
		switch name, _ := tokens.TagName(); string(name) {
		case "a", "code", "del", "em", "strong":
		case "br", "td", "th":
			block.WriteByte(' ')
		default:
			end()
		}
	}
	end()
	var out strings.Builder
	for i, text := range blocks {
		switch {
		case i == 0:
		case strings.ContainsAny(blocks[i-1][len(blocks[i-1])-1:], ".:;,!?"):
			out.WriteByte(' ')
		default:
			out.WriteString(" · ")
		}
		out.WriteString(text)
	}
	return out.String()
}

// nestsTooDeep reports whether a line begins with so many marks of quotations or
// lists that parsing would take time in the square of their number.
func nestsTooDeep(source string) bool {
	const most = 50
	for line := range strings.Lines(source) {
		begin := line[:len(line)-len(strings.TrimLeft(line, ">-+*.) \t0123456789"))]
		marks := len(begin) - strings.Count(begin, " ") - strings.Count(begin, "\t")
		if marks > most && strings.ContainsAny(begin, "> \t") {
			return true
		}
	}
	return false
}

const (
	codeFont  = "font-family:ui-monospace,SFMono-Regular,Consolas,'Liberation Mono',Menlo,monospace;"
	preStyle  = `margin:0 0 16px 0;padding:12px 16px;background-color:#f2f4f7;border-radius:6px;` + codeFont + `font-size:13px;line-height:1.5;white-space:pre-wrap;word-break:break-word;`
	linkStyle = "color:#175cd3;text-decoration:underline;"
)

// styles writes the styles of elements beside them, because mail programs drop
// style sheets; the classes are for dark mode.
type styles struct{}

// Transform implements parser.ASTTransformer.
func (styles) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
	// This walker does not fail.
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		set := func(class, style string) {
			n.SetAttributeString("class", []byte(class))
			n.SetAttributeString("style", []byte(style))
		}
		switch n.Kind() {
		case ast.KindParagraph:
			set("sb-text", "margin:0 0 16px 0;")
		case ast.KindHeading:
			set("sb-title", "margin:24px 0 8px 0;font-size:16px;line-height:1.4;font-weight:600;color:#101828;")
		case ast.KindBlockquote:
			set("sb-quote", "margin:0 0 16px 0;padding:0 0 0 14px;border-left:3px solid #d0d5dd;color:#475467;")
		case ast.KindList:
			set("sb-text", "margin:0 0 16px 0;padding:0 0 0 24px;")
		case ast.KindListItem:
			set("sb-text", "margin:0 0 4px 0;")
		case ast.KindThematicBreak:
			set("sb-line", "margin:20px 0;border:0;border-top:1px solid #eaecf0;")
		case ast.KindCodeSpan:
			set("sb-code", "padding:2px 5px;background-color:#f2f4f7;border-radius:4px;"+codeFont+"font-size:0.9em;")
		case extast.KindTable:
			set("sb-text", "margin:0 0 16px 0;border-collapse:collapse;font-size:14px;")
		case extast.KindTableCell:
			style := "padding:6px 12px;border:1px solid #eaecf0;"
			if cell, ok := n.(*extast.TableCell); ok && cell.Alignment == extast.AlignNone {
				style += "text-align:left;"
			}
			set("sb-cell", style)
		}
		return ast.WalkContinue, nil
	})
}

// safeNodes renders what could carry something of the sender's into a mail.
type safeNodes struct{ base string }

// RegisterFuncs implements renderer.NodeRenderer.
func (s *safeNodes) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindLink, s.link)
	r.Register(ast.KindAutoLink, s.autoLink)
	r.Register(ast.KindImage, s.image)
	r.Register(ast.KindRawHTML, s.rawHTML)
	r.Register(ast.KindHTMLBlock, s.htmlBlock)
	r.Register(ast.KindCodeBlock, s.code)
	r.Register(ast.KindFencedCodeBlock, s.code)
}

func (s *safeNodes) anchor(w util.BufWriter, destination []byte, entering bool) {
	to := safeLink(s.base, string(util.URLEscape(destination, true)))
	switch {
	case to == "":
	case entering:
		_, _ = w.WriteString(`<a class="sb-link" style="` + linkStyle + `" href="` + template.HTMLEscapeString(to) + `">`)
	default:
		_, _ = w.WriteString("</a>")
	}
}

func (s *safeNodes) link(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if n, ok := node.(*ast.Link); ok {
		s.anchor(w, n.Destination, entering)
	}
	return ast.WalkContinue, nil
}

// image links to the image instead of loading it.
func (s *safeNodes) image(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, ok := node.(*ast.Image)
	if !ok {
		return ast.WalkContinue, nil
	}
	s.anchor(w, n.Destination, entering)
	if entering && !n.HasChildren() {
		_, _ = w.WriteString("image")
	}
	return ast.WalkContinue, nil
}

func (s *safeNodes) autoLink(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, ok := node.(*ast.AutoLink)
	if !ok || !entering {
		return ast.WalkContinue, nil
	}
	to := n.URL(source)
	if n.AutoLinkType == ast.AutoLinkEmail && !bytes.HasPrefix(bytes.ToLower(to), []byte("mailto:")) {
		to = append([]byte("mailto:"), to...)
	}
	s.anchor(w, to, true)
	template.HTMLEscape(w, n.Label(source))
	s.anchor(w, to, false)
	return ast.WalkContinue, nil
}

// rawHTML shows markup as the text that it is.
func (s *safeNodes) rawHTML(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if n, ok := node.(*ast.RawHTML); ok && entering {
		for i := range n.Segments.Len() {
			segment := n.Segments.At(i)
			template.HTMLEscape(w, segment.Value(source))
		}
	}
	return ast.WalkSkipChildren, nil
}

func (s *safeNodes) htmlBlock(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, ok := node.(*ast.HTMLBlock)
	if !ok {
		return ast.WalkContinue, nil
	}
	if entering {
		_, _ = w.WriteString(`<p class="sb-text" style="margin:0 0 16px 0;">`)
		writeLines(w, source, n)
		return ast.WalkContinue, nil
	}
	if n.HasClosure() {
		template.HTMLEscape(w, n.ClosureLine.Value(source))
	}
	_, _ = w.WriteString("</p>\n")
	return ast.WalkContinue, nil
}

func (s *safeNodes) code(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		_, _ = w.WriteString("</pre>\n")
		return ast.WalkContinue, nil
	}
	_, _ = w.WriteString(`<pre class="sb-code" style="` + preStyle + `">`)
	writeLines(w, source, node)
	return ast.WalkContinue, nil
}

func writeLines(w util.BufWriter, source []byte, node ast.Node) {
	for i := range node.Lines().Len() {
		line := node.Lines().At(i)
		template.HTMLEscape(w, line.Value(source))
	}
}
