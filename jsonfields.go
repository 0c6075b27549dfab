package signalbox

import (
	"strconv"
	"unicode/utf8"
)

// This file reads values of a given type. What has another type is an error
// that names the field: at is its place below the reader's root, such as
// "/payload/title".

// invalid is the error of the field at.
func (r *jsonReader) invalid(at, format string, args ...any) error {
	return invalid(r.root+at, format, args...)
}

// fields calls each for the fields of the object that must follow.
func (r *jsonReader) fields(at string, each func(key []byte) error) error {
	kind, err := r.peek()
	if err != nil {
		return err
	}
	if kind != jsonObject {
		return r.invalid(at, "must be object")
	}
	return r.object(each)
}

// null reads a null if one follows, and reports whether it did.
func (r *jsonReader) null() (bool, error) {
	kind, err := r.peek()
	if err != nil || kind != jsonNull {
		return false, err
	}
	return true, r.literal("null")
}

// readText reads the string that must follow.
func (r *jsonReader) readText(at string, into *string) error {
	kind, err := r.peek()
	if err != nil {
		return err
	}
	if kind != jsonString {
		return r.invalid(at, "must be string")
	}
	text, err := r.text()
	*into = string(text)
	return err
}

// readOptionalText reads the string or null that must follow, and reports
// whether it was a string.
func (r *jsonReader) readOptionalText(at string, into *string) (bool, error) {
	*into = ""
	if null, err := r.null(); null || err != nil {
		return false, err
	}
	return true, r.readText(at, into)
}

// optionalText is readOptionalText for whom null and empty are the same.
func (r *jsonReader) optionalText(at string, into *string) error {
	_, err := r.readOptionalText(at, into)
	return err
}

// optionalBool reads the boolean or null that must follow.
func (r *jsonReader) optionalBool(at string, into **bool) error {
	*into = nil
	if null, err := r.null(); null || err != nil {
		return err
	}
	if kind, err := r.peek(); err != nil || kind != jsonBool {
		return r.invalid(at, "must be boolean")
	}
	value, err := r.boolean()
	*into = &value
	return err
}

// readStrings reads the string or the array of strings that must follow.
func (r *jsonReader) readStrings(at string, limit int) ([]string, error) {
	kind, err := r.peek()
	if err != nil {
		return nil, err
	}
	switch kind {
	case jsonString:
		text, err := r.text()
		return []string{string(text)}, err
	case jsonArray:
		return r.readArray(at, limit)
	default:
		return nil, r.invalid(at, "must be string or array")
	}
}

// readArray reads the array of strings that follows.
func (r *jsonReader) readArray(at string, limit int) ([]string, error) {
	list := []string{}
	err := r.array(func(index int) error {
		if index >= limit {
			return r.invalid(at, "must NOT have more than %d items", limit)
		}
		kind, err := r.peek()
		if err != nil {
			return err
		}
		if kind != jsonString {
			return r.invalid(at+"/"+strconv.Itoa(index), "must be string")
		}
		text, err := r.text()
		list = append(list, string(text))
		return err
	})
	return list, err
}

// readOptionalStrings is readStrings for a field that may be null.
func (r *jsonReader) readOptionalStrings(at string, limit int) ([]string, error) {
	if null, err := r.null(); null || err != nil {
		return nil, err
	}
	return r.readStrings(at, limit)
}

// keyForMessage shortens a key that a caller chose.
func keyForMessage(key []byte) string {
	const limit = 64
	if len(key) <= limit {
		return string(key)
	}
	cut := limit
	for !utf8.RuneStart(key[cut]) {
		cut--
	}
	return string(key[:cut]) + "…"
}
