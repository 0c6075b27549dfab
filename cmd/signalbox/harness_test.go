package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/output"

	"github.com/signalbox/signalbox/e2e/child"

	"github.com/signalbox/signalbox/cmd"
)

// asServer makes the test binary behave as the signalbox binary, so that tests
// run the real process, race detector included.
const asServer = "SIGNALBOX_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "1" {
		os.Exit(cmd.Main(troubles()...))
	}
	os.Exit(m.Run())
}

// server is a running signalbox process.
type server struct {
	t       testing.TB
	command *exec.Cmd
	// base is where it answers: http://127.0.0.1:PORT.
	base   string
	token  string
	output *output.Buffer
	exited chan struct{}
	err    error
}

// start runs "signalbox serve" with a data folder and a database ("" is the
// embedded one) and waits until it is ready.
func start(t testing.TB, data, database string, environment ...string) *server {
	t.Helper()
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", data}
	if database != "" {
		args = append(args, "--database", database)
	}
	s := &server{t: t, output: &output.Buffer{}, exited: make(chan struct{})}
	s.command = exec.Command(os.Args[0], args...)
	s.command.Env = append(append(os.Environ(), asServer+"=1",
		// The race detector's process would sleep for a second before it ends.
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")), environment...)
	child.Bind(s.command)
	s.command.Stderr = s.output
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			line := scanner.Text()
			fmt.Fprintln(s.output, line)
			if _, address, ok := strings.Cut(line, "API"); ok && strings.Contains(address, "http://") {
				address = strings.TrimSpace(address)
				select {
				case ready <- strings.TrimSuffix(address, "/api/notifications"):
				default:
				}
			}
		}
		s.err = s.command.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.kill()
		if strings.Contains(s.output.String(), "WARNING: DATA RACE") {
			t.Error("the race detector found something in the server")
		}
		if t.Failed() {
			t.Logf("the server's output:\n%s", s.output)
		}
	})
	select {
	case s.base = <-ready:
	case <-s.exited:
		t.Fatalf("the server ended at once: %v\n%s", s.err, s.output)
	case <-time.After(60 * time.Second):
		t.Fatalf("the server did not start\n%s", s.output)
	}
	token, err := os.ReadFile(filepath.Join(data, "sender.token"))
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s
}

// kill ends the process at once, as a crash does.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	<-s.exited
}

// terminate asks the process to stop and returns its exit code.
func (s *server) terminate(within time.Duration) int {
	s.t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(within):
		s.t.Fatalf("the server did not stop within %s\n%s", within, s.output)
	}
	return s.command.ProcessState.ExitCode()
}

// client bounds every call; a server that is gone must not hang a test.
var client = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// post sends one notification and returns the status and the body; an error
// means that no answer came.
func (s *server) post(ctx context.Context, body string, header ...string) (int, http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/api/notifications", strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+s.token)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return do(request)
}

func do(request *http.Request) (int, http.Header, []byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, body, errors.Join(err, response.Body.Close())
}

// call makes a request with a JSON body ("" is none) and demands its status.
func (s *server) call(method, path string, header http.Header, body string, status int) ([]byte, error) {
	request, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	got, _, answer, err := do(request)
	if err != nil {
		return nil, err
	}
	if got != status {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, got, answer)
	}
	return answer, nil
}

// as are the headers of a guest.
func as(user string, groups ...string) http.Header {
	header := http.Header{"X-Signalbox-User": {user}}
	if len(groups) > 0 {
		header.Set("X-Signalbox-Groups", strings.Join(groups, ","))
	}
	return header
}

// asService are the headers of a sender, in pairs besides the token.
func (s *server) asService(pairs ...string) http.Header {
	header := http.Header{"Authorization": {"Bearer " + s.token}}
	for i := 0; i+1 < len(pairs); i += 2 {
		header.Set(pairs[i], pairs[i+1])
	}
	return header
}

// get reads as a user and decodes the answer.
func (s *server) get(user, path string, into any) error {
	answer, err := s.call(http.MethodGet, path, as(user), "", http.StatusOK)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

// list reads a list of a user.
func (s *server) list(t *testing.T, user, query string) page {
	t.Helper()
	var p page
	if err := s.get(user, "/api/notifications?"+query, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// update sets flags as a user and decodes the answer.
func (s *server) update(t *testing.T, user, body string, into any) {
	t.Helper()
	answer, err := s.call(http.MethodPost, "/api/notifications/update", as(user), body, http.StatusOK)
	if err == nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// deliver sends and waits until everything is in the inboxes. The path is of one
// request or of a batch.
func (s *server) deliver(t *testing.T, path, body string) []notification {
	t.Helper()
	answer, err := s.call(http.MethodPost, path, s.asService("Prefer", "wait=20"), body, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	var made []notification
	if err := json.Unmarshal(answer, &made); err != nil {
		t.Fatal(err)
	}
	return made
}

// to is a send request to one user; more are further members of the payload.
func to(user, title string, more ...string) string {
	return fmt.Sprintf(`{"recipients":{"type":"entity","entityRef":%q},"payload":{"title":%q%s}}`, user, title, members(more))
}

// toAll is a broadcast.
func toAll(title string, more ...string) string {
	return fmt.Sprintf(`{"recipients":{"type":"broadcast"},"payload":{"title":%q%s}}`, title, members(more))
}

func members(pairs []string) string {
	var text strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&text, ",%q:%q", pairs[i], pairs[i+1])
	}
	return text.String()
}

// metric returns the sum of a metric over its labels.
func (s *server) metric(name string) (sum float64, err error) {
	answer, err := s.call(http.MethodGet, "/metrics", http.Header{}, "", http.StatusOK)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(answer)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:len(rest)-1], 64)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}

// drain waits until nothing is on the queue.
func (s *server) drain(t *testing.T) {
	t.Helper()
	eventually(t, 60*time.Second, func() error {
		n, err := s.metric("signalbox_queue_messages")
		if err == nil && n > 0 {
			err = fmt.Errorf("%v messages are on the queue", n)
		}
		return err
	})
}

// notification is what tests look at of one.
type notification struct {
	ID      string  `json:"id"`
	User    *string `json:"user"`
	Read    *string `json:"read"`
	Saved   *string `json:"saved"`
	Updated *string `json:"updated"`
	Payload struct {
		Title string `json:"title"`
	} `json:"payload"`
}

// page is a list answer.
type page struct {
	TotalCount    int            `json:"totalCount"`
	Notifications []notification `json:"notifications"`
	NextCursor    string         `json:"nextCursor"`
}

// inbox reads a user's whole inbox by cursor and returns how often each title
// is in it.
func (s *server) inbox(user string) (map[string]int, error) {
	titles := make(map[string]int)
	cursor := ""
	for {
		var p page
		if err := s.get(user, "/api/notifications?limit=500"+cursor, &p); err != nil {
			return nil, err
		}
		for _, n := range p.Notifications {
			titles[n.Payload.Title]++
		}
		if p.NextCursor == "" {
			return titles, nil
		}
		cursor = "&cursor=" + url.QueryEscape(p.NextCursor)
	}
}

// eventually waits for a condition that returns nil.
func eventually(t testing.TB, within time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
