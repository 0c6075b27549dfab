package slackfake

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Fault is a way in which a request goes wrong.
type Fault struct {
	status     int
	header     http.Header
	body       string
	code       string
	hangs      bool
	cutsBefore bool
	cutsAfter  bool
}

// RateLimit answers 429 with Retry-After, in whole seconds as Slack does, and
// without that header if after is zero.
func RateLimit(after time.Duration) Fault {
	f := Fault{status: http.StatusTooManyRequests, header: http.Header{}, body: `{"ok":false,"error":"ratelimited"}`}
	if after > 0 {
		f.header.Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	return f
}

// Status answers with an HTTP status and a page.
func Status(code int) Fault {
	return Fault{status: code, body: "<html><body>Slack is " + http.StatusText(code) + "</body></html>"}
}

// Answer answers with a status, headers and a body of the test's own.
func Answer(status int, header http.Header, body string) Fault {
	return Fault{status: status, header: header, body: body}
}

// Refuse answers ok:false with an error, such as "channel_not_found".
func Refuse(code string) Fault { return Fault{code: code} }

// Hang takes the request and never answers.
func Hang() Fault { return Fault{hangs: true} }

// CutBefore closes the connection without doing what was asked.
func CutBefore() Fault { return Fault{cutsBefore: true} }

// CutAfter does what was asked, and closes the connection instead of answering.
func CutAfter() Fault { return Fault{cutsAfter: true} }

// None lets a request through, in a queue of faults.
func None() Fault { return Fault{} }

// Fail makes the next requests go wrong, one for each fault.
func (s *Server) Fail(faults ...Fault) { s.FailMethod("", faults...) }

// FailMethod makes the next requests of a method go wrong, such as "chat.update".
func (s *Server) FailMethod(method string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue[method] = append(s.queue[method], faults...)
}

// FailAlways makes all requests go wrong that no other fault is queued for.
func (s *Server) FailAlways(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = &fault
}

// FailRandomly makes requests go wrong by chance (0 to 1), each with one of the
// faults. The seed makes the sequence the same every time.
func (s *Server) FailRandomly(seed uint64, chance float64, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random = rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // for a test, not for a secret
	s.chance, s.randomly = chance, faults
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.queue)
	s.always, s.randomly = nil, nil
}

// next returns the fault of a request, and counts it.
func (s *Server) next(method string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	for _, of := range []string{method, ""} {
		if queue := s.queue[of]; len(queue) > 0 {
			s.queue[of] = queue[1:]
			return queue[0]
		}
	}
	switch {
	case s.always != nil:
		return *s.always
	case len(s.randomly) > 0 && s.random.Float64() < s.chance:
		return s.randomly[s.random.IntN(len(s.randomly))]
	}
	return Fault{}
}

// before does what the fault does instead of answering, and reports whether it did.
func (f Fault) before(s *Server, w http.ResponseWriter, r *http.Request) bool {
	switch {
	case f.hangs:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
	case f.cutsBefore:
		cut(w)
	case f.code != "":
		reply(w, refusal(f.code))
	case f.status != 0:
		for name, values := range f.header {
			w.Header()[name] = values
		}
		w.WriteHeader(f.status)
		_, _ = w.Write([]byte(f.body))
	default:
		return false
	}
	return true
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.Close()
	}
}
