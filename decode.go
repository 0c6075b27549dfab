package signalbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Decoded is a send request as it was sent, valid and in its canonical form.
// It shares no memory with the body it came from.
type Decoded struct {
	// Request has neither ID nor Origin nor Created yet.
	Request SendRequest
	// Warnings name what was tolerated but not understood, at most
	// [MaxWarnings] of them.
	Warnings []string
}

// DecodeSendRequest reads the body of a POST. Unknown fields are tolerated, as
// Backstage does, and named in the warnings; optional fields may be null. What is
// wrong is an [Error] with [CodeInput] that names the field in the wording of
// Backstage's API. rules checks it.
func DecodeSendRequest(body []byte, rules Validator) (Decoded, error) {
	r, err := newBodyReader(body)
	if err != nil {
		return Decoded{}, err
	}
	d := sendDecoder{jsonReader: r, rules: rules}
	if err := d.request(); err != nil {
		return Decoded{}, err
	}
	if err := r.end(); err != nil {
		return Decoded{}, err
	}
	return d.finish()
}

// DecodeBatch reads an array of 1 to [MaxBatch] send requests. The error names
// the index of the one that is wrong, as in request/body/3/payload.
func DecodeBatch(body []byte, rules Validator) ([]Decoded, error) {
	r, err := newBodyReader(body)
	if err != nil {
		return nil, err
	}
	kind, err := r.peek()
	if err != nil {
		return nil, err
	}
	if kind != jsonArray {
		return nil, invalid("request/body", "must be array")
	}
	var batch []Decoded
	err = r.array(func(index int) error {
		if index >= MaxBatch {
			return invalid("request/body", "must NOT have more than %d items", MaxBatch)
		}
		r.root = "request/body/" + strconv.Itoa(index)
		d := sendDecoder{jsonReader: r, rules: rules}
		if err := d.request(); err != nil {
			return err
		}
		one, err := d.finish()
		if err != nil {
			return inItem(d.root, err)
		}
		batch = append(batch, one)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, invalid("request/body", "must NOT have fewer than 1 items")
	}
	return batch, nil
}

// inItem adds where in a batch the error is, unless its message says so already.
func inItem(root string, err error) error {
	var e *Error
	if !errors.As(err, &e) || strings.HasPrefix(e.Message, root) {
		return err
	}
	located := *e
	located.Message = root + ": " + e.Message
	return &located
}

// sendDecoder reads one send request.
type sendDecoder struct {
	*jsonReader
	rules   Validator
	decoded Decoded
	// warnings counts them, those beyond the limit too.
	warnings int
}

func (d *sendDecoder) finish() (Decoded, error) {
	if err := d.rules.request(d.root, &d.decoded.Request); err != nil {
		return Decoded{}, err
	}
	if more := d.warnings - MaxWarnings; more > 0 {
		d.decoded.Warnings[MaxWarnings-1] = fmt.Sprintf("%d more unknown fields were ignored", more+1)
	}
	return d.decoded, nil
}

func (d *sendDecoder) request() error {
	var recipients, payload bool
	err := d.fields("", func(key []byte) error {
		switch string(key) {
		case "recipients":
			recipients = true
			return d.recipients()
		case "payload":
			payload = true
			return d.payload()
		default:
			return d.ignore("", key)
		}
	})
	switch {
	case err != nil:
		return err
	case !recipients:
		return d.invalid("", "must have required property 'recipients'")
	case !payload:
		return d.invalid("", "must have required property 'payload'")
	}
	return nil
}

func (d *sendDecoder) recipients() error {
	const at = "/recipients"
	var hasType, hasRef bool
	to := &d.decoded.Request.Recipients
	*to = Recipients{}
	err := d.fields(at, func(key []byte) (err error) {
		var value string
		switch string(key) {
		case "type":
			hasType = true
			err = d.readText(at+"/type", &value)
			to.Type = RecipientsType(value)
		case "entityRef":
			hasRef = true
			to.EntityRefs, err = d.readStrings(at+"/entityRef", MaxEntityRefs)
		case "excludeEntityRef":
			to.ExcludeEntityRefs, err = d.readOptionalStrings(at+"/excludeEntityRef", MaxExcludeEntityRefs)
		default:
			err = d.ignore("recipients.", key)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !hasType:
		return d.invalid(at, "must have required property 'type'")
	case to.Type == RecipientsBroadcast:
		if hasRef || len(to.ExcludeEntityRefs) > 0 {
			d.warn("recipients.entityRef and recipients.excludeEntityRef were ignored: the recipients are a broadcast")
		}
	case !hasRef:
		// The words are those of Backstage's schema validator, which tells what
		// each of the two alternatives lacks.
		here := d.root + at
		return d.invalid(at, "must have required property 'entityRef', %s/type must be equal to one of the allowed values: broadcast, %s must match exactly one schema in oneOf", here, here)
	}
	return nil
}

func (d *sendDecoder) payload() error {
	const at = "/payload"
	var hasTitle bool
	p := &d.decoded.Request.Payload
	*p = Payload{}
	err := d.fields(at, func(key []byte) error {
		switch string(key) {
		case "title":
			hasTitle = true
			return d.readText(at+"/title", &p.Title)
		case "description":
			return d.optionalText(at+"/description", &p.Description)
		case "link":
			return d.optionalText(at+"/link", &p.Link)
		case "severity":
			return d.severity(at+"/severity", p)
		case "topic":
			return d.optionalText(at+"/topic", &p.Topic)
		case "scope":
			return d.optionalText(at+"/scope", &p.Scope)
		case "icon":
			return d.optionalText(at+"/icon", &p.Icon)
		case "additionalLinks":
			return d.additionalLinks(at+"/additionalLinks", p)
		case "metadata":
			return d.metadata(at+"/metadata", p)
		default:
			return d.ignore("payload.", key)
		}
	})
	if err != nil {
		return err
	}
	if !hasTitle {
		return d.invalid(at, "must have required property 'title'")
	}
	return nil
}

// severity leaves it to the validator to know the severities; only there absent
// and empty are the same.
func (d *sendDecoder) severity(at string, p *Payload) error {
	var value string
	present, err := d.readOptionalText(at, &value)
	if err == nil && present && value == "" {
		err = d.invalid(at, "must be equal to one of the allowed values: critical, high, normal, low")
	}
	p.Severity = Severity(value)
	return err
}

func (d *sendDecoder) metadata(at string, p *Payload) error {
	p.Metadata = nil
	kind, err := d.peek()
	switch {
	case err != nil:
		return err
	case kind == jsonNull:
		return d.literal("null")
	case kind != jsonObject:
		return d.invalid(at, "must be object")
	}
	raw, err := d.value(at)
	if err != nil {
		return err
	}
	// Also the copy that keeps the body from being retained.
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return d.invalid(at, "must be object: %v", err)
	}
	p.Metadata = compact.Bytes()
	return nil
}

func (d *sendDecoder) additionalLinks(at string, p *Payload) error {
	p.AdditionalLinks = nil
	kind, err := d.peek()
	switch {
	case err != nil:
		return err
	case kind == jsonNull:
		return d.literal("null")
	case kind != jsonArray:
		return d.invalid(at, "must be array")
	}
	return d.array(func(index int) error {
		if index >= MaxAdditionalLinks {
			return d.invalid(at, "must NOT have more than %d items", MaxAdditionalLinks)
		}
		link, err := d.additionalLink(at+"/"+strconv.Itoa(index), index)
		p.AdditionalLinks = append(p.AdditionalLinks, link)
		return err
	})
}

func (d *sendDecoder) additionalLink(at string, index int) (link AdditionalLink, err error) {
	kind, err := d.peek()
	switch {
	case err != nil:
		return link, err
	case kind == jsonString:
		return link, d.readText(at, &link.URL)
	case kind != jsonObject:
		return link, d.invalid(at, "must be string or object")
	}
	var hasURL bool
	err = d.object(func(key []byte) error {
		switch string(key) {
		case "url":
			hasURL = true
			return d.readText(at+"/url", &link.URL)
		case "title":
			return d.optionalText(at+"/title", &link.Title)
		default:
			return d.ignore("payload.additionalLinks["+strconv.Itoa(index)+"].", key)
		}
	})
	if err == nil && !hasURL {
		err = d.invalid(at, "must have required property 'url'")
	}
	return link, err
}

// ignore skips the value of an unknown field and warns of it.
func (d *sendDecoder) ignore(parent string, key []byte) error {
	d.warn("unknown field '" + parent + keyForMessage(key) + "' was ignored")
	_, err := d.value("")
	return err
}

func (d *sendDecoder) warn(warning string) {
	d.warnings++
	if len(d.decoded.Warnings) < MaxWarnings {
		d.decoded.Warnings = append(d.decoded.Warnings, warning)
	}
}
