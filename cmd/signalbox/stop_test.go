package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/storage/storagetest"
)

func TestIdleStopsAtOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		s := start(t, t.TempDir(), url)
		if code := s.terminate(2 * time.Second); code != 0 {
			t.Errorf("exit code %d\n%s", code, s.output)
		}
	})
}

// A call that takes longer than a stop may is cut off before the database is closed.
func TestStopCutsOffSlowCalls(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "", inTrouble+"=latent 20s", "SIGNALBOX_SHUTDOWN_TIMEOUT=4s")
	s.accept(t, to(jane, "slow"))
	eventually(t, 10*time.Second, func() error {
		if n, err := s.metric("signalbox_delivery_in_flight"); err != nil || n != 1 {
			return fmt.Errorf("%v calls under way, %w", n, err)
		}
		return nil
	})
	if code := s.terminate(8 * time.Second); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.output)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data, "", append(shortLease, inTrouble+"=titles")...)
	// Somebody waits for what hangs: a request under way, which a stop lets finish.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _, _, _, _ = s.post(ctx, to(jane, "hang"), "Prefer", "wait=60") }()
	eventually(t, 10*time.Second, func() error {
		if n, err := s.metric("signalbox_requests_accepted_total"); err != nil || n < 1 {
			return fmt.Errorf("%v accepted, %w", n, err)
		}
		return nil
	})
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// It says what it is waiting for.
	eventually(t, 10*time.Second, func() error {
		if !strings.Contains(s.output.String(), `msg="still stopping" "waiting for"="requests under way"`) {
			return fmt.Errorf("it does not say what it waits for:\n%s", s.output)
		}
		return nil
	})
	select {
	case <-s.exited:
		t.Fatal("the first signal did not wait")
	default:
	}
	s.terminate(10 * time.Second) // the request would go on for a minute
	if status, ok := s.command.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", s.command.ProcessState)
	}
	// Nothing that was accepted is lost then either: without what hung, it goes on.
	again := start(t, data, "", shortLease...)
	eventually(t, 60*time.Second, func() error {
		titles, err := again.inbox(jane)
		if err == nil && titles["hang"] != 1 {
			err = fmt.Errorf("the inbox has %v", titles)
		}
		return err
	})
}
