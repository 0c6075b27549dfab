package signalbox

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads one JSON text (RFC 8259) in a single pass over its bytes.
// Request decoding is built on it and not on encoding/json because a request is
// answered with the names of the fields that are wrong or unknown, in the
// wording of the wire contract, and because POST is the hot path. What it takes
// for JSON is what encoding/json takes; a fuzz test holds it to that.
//
// Its errors are input errors that give the position in bytes, counted from 0.
type jsonReader struct {
	data []byte
	pos  int
	// root names what is being read, such as "request/body"; the names of fields
	// in error messages begin with it.
	root string
}

// jsonKind is the type of a JSON value.
type jsonKind byte

const (
	jsonObject jsonKind = iota + 1
	jsonArray
	jsonString
	jsonNumber
	jsonBool
	jsonNull
)

// newBodyReader refuses a body that is not UTF-8, in any place.
func newBodyReader(body []byte) (*jsonReader, error) {
	if !utf8.Valid(body) {
		return nil, Errorf(CodeInput, "request/body must be valid UTF-8: invalid byte at position %d", invalidUTF8(body))
	}
	return &jsonReader{data: body, root: "request/body"}, nil
}

// invalidUTF8 returns where body stops being UTF-8.
func invalidUTF8(body []byte) int {
	pos := 0
	for pos < len(body) {
		r, size := utf8.DecodeRune(body[pos:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		pos += size
	}
	return pos
}

// peek skips white space and tells the kind of the value that follows.
func (r *jsonReader) peek() (jsonKind, error) {
	r.space()
	if r.pos >= len(r.data) {
		return 0, r.ended()
	}
	switch c := r.data[r.pos]; {
	case c == '{':
		return jsonObject, nil
	case c == '[':
		return jsonArray, nil
	case c == '"':
		return jsonString, nil
	case c == '-' || isDigit(c):
		return jsonNumber, nil
	case c == 't' || c == 'f':
		return jsonBool, nil
	case c == 'n':
		return jsonNull, nil
	default:
		return 0, r.unexpected()
	}
}

// end demands that nothing but white space follows.
func (r *jsonReader) end() error {
	r.space()
	if r.pos < len(r.data) {
		return Errorf(CodeInput, "Unexpected non-whitespace character after JSON at position %d", r.pos)
	}
	return nil
}

// object calls each for every key of the object that begins here; each must
// read the value. The key is valid during the call only.
func (r *jsonReader) object(each func(key []byte) error) error {
	r.pos++ // {
	r.space()
	if r.take('}') {
		return nil
	}
	for expected := "Expected property name or '}'"; ; expected = "Expected double-quoted property name" {
		r.space()
		if r.pos >= len(r.data) {
			return r.ended()
		}
		if r.data[r.pos] != '"' {
			return r.fail(expected)
		}
		key, err := r.text()
		if err != nil {
			return err
		}
		r.space()
		if !r.take(':') {
			return r.failOrEnded("Expected ':' after property name")
		}
		if err := each(key); err != nil {
			return err
		}
		r.space()
		switch {
		case r.take(','):
		case r.take('}'):
			return nil
		default:
			return r.failOrEnded("Expected ',' or '}' after property value")
		}
	}
}

// array calls each for every element of the array that begins here; each must
// read it.
func (r *jsonReader) array(each func(index int) error) error {
	r.pos++ // [
	r.space()
	if r.take(']') {
		return nil
	}
	for index := 0; ; index++ {
		if err := each(index); err != nil {
			return err
		}
		r.space()
		switch {
		case r.take(','):
		case r.take(']'):
			return nil
		default:
			return r.failOrEnded("Expected ',' or ']' after array element")
		}
	}
}

// text reads the string that begins here. The result may alias the body. A lone
// surrogate becomes U+FFFD, as in encoding/json: senders cut emoji in half.
func (r *jsonReader) text() ([]byte, error) {
	r.pos++ // "
	start := r.pos
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			r.pos++
			return r.data[start : r.pos-1], nil
		case c == '\\':
			return r.escapedText(start)
		case c < 0x20:
			return nil, r.fail("Bad control character in string literal")
		default:
			r.pos++
		}
	}
	return nil, r.fail("Unterminated string")
}

// escapedText reads on from the first backslash of a string.
func (r *jsonReader) escapedText(start int) ([]byte, error) {
	text := append(make([]byte, 0, 2*(r.pos-start)+32), r.data[start:r.pos]...)
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			r.pos++
			return text, nil
		case c == '\\':
			char, err := r.escape()
			if err != nil {
				return nil, err
			}
			text = utf8.AppendRune(text, char)
		case c < 0x20:
			return nil, r.fail("Bad control character in string literal")
		default:
			text = append(text, c)
			r.pos++
		}
	}
	return nil, r.fail("Unterminated string")
}

