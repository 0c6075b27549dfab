package signalbox

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// readAny reads any JSON into what encoding/json makes of it.
func readAny(r *jsonReader) (any, error) {
	kind, err := r.peek()
	if err != nil {
		return nil, err
	}
	switch kind {
	case jsonObject:
		object := map[string]any{}
		return object, r.object(func(key []byte) error {
			name := string(key)
			value, err := readAny(r)
			object[name] = value
			return err
		})
	case jsonArray:
		array := []any{}
		err := r.array(func(int) error {
			value, err := readAny(r)
			array = append(array, value)
			return err
		})
		return array, err
	case jsonString:
		text, err := r.text()
		return string(text), err
	case jsonNumber:
		start := r.pos
		err := r.number()
		return json.Number(r.data[start:r.pos]), err
	case jsonNull:
		return nil, r.literal("null")
	default:
		return r.boolean()
	}
}

// What the reader takes for JSON, and what it reads, is what encoding/json does.
func FuzzJSONReader(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `{}`, `[]`, `{"a":[1,-0,2.5,1e9,-1E-2,true,false,null,"x"]}`, `"\u00e9\ud83d\ude00\ud83d\n\/"`, `"\ud83d\u0041"`,
		`01`, `-`, `1.`, `.5`, `1e`, `+1`, `nul`, `nulll`, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{"a"}`, `"\x"`, `"\u12g4"`, "\"\n\"",
		`"a`, `[[[[`, `{"a":1}x`, "\xef\xbb\xbf{}", "\"\x7f\"", `{"a":1,"a":2}`, "[1\v]", `"\`, `"\u`, `[-]`, `[1.x]`, `truex`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) || strings.Count(string(data), "[")+strings.Count(string(data), "{") > 1000 {
			return
		}
		r := &jsonReader{data: data}
		got, err := readAny(r)
		if err == nil {
			err = r.end()
		}
		if valid := json.Valid(data); valid != (err == nil) {
			t.Fatalf("%q: valid is %v, error is %v", data, valid, err)
		}
		if err != nil {
			return
		}
		decoder := json.NewDecoder(strings.NewReader(string(data)))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, want %#v", data, got, want)
		}
		skipping := &jsonReader{data: data}
		if raw, err := skipping.value(""); err == nil && string(raw) != strings.Trim(string(data), " \t\r\n") {
			t.Errorf("%q: value is %q", data, raw)
		}
	})
}

// What is accepted stays valid and the same through a JSON round trip, as it
// makes through the queue.
func FuzzDecodeSendRequest(f *testing.F) {
	for _, seed := range []string{
		send(`{"title":"t"}`), to(`{"type":"broadcast"}`), to(`{"type":"entity","entityRef":["User:A","user:a/b"],"excludeEntityRef":"group:c"}`),
		send(`{"title":"<&>\u2028","description":"a\nb","link":"//x","severity":"LOW","topic":"t","scope":"s","icon":"i","additionalLinks":["a",{"url":"b","title":null}],"metadata":{"a":"<\u003c\\u003c\u2028"}}`),
		send(`{"title":"\ud800","metadata":{"":[]},"x":{"y":[{}]}}`), send(`null`), `[`, send(`{"title":"t","metadata":null,"metadata":{"a" : 1}}`),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		original := string(body)
		decoded, err := DecodeSendRequest(body, Validator{})
		if string(body) != original {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if ErrorCode(err) != CodeInput || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted %q", body)
		}
		encoded, err := json.Marshal(decoded.Request)
		if err != nil {
			t.Fatal(err)
		}
		var again SendRequest
		if err := json.Unmarshal(encoded, &again); err != nil {
			t.Fatal(err)
		}
		if err := (Validator{}).Request(&again); err != nil {
			t.Fatalf("%s is no longer valid: %v", encoded, err)
		}
		reencoded, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if string(encoded) != string(reencoded) {
			t.Errorf("was %s, is %s", encoded, reencoded)
		}
	})
}

func FuzzDecodeOthers(f *testing.F) {
	f.Add([]byte(`{"ids":["a"],"read":true,"saved":null}`))
	f.Add([]byte(`{"filter":{"search":"x","topic":"t","origin":"o","read":false,"saved":true,"createdAfter":"2026-01-01T00:00:00Z","minimumSeverity":"low"},"read":true}`))
	f.Add([]byte(`{"recipients":{"type":"user","entityRef":["user:a"]},"channel":"c","message":{"a":[1]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, decode := range map[string]func() error{
			"batch":  func() error { _, err := DecodeBatch(body, Validator{}); return err },
			"update": func() error { _, err := DecodeUpdateRequest(body); return err },
			"signal": func() error { _, err := DecodeSignal(body); return err },
		} {
			if err := decode(); err != nil && ErrorCode(err) != CodeInput {
				t.Errorf("%s: %v", name, err)
			} else if err == nil && !json.Valid(body) {
				t.Errorf("%s accepted %q", name, body)
			}
		}
	})
}
