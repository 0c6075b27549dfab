//go:build unix

package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// stopTimeout bounds how long a server may take to stop before it is killed.
const stopTimeout = 30 * time.Second

// server is one run of the postmaster.
type server struct {
	pid int
	// done is closed when the postmaster was reaped.
	done chan struct{}
}

// launch starts the postmaster. It does not wait until it answers.
func (c *Cluster) launch() (*server, error) {
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of PostgreSQL: %w", err)
	}
	cmd := exec.Command(filepath.Join(c.binaries, "postgres"), c.arguments()...) //nolint:gosec,noctx // the directory is the caller's choice, and the server outlives the context of the call that starts it
	cmd.Dir = c.dir
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: c.account.credential(),
		// A Ctrl-C in the terminal is for the tests; the server stops after them.
		Setpgid: true,
	}
	stopWithParent(cmd.SysProcAttr)

	s := &server{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(s.done)
		// The kernel signals a child when the thread that started it ends, so
		// this thread must live as long as the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		_ = log.Close() // the server has its own copy
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.pid = cmd.Process.Pid
	return s, nil
}

func (s *server) exited() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// terminate takes the server down and returns when none of its processes is
// left. One that does not stop in time is killed, which is an error unless mode
// is Crash.
func (s *server) terminate(ctx context.Context, mode Mode) error {
	if mode == Crash {
		return s.kill(ctx)
	}
	signal := syscall.SIGINT
	if mode == Immediate {
		signal = syscall.SIGQUIT
	}
	if s.exited() {
		return nil
	}
	if err := syscall.Kill(s.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	case <-timeout.C:
	}
	killing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(errors.New("the server did not stop in time and was killed"), s.kill(killing))
}

// kill sends SIGKILL to the postmaster and all its children.
func (s *server) kill(ctx context.Context) error {
	if s.exited() {
		return nil
	}
	// A stopped postmaster neither starts children nor reacts to their deaths,
	// so the list is complete.
	if err := syscall.Kill(s.pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	children, listErr := childrenOf(ctx, s.pid)
	for _, pid := range append([]int{s.pid}, children...) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if listErr != nil {
		return fmt.Errorf("listing the server's processes: %w", listErr)
	}
	// The next server refuses to start while an old process still holds the
	// shared memory.
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for _, pid := range children {
		for alive(ctx, pid) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for process %d of the killed server: %w", pid, ctx.Err())
			case <-poll.C:
			}
		}
	}
	return nil
}