// escape reads the escape sequence that begins here.
func (r *jsonReader) escape() (rune, error) {
	if r.pos+1 >= len(r.data) {
		r.pos = len(r.data)
		return 0, r.fail("Unterminated string")
	}
	c := r.data[r.pos+1]
	if c == 'u' {
		return r.unicodeEscape()
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	for i := range len(from) {
		if from[i] == c {
			r.pos += 2
			return rune(to[i]), nil
		}
	}
	return 0, r.fail("Bad escaped character")
}

func (r *jsonReader) unicodeEscape() (rune, error) {
	char, ok := r.hex(r.pos)
	if !ok {
		return 0, r.fail("Bad Unicode escape")
	}
	r.pos += 6
	if !utf16.IsSurrogate(char) {
		return char, nil
	}
	if low, ok := r.hex(r.pos); ok {
		if pair := utf16.DecodeRune(char, low); pair != utf8.RuneError {
			r.pos += 6
			return pair, nil
		}
	}
	return utf8.RuneError, nil
}

// hex reads \uXXXX at pos.
func (r *jsonReader) hex(pos int) (rune, bool) {
	if pos+6 > len(r.data) || r.data[pos] != '\\' || r.data[pos+1] != 'u' {
		return 0, false
	}
	var char rune
	for _, c := range r.data[pos+2 : pos+6] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		char = char<<4 | rune(c)
	}
	return char, true
}

// value reads any value and returns its bytes, which alias the body. Where it
// is, for the error when it is nested too deeply, is at.
func (r *jsonReader) value(at string) ([]byte, error) {
	r.space()
	start := r.pos
	if err := r.skip(at, 1); err != nil {
		return nil, err
	}
	return r.data[start:r.pos], nil
}

func (r *jsonReader) skip(at string, depth int) error {
	kind, err := r.peek()
	if err != nil {
		return err
	}
	if depth > MaxDepth && (kind == jsonObject || kind == jsonArray) {
		return r.invalid(at, "must NOT be nested more than %d levels deep", MaxDepth)
	}
	switch kind {
	case jsonObject:
		return r.object(func([]byte) error { return r.skip(at, depth+1) })
	case jsonArray:
		return r.array(func(int) error { return r.skip(at, depth+1) })
	case jsonString:
		_, err := r.text()
		return err
	case jsonNumber:
		return r.number()
	case jsonNull:
		return r.literal("null")
	default:
		_, err := r.boolean()
		return err
	}
}

func (r *jsonReader) boolean() (bool, error) {
	if r.data[r.pos] == 't' {
		return true, r.literal("true")
	}
	return false, r.literal("false")
}

func (r *jsonReader) literal(word string) error {
	for i := range len(word) {
		if r.pos >= len(r.data) {
			return r.ended()
		}
		if r.data[r.pos] != word[i] {
			return r.unexpected()
		}
		r.pos++
	}
	return nil
}

func (r *jsonReader) number() error {
	r.take('-')
	if !r.take('0') && !r.digits() {
		return r.failOrEnded("No number after minus sign")
	}
	if r.take('.') && !r.digits() {
		return r.failOrEnded("Unterminated fractional number")
	}
	if r.take('e') || r.take('E') {
		if !r.take('+') {
			r.take('-')
		}
		if !r.digits() {
			return r.failOrEnded("Exponent part is missing a number")
		}
	}
	return nil
}

// digits reports whether there was at least one digit.
func (r *jsonReader) digits() bool {
	start := r.pos
	for r.pos < len(r.data) && isDigit(r.data[r.pos]) {
		r.pos++
	}
	return r.pos > start
}

func (r *jsonReader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

func (r *jsonReader) take(c byte) bool {
	if r.pos < len(r.data) && r.data[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

func (r *jsonReader) fail(what string) error {
	return Errorf(CodeInput, "%s in JSON at position %d", what, r.pos)
}

func (r *jsonReader) failOrEnded(what string) error {
	if r.pos >= len(r.data) {
		return r.ended()
	}
	return r.fail(what)
}

func (r *jsonReader) ended() error {
	return Errorf(CodeInput, "Unexpected end of JSON input")
}

func (r *jsonReader) unexpected() error {
	char, _ := utf8.DecodeRune(r.data[r.pos:])
	return r.fail(fmt.Sprintf("Unexpected token %q", char))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
