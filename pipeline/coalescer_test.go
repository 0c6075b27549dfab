package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

func TestConcurrentSubmissionsShareACommit(t *testing.T) {
	b := newBench(t, nil)
	b.memory.gate = make(chan struct{})
	var wait sync.WaitGroup
	send := func(i int) {
		if _, err := b.Submit(t.Context(), signalbox.Submission{Requests: []signalbox.SendRequest{request(fmt.Sprint(i), "user:default/jane")}}); err != nil {
			t.Error(err)
		}
	}
	wait.Go(func() { send(0) })
	b.waitFor(t, func() bool { return b.memory.accepting.Load() == 1 })
	const more = 50
	for i := range more {
		wait.Go(func() { send(i + 1) })
	}
	b.waitFor(t, func() bool { return len(b.coalescer.intake) == more })
	b.memory.open()
	wait.Wait()
	if b.memory.commits != 2 {
		t.Errorf("%d commits for 1 + %d submissions, want 2", b.memory.commits, more)
	}
	var total int
	for _, msg := range b.memory.take(TopicNotifications) {
		entries, err := decodeEnvelope(msg.Payload)
		if err != nil {
			t.Fatal(err)
		}
		total += len(entries)
	}
	if total != more+1 {
		t.Errorf("%d requests on the queue, want %d", total, more+1)
	}
}

func (b *budget) usedNow() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

func (b *bench) waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("condition not reached in time")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSubmissionAnswersOnlyAfterItsCommit(t *testing.T) {
	b := newBench(t, nil)
	b.memory.gate = make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := b.Submit(context.Background(), signalbox.Submission{Requests: []signalbox.SendRequest{request("a", "user:default/jane")}})
		done <- err
	}()
	b.waitFor(t, func() bool { return b.coalescer.bytes.usedNow() > 0 })
	select {
	case <-done:
		t.Fatal("answered before the commit")
	case <-time.After(20 * time.Millisecond):
	}
	b.memory.open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestFailedCommitPromisesNothing(t *testing.T) {
	b := newBench(t, nil)
	b.memory.fail = []error{signalbox.Transient(errors.New("password=hunter2 connection refused"))}
	_, err := b.Submit(t.Context(), signalbox.Submission{Requests: []signalbox.SendRequest{request("a", "user:default/jane")}})
	var coded *signalbox.Error
	if !errors.As(err, &coded) || coded.Code != signalbox.CodeUnavailable || coded.RetryAfter <= 0 {
		t.Fatalf("error %v, want ServiceUnavailable with a delay", err)
	}
	if len(b.memory.published) != 0 {
		t.Error("published although refused")
	}
}

func TestIdempotencyKey(t *testing.T) {
	b := newBench(t, nil)
	submission := func(origin, key, fingerprint string) (signalbox.Submitted, error) {
		r := request("a", "user:default/jane")
		r.Origin = origin
		return b.Submit(t.Context(), signalbox.Submission{
			Requests: []signalbox.SendRequest{r}, IdempotencyKey: key, Fingerprint: fingerprint,
		})
	}
	first, err := submission("ci", "k", "1")
	if err != nil || first.Repeated {
		t.Fatal(first, err)
	}
	second, err := submission("ci", "k", "1")
	if err != nil || !second.Repeated {
		t.Fatal(second, err)
	}
	if diff := cmp.Diff(first.Receipts, second.Receipts); diff != "" {
		t.Error(diff)
	}
	if _, err := submission("ci", "k", "2"); signalbox.ErrorCode(err) != signalbox.CodeConflict {
		t.Errorf("other content under the same key: %v", err)
	}
	if other, err := submission("cron", "k", "1"); err != nil || other.Repeated {
		t.Errorf("another origin's key: %+v, %v", other, err)
	}
	if got := len(b.memory.take(TopicNotifications)); got != 2 {
		t.Errorf("%d messages, want 2", got)
	}
}

