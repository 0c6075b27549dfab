package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/storage/storagetest"
	"github.com/signalbox/signalbox/storage/storagetest/pgcluster"
)

// load sends notifications until it is stopped and remembers which were
// answered: those must not be lost.
type load struct {
	mu       sync.Mutex
	target   *server
	answered map[string]string // title → user
	sent     int
	refused  int
	wrong    []string
	stop     context.CancelFunc
	wait     sync.WaitGroup
}

const loadUsers = 7

func startLoad(target *server, senders int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{target: target, answered: make(map[string]string), stop: cancel}
	for range senders {
		l.wait.Go(func() {
			for ctx.Err() == nil {
				l.send()
			}
		})
	}
	return l
}

// send posts one notification with a title of its own.
func (l *load) send() {
	l.mu.Lock()
	l.sent++
	title, user := fmt.Sprintf("n%06d", l.sent), fmt.Sprintf("user:default/u%d", l.sent%loadUsers)
	target := l.target
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	status, header, body, err := target.post(ctx, fmt.Sprintf(
		`{"recipients":{"type":"entity","entityRef":%q},"payload":{"title":%q}}`, user, title))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.refused++
	case status == http.StatusAccepted:
		l.answered[title] = user
	case status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
		l.refused++
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("%d %s", status, body))
	}
}

func (l *load) retarget(s *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = s
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answered)
}

// grow waits until so many more were answered.
func (l *load) grow(t *testing.T, more int) {
	t.Helper()
	begun := l.count()
	eventually(t, 60*time.Second, func() error {
		if n := l.count() - begun; n < more {
			return fmt.Errorf("%d of %d more answered", n, more)
		}
		return nil
	})
}

// refuse waits until so many more were refused.
func (l *load) refuse(t *testing.T, more int) {
	t.Helper()
	refused := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.refused
	}
	begun := refused()
	eventually(t, 60*time.Second, func() error {
		if n := refused() - begun; n < more {
			return fmt.Errorf("%d of %d more refused", n, more)
		}
		return nil
	})
}

// check ends the load and waits until every answered notification is in its
// inbox exactly once. Unanswered ones may be there, but not twice.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.stop()
	l.wait.Wait()
	if len(l.wrong) > 0 {
		t.Errorf("%d wrong answers, the first: %s", len(l.wrong), l.wrong[0])
	}
	eventually(t, 90*time.Second, func() error {
		inboxes := make(map[string]map[string]int)
		for i := range loadUsers {
			user := fmt.Sprintf("user:default/u%d", i)
			titles, err := l.target.inbox(user)
			if err != nil {
				return err
			}
			inboxes[user] = titles
			for title, n := range titles {
				if n != 1 {
					t.Fatalf("%s is there %d times", title, n)
				}
			}
		}
		missing := 0
		for title, user := range l.answered {
			if inboxes[user][title] == 0 {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d answered notifications are missing", missing, len(l.answered))
		}
		return nil
	})
	t.Logf("%d sent, %d answered, %d refused", l.sent, len(l.answered), l.refused)
}

// shortLease lets what a killed process held come back soon.
var shortLease = []string{"SIGNALBOX_PIPELINE_LEASE=5s", "SIGNALBOX_PIPELINE_PROCESSOR_TIMEOUT=4s"}

func TestKilledUnderLoadLosesNothing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		data := t.TempDir()
		s := start(t, data, url, shortLease...)
		l := startLoad(s, 8)
		for range 3 {
			l.grow(t, 300)
			l.target.kill()
			l.retarget(start(t, data, url, shortLease...))
		}
		l.grow(t, 100)
		l.check(t)
	})
}

func TestTerminatedUnderLoadLosesNothing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		data := t.TempDir()
		l := startLoad(start(t, data, url), 8)
		l.grow(t, 300)
		if code := l.target.terminate(25 * time.Second); code != 0 {
			t.Errorf("exit code %d\n%s", code, l.target.output)
		}
		l.retarget(start(t, data, url))
		// Well before a lease of the first process could end: it gave back what
		// it had not finished.
		begun := time.Now()
		l.check(t)
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("what was left was taken up only after %s", took)
		}
	})
}

func TestPostgresRestartUnderLoad(t *testing.T) {
	cluster, err := pgcluster.Start(t.Context(), pgcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	l := startLoad(start(t, t.TempDir(), cluster.URL("postgres"), shortLease...), 8)
	l.grow(t, 300)
	for _, mode := range []pgcluster.Mode{pgcluster.Fast, pgcluster.Crash} {
		if err := cluster.Restart(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		l.grow(t, 300)
	}
	l.check(t)
}

func TestTwoInstancesShareTheWork(t *testing.T) {
	url := storagetest.PostgresURL(t)
	first := start(t, t.TempDir(), url, shortLease...)
	second := start(t, t.TempDir(), url, shortLease...)
	a, b := startLoad(first, 4), startLoad(second, 4)
	a.grow(t, 200)
	b.grow(t, 200)
	b.target.kill()
	b.retarget(first)
	b.grow(t, 100)
	a.stop()
	b.stop()
	a.wait.Wait()
	b.wait.Wait()
	// Both number their titles alike, so each title may be there twice: once per
	// load. Count instead.
	want := a.count() + b.count()
	eventually(t, 60*time.Second, func() error {
		got := 0
		for i := range loadUsers {
			titles, err := first.inbox(fmt.Sprintf("user:default/u%d", i))
			if err != nil {
				return err
			}
			for title, n := range titles {
				if n > 2 {
					t.Fatalf("%s is there %d times", title, n)
				}
				got += n
			}
		}
		if got < want {
			return fmt.Errorf("%d of %d answered notifications are there", got, want)
		}
		return nil
	})
}
