package main

import (
	"bufio"
	"bytes"
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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/cmd"
)

// asServer makes the test binary behave as the signalbox binary, so that tests
// run the real process, race detector included.
const asServer = "SIGNALBOX_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "1" {
		os.Exit(cmd.Main())
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
	output *tail
	exited chan struct{}
	err    error
}

// tail keeps what a process printed.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs "signalbox serve" with a data folder and a database ("" is the
// embedded one) and waits until it is ready.
func start(t testing.TB, data, database string, environment ...string) *server {
	t.Helper()
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", data}
	if database != "" {
		args = append(args, "--database", database)
	}
	s := &server{t: t, output: &tail{}, exited: make(chan struct{})}
	s.command = exec.Command(os.Args[0], args...)
	s.command.Env = append(append(os.Environ(), asServer+"=1"), environment...)
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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

// get reads as a user and decodes the answer.
func (s *server) get(user, path string, into any) error {
	request, err := http.NewRequest(http.MethodGet, s.base+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-Signalbox-User", user)
	status, _, body, err := do(request)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, status, body)
	}
	return json.Unmarshal(body, into)
}

// page is a list answer.
type page struct {
	TotalCount    int `json:"totalCount"`
	Notifications []struct {
		ID      string  `json:"id"`
		User    *string `json:"user"`
		Read    *string `json:"read"`
		Updated *string `json:"updated"`
		Payload struct {
			Title string `json:"title"`
		} `json:"payload"`
	} `json:"notifications"`
	NextCursor string `json:"nextCursor"`
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
