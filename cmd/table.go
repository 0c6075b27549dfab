package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// table prints rows with aligned columns.
type table struct {
	// numeric columns are aligned to the right.
	numeric []bool
	rows    [][]string
}

// newTable starts a table. A title that begins with "#" is of a numeric column.
func newTable(titles ...string) *table {
	t := &table{}
	row := make([]string, len(titles))
	for i, title := range titles {
		name, numeric := strings.CutPrefix(title, "#")
		row[i], t.numeric = name, append(t.numeric, numeric)
	}
	t.rows = append(t.rows, row)
	return t
}

// add adds a row. Its cells may hold anybody's text.
func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = oneLine(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// widths are those of the columns, in characters.
func (t *table) widths() []int {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// gap is between columns.
const gap = 2

// fit cuts the cells of the last column so that a line has at most width
// characters, but leaves it at least least.
func (t *table) fit(width, least int) {
	last := len(t.rows[0]) - 1
	for _, w := range t.widths()[:last] {
		width -= w + gap
	}
	for _, row := range t.rows {
		row[last] = cut(row[last], max(width, least))
	}
}

func (t *table) print(out io.Writer) error {
	var b strings.Builder
	widths := t.widths()
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString(strings.Repeat(" ", gap))
			}
			if t.numeric[i] {
				line.WriteString(padding + cell)
			} else {
				line.WriteString(cell + padding)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// cut shortens a text to so many characters, with an ellipsis.
func cut(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return strings.TrimRight(string(runes[:most-1]), " ") + "…"
}

// printable replaces what could play tricks on a terminal: control characters,
// escape sequences and marks that change the direction. Line breaks stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == ' ' || unicode.IsPrint(r) {
			return r
		}
		if r == '\t' {
			return ' '
		}
		return '\uFFFD'
	}, s)
}

// oneLine makes one printable line of a text.
func oneLine(s string) string { return printable(strings.Join(strings.Fields(s), " ")) }

// span is a duration in its largest unit, such as "3m".
func span(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= unit.size {
			return fmt.Sprintf("%d%s", d/unit.size, unit.name)
		}
	}
	return "0s"
}

// ago tells how long ago a time was. Clocks of other machines may be ahead.
func ago(t, now time.Time) string {
	if d := now.Sub(t); d >= time.Second {
		return span(d) + " ago"
	}
	return "now"
}

// moment is a time in full.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// dash stands for an empty text in tables.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
