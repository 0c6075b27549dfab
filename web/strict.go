package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"

	"github.com/signalbox/signalbox"
)

// decodeStrictly reads a body of Signalbox's own API, which is one JSON object. Unlike
// in Backstage's bodies, unknown fields are refused: a mistyped one would do something
// else than was meant.
func decodeStrictly(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return signalbox.Errorf(signalbox.CodeInput, "request must have required property 'body'")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return signalbox.Errorf(signalbox.CodeInput, "%s", bodyFault(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return signalbox.Errorf(signalbox.CodeInput, "request/body must be one JSON object")
	}
	return nil
}

// bodyFault says what is wrong with a body, in words that do not name Go's types.
func bodyFault(err error) string {
	typed, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return "request/body: " + strings.TrimPrefix(err.Error(), "json: ")
	}
	at := "request/body"
	if typed.Field != "" {
		at += "/" + strings.ReplaceAll(typed.Field, ".", "/")
	}
	return at + " must be " + jsonKind(typed.Type)
}

// jsonKind is the JSON type that becomes a Go type.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Bool:
		return "boolean"
	default:
		return "string"
	}
}
