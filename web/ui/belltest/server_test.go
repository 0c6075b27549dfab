package belltest

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
	"strconv"
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
		os.Exit(cmd.Main())
	}
	code := m.Run()
	stopBrowser()
	os.Exit(code)
}

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// server is a running signalbox process.
type server struct {
	t       testing.TB
	command *exec.Cmd
	// base is where it answers, http://127.0.0.1:PORT; token is its local sender's.
	base, token string

	mu     sync.Mutex
	output bytes.Buffer
	exited chan struct{}
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.Write(p)
}

// serve starts the binary, which pages of an origin may use, and waits until it is
// ready.
func serve(t testing.TB, origin string, environment ...string) *server {
	t.Helper()
	data := t.TempDir()
	s := &server{t: t, exited: make(chan struct{})}
	s.command = exec.Command(os.Args[0], "serve", "--listen", "127.0.0.1:0", "--data", data)
	s.command.Env = append(append(os.Environ(), asServer+"=1", "SIGNALBOX_CORS_ORIGINS="+origin,
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")), environment...)
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
		defer close(s.exited)
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
	}()
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		<-s.exited
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
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s
}

var client = &http.Client{Timeout: 60 * time.Second}

// call makes a request as the local sender, demands success, and decodes the answer
// into into unless that is nil.
func (s *server) call(method, path string, body, into any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequest(method, s.base+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Prefer", "wait=30")
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
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

// reader is the user whose bell is shown, jane the one of some tests.
const (
	reader = "user:default/guest"
	jane   = "user:default/jane"
)

// send sends to users, by default to the reader, and waits until it is in the inbox.
func (s *server) send(p payload, users ...string) {
	s.t.Helper()
	if len(users) == 0 {
		users = []string{reader}
	}
	s.call(http.MethodPost, "/api/notifications", map[string]any{
		"recipients": map[string]any{"type": "entity", "entityRef": users}, "payload": p,
	}, nil)
}

// fill sends n notifications to the reader.
func (s *server) fill(n int) {
	s.t.Helper()
	list := make([]any, n)
	for i := range list {
		list[i] = map[string]any{
			"recipients": map[string]any{"type": "entity", "entityRef": reader},
			"payload":    payload{"title": fmt.Sprintf("Notification %d", i)},
		}
	}
	s.call(http.MethodPost, "/api/notifications/batch", list, nil)
}

// credential is an API token of a user.
type credential struct{ ID, Token string }

func (s *server) newToken(user string) (c credential) {
	s.t.Helper()
	s.call(http.MethodPost, "/api/notifications/tokens", map[string]any{"name": "bell", "scopes": []string{"inbox"}, "user": user}, &c)
	return c
}

func (s *server) revoke(c credential) {
	s.t.Helper()
	s.call(http.MethodDelete, "/api/notifications/tokens/"+c.ID, nil, nil)
}

// waitListeners waits until so many clients are connected and have asked for signals.
func (s *server) waitListeners(want int) {
	s.t.Helper()
	eventually(s.t, func() error {
		response, err := client.Get(s.base + "/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		scanner := bufio.NewScanner(response.Body)
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

// eventually waits for a condition that returns nil.
func eventually(t testing.TB, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := condition()
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
