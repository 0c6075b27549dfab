package storage

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/storage/database"
)

// canonicalUUID returns id in lower case, and whether it is a UUID in its
// canonical form. PostgreSQL would refuse anything else with an error and
// accept more spellings; SQLite stores text.
func canonicalUUID(id string) (string, bool) {
	if len(id) != 36 {
		return "", false
	}
	upper := false
	for i := range len(id) {
		switch c := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f':
		case 'A' <= c && c <= 'F':
			upper = true
		default:
			return "", false
		}
	}
	if upper {
		id = strings.ToLower(id)
	}
	return id, true
}

// uuidsOf keeps the UUIDs among ids, in their canonical form.
func uuidsOf(ids []string) []string {
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		if id, ok := canonicalUUID(id); ok {
			list = append(list, id)
		}
	}
	return list
}

// uuidAt returns the smallest UUID that begins with the 48-bit timestamp of t in
// milliseconds, as UUIDv7 and signalbox.NotificationID do.
func uuidAt(t time.Time) string {
	ms := min(max(t.UnixMilli(), 0), 1<<48-1)
	stamp := fmt.Sprintf("%012x", ms)
	return stamp[:8] + "-" + stamp[8:] + "-0000-0000-000000000000"
}

// stampSize is the length of the time at the beginning of an identifier.
const stampSize = len("019aa3f2-5c3e")

// timeOfStamp is the time at the beginning of an identifier.
func timeOfStamp(stamp string) time.Time {
	ms, err := strconv.ParseInt(strings.ReplaceAll(stamp[:stampSize], "-", ""), 16, 64)
	if err != nil {
		return time.Time{} // identifiers are hexadecimal
	}
	return time.UnixMilli(ms).UTC()
}

// storable reports whether s can be in the database at all: PostgreSQL refuses
// NUL and invalid UTF-8 even in a comparison.
func storable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// printable replaces what PostgreSQL cannot store, for texts that come from
// anywhere, such as errors.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// listArg turns a list into one argument: PostgreSQL takes it as an array,
// SQLite as JSON.
func listArg(dialect database.Dialect, list []string) any {
	if dialect == database.Postgres {
		return list
	}
	encoded, _ := json.Marshal(list) // strings always encode
	return string(encoded)
}

// anyUUID is a condition: column is one of the UUIDs in a listArg parameter.
func anyUUID(dialect database.Dialect, column, parameter string) string {
	if dialect == database.Postgres {
		return column + " = ANY(" + parameter + "::uuid[])"
	}
	return column + " IN (SELECT value FROM json_each(" + parameter + "))"
}
