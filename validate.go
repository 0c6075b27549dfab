package signalbox

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Validator holds the rules that a send request and a payload obey, whoever
// wrote them: the decoder applies it to what senders POST, the pipeline to what
// processors leave.
type Validator struct {
	// Direct are the addresses that may be named as recipients; nil is none.
	Direct *DirectTargets
	// Sender is what the sender may send; nil is everything. What it may not is an
	// [Error] with [CodeNotAllowed] that names the field.
	Sender *SenderRights
}

// Request checks recipients and payload of a send request and brings them into
// their canonical form: an absent severity becomes normal, entity references
// are normalised and doubles are dropped. The error is an [Error] with
// [CodeInput] that names the field.
func (v Validator) Request(request *SendRequest) error {
	return v.request("request", request)
}

// Payload is [Validator.Request] for the payload alone.
func (v Validator) Payload(payload *Payload) error {
	return v.payload("payload", payload)
}

// invalid is the error of one field.
func invalid(at, format string, args ...any) error {
	return &Error{Code: CodeInput, Message: at + " " + fmt.Sprintf(format, args...)}
}

func (v Validator) request(at string, r *SendRequest) error {
	if err := v.recipients(at, &r.Recipients); err != nil {
		return err
	}
	if err := v.payload(at+"/payload", &r.Payload); err != nil {
		return err
	}
	return v.Sender.checkPayload(at+"/payload", &r.Payload)
}

func (v Validator) recipients(at string, r *Recipients) error {
	switch r.Type {
	case RecipientsBroadcast:
		r.EntityRefs, r.ExcludeEntityRefs, r.Targets = nil, nil, nil
		return v.Sender.checkBroadcast(at + "/recipients")
	case RecipientsEntity:
	default:
		return invalid(at+"/recipients/type", "must be equal to one of the allowed values: entity, broadcast")
	}
	if len(r.EntityRefs)+len(r.Targets) == 0 {
		return invalid(at+"/recipients/entityRef", "must NOT have fewer than 1 items")
	}
	given := r.EntityRefs
	entities, targets, err := v.Direct.split(at+"/recipients/entityRef", r.EntityRefs)
	if err != nil {
		return err
	}
	r.EntityRefs = entities
	if r.Targets, err = v.Direct.join(at+"/recipients/targets", r.Targets, targets); err != nil {
		return err
	}
	if r.EntityRefs, err = entityRefs(at+"/recipients/entityRef", r.EntityRefs, MaxEntityRefs); err != nil {
		return unsendable(err)
	}
	if r.ExcludeEntityRefs, err = entityRefs(at+"/recipients/excludeEntityRef", r.ExcludeEntityRefs, MaxExcludeEntityRefs); err != nil {
		return unsendable(err)
	}
	return v.Sender.checkRecipients(at+"/recipients/entityRef", given, v.Direct)
}

// entityRefs normalises references and drops doubles, keeping the order.
func entityRefs(at string, refs []string, limit int) ([]string, error) {
	if len(refs) > limit {
		return nil, invalid(at, "must NOT have more than %d items", limit)
	}
	seen := make(map[string]struct{}, len(refs))
	unique := refs[:0:0]
	for i, s := range refs {
		if len(s) > MaxEntityRef {
			return nil, invalid(at+"/"+strconv.Itoa(i), "must NOT have more than %d characters", MaxEntityRef)
		}
		ref, err := NormalizeEntityRef(s)
		if err != nil {
			return nil, &entityRefError{at: at + "/" + strconv.Itoa(i), err: err}
		}
		if _, ok := seen[ref]; !ok {
			seen[ref] = struct{}{}
			unique = append(unique, ref)
		}
	}
	return unique, nil
}

// entityRefError is a reference that is none. Requests to send and to publish
// word it differently.
type entityRefError struct {
	at  string
	err error
}

func (e *entityRefError) Error() string { return e.at + ": " + e.err.Error() }

// unsendable words an [entityRefError] as Backstage does.
func unsendable(err error) error {
	var bad *entityRefError
	if !errors.As(err, &bad) {
		return err
	}
	return caused("Failed to send user notifications", ErrorCause{Name: "Error", Message: upperFirst(bad.err.Error())})
}

// caused is an input error with a cause, which Backstage also appends to the
// message.
func caused(message string, cause ErrorCause) error {
	return &Error{
		Code:    CodeInput,
		Message: message + "; caused by " + cause.Name + ": " + cause.Message,
		Cause:   &cause,
	}
}

func upperFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

func (v Validator) payload(at string, p *Payload) error {
	if strings.TrimSpace(p.Title) == "" {
		return invalid(at+"/title", "must NOT be empty")
	}
	for _, text := range []struct {
		field, value string
		limit        int
	}{
		{"/title", p.Title, MaxTitle},
		{"/link", p.Link, MaxLink},
		{"/topic", p.Topic, MaxTopic},
		{"/scope", p.Scope, MaxScope},
		{"/icon", p.Icon, MaxIcon},
	} {
		if fault := textFault(text.value, text.limit, false); fault != "" {
			return invalid(at+text.field, "%s", fault)
		}
	}
	if fault := textFault(p.Description, MaxDescription, true); fault != "" {
		return invalid(at+"/description", "%s", fault)
	}
	if p.Link != "" {
		if cause := linkFault(p.Link); cause != nil {
			return caused("Invalid link provided", *cause)
		}
	}
	if p.Severity == "" {
		p.Severity = SeverityNormal
	}
	severity, err := ParseSeverity(string(p.Severity))
	if err != nil {
		return invalid(at+"/severity", "%v", err)
	}
	p.Severity = severity
	if err := v.additionalLinks(at, p.AdditionalLinks); err != nil {
		return err
	}
	return v.metadata(at+"/metadata", p)
}

