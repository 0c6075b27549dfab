package ui

import "bytes"

// slimmed drops the lines of a script that are nothing but a comment, and what the
// others are indented by: no text in them begins with a space on a new line.
func slimmed(script []byte) []byte {
	var kept bytes.Buffer
	inside := false
	for line := range bytes.Lines(script) {
		line = bytes.TrimLeft(line, " ")
		inside = inside || bytes.HasPrefix(line, []byte("/**"))
		if !inside && !bytes.HasPrefix(line, []byte("//")) {
			kept.Write(line)
		}
		inside = inside && !bytes.HasSuffix(bytes.TrimSpace(line), []byte("*/"))
	}
	return kept.Bytes()
}
