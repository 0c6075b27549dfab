package web

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// Limits of a list query.
const (
	// DefaultLimit is the page size of a list without a limit. Backstage would
	// return the whole inbox.
	DefaultLimit = 1_000
	// MaxLimit bounds the page size.
	MaxLimit = 1_000
	// MaxOffset bounds the rows skipped; beyond, pages are to be had by cursor.
	MaxOffset = 1_000_000
)

var (
	filterParameters = []string{"search", "topic", "origin", "read", "saved", "snoozed", "createdAfter", "minimumSeverity"}
	pageParameters   = []string{"offset", "limit", "orderField", "cursor"}
)

// query is the query of a request: known parameters only, copied out of the
// request's memory.
type query map[string][]string

// readQuery refuses parameters that are not in known, and repetitions of all
// but orderField.
func readQuery(c *fiber.Ctx, known ...[]string) (query, error) {
	q := query{}
	var err error
	c.Context().QueryArgs().VisitAll(func(key, value []byte) {
		name := string(key)
		switch {
		case err != nil:
		case !slices.ContainsFunc(known, func(names []string) bool { return slices.Contains(names, name) }):
			err = signalbox.Errorf(signalbox.CodeInput, "Unknown query parameter '%s'", shortened(name))
		case len(q[name]) > 0 && name != "orderField":
			err = signalbox.Errorf(signalbox.CodeInput, "request/query/%s must be given only once", name)
		default:
			q[name] = append(q[name], string(value))
		}
	})
	return q, err
}

func shortened(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if runes := []rune(name); len(runes) > 64 {
		return string(runes[:64]) + "…"
	}
	return name
}

// get returns a parameter, or "".
func (q query) get(name string) string {
	if values := q[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// filter reads the parameters that select.
func (q query) filter() (signalbox.Filter, error) {
	f := signalbox.Filter{Search: q.get("search"), Topic: q.get("topic"), Origin: q.get("origin")}
	var err error
	if f.Read, err = q.boolean("read"); err != nil {
		return f, err
	}
	if f.Saved, err = q.boolean("saved"); err != nil {
		return f, err
	}
	snoozed, err := q.boolean("snoozed")
	if err != nil {
		return f, err
	}
	f.Snoozed = snoozed != nil && *snoozed
	if created, given := q["createdAfter"]; given {
		if f.CreatedAfter, err = signalbox.ParseTime(created[0]); err != nil {
			return f, err
		}
	}
	if severity, given := q["minimumSeverity"]; given {
		if f.MinimumSeverity, err = signalbox.ParseSeverity(severity[0]); err != nil {
			return f, signalbox.Errorf(signalbox.CodeInput, "request/query/minimumSeverity %v", err)
		}
	}
	return f, f.Validate("request/query")
}

// page reads the parameters that order and cut.
func (q query) page() (signalbox.Page, error) {
	page := signalbox.Page{HasLimit: true}
	var err error
	if page.Offset, err = q.integer("offset", 0, MaxOffset); err != nil {
		return page, err
	}
	if page.Limit, err = q.integer("limit", DefaultLimit, MaxLimit); err != nil {
		return page, err
	}
	if page.Order, err = readOrder(q["orderField"]); err != nil {
		return page, err
	}
	cursor, given := q["cursor"]
	if !given {
		return page, nil
	}
	for _, name := range []string{"offset", "orderField"} {
		if _, also := q[name]; also {
			return page, signalbox.Errorf(signalbox.CodeInput, "request/query/cursor must NOT be used with %s", name)
		}
	}
	page.After, err = decodeCursor(cursor[0])
	return page, err
}

// readOrder reads "field", "field,asc" or "field,desc".
func readOrder(terms []string) ([]signalbox.Order, error) {
	fields := signalbox.OrderFields()
	if len(terms) > len(fields) {
		return nil, signalbox.Errorf(signalbox.CodeInput, "request/query/orderField must NOT have more than %d items", len(fields))
	}
	var order []signalbox.Order
	for _, term := range terms {
		field, direction, given := strings.Cut(term, ",")
		if given && direction != "asc" && direction != "desc" {
			return nil, signalbox.Errorf(signalbox.CodeInput, "Invalid order field order, must be asc or desc")
		}
		if !slices.Contains(fields, signalbox.OrderField(field)) {
			return nil, signalbox.Errorf(signalbox.CodeInput, "Invalid order field '%s' in request/query/orderField, must be one of %s",
				shortened(field), joined(fields))
		}
		order = append(order, signalbox.Order{Field: signalbox.OrderField(field), Descending: direction == "desc"})
	}
	return order, nil
}

func joined(fields []signalbox.OrderField) string {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = string(field)
	}
	return strings.Join(names, ", ")
}

func (q query) boolean(name string) (*bool, error) {
	values, given := q[name]
	if !given {
		return nil, nil //nolint:nilnil // absent is neither true nor false
	}
	value := values[0] == "true"
	if !value && values[0] != "false" {
		return nil, signalbox.Errorf(signalbox.CodeInput, "request/query/%s must be boolean", name)
	}
	return &value, nil
}

func (q query) integer(name string, byDefault, limit int) (int, error) {
	values, given := q[name]
	if !given {
		return byDefault, nil
	}
	value, err := strconv.Atoi(values[0])
	switch {
	// Out of range, Atoi returns the nearest integer.
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, signalbox.Errorf(signalbox.CodeInput, "request/query/%s must be integer", name)
	case value < 0:
		return 0, signalbox.Errorf(signalbox.CodeInput, "request/query/%s must be >= 0", name)
	case value > limit:
		return 0, signalbox.Errorf(signalbox.CodeInput, "request/query/%s must be <= %d", name, limit)
	}
	return value, nil
}
