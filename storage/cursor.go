package storage

import (
	"encoding/base64"
	"encoding/json"

	"github.com/signalbox/signalbox"
)

// encodeCursor makes a cursor of a place in a list, of which only this package knows
// what is in it.
func encodeCursor(place any) string {
	text, _ := json.Marshal(place) // places are strings, which always encode
	return base64.RawURLEncoding.EncodeToString(text)
}

// decodeCursor reads what encodeCursor made, or somebody else. What is in it has not
// been looked at.
func decodeCursor(cursor string, place any) error {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, place)
}

func errCursor() error {
	return signalbox.Errorf(signalbox.CodeInput, "the cursor is not one of this list")
}