func TestRepetitionInTheSameCommit(t *testing.T) {
	b := newBench(t, nil)
	b.memory.gate = make(chan struct{})
	const n = 10
	results := make(chan signalbox.Submitted, n)
	var wait sync.WaitGroup
	send := func(key string) {
		s, err := b.Submit(context.Background(), signalbox.Submission{
			Requests: []signalbox.SendRequest{request("a", "user:default/jane")}, IdempotencyKey: key, Fingerprint: "1",
		})
		if err != nil {
			t.Error(err)
		}
		if key == "k" {
			results <- s
		}
	}
	wait.Go(func() { send("first") })
	b.waitFor(t, func() bool { return b.memory.accepting.Load() == 1 })
	for range n {
		wait.Go(func() { send("k") })
	}
	b.waitFor(t, func() bool { return len(b.coalescer.intake) == n })
	b.memory.open()
	wait.Wait()
	close(results)
	ids := map[string]bool{}
	fresh := 0
	for s := range results {
		ids[s.Receipts[0].ID] = true
		if !s.Repeated {
			fresh++
		}
	}
	if len(ids) != 1 || fresh != 1 {
		t.Errorf("%d identifiers, %d of them fresh; want 1 and 1", len(ids), fresh)
	}
	if got := len(b.memory.take(TopicNotifications)); got != 2 {
		t.Errorf("%d messages, want 2", got)
	}
}

func TestASenderMayStopWaitingUntilItsCommit(t *testing.T) {
	b := newBench(t, nil)
	b.memory.gate = make(chan struct{})
	var wait sync.WaitGroup
	submit := func(ctx context.Context, title string) error {
		_, err := b.Submit(ctx, signalbox.Submission{Requests: []signalbox.SendRequest{request(title, "user:default/jane")}})
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	taken := make(chan error, 1)
	wait.Go(func() { taken <- submit(ctx, "taken") })
	b.waitFor(t, func() bool { return b.memory.accepting.Load() == 1 })
	left := make(chan error, 1)
	wait.Go(func() { left <- submit(ctx, "left") })
	b.waitFor(t, func() bool { return len(b.coalescer.intake) == 1 })
	cancel()
	if err := <-left; signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
		t.Errorf("a sender that stopped waiting: %v", err)
	}
	b.memory.open()
	if err := <-taken; err != nil {
		t.Errorf("a submission that was being committed: %v", err)
	}
	wait.Wait()
	if err := submit(t.Context(), "later"); err != nil {
		t.Fatal(err)
	}
	for _, msg := range b.memory.take(TopicNotifications) {
		if strings.Contains(string(msg.Payload), `"left"`) {
			t.Error("stored although its sender was told that it was not")
		}
	}
}

func TestIntakeIsBounded(t *testing.T) {
	b := newBench(t, nil)
	b.coalescer.bytes.limit = 100
	b.memory.gate = make(chan struct{})
	done := make(chan error, 1)
	submit := func() error {
		_, err := b.Submit(t.Context(), signalbox.Submission{Requests: []signalbox.SendRequest{request("a", "user:default/jane")}})
		return err
	}
	go func() { done <- submit() }()
	b.waitFor(t, func() bool { return b.coalescer.bytes.usedNow() > 0 })
	if err := submit(); signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
		t.Errorf("beyond the bound: %v", err)
	}
	b.memory.open()
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.coalescer.close()
	if err := submit(); signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
		t.Errorf("after close: %v", err)
	}
}

