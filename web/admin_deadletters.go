package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// Limits of the routes for dead letters.
const (
	// DefaultLettersLimit is the page size of a list without a limit.
	DefaultLettersLimit = 100
	// MaxLettersLimit bounds the page size.
	MaxLettersLimit = 500
	// MaxLetterIDs bounds the identifiers in one request.
	MaxLetterIDs = 200
)

// deadLetter is a dead letter on the wire. A list leaves out what only the last
// three fields tell.
type deadLetter struct {
	ID       string          `json:"id"`
	Died     string          `json:"died"`
	Created  string          `json:"created"`
	Stage    string          `json:"stage"`
	Origin   string          `json:"origin"`
	Request  string          `json:"request"`
	Delivery *letterDelivery `json:"delivery"`
	Topic    string          `json:"topic"`
	Attempts int             `json:"attempts"`
	Error    string          `json:"error"`
	History  []letterFailure `json:"history,omitempty"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Binary   *[]byte         `json:"payloadBase64,omitempty"`
}

// letterDelivery is the delivery that a dead letter is of.
type letterDelivery struct {
	Channel  string             `json:"channel"`
	Audience signalbox.Audience `json:"audience"`
	Target   string             `json:"target"`
}

// letterFailure is one attempt that failed.
type letterFailure struct {
	At    string `json:"at"`
	Error string `json:"error"`
}

// wireTime writes a time as the API does.
func wireTime(t time.Time) string { return t.UTC().Format(signalbox.TimeFormat) }

func listedLetter(d *signalbox.DeadLetter) deadLetter {
	letter := deadLetter{
		ID: d.ID, Died: wireTime(d.Died), Created: wireTime(d.Created), Stage: d.Stage, Origin: d.Origin,
		Request: d.RequestID, Topic: d.Topic, Attempts: d.Attempts, Error: d.Error,
	}
	if d.Delivery.Channel != "" {
		letter.Delivery = &letterDelivery{d.Delivery.Channel, d.Delivery.Audience, d.Delivery.Target}
	}
	return letter
}

func wholeLetter(d *signalbox.DeadLetter) deadLetter {
	letter := listedLetter(d)
	for _, f := range d.History {
		letter.History = append(letter.History, letterFailure{wireTime(f.At), f.Error})
	}
	// What the pipeline could not read may be anything.
	if utf8.Valid(d.Payload) && json.Valid(d.Payload) {
		letter.Payload = d.Payload
	} else {
		letter.Binary = &d.Payload
	}
	return letter
}

// letterFilterParameters are those that choose dead letters.
var letterFilterParameters = []string{"stage", "origin", "request", "before", "after"}

// listDeadLetters shows a page of what was given up.
func (s *Server) listDeadLetters(c *fiber.Ctx, _ signalbox.Principal) error {
	q, err := readQuery(c, letterFilterParameters, []string{"limit", "cursor"})
	if err != nil {
		return err
	}
	filter, err := letterFilter("request/query", func(name string) (string, bool) {
		_, given := q[name]
		return q.get(name), given
	})
	if err != nil {
		return err
	}
	limit, err := q.integer("limit", DefaultLettersLimit, MaxLettersLimit)
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	page, err := s.deps.DeadLetters.DeadLetters(ctx, filter, q.get("cursor"), limit)
	if signalbox.ErrorCode(err) == signalbox.CodeInput {
		return errCursor()
	}
	if err != nil {
		return err
	}
	answer := struct {
		DeadLetters []deadLetter `json:"deadLetters"`
		NextCursor  string       `json:"nextCursor,omitempty"`
	}{[]deadLetter{}, page.Next}
	for i := range page.Letters {
		answer.DeadLetters = append(answer.DeadLetters, listedLetter(&page.Letters[i]))
	}
	return sendJSON(c, answer)
}

// showDeadLetter shows one with its history and its payload. The identifier is a
// parameter and no part of the path: it may have slashes, and what proxies make
// of escaped ones differs.
func (s *Server) showDeadLetter(c *fiber.Ctx, _ signalbox.Principal) error {
	q, err := readQuery(c, []string{"id"})
	if err != nil {
		return err
	}
	id := q.get("id")
	if id == "" {
		return signalbox.Errorf(signalbox.CodeInput, "request/query must have required property 'id'")
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	letter, err := s.deps.DeadLetters.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return sendJSON(c, wholeLetter(&letter))
}

// retryDeadLetters puts dead letters back on their queues.
func (s *Server) retryDeadLetters(c *fiber.Ctx, principal signalbox.Principal) error {
	return s.takeDeadLetters(c, principal, "retry dead letters", s.deps.DeadLetters.Redrive)
}

// dropDeadLetters deletes dead letters.
func (s *Server) dropDeadLetters(c *fiber.Ctx, principal signalbox.Principal) error {
	return s.takeDeadLetters(c, principal, "drop dead letters", s.deps.DeadLetters.Drop)
}

func (s *Server) takeDeadLetters(c *fiber.Ctx, principal signalbox.Principal, what string,
	take func(context.Context, signalbox.DeadLetterFilter) (int, error),
) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	filter, err := decodeLetterSelection(c.Request().Body())
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	count, err := take(ctx, filter)
	// Also after a failure: what was done before it stays done.
	about := []slog.Attr{selectionAttr(filter), slog.Int("count", count)}
	if err != nil {
		about = append(about, slog.Any("err", err))
	}
	s.record(c, principal, what, about...)
	if err != nil {
		return err
	}
	return sendJSON(c, fiber.Map{"count": count})
}

// selectionAttr is what was asked for, for the audit log.
func selectionAttr(f signalbox.DeadLetterFilter) slog.Attr {
	if len(f.IDs) > 0 {
		return slog.Any("ids", f.IDs)
	}
	about := []any{slog.Bool("all", true)}
	for _, text := range []struct{ name, value string }{
		{"stage", f.Stage}, {"origin", f.Origin}, {"request", f.RequestID},
	} {
		if text.value != "" {
			about = append(about, slog.String(text.name, text.value))
		}
	}
	for _, at := range []struct {
		name  string
		value time.Time
	}{{"before", f.Before}, {"after", f.After}} {
		if !at.value.IsZero() {
			about = append(about, slog.Time(at.name, at.value))
		}
	}
	return slog.Group("selection", about...)
}

// letterSelection is the body that says which dead letters to take: some by their
// identifiers, or all that match.
type letterSelection struct {
	IDs     []string `json:"ids"`
	All     bool     `json:"all"`
	Stage   *string  `json:"stage"`
	Origin  *string  `json:"origin"`
	Request *string  `json:"request"`
	Before  *string  `json:"before"`
	After   *string  `json:"after"`
}

// decodeLetterSelection refuses what is empty: it would take more than was meant.
func decodeLetterSelection(body []byte) (signalbox.DeadLetterFilter, error) {
	var (
		none   signalbox.DeadLetterFilter
		chosen letterSelection
	)
	if err := decodeStrictly(body, &chosen); err != nil {
		return none, err
	}
	given := map[string]*string{
		"stage": chosen.Stage, "origin": chosen.Origin, "request": chosen.Request, "before": chosen.Before, "after": chosen.After,
	}
	filter, err := letterFilter("request/body", func(name string) (string, bool) {
		if value := given[name]; value != nil {
			return *value, true
		}
		return "", false
	})
	switch {
	case err != nil:
		return none, err
	case chosen.All && chosen.IDs != nil:
		return none, signalbox.Errorf(signalbox.CodeInput, "request/body must have either ids or all")
	case chosen.All:
		return filter, nil
	case len(chosen.IDs) == 0:
		return none, signalbox.Errorf(signalbox.CodeInput, "request/body must have ids, or all: true")
	case len(chosen.IDs) > MaxLetterIDs:
		return none, signalbox.Errorf(signalbox.CodeInput, "request/body/ids must NOT have more than %d items", MaxLetterIDs)
	}
	for name, value := range given {
		if value != nil {
			return none, signalbox.Errorf(signalbox.CodeInput, "request/body/%s goes with all, not with ids", name)
		}
	}
	return signalbox.DeadLetterFilter{IDs: chosen.IDs}, nil
}

// letterFilter reads the fields that choose dead letters. One that is given must
// not be empty: it would choose all.
func letterFilter(at string, field func(name string) (string, bool)) (signalbox.DeadLetterFilter, error) {
	var f signalbox.DeadLetterFilter
	for name, into := range map[string]*string{"stage": &f.Stage, "origin": &f.Origin, "request": &f.RequestID} {
		value, given := field(name)
		if given && value == "" {
			return f, signalbox.Errorf(signalbox.CodeInput, "%s/%s must NOT have fewer than 1 characters", at, name)
		}
		*into = value
	}
	for name, into := range map[string]*time.Time{"before": &f.Before, "after": &f.After} {
		value, given := field(name)
		if !given {
			continue
		}
		parsed, err := signalbox.ParseTime(value)
		if err != nil {
			return f, signalbox.Errorf(signalbox.CodeInput, "%s/%s must be a time such as 2026-11-21T01:58:16Z", at, name)
		}
		*into = parsed
	}
	return f, nil
}
