// Package binary runs the real signalbox as a process of its own, for tests that look at
// it from outside. The test binary itself plays the part, so that nothing has to be
// built before and the race detector watches the server, too.
package binary

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/child"

	"github.com/signalbox/signalbox/cmd"
)

// asServer makes the test binary behave as the signalbox binary.
const asServer = "SIGNALBOX_TEST_AS_SERVER"

// Main ends the process as signalbox does, if that is what it was started as. TestMain
// calls it first. The options are those of a build of one's own; they are asked for
// only in the server.
func Main(options func() []cmd.Option) {
	if os.Getenv(asServer) == "1" {
		os.Exit(cmd.Main(options()...))
	}
}

// Options of a server.
type Options struct {
	// Config is what is in its configuration file. Defaults to none.
	Config string
	// Data is its data folder. Defaults to a fresh one.
	Data string
	// Listen is its address. Defaults to a free port.
	Listen string
	// Full is how many notifications are in the reader's inbox from the beginning.
	Full int
	// Environment has variables besides those of the test.
	Environment []string
}

// Server is a running signalbox process.
type Server struct {
	T testing.TB
	// Base is where it answers, http://127.0.0.1:PORT.
	Base string
	// Data is its data folder.
	Data string
	// Token is what its local sender has, or what a configuration gives one.
	Token string

	// local says that it has the local sender.
	local   bool
	command *exec.Cmd
	exited  chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
}

// Write takes what the process writes to its standard error.
func (s *Server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.Write(p)
}

// Start starts the binary and waits until it is ready. It ends with the test, which
// fails if there was a data race in it.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Full > 0 {
		fill(t, o.Data, o.Full)
	}
	s := &Server{T: t, Data: o.Data, exited: make(chan struct{})}
	args := []string{"serve", "--listen", o.Listen, "--data", o.Data}
	if o.Config != "" {
		file := filepath.Join(t.TempDir(), "signalbox.yaml")
		if err := os.WriteFile(file, []byte(o.Config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", file)
	}
	// Not with the test's context: that ends before what the test still looks at.
	s.command = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], args...) //nolint:gosec // it runs itself
	s.command.Env = append(append(os.Environ(), asServer+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")), o.Environment...)
	child.Bind(s.command)
	s.command.Stderr = s
	s.run()
	token, err := os.ReadFile(filepath.Join(o.Data, "sender.token"))
	if err != nil && o.Config == "" { // a configuration may have tokens of its own
		t.Fatal(err)
	}
	s.Token, s.local = strings.TrimSpace(string(token)), err == nil
	return s
}

// run starts the process and waits until it tells its address.
func (s *Server) run() {
	s.T.Helper()
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		s.T.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		s.T.Fatal(err)
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
		_ = s.command.Wait() // it was killed
	}()
	s.T.Cleanup(func() {
		s.Kill()
		if strings.Contains(s.Output(), "WARNING: DATA RACE") {
			s.T.Error("the race detector found something in the server")
		}
		if s.T.Failed() {
			s.T.Logf("the server's output:\n%s", s.Output())
		}
	})
	select {
	case s.Base = <-ready:
	case <-s.exited:
		s.T.Fatalf("the server ended at once\n%s", s.Output())
	case <-time.After(time.Minute):
		s.T.Fatal("the server did not start")
	}
}

// Output is what the process wrote to its standard error.
func (s *Server) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// Kill ends the process at once.
func (s *Server) Kill() {
	_ = s.command.Process.Kill() // it may have ended already
	<-s.exited
}
