package signalbox

import "time"

// UpdateRequest asks to set flags of one user's notifications, either of those
// with the given identifiers or of all that a filter selects.
type UpdateRequest struct {
	// IDs are as they were sent: they need not exist, and can be empty, which
	// selects nothing. Only if Filter is nil.
	IDs []string
	// Filter selects what to update.
	Filter *Filter
	Change Change
}

// DecodeUpdateRequest reads the body of an update. Unknown fields are tolerated
// as everywhere, except in the filter: there a misspelt one would select more
// than was meant. Errors are as for [DecodeSendRequest].
func DecodeUpdateRequest(body []byte) (UpdateRequest, error) {
	r, err := newBodyReader(body)
	if err != nil {
		return UpdateRequest{}, err
	}
	var (
		request UpdateRequest
		hasIDs  bool
	)
	err = r.fields("", func(key []byte) error {
		switch string(key) {
		case "ids":
			hasIDs = true
			var err error
			request.IDs, err = r.ids("/ids")
			return err
		case "filter":
			request.Filter = &Filter{}
			return r.filter("/filter", request.Filter)
		case "read":
			return r.optionalBool("/read", &request.Change.Read)
		case "saved":
			return r.optionalBool("/saved", &request.Change.Saved)
		case "snoozedUntil":
			return r.snooze("/snoozedUntil", &request.Change.SnoozedUntil)
		default:
			_, err := r.value("")
			return err
		}
	})
	if err == nil {
		err = r.end()
	}
	switch {
	case err != nil:
		return UpdateRequest{}, err
	case hasIDs && request.Filter != nil:
		return UpdateRequest{}, r.invalid("", "must have only one of the properties 'ids' and 'filter'")
	case !hasIDs && request.Filter == nil:
		return UpdateRequest{}, r.invalid("", "must have required property 'ids'")
	case request.Filter != nil && request.Change == (Change{}):
		return UpdateRequest{}, r.invalid("", "must have at least one of the properties 'read', 'saved' and 'snoozedUntil' with a filter")
	}
	return request, nil
}

// snooze reads a time, or null for none, which takes a snooze back.
func (r *jsonReader) snooze(at string, into **time.Time) error {
	var (
		text  string
		until time.Time
	)
	given, err := r.readOptionalText(at, &text)
	if err != nil {
		return err
	}
	if given {
		if until, err = ParseTime(text); err != nil {
			return r.invalid(at, "must be a date: %v", err)
		}
	}
	*into = &until
	return nil
}

func (r *jsonReader) ids(at string) ([]string, error) {
	kind, err := r.peek()
	if err != nil {
		return nil, err
	}
	if kind != jsonArray {
		return nil, r.invalid(at, "must be array")
	}
	return r.readArray(at, MaxUpdateIDs)
}

func (r *jsonReader) filter(at string, f *Filter) error {
	var createdAfter, severity string
	err := r.fields(at, func(key []byte) error {
		switch string(key) {
		case "search":
			return r.optionalText(at+"/search", &f.Search)
		case "topic":
			return r.optionalText(at+"/topic", &f.Topic)
		case "origin":
			return r.optionalText(at+"/origin", &f.Origin)
		case "read":
			return r.optionalBool(at+"/read", &f.Read)
		case "saved":
			return r.optionalBool(at+"/saved", &f.Saved)
		case "snoozed":
			var snoozed *bool
			err := r.optionalBool(at+"/snoozed", &snoozed)
			f.Snoozed = snoozed != nil && *snoozed
			return err
		case "createdAfter":
			return r.optionalText(at+"/createdAfter", &createdAfter)
		case "minimumSeverity":
			return r.optionalText(at+"/minimumSeverity", &severity)
		default:
			return r.invalid(at, "must NOT have additional property '%s'", keyForMessage(key))
		}
	})
	if err != nil {
		return err
	}
	if createdAfter != "" {
		if f.CreatedAfter, err = ParseTime(createdAfter); err != nil {
			return r.invalid(at+"/createdAfter", "must be a date: %v", err)
		}
	}
	if severity != "" {
		if f.MinimumSeverity, err = ParseSeverity(severity); err != nil {
			return r.invalid(at+"/minimumSeverity", "%v", err)
		}
	}
	return f.Validate(r.root + at)
}

// ParseTime reads an ISO 8601 time as callers send it: a date, or a date and a
// time with or without seconds, fraction and offset. Without an offset it is
// UTC. The error is an [Error] with [CodeInput]. The year is within 1 to 9999.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly,
	} {
		t, err := time.Parse(layout, s)
		if err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, Errorf(CodeInput, "Unexpected date format")
}
