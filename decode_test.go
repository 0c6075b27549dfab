package signalbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// send returns the body of a valid request to one user, with the payload given.
func send(payload string) string {
	return `{"recipients":{"type":"entity","entityRef":"user:default/jane"},"payload":` + payload + `}`
}

// to returns the body of a valid request with the recipients given.
func to(recipients string) string {
	return `{"recipients":` + recipients + `,"payload":{"title":"t"}}`
}

func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + `{}` + strings.Repeat(`}`, depth-1)
}

func refs(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%q", fmt.Sprintf("user:default/u%04d", i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestDecodeSendRequest(t *testing.T) {
	body := `{
		"recipients": {"type": "entity", "entityRef": ["User:Jane", "user:default/jane", "group:ops/Team"], "excludeEntityRef": "user:bob", "foo": [1, {"a": null}]},
		"payload": {
			"title": "Grüße \ud83d\ude00 \"q\"", "description": "a\tb\r\nc", "link": "/catalog/x", "severity": "HIGH",
			"topic": "t", "scope": "s", "icon": "i", "metadata": {"a": [1, 2.5e3, "<b>"], "a": null},
			"additionalLinks": ["https://example.com", {"title": "Docs", "url": "docs/x", "bar": 1}], "custom": true
		},
		"id": "mine"
	}`
	got, err := DecodeSendRequest([]byte(body), Validator{})
	if err != nil {
		t.Fatal(err)
	}
	want := Decoded{
		Request: SendRequest{
			Recipients: Recipients{
				Type:              RecipientsEntity,
				EntityRefs:        []string{"user:default/jane", "group:ops/team"},
				ExcludeEntityRefs: []string{"user:default/bob"},
			},
			Payload: Payload{
				Title: "Grüße 😀 \"q\"", Description: "a\tb\r\nc", Link: "/catalog/x", Severity: SeverityHigh,
				Topic: "t", Scope: "s", Icon: "i", Metadata: json.RawMessage(`{"a":[1,2.5e3,"<b>"],"a":null}`),
				AdditionalLinks: []AdditionalLink{{URL: "https://example.com"}, {Title: "Docs", URL: "docs/x"}},
			},
		},
		Warnings: []string{
			"unknown field 'recipients.foo' was ignored",
			"unknown field 'payload.additionalLinks[1].bar' was ignored",
			"unknown field 'payload.custom' was ignored",
			"unknown field 'id' was ignored",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The body is the web server's memory: what is decoded must not change with it.
func TestDecodedSharesNoMemory(t *testing.T) {
	body := []byte(send(`{"title":"title","metadata":{"a":"b"},"unknown":1}`))
	got, err := DecodeSendRequest(body, Validator{})
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v", got)
	for i := range body {
		body[i] = 'X'
	}
	if after := fmt.Sprintf("%+v", got); after != before {
		t.Errorf("was %s, is %s", before, after)
	}
}

func TestDecodeAccepts(t *testing.T) {
	for name, body := range map[string]string{
		"broadcast":               to(`{"type":"broadcast"}`),
		"optional fields null":    send(`{"title":"t","description":null,"link":null,"severity":null,"topic":null,"scope":null,"icon":null,"metadata":null,"additionalLinks":null}`),
		"exclude null":            to(`{"type":"entity","entityRef":"user:jane","excludeEntityRef":null}`),
		"repeated key":            send(`{"title":"a","title":"t"}`),
		"longest title":           send(`{"title":"` + strings.Repeat("ü", MaxTitle) + `"}`),
		"longest description":     send(`{"title":"t","description":"` + strings.Repeat("😀", MaxDescription) + `"}`),
		"most recipients":         to(`{"type":"entity","entityRef":` + refs(MaxEntityRefs) + `}`),
		"deepest metadata":        send(`{"title":"t","metadata":` + nested(MaxDepth) + `}`),
		"largest metadata":        send(`{"title":"t","metadata":{ "a" : "` + strings.Repeat("<", MaxMetadata-8) + `" } }`),
		"https link":              send(`{"title":"t","link":"HTTPS://example.com/a b?c=100%"}`),
		"protocol-relative link":  send(`{"title":"t","link":"//example.com/x"}`),
		"colon in a later part":   send(`{"title":"t","link":"catalog/default:x/y:z"}`),
		"lone surrogate":          send(`{"title":"\ud83d"}`),
		"surrounding white space": " \r\n" + send(`{"title":"t"}`) + "\t\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeSendRequest([]byte(body), Validator{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Request.Payload.Severity != SeverityNormal {
				t.Errorf("severity is %q", got.Request.Payload.Severity)
			}
			if len(got.Warnings) > 0 {
				t.Errorf("warnings: %q", got.Warnings)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	const (
		entityRef = `Failed to send user notifications; caused by Error: Entity reference "not a ref" had missing or empty kind (e.g. did not start with "component:" or similar)`
		badLink   = "Invalid link provided; caused by Error: Only HTTP/HTTPS links are allowed"
		badURL    = "Invalid link provided; caused by TypeError: Invalid URL"
		severity  = "request/body/payload/severity must be equal to one of the allowed values: critical, high, normal, low"
		badType   = "request/body/recipients must have required property 'entityRef', request/body/recipients/type must be equal to one of the allowed values: broadcast, request/body/recipients must match exactly one schema in oneOf"
	)
	for name, c := range map[string]struct{ body, want string }{
		"empty":                   {``, "Unexpected end of JSON input"},
		"cut":                     {`{"recipients":`, "Unexpected end of JSON input"},
		"cut in a string":         {`{"recip`, "Unterminated string in JSON at position 7"},
		"malformed":               {`{nope`, "Expected property name or '}' in JSON at position 1"},
		"comma before the end":    {`{"a":1,}`, "Expected double-quoted property name in JSON at position 7"},
		"no colon":                {`{"a" 1}`, "Expected ':' after property name in JSON at position 5"},
		"no comma":                {`{"a":1 "b"}`, "Expected ',' or '}' after property value in JSON at position 7"},
		"no comma in an array":    {`{"a":[1 2]}`, "Expected ',' or ']' after array element in JSON at position 8"},
		"no value":                {`{"a":x}`, "Unexpected token 'x' in JSON at position 5"},
		"trailing garbage":        {to(`{"type":"broadcast"}`) + `x`, "Unexpected non-whitespace character after JSON at position 59"},
		"raw control character":   {send("{\"title\":\"a\nb\"}"), "Bad control character in string literal in JSON at position 85"},
		"bad escape":              {send(`{"title":"\x"}`), "Bad escaped character in JSON at position 84"},
		"invalid UTF-8":           {send("{\"title\":\"a\xffb\"}"), "request/body must be valid UTF-8: invalid byte at position 85"},
		"invalid UTF-8, metadata": {send("{\"title\":\"a\",\"metadata\":{\"\xc0\x80\":1}}"), "request/body must be valid UTF-8: invalid byte at position 100"},
		"array":                   {`[]`, "request/body must be object"},
		"no recipients":           {`{"payload":{"title":"t"}}`, "request/body must have required property 'recipients'"},
		"no payload":              {`{"recipients":{"type":"broadcast"}}`, "request/body must have required property 'payload'"},
		"recipients null":         {to(`null`), "request/body/recipients must be object"},
		"no type":                 {to(`{"entityRef":"user:jane"}`), "request/body/recipients must have required property 'type'"},
		"bad type":                {to(`{"type":"nope"}`), badType},
		"no entityRef":            {to(`{"type":"entity"}`), badType},
		"bad type, entityRef":     {to(`{"type":"nope","entityRef":"user:jane"}`), "request/body/recipients/type must be equal to one of the allowed values: entity, broadcast"},
		"type number":             {to(`{"type":1}`), "request/body/recipients/type must be string"},
		"entityRef null":          {to(`{"type":"entity","entityRef":null}`), "request/body/recipients/entityRef must be string or array"},
		"entityRef empty":         {to(`{"type":"entity","entityRef":[]}`), "request/body/recipients/entityRef must NOT have fewer than 1 items"},
		"entityRef element":       {to(`{"type":"entity","entityRef":["user:jane",1]}`), "request/body/recipients/entityRef/1 must be string"},
		"too many recipients":     {to(`{"type":"entity","entityRef":` + refs(10_000) + `}`), "request/body/recipients/entityRef must NOT have more than 1000 items"},
		"too many excluded":       {to(`{"type":"entity","entityRef":"user:jane","excludeEntityRef":` + refs(1_001) + `}`), "request/body/recipients/excludeEntityRef must NOT have more than 1000 items"},
		"bad ref":                 {to(`{"type":"entity","entityRef":"not a ref"}`), entityRef},
		"bad excluded ref":        {to(`{"type":"entity","entityRef":"user:jane","excludeEntityRef":["not a ref"]}`), entityRef},
		"long ref":                {to(`{"type":"entity","entityRef":"user:` + strings.Repeat("x", 300) + `"}`), "request/body/recipients/entityRef/0 must NOT have more than 255 characters"},
		"payload null":            {send(`null`), "request/body/payload must be object"},
		"no title":                {send(`{}`), "request/body/payload must have required property 'title'"},
		"title null":              {send(`{"title":null}`), "request/body/payload/title must be string"},
		"title number":            {send(`{"title":1}`), "request/body/payload/title must be string"},
		"title empty":             {send(`{"title":""}`), "request/body/payload/title must NOT be empty"},
		"title blank":             {send(`{"title":" \t\u00a0"}`), "request/body/payload/title must NOT be empty"},
		"title long":              {send(`{"title":"` + strings.Repeat("x", MaxTitle+1) + `"}`), "request/body/payload/title must NOT have more than 1000 characters"},
		"title NUL":               {send(`{"title":"a\u0000"}`), "request/body/payload/title must NOT contain control characters: U+0000"},
		"title line break":        {send(`{"title":"a\nb"}`), "request/body/payload/title must NOT contain control characters: U+000A"},
		"title DEL":               {send(`{"title":"a\u007f"}`), "request/body/payload/title must NOT contain control characters: U+007F"},
		"description number":      {send(`{"title":"t","description":1}`), "request/body/payload/description must be string"},
		"description bell":        {send(`{"title":"t","description":"a\u0007"}`), "request/body/payload/description must NOT contain control characters: U+0007"},
		"description long":        {send(`{"title":"t","description":"` + strings.Repeat("x", MaxDescription+1) + `"}`), "request/body/payload/description must NOT have more than 20000 characters"},
		"link number":             {send(`{"title":"t","link":1}`), "request/body/payload/link must be string"},
		"link javascript":         {send(`{"title":"t","link":"javascript:alert(1)"}`), badLink},
		"link javascript, hidden": {send(`{"title":"t","link":" JavaScript:alert(1)"}`), badLink},
		"link javascript, slash":  {send(`{"title":"t","link":"/javascript:alert(1)"}`), badLink},
		"link javascript, tab":    {send(`{"title":"t","link":"java\tscript:alert(1)"}`), "request/body/payload/link must NOT contain control characters: U+0009"},
		"link data":               {send(`{"title":"t","link":"data:text/html,x"}`), badLink},
		"link without host":       {send(`{"title":"t","link":"https://"}`), badURL},
		"link with a bad host":    {send(`{"title":"t","link":"https://exa mple.com/"}`), badURL},
		"link long":               {send(`{"title":"t","link":"https://e.x/` + strings.Repeat("x", MaxLink) + `"}`), "request/body/payload/link must NOT have more than 2048 characters"},
		"severity unknown":        {send(`{"title":"t","severity":"mega"}`), severity},
		"severity empty":          {send(`{"title":"t","severity":""}`), severity},
		"severity number":         {send(`{"title":"t","severity":3}`), "request/body/payload/severity must be string"},
		"topic object":            {send(`{"title":"t","topic":{}}`), "request/body/payload/topic must be string"},
		"topic long":              {send(`{"title":"t","topic":"` + strings.Repeat("x", 256) + `"}`), "request/body/payload/topic must NOT have more than 255 characters"},
		"topic line break":        {send(`{"title":"t","topic":"a\nb"}`), "request/body/payload/topic must NOT contain control characters: U+000A"},
		"scope long":              {send(`{"title":"t","scope":"` + strings.Repeat("x", 256) + `"}`), "request/body/payload/scope must NOT have more than 255 characters"},
		"scope array":             {send(`{"title":"t","scope":[]}`), "request/body/payload/scope must be string"},
		"icon long":               {send(`{"title":"t","icon":"` + strings.Repeat("x", 256) + `"}`), "request/body/payload/icon must NOT have more than 255 characters"},
		"icon boolean":            {send(`{"title":"t","icon":true}`), "request/body/payload/icon must be string"},
		"metadata array":          {send(`{"title":"t","metadata":[]}`), "request/body/payload/metadata must be object"},
		"metadata string":         {send(`{"title":"t","metadata":"{}"}`), "request/body/payload/metadata must be object"},
		"metadata large":          {send(`{"title":"t","metadata":{"a":"` + strings.Repeat("x", MaxMetadata) + `"}}`), "request/body/payload/metadata must NOT be larger than 32768 bytes of JSON"},
		"metadata deep":           {send(`{"title":"t","metadata":` + nested(MaxDepth+1) + `}`), "request/body/payload/metadata must NOT be nested more than 64 levels deep"},
		"unknown field deep":      {send(`{"title":"t","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`), "request/body must NOT be nested more than 64 levels deep"},
		"links string":            {send(`{"title":"t","additionalLinks":"https://x.y"}`), "request/body/payload/additionalLinks must be array"},
		"links number":            {send(`{"title":"t","additionalLinks":["/a",1]}`), "request/body/payload/additionalLinks/1 must be string or object"},
		"links without url":       {send(`{"title":"t","additionalLinks":[{"title":"a"}]}`), "request/body/payload/additionalLinks/0 must have required property 'url'"},
		"links url null":          {send(`{"title":"t","additionalLinks":[{"url":null}]}`), "request/body/payload/additionalLinks/0/url must be string"},
		"links url empty":         {send(`{"title":"t","additionalLinks":[""]}`), "request/body/payload/additionalLinks/0/url must NOT be empty"},
		"links title number":      {send(`{"title":"t","additionalLinks":[{"url":"/a","title":1}]}`), "request/body/payload/additionalLinks/0/title must be string"},
		"links title long":        {send(`{"title":"t","additionalLinks":[{"url":"/a","title":"` + strings.Repeat("x", 256) + `"}]}`), "request/body/payload/additionalLinks/0/title must NOT have more than 255 characters"},
		"links javascript":        {send(`{"title":"t","additionalLinks":["/a",{"url":"javascript:x"}]}`), "request/body/payload/additionalLinks/1/url: " + badLink},
		"links many":              {send(`{"title":"t","additionalLinks":[` + strings.Repeat(`"/a",`, MaxAdditionalLinks) + `"/a"]}`), "request/body/payload/additionalLinks must NOT have more than 20 items"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeSendRequest([]byte(c.body), Validator{})
			wantInputError(t, err, c.want)
		})
	}
}

func wantInputError(t *testing.T, err error, message string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("no coded error: %v", err)
	}
	if e.Code != CodeInput || e.Message != message {
		t.Errorf("%s: %s\nwant: %s", e.Code, e.Message, message)
	}
}

func TestDecodeCause(t *testing.T) {
	for body, want := range map[string]ErrorCause{
		send(`{"title":"t","link":"javascript:x"}`): {"Error", "Only HTTP/HTTPS links are allowed"},
		send(`{"title":"t","link":"http://"}`):      {"TypeError", "Invalid URL"},
		to(`{"type":"entity","entityRef":"x"}`):     {"Error", `Entity reference "x" had missing or empty kind (e.g. did not start with "component:" or similar)`},
	} {
		_, err := DecodeSendRequest([]byte(body), Validator{})
		var e *Error
		if !errors.As(err, &e) || e.Cause == nil {
			t.Errorf("%s: no cause: %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, *e.Cause); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDecodeWarnings(t *testing.T) {
	t.Run("broadcast with references", func(t *testing.T) {
		got, err := DecodeSendRequest([]byte(to(`{"type":"broadcast","entityRef":"user:jane"}`)), Validator{})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Warnings) != 1 || len(got.Request.Recipients.EntityRefs) > 0 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("bounded", func(t *testing.T) {
		fields := make([]string, 100)
		for i := range fields {
			fields[i] = fmt.Sprintf(`"%s%d":1`, strings.Repeat("ü", 50), i)
		}
		got, err := DecodeSendRequest([]byte(send(`{"title":"t",`+strings.Join(fields, ",")+`}`)), Validator{})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Warnings) != MaxWarnings || got.Warnings[MaxWarnings-1] != "81 more unknown fields were ignored" {
			t.Errorf("%d warnings, last %q", len(got.Warnings), got.Warnings[len(got.Warnings)-1])
		}
		if len(got.Warnings[0]) > 120 {
			t.Errorf("long warning: %q", got.Warnings[0])
		}
	})
}

func TestDecodeBatch(t *testing.T) {
	good := send(`{"title":"t"}`)
	got, err := DecodeBatch([]byte("["+good+","+send(`{"title":"u","x":1}`)+"]"), Validator{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Request.Payload.Title != "t" || got[1].Request.Payload.Title != "u" ||
		len(got[0].Warnings) != 0 || len(got[1].Warnings) != 1 {
		t.Errorf("got %+v", got)
	}
	for name, c := range map[string]struct{ body, want string }{
		"object":     {good, "request/body must be array"},
		"empty":      {`[]`, "request/body must NOT have fewer than 1 items"},
		"too many":   {"[" + strings.Repeat(good+",", MaxBatch) + good + "]", "request/body must NOT have more than 1000 items"},
		"no title":   {"[" + good + "," + send(`{}`) + "]", "request/body/1/payload must have required property 'title'"},
		"not object": {"[1]", "request/body/0 must be object"},
		"long topic": {"[" + send(`{"title":"t","topic":"`+strings.Repeat("x", 256)+`"}`) + "]", "request/body/0/payload/topic must NOT have more than 255 characters"},
		"bad link":   {"[" + good + "," + send(`{"title":"t","link":"ftp://x"}`) + "]", "request/body/1: Invalid link provided; caused by Error: Only HTTP/HTTPS links are allowed"},
		"cut":        {"[" + good, "Unexpected end of JSON input"},
		"garbage":    {"[" + good + "]]", fmt.Sprintf("Unexpected non-whitespace character after JSON at position %d", len(good)+2)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeBatch([]byte(c.body), Validator{})
			wantInputError(t, err, c.want)
		})
	}
}

func BenchmarkDecodeSendRequest(b *testing.B) {
	body := []byte(send(`{"title":"Deployment of service-0 finished","description":"The pipeline reached its last stage; 214 checks passed.","link":"/ci/1","topic":"deployments","severity":"high","metadata":{"build":17}}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeSendRequest(body, Validator{}); err != nil {
			b.Fatal(err)
		}
	}
}
