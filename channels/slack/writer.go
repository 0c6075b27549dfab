package slack

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// indentation is that of a list within a list.
	indentation = "    "
	// maxIndent bounds how deep lists are indented; more is not told apart anyway.
	maxIndent = 4
)

// budget bounds a text, in units and in bytes of JSON. Slack documents characters,
// but refuses messages whose blocks are together longer than about 13,000.
type budget struct{ units, bytes int }

// writer builds mrkdwn within a budget. What does not fit is left out, with an
// ellipsis, and what is open is closed: whatever was written, the result is well
// formed.
type writer struct {
	b    strings.Builder
	left budget
	full bool
	// plain leaves out all formatting.
	plain bool

	// wanted is the formatting of what comes next, written that of what came last.
	wanted, written []string
	inFence         bool

	breaks      int  // line breaks due before the next text
	breakQuoted bool // whether these are within a quotation
	lineStart   bool
	quoted      bool
	indent      int
	bullet      string // due at the start of the next line
	last        rune   // the last one that was written
}

func newWriter(limit budget) *writer { return &writer{left: limit, lineStart: true} }

// closing is what must follow to close what is open.
func (w *writer) closing() string {
	var s strings.Builder
	if w.inFence {
		s.WriteString("\n" + fence)
	}
	for _, mark := range slices.Backward(w.written) {
		s.WriteString(mark)
	}
	return s.String()
}

// put writes s, which is safe mrkdwn, or nothing of it.
func (w *writer) put(s string) bool {
	if w.full {
		return false
	}
	if !w.fits(s) {
		w.full = true
		return false
	}
	if s == "" {
		return true
	}
	w.left.units -= units(s)
	w.left.bytes -= wireSize(s)
	w.b.WriteString(s)
	w.last, _ = utf8.DecodeLastRuneInString(s)
	return true
}

// finish returns the text.
func (w *writer) finish() string {
	if w.full {
		kept := strings.TrimRightFunc(w.b.String(), unicode.IsSpace)
		w.b.Reset()
		w.b.WriteString(kept + ellipsis)
	}
	w.b.WriteString(w.closing())
	return w.b.String()
}

// breakLine makes what comes next begin n lines further down.
func (w *writer) breakLine(n int) {
	if w.b.Len() > 0 && n > w.breaks {
		w.breaks, w.breakQuoted = n, w.quoted
	}
}

// begin writes what is due before a text that begins with the rune first.
func (w *writer) begin(first rune) {
	if w.breaks > 0 {
		w.mark(nil)
		for i := range w.breaks {
			w.put("\n")
			if i < w.breaks-1 && w.breakQuoted && w.quoted && !w.plain {
				w.put(">")
			}
		}
		w.breaks, w.lineStart = 0, true
	}
	if w.lineStart {
		w.lineStart = false
		if w.quoted && !w.plain {
			w.put("> ")
		}
		w.put(strings.Repeat(indentation, min(w.indent, maxIndent)))
		if w.bullet != "" {
			w.put(w.bullet)
			w.bullet = ""
		}
	}
	if unicode.IsSpace(first) {
		w.mark(common(w.wanted, w.written)) // formatting begins and ends at a word
	} else {
		w.mark(w.wanted)
	}
	// The end of formatting must not touch a word.
	if len(w.written) == 0 && isMark(w.last) && isWord(first) {
		w.put(boundary)
	}
}

// mark changes the formatting to that of marks.
func (w *writer) mark(marks []string) {
	if w.plain {
		return
	}
	same := len(common(marks, w.written))
	for len(w.written) > same && !w.full {
		mark := w.written[len(w.written)-1]
		w.written = w.written[:len(w.written)-1]
		w.put(mark) // its room was reserved
	}
	if same == len(marks) || w.full {
		return
	}
	if len(w.written) == 0 && (isWord(w.last) || isMark(w.last)) && !w.put(boundary) {
		return
	}
	for _, mark := range marks[same:] {
		if !w.fits(mark + mark) { // it must be closed again, too
			w.full = true
			return
		}
		w.put(mark)
		w.written = append(w.written, mark)
	}
}

