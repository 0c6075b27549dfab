package bus

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A frame is the payload of one NOTIFY: text of less than 8,000 bytes.
//
//	frame   = instance SP sequence LF *entry
//	entry   = kind SP coding SP length LF content
//	coding  = ( "t" / "b" ) [ "<" ] [ ">" ]
//
// Content is the message itself (t), or its base64 if it is no text (b); length
// counts its bytes. With ">" the next entry goes on with the message, with "<"
// this one does. The sequence counts an instance's frames. It keeps two frames
// of one transaction from being equal, because PostgreSQL would drop the second,
// and shows a gap inside a message.

const (
	// maxFrame is a little below PostgreSQL's limit.
	maxFrame = 7900
	// maxStatement is about how many bytes of frames one statement carries. A
	// message is never spread over two statements, so it arrives whole or not at
	// all, and with nothing in between.
	maxStatement = 256 << 10
	// minPart is the least room in a frame for which a message is begun there and
	// not in the next.
	minPart = 256
)

// packer packs messages into frames.
type packer struct {
	instance string
	sequence uint64
	frames   []string
	bytes    int
	current  strings.Builder
}

// add appends a message.
func (p *packer) add(kind string, payload []byte) {
	content, coding := payload, "t"
	if !utf8.Valid(payload) || bytes.IndexByte(payload, 0) >= 0 {
		content, coding = []byte(base64.StdEncoding.EncodeToString(payload)), "b"
	}
	for first := true; ; first = false {
		header := len(kind) + len(" t<> 1234\n")
		if room := maxFrame - p.current.Len() - header; p.current.Len() > 0 && room < min(len(content), minPart) {
			p.finish()
		}
		if p.current.Len() == 0 {
			p.sequence++
			p.current.Grow(min(maxFrame, len(p.instance)+32+header+len(content)))
			p.current.WriteString(p.instance)
			p.current.WriteByte(' ')
			p.current.WriteString(strconv.FormatUint(p.sequence, 10))
			p.current.WriteByte('\n')
		}
		part := content
		if room := maxFrame - p.current.Len() - header; len(part) > room {
			for !utf8.RuneStart(content[room]) {
				room--
			}
			part = content[:room]
		}
		content = content[len(part):]
		p.current.WriteString(kind)
		p.current.WriteByte(' ')
		p.current.WriteString(coding)
		if !first {
			p.current.WriteByte('<')
		}
		if len(content) > 0 {
			p.current.WriteByte('>')
		}
		p.current.WriteByte(' ')
		p.current.WriteString(strconv.Itoa(len(part)))
		p.current.WriteByte('\n')
		p.current.Write(part)
		if len(content) == 0 {
			return
		}
	}
}

func (p *packer) finish() {
	if p.current.Len() == 0 {
		return
	}
	p.frames = append(p.frames, p.current.String())
	p.bytes += p.current.Len()
	p.current.Reset()
}

// full reports whether it is time to send.
func (p *packer) full() bool { return p.bytes >= maxStatement }

// take returns the frames that were packed.
func (p *packer) take() []string {
	p.finish()
	frames := p.frames
	p.frames, p.bytes = nil, 0
	return frames
}

var errFrame = errors.New("malformed frame")

// unpacker is the other end. It holds at most one unfinished message: those of
// two senders are never mixed.
type unpacker struct {
	instance string // our own
	sender   string
	sequence uint64
	partial  []byte
}

// add reads a frame and passes complete messages on. It returns false for a frame
// that this instance sent itself. lost is how many messages came incomplete.
func (u *unpacker) add(frame string, deliver func(kind string, payload []byte)) (theirs bool, lost int, err error) {
	head, rest, ok := strings.Cut(frame, "\n")
	sender, number, ok2 := strings.Cut(head, " ")
	if !ok || !ok2 {
		return false, 0, errFrame
	}
	if sender == u.instance {
		return false, 0, nil
	}
	sequence, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return true, 0, errFrame
	}
	if u.partial != nil && (sender != u.sender || sequence != u.sequence+1) {
		u.partial = nil
		lost++
	}
	u.sender, u.sequence = sender, sequence
	for rest != "" {
		head, after, ok := strings.Cut(rest, "\n")
		kind, coding, ok2 := strings.Cut(head, " ")
		coding, size, ok3 := strings.Cut(coding, " ")
		length, err := strconv.Atoi(size)
		if !ok || !ok2 || !ok3 || err != nil || length < 0 || length > len(after) {
			u.partial = nil
			return true, lost, errFrame
		}
		content := after[:length]
		rest = after[length:]
		coding, more := strings.CutSuffix(coding, ">")
		coding, continues := strings.CutSuffix(coding, "<")
		if continues && u.partial == nil {
			continue // of a message whose beginning was lost
		}
		if !continues {
			u.partial = make([]byte, 0, length)
		}
		u.partial = append(u.partial, content...)
		if len(u.partial) > 2*MaxMessage {
			u.partial = nil
			return true, lost, errFrame
		}
		if more {
			continue
		}
		payload := u.partial
		u.partial = nil
		if coding == "b" {
			n, err := base64.StdEncoding.Decode(payload, payload)
			if err != nil {
				return true, lost, errFrame
			}
			payload = payload[:n]
		}
		deliver(kind, payload)
	}
	return true, lost, nil
}
