package page

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

// asServer makes the test binary behave as the signalbox binary.
const asServer = "SIGNALBOX_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "1" {
		os.Exit(cmd.Main(testChannels()...))
	}
	code := m.Run()
	stopBrowser()
	os.Exit(code)
}

// patience is how long a test waits for what has to happen.
const patience = time.Minute

// server is a running signalbox process.
type server struct {
	t       testing.TB
	command *exec.Cmd
	// base is where it answers, http://127.0.0.1:PORT.
	base, data, token string

	mu     sync.Mutex
	output bytes.Buffer
	exited chan struct{}
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.Write(p)
}

// serve starts the binary with a fresh data folder and waits until it is ready.
func serve(t testing.TB, config string) *server {
	t.Helper()
	return serveAt(t, t.TempDir(), "127.0.0.1:0", config)
}

// serveAt starts the binary with a data folder, an address, and a configuration ("" is
// none).
func serveAt(t testing.TB, data, listen, config string) *server {
	t.Helper()
	s := &server{t: t, data: data, exited: make(chan struct{})}
	args := []string{"serve", "--listen", listen, "--data", data}
	if config != "" {
		file := filepath.Join(t.TempDir(), "signalbox.yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", file)
	}
	s.command = exec.Command(os.Args[0], args...)
	s.command.Env = append(os.Environ(), asServer+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.command.Stderr = s
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
			_, address, ok := strings.Cut(scanner.Text(), "API")
			if address = strings.TrimSpace(address); ok && strings.HasPrefix(address, "http://") {
				select {
				case ready <- strings.TrimSuffix(address, "/api/notifications"):
				default:
				}
			}
		}
		_ = s.command.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.kill()
		s.mu.Lock()
		defer s.mu.Unlock()
		if strings.Contains(s.output.String(), "WARNING: DATA RACE") {
			t.Error("the race detector found something in the server")
		}
		if t.Failed() {
			t.Logf("the server's output:\n%s", s.output.String())
		}
	})
	select {
	case s.base = <-ready:
	case <-s.exited:
		t.Fatalf("the server ended at once\n%s", s.output.String())
	case <-time.After(60 * time.Second):
		t.Fatal("the server did not start")
	}
	token, err := os.ReadFile(filepath.Join(data, "sender.token"))
	if err != nil && config == "" { // a configuration may have tokens of its own
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s
}

// kill ends the process at once.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	<-s.exited
}

var client = &http.Client{Timeout: 60 * time.Second}

// call makes a request, decodes its answer into into unless that is nil, and demands
// success.
func (s *server) call(method, path string, header map[string]string, body string, into any) {
	s.t.Helper()
	request, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		s.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// payload is what is sent: title, topic, description and so on.
type payload map[string]any

// reader is the user that the page shows by default.
const reader = "user:default/guest"

// request is a send request to the reader.
func request(p payload) map[string]any {
	return map[string]any{"recipients": map[string]any{"type": "entity", "entityRef": reader}, "payload": p}
}

// send sends to the reader and waits until it is in the inbox.
func (s *server) send(p payload) {
	s.t.Helper()
	s.post("/api/notifications", request(p))
}

// post sends as the local sender, and waits for what becomes of it.
func (s *server) post(path string, body any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.call(http.MethodPost, path, map[string]string{"Authorization": "Bearer " + s.token, "Prefer": "wait=30"}, string(text), nil)
}

// status counts the reader's inbox.
func (s *server) status() (unread, read int) {
	s.t.Helper()
	var counts struct{ Unread, Read int }
	s.call(http.MethodGet, "/api/notifications/status", nil, "", &counts)
	return counts.Unread, counts.Read
}

// fill puts n notifications into the reader's inbox.
func (s *server) fill(n int) {
	s.t.Helper()
	const batch = 1000
	for from := 0; from < n; from += batch {
		var list []any
		for i := from; i < min(from+batch, n); i++ {
			list = append(list, request(payload{
				"title": fmt.Sprintf("Notification %d", i), "topic": fmt.Sprintf("topic-%d", i%20),
				"description": "The pipeline reached its last stage; **214** checks passed.",
			}))
		}
		s.post("/api/notifications/batch", list)
	}
}

// eventually waits for a condition that returns nil.
func eventually(t testing.TB, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", patience, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
