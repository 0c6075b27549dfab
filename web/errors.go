package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// statuses is the one map from error codes to HTTP statuses.
var statuses = map[signalbox.Code]int{
	signalbox.CodeInput:          fiber.StatusBadRequest,
	signalbox.CodeAuthentication: fiber.StatusUnauthorized,
	signalbox.CodeNotAllowed:     fiber.StatusForbidden,
	signalbox.CodeNotFound:       fiber.StatusNotFound,
	signalbox.CodeConflict:       fiber.StatusConflict,
	signalbox.CodeTooLarge:       fiber.StatusRequestEntityTooLarge,
	// Backstage's errors have none for it: the name is that of the http-errors
	// package, which its backend uses for such.
	signalbox.CodeTooManyRequests: fiber.StatusTooManyRequests,
	signalbox.CodeUnavailable:     fiber.StatusServiceUnavailable,
}

// errorBody is Backstage's error body.
type errorBody struct {
	Error struct {
		Name    string                `json:"name"`
		Message string                `json:"message"`
		Cause   *signalbox.ErrorCause `json:"cause,omitempty"`
	} `json:"error"`
	Request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"request"`
	Response struct {
		StatusCode int `json:"statusCode"`
	} `json:"response"`
}

// panicError is a panic in a handler.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// handleServerError answers requests that Fiber gave up before they reached a
// route: unreadable, too large, too slow.
func (s *Server) handleServerError(c *fiber.Ctx, err error) error {
	s.setTransportHeaders(c)
	s.writeError(c, unmatched, err)
	// Not all of the request may have been read.
	lingerOnClose(c)
	s.metrics.observe(otherMethod, unmatched, c.Response().StatusCode(), 0)
	return nil
}

// writeError answers with an error. What is not meant for callers is logged.
func (s *Server) writeError(c *fiber.Ctx, route string, err error) {
	var body errorBody
	status := s.describe(&body, c, route, err)
	// Of a request that could not be read to its end nothing is left, not even
	// its first line: then both stay empty.
	if len(c.Request().Header.Host()) > 0 {
		body.Request.Method, body.Request.URL = c.Method(), requestURL(c)
	}
	body.Response.StatusCode = status
	c.Status(status)
	if err := sendJSON(c, &body); err != nil {
		s.log.Error("error body", "err", err)
	}
}

// describe fills in the error, sets headers that go with it, and returns the
// status.
func (s *Server) describe(body *errorBody, c *fiber.Ctx, route string, err error) int {
	var (
		coded  *signalbox.Error
		server *fiber.Error
	)
	switch {
	case errors.As(err, &coded) && statuses[coded.Code] != 0:
	case errors.As(err, &server):
		if code, message := codeOf(server); code != "" {
			coded = signalbox.Errorf(code, "%s", message)
			break
		}
		body.Error.Name, body.Error.Message = nameOf(server.Code), server.Message
		return server.Code
	case signalbox.IsTransient(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		coded = signalbox.Unavailable("The server cannot do this now, try again later", time.Second, err)
	default:
		body.Error.Name, body.Error.Message = "Error", "An internal error occurred logId="+s.logInternal(route, err)
		return fiber.StatusInternalServerError
	}
	status := statuses[coded.Code]
	body.Error.Name, body.Error.Message, body.Error.Cause = string(coded.Code), coded.Message, coded.Cause
	switch coded.Code {
	case signalbox.CodeAuthentication:
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	case signalbox.CodeTooManyRequests:
		setRetryAfter(c, coded.RetryAfter)
	case signalbox.CodeUnavailable:
		setRetryAfter(c, coded.RetryAfter)
		if coded.Err != nil && s.outages.pass(time.Now()) {
			s.log.Warn("request refused for now", "route", route, "err", coded.Err)
		}
	}
	return status
}

// setRetryAfter says when to try again, in whole seconds.
func setRetryAfter(c *fiber.Ctx, after time.Duration) {
	c.Set(fiber.HeaderRetryAfter, strconv.Itoa(max(1, int(math.Ceil(after.Seconds())))))
}

// codeOf gives errors that Fiber makes the codes and words of ours.
func codeOf(e *fiber.Error) (signalbox.Code, string) {
	switch e.Code {
	case fiber.StatusBadRequest:
		return signalbox.CodeInput, "The request is malformed"
	case fiber.StatusNotFound:
		return signalbox.CodeNotFound, "Not found"
	case fiber.StatusRequestEntityTooLarge:
		return signalbox.CodeTooLarge, "The request body is too large"
	default:
		return "", ""
	}
}

// nameOf names statuses that have no code, as Backstage names its errors.
func nameOf(status int) string {
	switch status {
	case fiber.StatusMethodNotAllowed:
		return "MethodNotAllowedError"
	case fiber.StatusRequestTimeout:
		return "RequestTimeoutError"
	case fiber.StatusUpgradeRequired:
		return "UpgradeRequiredError"
	case fiber.StatusRequestHeaderFieldsTooLarge:
		return "RequestHeaderFieldsTooLargeError"
	default:
		return "Error"
	}
}

// logInternal logs an error that nobody outside may see, and returns the
// identifier by which it is found in the log.
func (s *Server) logInternal(route string, err error) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // it cannot fail
	id := hex.EncodeToString(random[:])
	attributes := []any{"logId", id, "route", route, "err", err}
	var p *panicError
	if errors.As(err, &p) {
		attributes = append(attributes, "stack", string(p.stack))
	}
	s.log.Error("internal error", attributes...)
	return id
}

// requestURL is the path and query as the Backstage plugin would have seen them:
// below its own prefix, and without the token of an unsubscribe link.
func requestURL(c *fiber.Ctx) string {
	original := withoutToken(c.OriginalURL())
	for _, prefix := range []string{notificationsAPI, signalsAPI} {
		if rest, ok := strings.CutPrefix(original, prefix); ok && (rest == "" || rest[0] == '/' || rest[0] == '?') {
			if rest == "" || rest[0] == '?' {
				return "/" + rest
			}
			return rest
		}
	}
	return original
}

// withoutToken takes everything out of a URL that follows "/unsubscribe/" in its
// path, in any letter case.
func withoutToken(address string) string {
	const before = "/unsubscribe/"
	path, _, _ := strings.Cut(address, "?")
	for at := 0; at+len(before) <= len(path); at++ {
		if strings.EqualFold(path[at:at+len(before)], before) {
			return address[:at+len(before)] + "[redacted]"
		}
	}
	return address
}

// sendJSON answers with JSON. The status is the caller's.
func sendJSON(c *fiber.Ctx, value any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	// These answers are read by programs, not pasted into HTML.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSONCharsetUTF8)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(headerResourcePolicy, "same-origin")
	c.Response().SetBodyRaw(bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
	return nil
}
