package signalbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// ChannelWeb is the built-in channel: the inbox and its signals.
const ChannelWeb = "Web"

// Notification is one send request as one user sees it, or one row that
// everyone sees (a broadcast).
type Notification struct {
	// ID is stable for the life of the row, whatever revisions reach it.
	ID string
	// User is the canonical reference of the receiving user; empty for a
	// broadcast.
	User   string
	Origin string
	// Created is when the first revision was accepted, UTC.
	Created time.Time
	// Updated is when the latest re-send was accepted; zero if there was none.
	Updated time.Time
	// Read and Saved are when the user did so; zero if not.
	Read  time.Time
	Saved time.Time
	// SnoozedUntil is when it comes back, if the user snoozed it; until then it is
	// unread and in no list but that of what is snoozed. Zero if it is not snoozed.
	SnoozedUntil time.Time
	// Woken is when its last snooze ended by time; zero if none did in the current
	// revision.
	Woken time.Time

	Payload Payload

	// RequestID is the send request of the current revision.
	RequestID string
	// Revision orders the revisions of a scoped notification: the position of
	// their send request in the queue. A lower one never overwrites a higher
	// one, whenever it arrives and whatever the clocks say.
	Revision int64
}

// IsBroadcast reports whether everyone sees this row.
func (n *Notification) IsBroadcast() bool { return n.User == "" }

// Revised is the time of the current revision: Updated, else Created.
func (n *Notification) Revised() time.Time {
	if n.Updated.IsZero() {
		return n.Created
	}
	return n.Updated
}

// Arrived is when the notification came to its place, by which lists are ordered:
// when it comes or came back from being snoozed, else the time of the current
// revision.
func (n *Notification) Arrived() time.Time {
	switch {
	case !n.SnoozedUntil.IsZero():
		return n.SnoozedUntil
	case !n.Woken.IsZero():
		return n.Woken
	default:
		return n.Revised()
	}
}

// NotificationID derives the identifier of what request becomes for user
// (empty for a broadcast): a UUIDv8 (RFC 9562) that begins with the request's
// own 48-bit timestamp, so that new rows are neighbours in an index, and goes
// on with a SHA-256 of both. The same input gives the same ID on every attempt
// and every instance.
func NotificationID(requestID, user string) string {
	sum := sha256.Sum256([]byte(requestID + "\x00" + user))
	var id [16]byte
	copy(id[:], sum[:16])
	if stamp, ok := uuidTimestamp(requestID); ok {
		copy(id[:6], stamp[:])
	}
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant 10
	return formatUUID(id)
}

// uuidTimestamp returns the first 48 bits of a UUID in its text form.
func uuidTimestamp(id string) (stamp [6]byte, ok bool) {
	if len(id) != 36 {
		return stamp, false
	}
	if _, err := hex.Decode(stamp[:], []byte(id[:8]+id[9:13])); err != nil {
		return stamp, false
	}
	return stamp, true
}

func formatUUID(id [16]byte) string {
	var out [36]byte
	hex.Encode(out[0:8], id[0:4])
	out[8] = '-'
	hex.Encode(out[9:13], id[4:6])
	out[13] = '-'
	hex.Encode(out[14:18], id[6:8])
	out[18] = '-'
	hex.Encode(out[19:23], id[8:10])
	out[23] = '-'
	hex.Encode(out[24:36], id[10:16])
	return string(out[:])
}

// TimeFormat is ISO 8601 in UTC with milliseconds, as every time on the wire.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the notification as Backstage's API does: absent optional
// fields are null, times have milliseconds and Z, user is null for a broadcast.
// additionalLinks, metadata, snoozedUntil and woken, which Backstage does not have,
// appear only when there are any.
func (n Notification) MarshalJSON() ([]byte, error) {
	type wirePayload struct {
		Title           string           `json:"title"`
		Description     *string          `json:"description"`
		Link            *string          `json:"link"`
		Topic           *string          `json:"topic"`
		Severity        Severity         `json:"severity"`
		Scope           *string          `json:"scope"`
		Icon            *string          `json:"icon"`
		AdditionalLinks []AdditionalLink `json:"additionalLinks,omitempty"`
		Metadata        json.RawMessage  `json:"metadata,omitempty"`
	}
	severity := n.Payload.Severity
	if severity == "" {
		severity = SeverityNormal
	}
	return json.Marshal(struct {
		ID      string      `json:"id"`
		User    *string     `json:"user"`
		Created *string     `json:"created"`
		Saved   *string     `json:"saved"`
		Read    *string     `json:"read"`
		Updated *string     `json:"updated"`
		Origin  string      `json:"origin"`
		Payload wirePayload `json:"payload"`

		SnoozedUntil *string `json:"snoozedUntil,omitempty"`
		Woken        *string `json:"woken,omitempty"`
	}{
		ID: n.ID, User: orNull(n.User), Origin: n.Origin,
		Created: timeOrNull(n.Created), Saved: timeOrNull(n.Saved),
		Read: timeOrNull(n.Read), Updated: timeOrNull(n.Updated),
		SnoozedUntil: timeOrNull(n.SnoozedUntil), Woken: timeOrNull(n.Woken),
		Payload: wirePayload{
			Title: n.Payload.Title, Description: orNull(n.Payload.Description),
			Link: orNull(n.Payload.Link), Topic: orNull(n.Payload.Topic),
			Severity: severity, Scope: orNull(n.Payload.Scope), Icon: orNull(n.Payload.Icon),
			AdditionalLinks: n.Payload.AdditionalLinks, Metadata: n.Payload.Metadata,
		},
	})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(TimeFormat)
	return &s
}