func TestEnvelopesAreBounded(t *testing.T) {
	var entries []encoded
	add := func(r signalbox.SendRequest) {
		one, err := encodeEntry(entry{Request: r})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, one)
	}
	for i := range 700 {
		add(request(fmt.Sprint(i), "user:default/jane"))
	}
	add(request(string(make([]byte, maxEnvelopeBytes)), "user:default/jane"))
	crowd := make([]string, 1000)
	for i := range crowd {
		crowd[i] = fmt.Sprintf("user:default/u%d", i)
	}
	for range 12 {
		add(request("to many", crowd...))
		large := request("much to many", crowd...)
		large.Payload.Metadata = json.RawMessage(`{"a":"` + strings.Repeat("x", 30_000) + `"}`)
		add(large)
	}
	n := 0
	for _, payload := range joinEntries(entries) {
		decoded, err := decodeEnvelope(payload)
		if err != nil {
			t.Fatal(err)
		}
		if len(decoded) > maxEnvelopeRequests {
			t.Errorf("%d requests in an envelope", len(decoded))
		}
		rows, size := 0, 0
		for i := range decoded {
			rows += decoded[i].rows()
			size += decoded[i].rows() * decoded[i].Request.Payload.Size()
		}
		if len(decoded) > 1 && (len(payload) > maxEnvelopeBytes+64 || rows > maxCommitRows || size > maxCommitBytes) {
			t.Errorf("%d bytes in an envelope of %d, which become %d rows of %d bytes", len(payload), len(decoded), rows, size)
		}
		n += len(decoded)
	}
	if n != len(entries) {
		t.Errorf("%d requests came back, want %d", n, len(entries))
	}
}

func TestWait(t *testing.T) {
	b := newBench(t, nil)
	done := make(chan signalbox.Submitted, 1)
	submit := func(wait time.Duration, requests ...signalbox.SendRequest) {
		s, err := b.Submit(context.Background(), signalbox.Submission{Requests: requests, Wait: wait})
		if err != nil {
			t.Error(err)
		}
		done <- s
	}
	go submit(time.Minute, request("a", "user:default/jane", "user:default/joe"), request("b", "user:default/jane"))
	b.waitFor(t, func() bool { b.memory.mu.Lock(); defer b.memory.mu.Unlock(); return len(b.memory.published) == 1 })
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	s := <-done
	var titles []string
	for _, n := range s.Notifications {
		titles = append(titles, n.Payload.Title+" "+n.User)
	}
	if diff := cmp.Diff([]string{"a user:default/jane", "a user:default/joe", "b user:default/jane"}, titles); diff != "" || !s.Done {
		t.Errorf("done %v: %s", s.Done, diff)
	}

	go submit(time.Millisecond, request("late", "user:default/jane"))
	if s := <-done; s.Done || len(s.Receipts) != 1 {
		t.Errorf("time ran out: %+v", s)
	}
	if len(b.waiters.waiting) != 0 {
		t.Errorf("%d waiters are left", len(b.waiters.waiting))
	}
}

func TestWaitAcrossInstances(t *testing.T) {
	here, there := newBench(t, nil), newBench(t, nil)
	there.deps.Announcer = announcer(here.Announced)
	done := make(chan signalbox.Submitted, 1)
	go func() {
		s, err := here.Submit(context.Background(), signalbox.Submission{
			Requests: []signalbox.SendRequest{request("a", "user:default/jane")}, Wait: time.Minute,
		})
		if err != nil {
			t.Error(err)
		}
		done <- s
	}()
	here.waitFor(t, func() bool {
		here.memory.mu.Lock()
		defer here.memory.mu.Unlock()
		return len(here.memory.published) == 1
	})
	if err := there.process(t, here.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if s := <-done; !s.Done || len(s.Notifications) != 1 || s.Notifications[0].Payload.Title != "a" {
		t.Errorf("%+v", s)
	}
}

type announcer func([]byte)

func (a announcer) Announce(payload []byte) { a(payload) }

func TestNamesAreChecked(t *testing.T) {
	for _, bad := range [][]string{{""}, {"a b"}, {"Web"}, {"a", "a"}, {"x/y"}} {
		if err := checkNames(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
	if _, err := New(Deps{Processors: []signalbox.Processor{nameOnly{}}}, Config{}); err == nil {
		t.Error("a processor without a phase passed")
	}
}

type nameOnly struct{}

func (nameOnly) Name() string { return "nothing" }

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add([]byte(`{"v":1,"entries":[{"request":{"id":"x"}}]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		entries, err := decodeEnvelope(payload)
		if err == nil && (len(entries) == 0 || len(entries) >= positionsPerMessage) {
			t.Errorf("%d entries", len(entries))
		}
	})
}
