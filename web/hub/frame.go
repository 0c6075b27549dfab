package hub

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/gofiber/contrib/websocket"

	"github.com/signalbox/signalbox"
)

// A frame is the finished bytes of one unfragmented, unmasked WebSocket frame
// (RFC 6455, section 5.2). The hub makes frames itself instead of handing
// messages to the WebSocket library, so that the same bytes go to every client
// and several frames leave in one system call.
type frame = []byte

// finalBit marks the last (here: only) frame of a message.
const finalBit = 0x80

// maxControlPayload is RFC 6455's limit for ping, pong and close frames.
const maxControlPayload = 125

// Frames that never differ.
var (
	pingFrame     = newFrame(websocket.PingMessage, nil)
	restartFrame  = newCloseFrame(websocket.CloseServiceRestart, "the server is restarting")
	fullFrame     = newCloseFrame(websocket.CloseTryAgainLater, "too many connections")
	slowFrame     = newCloseFrame(websocket.CloseTryAgainLater, "the client is too slow")
	tooBigFrame   = newCloseFrame(websocket.CloseMessageTooBig, "the message is too big")
	tooOftenFrame = newCloseFrame(websocket.ClosePolicyViolation, "too many messages")
	// Not 1000 or 1001, after which Backstage's client does not connect again: it is
	// to come back with a new credential.
	expiredFrame     = newCloseFrame(websocket.ClosePolicyViolation, "the credential has expired")
	endedFrame       = newCloseFrame(websocket.ClosePolicyViolation, "the session has ended")
	tooManySubsFrame = newCloseFrame(websocket.ClosePolicyViolation, "too many subscriptions")
)

// newFrame returns the frame of a payload.
func newFrame(opcode byte, payload []byte) frame {
	f := make(frame, 0, 10+len(payload))
	f = append(f, finalBit|opcode)
	switch n := len(payload); {
	case n <= maxControlPayload:
		f = append(f, byte(n))
	case n <= 0xffff:
		f = append(f, 126)
		f = binary.BigEndian.AppendUint16(f, uint16(n))
	default:
		f = append(f, 127)
		f = binary.BigEndian.AppendUint64(f, uint64(n))
	}
	return append(f, payload...)
}

// newCloseFrame returns a close frame; the reason is for people.
func newCloseFrame(code int, reason string) frame {
	return newFrame(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason))
}

// newSignalFrame returns the frame that carries a signal to its subscribers.
func newSignalFrame(s *signalbox.Signal) (frame, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	// Clients parse this as JSON, never as HTML: escaping would only inflate it.
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Channel string          `json:"channel"`
		Message json.RawMessage `json:"message"`
	}{s.Channel, s.Message})
	if err != nil {
		return nil, fmt.Errorf("encode signal: %w", err)
	}
	payload := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	// A client must fail its connection on a text frame that is not UTF-8: one
	// bad message must not disconnect everybody.
	payload = bytes.ToValidUTF8(payload, []byte("\uFFFD"))
	return newFrame(websocket.TextMessage, payload), nil
}