// common returns what both lists begin with.
func common(a, b []string) []string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) }
func isMark(r rune) bool { return strings.ContainsRune("*_~`", r) && r != 0 }

// enter makes what comes next formatted, in addition to what it is already, and
// returns what ends that.
func (w *writer) enter(mark string) (leave func()) {
	if slices.Contains(w.wanted, mark) {
		return func() {}
	}
	before := w.wanted
	w.wanted = append(slices.Clip(before), mark)
	return func() { w.wanted = before }
}

// text writes a text, escaped, and as much of it as fits.
func (w *writer) text(s string) {
	for i, line := range strings.Split(clean(s), "\n") {
		if i > 0 {
			w.breakLine(1)
		}
		if w.full || line == "" {
			continue
		}
		first, _ := utf8.DecodeRuneInString(line)
		w.begin(first)
		w.escaped(line)
	}
}

// escaped writes a line without formatting of its own.
func (w *writer) escaped(line string) {
	if whole := escaper.Replace(line); !w.full && w.fits(whole) {
		w.put(whole)
		return
	}
	line = strings.ReplaceAll(line, fence, notFence) // it could be cut apart
	for len(line) > 0 && !w.full {
		size := clusterLen(line)
		w.put(escaper.Replace(line[:size]))
		line = line[size:]
	}
}

func (w *writer) fits(s string) bool {
	reserve := w.closing() + ellipsis
	return units(s)+units(reserve) <= w.left.units && wireSize(s)+wireSize(reserve) <= w.left.bytes
}

// token writes safe mrkdwn that must not be cut, and reports whether it fitted. It
// takes the place of text that begins with a rune like first.
func (w *writer) token(s string, first rune) bool {
	w.begin(first)
	if w.full || !w.fits(s) {
		return false
	}
	return w.put(s)
}

// link writes a link, or the label alone where the URL does not fit. url is as from
// [safeURL], and "" for none.
func (w *writer) link(url, label string) {
	label = strings.TrimSpace(strings.ReplaceAll(clean(label), "\n", " "))
	if label == "" {
		label = url
	}
	if url == "" || w.plain {
		w.text(label)
		return
	}
	link := "<" + escaper.Replace(url)
	if label != url {
		link += "|" + escaper.Replace(label)
	}
	if !w.token(link+">", 'a') {
		w.text(label)
		return
	}
	if host := otherHost(label, url); host != "" {
		w.text(" (" + host + ")")
	}
}

// code writes code within a line.
func (w *writer) code(s string) {
	s = strings.TrimSpace(strings.NewReplacer("`", "ˋ", "\n", " ").Replace(clean(s)))
	if s == "" || w.plain {
		w.text(s)
		return
	}
	leave := w.enter("`")
	w.text(s)
	leave()
}

// block writes lines of code.
func (w *writer) block(s string) {
	s = strings.TrimRight(clean(s), "\n \t")
	if s == "" {
		return
	}
	if w.plain {
		w.text(s)
		return
	}
	// Slack knows no code within a quotation.
	defer func(quoted bool) { w.quoted = quoted }(w.quoted)
	w.quoted = false
	w.begin(' ') // the bullet of a list, if it starts with code
	w.mark(nil)
	if w.b.Len() > 0 && w.last != '\n' {
		w.put("\n")
	}
	const most = len(fence) + 1 + 1 + len(fence) // opened and closed
	if w.full || !w.fits(strings.Repeat("x", most)) {
		w.full = true
		return
	}
	w.put(fence + "\n")
	w.inFence = true
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			w.put("\n")
		}
		w.escaped(line)
	}
	if w.full {
		return // finish closes it
	}
	w.inFence = false
	w.put("\n" + fence)
	w.breakLine(1)
}
