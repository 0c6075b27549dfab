package slackfake

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Token is the only token that the server lets in.
const Token = "xoxb-1234567890-fake-DoNotShowThis"

// scopes are those of the token.
const scopes = "chat:write,chat:write.public,users:read,users:read.email"

// Server is a Slack workspace. It is safe for concurrent use.
type Server struct {
	http   *httptest.Server
	closed chan struct{}

	mu       sync.Mutex
	users    []User
	messages []Message
	calls    map[string]int
	last     int64 // of the timestamps
	scopes   string

	queue    map[string][]Fault // by method; "" is any
	always   *Fault
	random   *rand.Rand
	chance   float64
	randomly []Fault
}

// User is a member of the workspace.
type User struct {
	// ID is as in Slack, such as "U012AB3CD".
	ID string
	// Name is the handle, without @.
	Name  string
	Email string
}

// Message is what was posted.
type Message struct {
	// Channel is the id of the conversation, TS the message's in it.
	Channel, TS string
	// To is the channel as the poster named it.
	To string
	// Text, Blocks and Attachments are as they were sent last.
	Text                string
	Blocks, Attachments json.RawMessage
	Username            string
	// ThreadTS is the message that this one is a reply to; empty if it is none.
	ThreadTS string
	// Updates counts the updates.
	Updates int
	// Options are the other parameters of the last request, such as "unfurl_links",
	// without the token.
	Options map[string]string
}

// New starts a server, which the test's cleanup stops.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{
		closed: make(chan struct{}),
		calls:  map[string]int{}, queue: map[string][]Fault{},
		last: 1_700_000_000_000_000, scopes: scopes,
	}
	s.http = httptest.NewServer(s)
	tb.Cleanup(s.close)
	return s
}

func (s *Server) close() {
	close(s.closed) // lets go what hangs
	s.http.CloseClientConnections()
	s.http.Close()
}

// URL is the base of the API, with a slash at its end.
func (s *Server) URL() string { return s.http.URL + "/api/" }

// AddUsers adds members.
func (s *Server) AddUsers(users ...User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = append(s.users, users...)
}

// SetScopes says what the token may do, separated by commas. Only auth.test tells;
// nothing is refused by it.
func (s *Server) SetScopes(scopes string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = scopes
}

// Messages returns what was posted, in that order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Delete takes a message away, as a person can.
func (s *Server) Delete(channel, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m Message) bool { return m.Channel == channel && m.TS == ts })
}

// Calls counts the requests of a method, such as "chat.postMessage", including
// those that failed.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// ServeHTTP answers a request to the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	fault := s.next(method)
	if fault.before(s, w, r) {
		return
	}
	s.mu.Lock()
	w.Header().Set("X-Oauth-Scopes", s.scopes)
	answer := s.answer(method, r)
	s.mu.Unlock()
	if fault.cutsAfter {
		cut(w)
		return
	}
	reply(w, answer)
}

type answer map[string]any

func refusal(code string) answer { return answer{"ok": false, "error": code} }

func reply(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(a)
}

// answer does what a method asks for. s.mu is held.
func (s *Server) answer(method string, r *http.Request) answer {
	token := r.Form.Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	if token == "" {
		return refusal("not_authed")
	}
	if token != Token {
		return refusal("invalid_auth")
	}
	switch method {
	case "auth.test":
		return answer{"ok": true, "url": "https://fake.slack.com/", "team": "Fake", "user": "signalbox", "team_id": "T0FAKE", "user_id": "U0BOT", "bot_id": "B0BOT"}
	case "users.lookupByEmail":
		for _, user := range s.users {
			if strings.EqualFold(user.Email, r.Form.Get("email")) {
				return answer{"ok": true, "user": answer{"id": user.ID, "name": user.Name, "profile": answer{"email": user.Email}}}
			}
		}
		return refusal("users_not_found")
	case "chat.postMessage":
		return s.post(r)
	case "chat.update":
		return s.update(r)
	case "chat.delete":
		return s.remove(r)
	}
	return refusal("unknown_method")
}

func (s *Server) post(r *http.Request) answer {
	to := r.Form.Get("channel")
	channel := conversation(to)
	if channel == "" {
		return refusal("channel_not_found")
	}
	m, code := content(r)
	if code != "" {
		return refusal(code)
	}
	s.last += 100
	m.Channel, m.To = channel, to
	m.TS = fmt.Sprintf("%d.%06d", s.last/1_000_000, s.last%1_000_000)
	m.Username, m.ThreadTS = r.Form.Get("username"), r.Form.Get("thread_ts")
	s.messages = append(s.messages, m)
	return answer{"ok": true, "channel": m.Channel, "ts": m.TS, "message": answer{"type": "message", "text": m.Text, "ts": m.TS}}
}

func (s *Server) update(r *http.Request) answer {
	channel, ts := r.Form.Get("channel"), r.Form.Get("ts")
	// Unlike posting, updating knows conversations by their ids only.
	if channel == "" || !isID(channel) || channel[0] == 'U' || channel[0] == 'W' {
		return refusal("channel_not_found")
	}
	m, code := content(r)
	if code != "" {
		return refusal(code)
	}
	i := s.find(channel, ts)
	if i < 0 {
		return refusal("message_not_found")
	}
	old := &s.messages[i]
	old.Text, old.Blocks, old.Attachments, old.Options = m.Text, m.Blocks, m.Attachments, m.Options
	old.Updates++
	return answer{"ok": true, "channel": channel, "ts": ts, "text": m.Text}
}

func (s *Server) remove(r *http.Request) answer {
	i := s.find(r.Form.Get("channel"), r.Form.Get("ts"))
	if i < 0 {
		return refusal("message_not_found")
	}
	s.messages = slices.Delete(s.messages, i, i+1)
	return answer{"ok": true, "channel": r.Form.Get("channel"), "ts": r.Form.Get("ts")}
}

func (s *Server) find(channel, ts string) int {
	return slices.IndexFunc(s.messages, func(m Message) bool { return m.Channel == channel && m.TS == ts })
}

// conversation returns the id of where a message to this name or id goes.
func conversation(to string) string {
	switch {
	case to == "" || to == "#" || strings.ContainsAny(to, " <>@"):
		return ""
	case isID(to) && (to[0] == 'U' || to[0] == 'W'):
		return "D" + to[1:] // the direct message with the user
	case isID(to):
		return to
	default:
		return "C0" + strings.ToUpper(strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(to)))
	}
}

func isID(s string) bool {
	return len(s) > 3 && strings.ContainsAny(s[:1], "CDGUW") && s == strings.ToUpper(s)
}