func (v Validator) additionalLinks(at string, links []AdditionalLink) error {
	if len(links) > MaxAdditionalLinks {
		return invalid(at+"/additionalLinks", "must NOT have more than %d items", MaxAdditionalLinks)
	}
	for i, link := range links {
		here := at + "/additionalLinks/" + strconv.Itoa(i)
		if strings.TrimSpace(link.URL) == "" {
			return invalid(here+"/url", "must NOT be empty")
		}
		if fault := textFault(link.URL, MaxLink, false); fault != "" {
			return invalid(here+"/url", "%s", fault)
		}
		if fault := textFault(link.Title, MaxLinkTitle, false); fault != "" {
			return invalid(here+"/title", "%s", fault)
		}
		if cause := linkFault(link.URL); cause != nil {
			return caused(here+"/url: Invalid link provided", *cause)
		}
	}
	return nil
}

func (v Validator) metadata(at string, p *Payload) error {
	if len(bytes.TrimSpace(p.Metadata)) == 0 || string(p.Metadata) == "null" {
		p.Metadata = nil
		return nil
	}
	if !utf8.Valid(p.Metadata) {
		return invalid(at, "must be valid UTF-8")
	}
	r := &jsonReader{data: p.Metadata, root: at}
	kind, err := r.peek()
	if err == nil && kind != jsonObject {
		return invalid(at, "must be object")
	}
	if err == nil {
		_, err = r.value("")
	}
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return invalid(at, "must be a JSON object: %v", err)
	}
	if metadataSize(p.Metadata) > MaxMetadata {
		return invalid(at, "must NOT be larger than %d bytes of JSON", MaxMetadata)
	}
	return nil
}

// metadataSize is the size of valid JSON without white space between its tokens
// and with the characters that encoding/json escapes for HTML's sake counted as
// themselves. So the size stays the same however often the value was encoded.
func metadataSize(data []byte) int {
	size := 0
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			step, counts := escapeSize(data[i:])
			i += step - 1
			size += counts
			continue
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		size++
	}
	return size
}

// escapeSize returns how long the escape sequence at the start of data is, and
// for how much it counts.
func escapeSize(data []byte) (length, counts int) {
	if data[1] != 'u' {
		return 2, 2
	}
	switch strings.ToLower(string(data[2:6])) {
	case "003c", "003e", "0026":
		return 6, 1
	case "2028", "2029":
		return 6, 3
	default:
		return 6, 6
	}
}

// textFault says what is wrong with a text field, or "". Control characters
// are C0 and U+007F; tab and line breaks pass in multi-line text.
func textFault(s string, limit int, multiline bool) string {
	if !utf8.ValidString(s) {
		return "must be valid UTF-8"
	}
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != 0x7f || multiline && (c == '\t' || c == '\n' || c == '\r') {
			continue
		}
		return fmt.Sprintf("must NOT contain control characters: U+%04X", c)
	}
	if len(s) > limit && utf8.RuneCountInString(s) > limit {
		return fmt.Sprintf("must NOT have more than %d characters", limit)
	}
	return ""
}

// linkFault says why a link does not pass, or nil. As in Backstage, a leading
// slash is taken off and the rest is resolved against the app's base URL. That
// is http or https in every installation, so a link without a scheme passes. The
// rules for scheme and host are those of browsers (WHATWG URL), which will
// follow the link.
func linkFault(link string) *ErrorCause {
	link = strings.Trim(strings.TrimPrefix(link, "/"), " ")
	rest, absolute := link, false
	if end := schemeEnd(link); end > 0 {
		if scheme := strings.ToLower(link[:end]); scheme != "http" && scheme != "https" {
			return &ErrorCause{Name: "Error", Message: "Only HTTP/HTTPS links are allowed"}
		}
		rest, absolute = link[end+1:], true
	}
	if !absolute && (len(rest) < 2 || !isSlash(rest[0]) || !isSlash(rest[1])) {
		return nil
	}
	host := strings.TrimLeft(rest, `/\`)
	if end := strings.IndexAny(host, `/\?#`); end >= 0 {
		host = host[:end]
	}
	if parsed, err := url.Parse("http://" + host); err != nil || parsed.Hostname() == "" {
		return &ErrorCause{Name: "TypeError", Message: "Invalid URL"}
	}
	return nil
}

// schemeEnd returns the position of the colon that ends a URL's scheme, or 0.
func schemeEnd(s string) int {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
		case i > 0 && (isDigit(c) || c == '+' || c == '-' || c == '.'):
		case i > 0 && c == ':':
			return i
		default:
			return 0
		}
	}
	return 0
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// Validate checks the texts of a filter, whose field names are told below at
// (such as "request/query"). The error is an [Error] with [CodeInput].
func (f *Filter) Validate(at string) error {
	for _, text := range []struct {
		field, value string
		limit        int
	}{
		{"/search", f.Search, MaxSearch},
		{"/topic", f.Topic, MaxTopic},
		{"/origin", f.Origin, MaxOrigin},
	} {
		if fault := textFault(text.value, text.limit, false); fault != "" {
			return invalid(at+text.field, "%s", fault)
		}
	}
	if f.MinimumSeverity != "" && !slices.Contains(Severities(), f.MinimumSeverity) {
		return invalid(at+"/minimumSeverity", "must be equal to one of the allowed values: critical, high, normal, low")
	}
	return nil
}
