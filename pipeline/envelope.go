package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/signalbox/signalbox"
)

// Bounds of one envelope. A message that carries many requests makes one commit
// serve them all; the bounds keep the work of a lost message small.
const (
	maxEnvelopeRequests = 256
	maxEnvelopeBytes    = 1 << 20
)

// positionsPerMessage spaces the revisions of requests that share a message.
const positionsPerMessage = 1024

// entry is one send request in an envelope.
type entry struct {
	Request signalbox.SendRequest `json:"request"`
	// Revision is set once the request left its first message; before that it
	// follows from the message's position in the queue and the request's in the
	// message.
	Revision int64 `json:"revision,omitempty"`
	tries
	// Waiter names the instance on which the sender waits for the result.
	Waiter string `json:"waiter,omitempty"`
}

// envelopeVersion is written into every envelope. A reader refuses what it does
// not know, so that an older instance dead-letters instead of misreading.
const envelopeVersion = 1

// envelope is the payload of a message on TopicNotifications and TopicRetry.
type envelope struct {
	Version int     `json:"v"`
	Entries []entry `json:"entries"`
}

func decodeEnvelope(payload []byte) ([]entry, error) {
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	if e.Version != envelopeVersion {
		return nil, fmt.Errorf("envelope: version %d is not known", e.Version)
	}
	if len(e.Entries) == 0 || len(e.Entries) >= positionsPerMessage {
		return nil, fmt.Errorf("envelope: %d entries", len(e.Entries))
	}
	return e.Entries, nil
}

// encodeEntry encodes one request, so that senders pay for encoding in parallel
// and the coalescer only joins.
func encodeEntry(e entry) ([]byte, error) {
	encoded, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return encoded, nil
}

// joinEntries makes envelopes of encoded entries, in order and within bounds.
func joinEntries(entries [][]byte) [][]byte {
	var envelopes [][]byte
	for len(entries) > 0 {
		n, size := 0, 0
		for n < len(entries) && n < maxEnvelopeRequests && (n == 0 || size+len(entries[n]) <= maxEnvelopeBytes) {
			size += len(entries[n]) + 1
			n++
		}
		var b bytes.Buffer
		b.Grow(size + 32)
		fmt.Fprintf(&b, `{"v":%d,"entries":[`, envelopeVersion)
		for i, e := range entries[:n] {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(e)
		}
		b.WriteString("]}")
		envelopes = append(envelopes, b.Bytes())
		entries = entries[n:]
	}
	return envelopes
}
