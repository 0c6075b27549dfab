package slack

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ellipsis ends what was cut.
const ellipsis = "…"

// fence encloses a block of code, and notFence is how it looks without being one.
const (
	fence    = "```"
	notFence = "``" + boundary + "`"
)

// boundary is an invisible space. Slack reads * _ ~ and ` as formatting only where a
// word begins or ends.
const boundary = "\u200b"

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", fence, notFence)

// Escape makes a text safe within Slack's mrkdwn: it mentions nobody, links nowhere
// and opens no block of code. Slack has no escape for * _ ~ and `, which can at worst
// format it.
func Escape(s string) string { return escaper.Replace(clean(s)) }

// unescaper undoes the escaping.
var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// clean takes out what no text should have: control characters other than line
// breaks and tabs, overrides of the direction of writing, which can make a text look
// like another one, and invalid UTF-8.
func clean(s string) string {
	isBad := func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202d' || r == '\u202e'
	}
	if utf8.ValidString(s) && !strings.ContainsFunc(s, isBad) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case isBad(r):
			return -1
		}
		return r
	}, strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\r\n", "\n"))
}

// units is the length of a text as Slack's limits count it. They are in characters;
// those that JavaScript counts twice are counted twice, to be on the safe side.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// wireSize is the length of a text in the JSON of a request, in bytes.
func wireSize(s string) int {
	n := len(s)
	for i := range len(s) {
		switch s[i] {
		case '<', '>', '&':
			n += len(`\u003c`) - 1
		case '"', '\\', '\n', '\t':
			n++
		}
	}
	return n
}

// cut shortens a text to a number of units, at the boundary of what readers take for
// a character. It has an ellipsis then.
func cut(s string, limit int) string {
	if units(s) <= limit {
		return s
	}
	used, end := units(ellipsis), 0
	for end < len(s) {
		size := clusterLen(s[end:])
		if used += units(s[end : end+size]); used > limit {
			break
		}
		end += size
	}
	return strings.TrimRightFunc(s[:end], unicode.IsSpace) + ellipsis
}

// maxCluster bounds a cluster, in bytes, for texts of nothing but accents.
const maxCluster = 64

// clusterLen returns the length of the first character of s as readers see it: with
// its accents, variants and skin colours, what is joined to it, and both halves of a
// flag. It follows the parts of Unicode's UAX #29 that matter for cutting.
func clusterLen(s string) int {
	first, end := utf8.DecodeRuneInString(s)
	joined := false
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		flag := isRegional(first) && isRegional(r) && end == utf8.RuneLen(first)
		belongs := joined && r > unicode.MaxLatin1 || flag || extends(r)
		if !belongs || end+size > maxCluster {
			break
		}
		joined = r == zeroWidthJoiner
		end += size
	}
	return end
}

const zeroWidthJoiner = '\u200d'

func isRegional(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

func extends(r rune) bool {
	return r == zeroWidthJoiner || unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) ||
		r >= 0x1f3fb && r <= 0x1f3ff || r >= 0xe0020 && r <= 0xe007f
}

// cutMarkup shortens mrkdwn without breaking an escape or a link.
func cutMarkup(s string, limit int) string {
	if units(s) <= limit {
		return s
	}
	used, end := units(ellipsis), 0
	for end < len(s) {
		size := clusterLen(s[end:])
		var last byte
		switch s[end] {
		case '<':
			last = '>'
		case '&':
			last = ';'
		}
		if i := strings.IndexByte(s[end:], last); last != 0 && i > 0 {
			size = i + 1
		}
		if used += units(s[end : end+size]); used > limit {
			break
		}
		end += size
	}
	return strings.TrimRightFunc(s[:end], unicode.IsSpace) + ellipsis
}

// closeFence closes a block of code that is open, within a number of units.
func closeFence(s string, limit int) string {
	const end = "\n" + fence
	if strings.Count(s, fence)%2 == 0 {
		return s
	}
	if s = cutMarkup(s, limit-units(end)); strings.Count(s, fence)%2 == 0 {
		return s // its beginning was cut off
	}
	return s + end
}

// safeURL returns a link as it may be sent: absolute, http, https or mailto, and of
// ASCII characters that mean nothing to Slack. Relative ones are taken below base, as
// Backstage does. It is "" for what cannot be linked.
func safeURL(link, base string) string {
	link = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(link))
	if link == "" {
		return ""
	}
	// As browsers read it.
	if head, rest, ok := strings.Cut(link, ":"); ok && (strings.EqualFold(head, "http") || strings.EqualFold(head, "https")) {
		link = head + "://" + strings.TrimLeft(rest, `/\`)
	}
	link = percentEncode(link)
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	switch strings.ToLower(u.Scheme) {
	case "":
		return below(base, link)
	case "http", "https":
		if u.Hostname() == "" {
			return ""
		}
	case "mailto":
		if u.Opaque == "" {
			return ""
		}
	default:
		return ""
	}
	return link
}

// below resolves a relative link, from which as in Backstage leading slashes are
// taken off.
func below(base, link string) string {
	link = strings.TrimLeft(link, "/")
	b, err := url.Parse(strings.TrimRight(base, "/") + "/")
	if err != nil || b.Hostname() == "" || b.Scheme != "http" && b.Scheme != "https" {
		return ""
	}
	u, err := b.Parse(link)
	if err != nil || u.Host != b.Host {
		return ""
	}
	return percentEncode(u.String())
}

// percentEncode encodes what has no place in a URL or means something to Slack, and
// percent signs that encode nothing.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	isHex := func(i int) bool { return i < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0 }
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("<>|\"\\^`{}", c) >= 0 || c == '%' && (!isHex(i+1) || !isHex(i+2)) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
