package binary

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/e2e/patience"
)

// Client makes the requests.
var Client = &http.Client{Timeout: time.Minute}

// Call makes a request, demands success, and decodes the answer into into unless that is
// nil.
func (s *Server) Call(method, path string, header map[string]string, body string, into any) {
	s.T.Helper()
	request, err := http.NewRequestWithContext(s.T.Context(), method, s.Base+path, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := Client.Do(request)
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		s.T.Fatalf("%s %s: %d %s", method, path, response.StatusCode, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		s.T.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// AsSender makes a request as the sender whose token it is, and waits for what becomes
// of what it sends.
func (s *Server) AsSender(method, path string, body, into any) {
	s.T.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Call(method, path, map[string]string{"Authorization": "Bearer " + s.Token, "Prefer": "wait=30"}, string(text), into)
}

// Post sends something.
func (s *Server) Post(path string, body any) {
	s.T.Helper()
	s.AsSender(http.MethodPost, path, body, nil)
}

// Payload is what is sent: title, topic, description and so on.
type Payload map[string]any

// Reader is the user that a page shows by default.
const Reader = "user:default/guest"

// Request is a send request to users, by default to the reader.
func Request(p Payload, users ...string) map[string]any {
	if len(users) == 0 {
		users = []string{Reader}
	}
	return map[string]any{"recipients": map[string]any{"type": "entity", "entityRef": users}, "payload": p}
}

// Send sends to users, by default to the reader, and waits until it is in the inbox.
func (s *Server) Send(p Payload, users ...string) {
	s.T.Helper()
	s.Post("/api/notifications", Request(p, users...))
}

// Fill puts n notifications into the reader's inbox.
func (s *Server) Fill(n int) {
	s.T.Helper()
	const batch = 1000
	for from := 0; from < n; from += batch {
		var list []any
		for i := from; i < min(from+batch, n); i++ {
			title, topic, description := pipeline(i)
			list = append(list, Request(Payload{"title": title, "topic": topic, "description": description}))
		}
		s.Post("/api/notifications/batch", list)
	}
}

// Status counts the reader's inbox.
func (s *Server) Status() (unread, read int) {
	s.T.Helper()
	var counts struct{ Unread, Read int }
	s.Call(http.MethodGet, "/api/notifications/status", nil, "", &counts)
	return counts.Unread, counts.Read
}

// WantStatus compares the counts of the reader's inbox.
func (s *Server) WantStatus(unread, read int) error {
	s.T.Helper()
	if u, r := s.Status(); u != unread || r != read {
		return fmt.Errorf("%d unread and %d read, want %d and %d", u, r, unread, read)
	}
	return nil
}

// WaitListeners waits until so many clients are connected and have asked for signals.
func (s *Server) WaitListeners(want int) {
	s.T.Helper()
	patience.Until(s.T, func() error {
		request, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet, s.Base+"/metrics", http.NoBody)
		if err != nil {
			return err
		}
		response, err := Client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		scanner := bufio.NewScanner(bytes.NewReader(text))
		for scanner.Scan() {
			if text, ok := strings.CutPrefix(scanner.Text(), "signalbox_signals_subscriptions "); ok {
				if got, err := strconv.Atoi(text); err != nil || got != want {
					return fmt.Errorf("%s clients listen, want %d", text, want)
				}
				return nil
			}
		}
		return fmt.Errorf("no such metric")
	})
}
