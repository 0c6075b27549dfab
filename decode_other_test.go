package signalbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func pointer[T any](v T) *T { return &v }

func TestDecodeUpdateRequest(t *testing.T) {
	for body, want := range map[string]UpdateRequest{
		`{"ids":["a","b"],"read":true}`:                 {IDs: []string{"a", "b"}, Change: Change{Read: pointer(true)}},
		`{"ids":[],"saved":false,"read":null,"foo":[]}`: {IDs: []string{}, Change: Change{Saved: pointer(false)}},
		`{"ids":["a"]}`:             {IDs: []string{"a"}},
		`{"filter":{},"read":true}`: {Filter: &Filter{}, Change: Change{Read: pointer(true)}},
		`{"ids":["a"],"snoozedUntil":"2026-01-01T01:00:00+01:00"}`: {
			IDs: []string{"a"}, Change: Change{SnoozedUntil: pointer(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))},
		},
		`{"filter":{"snoozed":true},"snoozedUntil":null}`: {
			Filter: &Filter{Snoozed: true}, Change: Change{SnoozedUntil: &time.Time{}},
		},
		`{"filter":{"snoozed":null},"snoozedUntil":null,"saved":false}`: {
			Filter: &Filter{}, Change: Change{Saved: pointer(false), SnoozedUntil: &time.Time{}},
		},
		`{"filter":{"search":"x","topic":"t","origin":"o","read":false,"saved":true,"createdAfter":"2026-01-01T01:00:00+01:00","minimumSeverity":"HIGH"},"read":true}`: {
			Filter: &Filter{
				Search: "x", Topic: "t", Origin: "o", Read: pointer(false), Saved: pointer(true),
				CreatedAfter: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), MinimumSeverity: SeverityHigh,
			},
			Change: Change{Read: pointer(true)},
		},
	} {
		got, err := DecodeUpdateRequest([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	ids := make([]string, MaxUpdateIDs+1)
	many, _ := json.Marshal(ids)
	for body, want := range map[string]string{
		`{}`:                                    "request/body must have required property 'ids'",
		`{"ids":["a"],"filter":{}}`:             "request/body must have only one of the properties 'ids' and 'filter'",
		`{"ids":"a"}`:                           "request/body/ids must be array",
		`{"ids":[1]}`:                           "request/body/ids/0 must be string",
		`{"ids":[null]}`:                        "request/body/ids/0 must be string",
		`{"ids":` + string(many) + `}`:          "request/body/ids must NOT have more than 1000 items",
		`{"ids":[],"read":"true"}`:              "request/body/read must be boolean",
		`{"ids":[],"saved":1}`:                  "request/body/saved must be boolean",
		`{"ids":[],"snoozedUntil":1}`:           "request/body/snoozedUntil must be string",
		`{"ids":[],"snoozedUntil":"never"}`:     "request/body/snoozedUntil must be a date: Unexpected date format",
		`{"filter":{"snoozed":1}}`:              "request/body/filter/snoozed must be boolean",
		`{"filter":{}}`:                         "request/body must have at least one of the properties 'read', 'saved' and 'snoozedUntil' with a filter",
		`{"filter":[],"read":true}`:             "request/body/filter must be object",
		`{"filter":{"serach":"x"}}`:             "request/body/filter must NOT have additional property 'serach'",
		`{"filter":{"search":1}}`:               "request/body/filter/search must be string",
		`{"filter":{"read":1}}`:                 "request/body/filter/read must be boolean",
		`{"filter":{"search":"\u0000"}}`:        "request/body/filter/search must NOT contain control characters: U+0000",
		`{"filter":{"createdAfter":"never"}}`:   "request/body/filter/createdAfter must be a date: Unexpected date format",
		`{"filter":{"minimumSeverity":"mega"}}`: "request/body/filter/minimumSeverity must be equal to one of the allowed values: critical, high, normal, low",
		`{"filter":{"topic":"` + strings.Repeat("x", 256) + `"}}`: "request/body/filter/topic must NOT have more than 255 characters",
		`[]`:          "request/body must be object",
		`{"ids":[]}]`: "Unexpected non-whitespace character after JSON at position 10",
	} {
		_, err := DecodeUpdateRequest([]byte(body))
		wantInputError(t, err, want)
	}
}

func TestDecodeSignal(t *testing.T) {
	for body, want := range map[string]Signal{
		`{"recipients":{"type":"broadcast"},"channel":"c","message":{"a": 1},"x":1}`:              {Channel: "c", Broadcast: true, Message: json.RawMessage(`{"a": 1}`)},
		`{"recipients":{"type":"user","entityRef":"User:A"},"channel":"c","message":null}`:        {Channel: "c", Recipients: []string{"user:default/a"}, Message: json.RawMessage(`null`)},
		`{"recipients":{"type":"entity","entityRef":["group:a"]},"channel":"c","message":"text"}`: {Channel: "c", Recipients: []string{"group:default/a"}, Message: json.RawMessage(`"text"`)},
	} {
		got, err := DecodeSignal([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	signal := func(recipients, channel, message string) string {
		return fmt.Sprintf(`{"recipients":%s,"channel":%s,"message":%s}`, recipients, channel, message)
	}
	const all = `{"type":"broadcast"}`
	for body, want := range map[string]string{
		`{"channel":"c","message":1}`:                                     "request/body must have required property 'recipients'",
		`{"recipients":{"type":"broadcast"},"message":1}`:                 "request/body must have required property 'channel'",
		`{"recipients":{"type":"broadcast"},"channel":"c"}`:               "request/body must have required property 'message'",
		signal(`[]`, `"c"`, `1`):                                          "request/body/recipients must be object",
		signal(`{"type":"x"}`, `"c"`, `1`):                                "request/body/recipients/type must be equal to one of the allowed values: user, entity, broadcast",
		signal(`{"type":"user"}`, `"c"`, `1`):                             "request/body/recipients must have required property 'entityRef'",
		signal(`{"type":"user","entityRef":[]}`, `"c"`, `1`):              "request/body/recipients/entityRef must NOT have fewer than 1 items",
		signal(`{"type":"user","entityRef":"x"}`, `"c"`, `1`):             `request/body/recipients/entityRef/0: entity reference "x" had missing or empty kind (e.g. did not start with "component:" or similar)`,
		signal(`{"type":"user","entityRef":`+refs(1001)+`}`, `"c"`, `1`):  "request/body/recipients/entityRef must NOT have more than 1000 items",
		signal(all, `1`, `1`):                                             "request/body/channel must be string",
		signal(all, `"a\nb"`, `1`):                                        "request/body/channel must NOT contain control characters: U+000A",
		signal(all, `"c"`, nested(MaxDepth+1)):                            "request/body/message must NOT be nested more than 64 levels deep",
		signal(all, `"c"`, `"`+strings.Repeat("x", MaxSignalMessage)+`"`): "request/body/message must NOT be larger than 65536 bytes of JSON",
	} {
		_, err := DecodeSignal([]byte(body))
		wantInputError(t, err, want)
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 11, 21, 1, 58, 16, 598_000_000, time.UTC)
	for s, want := range map[string]time.Time{
		"2026-11-21T01:58:16.598Z":      want,
		"2026-11-21T02:58:16.598+01:00": want,
		"2026-11-21T01:58:16.598":       want,
		"2026-11-21T01:58Z":             want.Truncate(time.Minute),
		"2026-11-21":                    want.Truncate(24 * time.Hour),
	} {
		if got, err := ParseTime(s); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "never", "2026-13-01", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00"} {
		if got, err := ParseTime(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// What a processor leaves is held to the same rules and brought into form.
func TestValidatorAfterProcessor(t *testing.T) {
	request := SendRequest{
		Recipients: Recipients{Type: RecipientsEntity, EntityRefs: []string{"User:A", "user:default/a"}},
		Payload:    Payload{Title: "t", Metadata: json.RawMessage("null")},
	}
	if err := (Validator{}).Request(&request); err != nil {
		t.Fatal(err)
	}
	want := SendRequest{
		Recipients: Recipients{Type: RecipientsEntity, EntityRefs: []string{"user:default/a"}},
		Payload:    Payload{Title: "t", Severity: SeverityNormal},
	}
	if diff := cmp.Diff(want, request); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		payload Payload
		want    string
	}{
		{Payload{}, "payload/title must NOT be empty"},
		{Payload{Title: "a\xff"}, "payload/title must be valid UTF-8"},
		{Payload{Title: "t", Severity: "mega"}, "payload/severity must be equal to one of the allowed values: critical, high, normal, low"},
		{Payload{Title: "t", Metadata: json.RawMessage(`[]`)}, "payload/metadata must be object"},
		{Payload{Title: "t", Metadata: json.RawMessage(`{"a":}`)}, "payload/metadata must be a JSON object: Unexpected token '}' in JSON at position 5"},
		{Payload{Title: "t", Metadata: json.RawMessage(`{}{}`)}, "payload/metadata must be a JSON object: Unexpected non-whitespace character after JSON at position 2"},
		{Payload{Title: "t", Metadata: json.RawMessage("{\"a\":\"\xff\"}")}, "payload/metadata must be valid UTF-8"},
	} {
		wantInputError(t, (Validator{}).Payload(&c.payload), c.want)
	}
	wantInputError(t, (Validator{}).Request(&SendRequest{Payload: Payload{Title: "t"}}),
		"request/recipients/type must be equal to one of the allowed values: entity, broadcast")
}

// The queue encodes a request with encoding/json, which escapes some characters
// for HTML's sake: that must not make metadata too large.
func TestMetadataSizeSurvivesEncoding(t *testing.T) {
	text := strings.Repeat("<>&", (MaxMetadata-8-3)/3) + "\u2028"
	text += strings.Repeat("x", MaxMetadata-8-len(text))
	decoded, err := DecodeSendRequest([]byte(send(`{"title":"t","metadata":{"a":"`+text+`"}}`)), Validator{})
	if err != nil {
		t.Fatal(err)
	}
	if size := metadataSize(decoded.Request.Payload.Metadata); size != MaxMetadata {
		t.Fatalf("size %d", size)
	}
	encoded, err := json.Marshal(decoded.Request)
	if err != nil {
		t.Fatal(err)
	}
	var again SendRequest
	if err := json.Unmarshal(encoded, &again); err != nil {
		t.Fatal(err)
	}
	if len(again.Payload.Metadata) <= MaxMetadata {
		t.Fatal("encoding did not escape")
	}
	if err := (Validator{}).Request(&again); err != nil {
		t.Error(err)
	}
	for data, want := range map[string]int{
		`{"a" : "\u003C\\u003c\n\u00e9\u2029"}`: len(`{"a":"<\\u003c\n\u00e9   "}`),
		" {\t} \n":                              2,
	} {
		if got := metadataSize([]byte(data)); got != want {
			t.Errorf("%s: %d, want %d", data, got, want)
		}
	}
}
