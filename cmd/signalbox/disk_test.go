//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/signalbox/signalbox/storage/storagetest"
)

// limitFiles bounds the size of the files that the process may write, as a full
// disk does. It needs no privileges.
func (s *server) limitFiles(t *testing.T, size uint64) {
	t.Helper()
	// prlimit(2): the soft limit can go down and up again below the hard one.
	limit := syscall.Rlimit{Cur: size, Max: math.MaxUint64}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(s.command.Process.Pid), syscall.RLIMIT_FSIZE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatalf("prlimit: %v", errno)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), storagetest.SQLiteURL(t))
	l := startLoad(s, 4)
	defer l.stop()
	for range 2 {
		l.grow(t, 50)
		s.limitFiles(t, 0)
		// One that was under way may still be answered.
		eventually(t, 10*time.Second, func() error {
			status, header, body, err := s.post(context.Background(), to("user:default/none", "x"))
			if err == nil && (status != http.StatusServiceUnavailable || header.Get("Retry-After") == "") {
				err = fmt.Errorf("%d %v %s", status, header, body)
			}
			return err
		})
		// Answers that were on their way are counted by the time every sender has
		// been refused.
		l.refuse(t, 20)
		before := l.count()
		for range 20 {
			if status, _, _, err := s.post(context.Background(), to("user:default/none", "x")); err != nil || status != http.StatusServiceUnavailable {
				t.Errorf("a full disk was answered with %d (%v)", status, err)
			}
		}
		if n := l.count() - before; n > 0 {
			t.Errorf("%d were acknowledged on a full disk", n)
		}
		// Reading goes on.
		if _, err := s.inbox("user:default/u1"); err != nil {
			t.Error(err)
		}
		s.limitFiles(t, math.MaxUint64)
	}
	l.grow(t, 50)
	l.check(t)
	if titles, err := s.inbox("user:default/none"); err != nil || len(titles) > 0 {
		t.Errorf("what was refused is there: %v, %v", titles, err)
	}
}
