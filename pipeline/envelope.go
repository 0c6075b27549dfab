package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// Bounds of one envelope. A message that carries many requests makes one commit
// serve them all; the bounds keep the work of a lost message small.
const (
	maxEnvelopeRequests = 256
	maxEnvelopeBytes    = 1 << 20
	// What its requests become for all their recipients is committed together:
	// these bound the rows, and their size in bytes, of one commit. A single
	// request beyond them is processed in parts, see fanout.go.
	maxCommitRows  = 4000
	maxCommitBytes = 16 << 20
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
	// Users and Part are set on a part of a request with many recipients; parts
	// are numbered from 1. A part that is still too large has the number of the
	// first of those that it becomes.
	Users []string `json:"users,omitempty"`
	Part  int      `json:"part,omitempty"`
	retry.Tries
	// Redriven is set on what was a dead letter.
	Redriven bool `json:"redriven,omitempty"`
	// Alone is set once the request left its first message.
	Alone bool `json:"alone,omitempty"`
	// Waiter names the instance on which the sender waits for the result.
	Waiter string `json:"waiter,omitempty"`
}

// key identifies the entry among all requests and their parts.
func (e *entry) key() string {
	if e.Part == 0 {
		return e.Request.ID
	}
	return fmt.Sprintf("%s/%d", e.Request.ID, e.Part)
}

// rows is how many rows the entry becomes, as far as that is known before its
// recipients are resolved.
func (e *entry) rows() int {
	return max(1, len(e.Users), len(e.Request.Recipients.EntityRefs))
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

// encoded is an entry in its final form, and what it will cost to process.
type encoded struct {
	json        []byte
	rows, bytes int
}

// encodeEntry encodes one request, so that senders pay for encoding in parallel
// and the coalescer only joins.
func encodeEntry(e entry) (encoded, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return encoded{}, fmt.Errorf("envelope: %w", err)
	}
	rows := e.rows()
	return encoded{json: text, rows: rows, bytes: rows * e.Request.Payload.Size()}, nil
}

// encodeSingle makes a message's payload of one entry.
func encodeSingle(e entry) ([]byte, error) {
	one, err := encodeEntry(e)
	if err != nil {
		return nil, err
	}
	return joinEntries([]encoded{one})[0], nil
}

// joinEntries makes envelopes of encoded entries, in order and within bounds.
func joinEntries(entries []encoded) [][]byte {
	var envelopes [][]byte
	for len(entries) > 0 {
		n, size, rows, expanded := 0, 0, 0, 0
		for n < len(entries) && n < maxEnvelopeRequests {
			e := entries[n]
			if n > 0 && (size+len(e.json) > maxEnvelopeBytes || rows+e.rows > maxCommitRows || expanded+e.bytes > maxCommitBytes) {
				break
			}
			size, rows, expanded = size+len(e.json)+1, rows+e.rows, expanded+e.bytes
			n++
		}
		var b bytes.Buffer
		b.Grow(size + 32)
		fmt.Fprintf(&b, `{"v":%d,"entries":[`, envelopeVersion)
		for i, e := range entries[:n] {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(e.json)
		}
		b.WriteString("]}")
		envelopes = append(envelopes, b.Bytes())
		entries = entries[n:]
	}
	return envelopes
}
