package web

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// A cursor is opaque to callers. It is the base64url of a version byte, the
// time of arrival in microseconds, and the 16 bytes of the identifier.
const (
	cursorVersion = 1
	cursorSize    = 1 + 8 + 16
)

// encodeCursor returns the cursor of a row. An identifier that is no UUID, which
// the storage does not have, gives "".
func encodeCursor(n *signalbox.Notification) string {
	id, ok := parseUUID(n.ID)
	if !ok {
		return ""
	}
	raw := make([]byte, 0, cursorSize)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(n.Arrived().UnixMicro()))
	raw = append(raw, id[:]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func decodeCursor(cursor string) (*signalbox.Cursor, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) != cursorSize || raw[0] != cursorVersion {
		return nil, errCursor()
	}
	arrived := time.UnixMicro(int64(binary.BigEndian.Uint64(raw[1:9]))).UTC()
	// Databases know fewer years than there are microseconds.
	if arrived.Year() < 1 || arrived.Year() > 9999 {
		return nil, errCursor()
	}
	return &signalbox.Cursor{Arrived: arrived, ID: formatUUID([16]byte(raw[9:]))}, nil
}

func errCursor() error {
	return signalbox.Errorf(signalbox.CodeInput, "request/query/cursor must be a nextCursor of an earlier answer")
}

// parseUUID reads the canonical text form of a UUID, in either case.
func parseUUID(s string) (id [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:]))
	return id, err == nil
}

func formatUUID(id [16]byte) string {
	digits := hex.EncodeToString(id[:])
	return strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-")
}

// canonicalUUID returns a UUID in lower case, in memory of its own.
func canonicalUUID(s string) (string, bool) {
	id, ok := parseUUID(s)
	if !ok {
		return "", false
	}
	return formatUUID(id), true
}
