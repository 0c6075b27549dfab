package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/isolate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// one returns the only message of a topic.
func (b *bench) one(t *testing.T, topic string) signalbox.Message {
	t.Helper()
	messages := b.memory.take(topic)
	if len(messages) != 1 {
		t.Fatalf("%d messages on %s, want 1", len(messages), topic)
	}
	return messages[0]
}

func (b *bench) titles() map[string]int {
	titles := make(map[string]int)
	for _, row := range b.memory.rows {
		titles[row.Payload.Title]++
	}
	return titles
}

func TestAMessageProcessedTwiceChangesNothing(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Processors = []signalbox.Processor{&post{}}
	})
	b.submit(t, request("a", "user:default/jane", "user:default/joe"))
	msg := b.one(t, TopicNotifications)
	for range 2 {
		if err := b.processAt(t, msg, "7"); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(b.memory.rows); got != 2 {
		t.Errorf("%d rows, want 2", got)
	}
	if got := len(b.signals.signals); got != 2 {
		t.Errorf("%d signals, want 2", got)
	}
	if got := len(b.memory.take("post.audit")); got != 2 {
		t.Errorf("%d deliveries, want 2", got)
	}
}

func TestDeliveriesWithoutInboxHappenOnce(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Stages = []signalbox.Stage{onlyTo("Pager")}
		d.Processors = []signalbox.Processor{&post{}}
	})
	b.submit(t, request("a", "user:default/jane"))
	msg := b.one(t, TopicNotifications)
	for range 2 {
		if err := b.processAt(t, msg, "7"); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.memory.rows) != 0 || len(b.signals.signals) != 0 {
		t.Errorf("%d rows and %d signals for a user who switched the inbox off", len(b.memory.rows), len(b.signals.signals))
	}
	if got := len(b.memory.take("post.audit")); got != 1 {
		t.Errorf("%d deliveries, want 1", got)
	}
}

func TestSignalCarriesTheNotification(t *testing.T) {
	b := newBench(t, nil)
	b.submit(t, request("to one", "user:default/jane"))
	b.submit(t, request("to all"))
	for _, msg := range b.memory.take(TopicNotifications) {
		if err := b.process(t, msg); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.signals.signals) != 2 {
		t.Fatalf("%d signals, want 2", len(b.signals.signals))
	}
	one, all := b.signals.signals[0], b.signals.signals[1]
	if diff := cmp.Diff([]string{"user:default/jane"}, one.Recipients); diff != "" || one.Broadcast {
		t.Errorf("recipients: %s", diff)
	}
	if !all.Broadcast || len(all.Recipients) != 0 {
		t.Errorf("broadcast signal: %+v", all)
	}
	var body struct {
		Action         string `json:"action"`
		NotificationID string `json:"notification_id"`
		Notification   struct {
			ID      string `json:"id"`
			Payload struct {
				Title string `json:"title"`
			} `json:"payload"`
		} `json:"notification"`
	}
	if err := json.Unmarshal(one.Message, &body); err != nil {
		t.Fatal(err)
	}
	if body.Action != "new_notification" || body.NotificationID == "" || body.NotificationID != body.Notification.ID || body.Notification.Payload.Title != "to one" {
		t.Errorf("signal body %s", one.Message)
	}
}

// post is an after-storing processor that fails on demand.
type post struct {
	mu    sync.Mutex
	seen  []string
	err   error
	panic bool
}

func (*post) Name() string { return "audit" }

func (p *post) PostProcess(_ context.Context, n signalbox.Notification) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, n.Payload.Title)
	if p.panic {
		panic("audit is broken")
	}
	return p.err
}

func TestPostProcessorFailuresAreRetriedThenBuried(t *testing.T) {
	for name, broken := range map[string]*post{
		"error": {err: errors.New("nope")},
		"panic": {panic: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(d *Deps, c *Config) {
				d.Processors = []signalbox.Processor{broken}
				c.Retry.MaxAttempts = 3
			})
			b.submit(t, request("a", "user:default/jane"))
			if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := b.process(t, b.one(t, "post.audit")); err != nil {
					t.Fatal(err)
				}
			}
			if len(broken.seen) != 3 {
				t.Errorf("%d attempts, want 3", len(broken.seen))
			}
			if got := b.memory.take("post.audit"); len(got) != 0 {
				t.Errorf("tried again after the last attempt")
			}
			if len(b.memory.dead) != 1 {
				t.Fatalf("%d dead letters, want 1", len(b.memory.dead))
			}
			for _, dead := range b.memory.dead {
				if dead.Stage != "audit" || dead.Attempts != 3 || dead.Topic != "post.audit" || dead.Error == "" || dead.Origin != "ci" {
					t.Errorf("dead letter %+v", dead)
				}
				// A person's retry puts the payload back on the topic.
				broken.err, broken.panic = nil, false
				if err := b.process(t, signalbox.Message{Topic: dead.Topic, Payload: dead.Payload}); err != nil {
					t.Fatal(err)
				}
				if len(broken.seen) != 4 {
					t.Error("the dead letter cannot be redriven")
				}
			}
			if len(b.memory.rows) != 1 {
				t.Error("the inbox row is missing")
			}
		})
	}
}

// faulty fails, panics or hangs in PreProcess by title.
type faulty struct{ release chan struct{} }

func (*faulty) Name() string { return "faulty" }

func (f *faulty) PreProcess(_ context.Context, n *signalbox.Notification) (bool, error) {
	switch n.Payload.Title {
	case "fails":
		return true, errors.New("cannot")
	case "panics":
		panic("oops")
	case "hangs":
		n.Payload.Title = "written late" // the race detector watches
		<-f.release
		return true, nil
	case "final":
		return true, signalbox.Permanent(errors.New("never"))
	case "dropped":
		return false, nil
	case "emptied":
		n.Payload.Title = ""
	case "changed":
		n.Payload.Title, n.ID, n.User, n.Origin = "was changed", "x", "user:default/mallory", "other"
	}
	return true, nil
}

func TestAFaultyItemLeavesTheOthersAlone(t *testing.T) {
	f := &faulty{release: make(chan struct{})}
	defer close(f.release)
	b := newBench(t, func(d *Deps, c *Config) {
		d.Processors = []signalbox.Processor{f}
		c.Patience = 50 * time.Millisecond
		c.ProcessorTimeout = 50 * time.Millisecond
		c.Retry.MaxAttempts = 2
	})
	b.submit(t, request("good", "user:default/jane"), request("fails", "user:default/jane"),
		request("panics", "user:default/jane"), request("hangs", "user:default/jane"),
		request("final", "user:default/jane"), request("dropped", "user:default/jane"),
		request("emptied", "user:default/jane"), request("changed", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"good": 1, "was changed": 1}, b.titles()); diff != "" {
		t.Error(diff)
	}
	for _, row := range b.memory.rows {
		if row.User != "user:default/jane" || row.Origin != "ci" || len(row.ID) != 36 {
			t.Errorf("a processor changed the identity: %+v", row)
		}
	}
	if len(b.memory.dead) != 2 { // final and emptied
		t.Errorf("%d dead letters at once, want 2", len(b.memory.dead))
	}
	again := b.memory.take(TopicRetry)
	if len(again) != 3 {
		t.Fatalf("%d set aside, want 3", len(again))
	}
	for _, msg := range again {
		entries, err := decodeEnvelope(msg.Payload)
		if err != nil || len(entries) != 1 || !entries[0].Alone || entries[0].Revision == 0 {
			t.Fatalf("retry message: %+v, %v", entries, err)
		}
		hung := entries[0].Request.Payload.Title == "hangs"
		if hung && (msg.Delay != 0 || entries[0].Attempt != 0) || !hung && entries[0].Attempt != 1 {
			t.Errorf("%s: attempt %d after %s", entries[0].Request.Payload.Title, entries[0].Attempt, msg.Delay)
		}
		if err := b.process(t, msg); err != nil {
			t.Fatal(err)
		}
		if hung { // leaving the batch was no attempt
			if err := b.process(t, b.one(t, TopicRetry)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := b.memory.take(TopicRetry); len(got) != 0 {
		t.Errorf("%d tried again beyond MaxAttempts", len(got))
	}
	stages := map[string]int{}
	for _, dead := range b.memory.dead {
		stages[dead.Stage]++
	}
	if diff := cmp.Diff(map[string]int{"faulty": 5}, stages); diff != "" {
		t.Error(diff)
	}
}

// editor changes requests in the options phase.
type editor struct{}

func (editor) Name() string { return "editor" }

func (editor) ProcessOptions(_ context.Context, r *signalbox.SendRequest) error {
	if r.Payload.Title == "fails" {
		return errors.New("cannot")
	}
	r.Payload.Title += "!"
	r.Recipients.EntityRefs = append(r.Recipients.EntityRefs, "user:default/boss")
	r.ID, r.Origin = "other", "other"
	return nil
}

func TestOptionsPhase(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) { d.Processors = []signalbox.Processor{editor{}} })
	b.submit(t, request("a", "user:default/jane"), request("fails", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a!": 2}, b.titles()); diff != "" {
		t.Error(diff)
	}
	for _, row := range b.memory.rows {
		if row.Origin != "ci" || row.RequestID == "other" {
			t.Errorf("a processor changed the identity: %+v", row)
		}
	}
	if got := len(b.memory.take(TopicRetry)); got != 1 {
		t.Errorf("%d set aside, want 1", got)
	}
}

func TestABadRequestInABatchHurtsOnlyItself(t *testing.T) {
	b := newBench(t, func(_ *Deps, c *Config) { c.Retry.MaxAttempts = 1 })
	b.memory.poison = "bad"
	b.submit(t, request("a", "user:default/jane"), request("bad", "user:default/jane"), request("b", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1}, b.titles()); diff != "" {
		t.Error(diff)
	}
	if len(b.memory.dead) != 1 {
		t.Fatalf("%d dead letters, want 1", len(b.memory.dead))
	}
	for _, dead := range b.memory.dead {
		if dead.Stage != "store" {
			t.Errorf("stage %q", dead.Stage)
		}
	}
}

func TestInfrastructureFailurePutsTheMessageBack(t *testing.T) {
	b := newBench(t, nil)
	b.submit(t, request("a", "user:default/jane"))
	msg := b.one(t, TopicNotifications)
	b.memory.fail = []error{signalbox.Transient(errors.New("connection refused"))}
	if err := b.processAt(t, msg, "3"); !signalbox.IsTransient(err) {
		t.Fatalf("error %v, want a transient one", err)
	}
	if len(b.memory.rows)+len(b.signals.signals)+len(b.memory.dead)+len(b.memory.published) != 0 {
		t.Error("something was made although the commit failed")
	}
	if err := b.processAt(t, msg, "3"); err != nil || len(b.memory.rows) != 1 {
		t.Errorf("second time: %v, %d rows", err, len(b.memory.rows))
	}
}

// away fails as a whole, as a directory does that cannot be reached.
type away struct{ err error }

func (*away) Name() string { return "directory" }

func (a *away) Process(context.Context, *signalbox.Batch) error { return a.err }

func TestAnOutageOfAStageDelaysAndDropsNothing(t *testing.T) {
	outage := &away{err: signalbox.Transient(errors.New("no answer"))}
	b := newBench(t, func(d *Deps, c *Config) {
		d.Stages = []signalbox.Stage{outage}
		c.Retry.MaxAttempts = 2
	})
	b.submit(t, request("a", "user:default/jane"), request("b", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err) // the message must not keep its consumer
	}
	for range 20 {
		waiting := b.memory.take(TopicRetry)
		if len(waiting) != 2 {
			t.Fatalf("%d messages wait, want 2", len(waiting))
		}
		for _, msg := range waiting {
			if msg.Delay > 30*time.Second {
				t.Errorf("waits %s", msg.Delay)
			}
			if err := b.process(t, msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	outage.err = nil
	for _, msg := range b.memory.take(TopicRetry) {
		if err := b.process(t, msg); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.memory.dead) != 0 || len(b.memory.rows) != 2 {
		t.Errorf("%d dead letters, %d rows; want 0 and 2", len(b.memory.dead), len(b.memory.rows))
	}
}

func TestAMessageThatNobodyCanFinishEnds(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) { d.Processors = []signalbox.Processor{&post{}} })
	b.submit(t, request("a", "user:default/jane"), request("b", "user:default/jane"))
	msg := b.one(t, TopicNotifications)
	if err := b.processLease(t, msg, "1", splitAfterLeases+1); err != nil {
		t.Fatal(err)
	}
	if len(b.memory.rows) != 0 {
		t.Error("processed together although its consumers died")
	}
	singles := b.memory.take(TopicRetry)
	if len(singles) != 2 {
		t.Fatalf("%d single requests, want 2", len(singles))
	}
	if err := b.processLease(t, singles[0], "2", buryAfterLeases+1); err != nil {
		t.Fatal(err)
	}
	if err := b.processLease(t, singles[1], "3", buryAfterLeases); err != nil {
		t.Fatal(err)
	}
	if err := b.processLease(t, b.one(t, "post.audit"), "4", buryAfterLeases+1); err != nil {
		t.Fatal(err)
	}
	stages := map[string]int{}
	for _, dead := range b.memory.dead {
		stages[dead.Stage]++
	}
	if diff := cmp.Diff(map[string]int{"lease": 1, "audit": 1}, stages); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"b": 1}, b.titles()); diff != "" {
		t.Error(diff)
	}
}

func TestManyRecipientsAreProcessedInParts(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) { d.Processors = []signalbox.Processor{editor{}, &post{}} })
	users := make([]string, 2500)
	for i := range users {
		users[i] = fmt.Sprintf("user:default/u%d", i)
	}
	b.submit(t, request("to many", users...), request("to one", "user:default/jane"))
	for _, msg := range b.memory.take(TopicNotifications) {
		for range 2 { // the second time changes nothing
			if err := b.processAt(t, msg, "1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	parts := b.memory.take(TopicFanout)
	if len(parts) != 3 {
		t.Fatalf("%d parts, want 3", len(parts))
	}
	for i := range parts {
		for range 2 {
			if err := b.processAt(t, parts[i], fmt.Sprint(i+2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// 2,500 users and the boss, whom the editor adds once to each.
	if diff := cmp.Diff(map[string]int{"to many!": 2501, "to one!": 2}, b.titles()); diff != "" {
		t.Error(diff)
	}
	if got := len(b.memory.take("post.audit")); got != 2503 {
		t.Errorf("%d deliveries, want 2503", got)
	}
	if got := len(b.signals.signals); got != 2503 {
		t.Errorf("%d signals, want 2503", got)
	}
}

// crowds resolves every request to as many users as its title says.
type crowds struct{}

func (crowds) Name() string { return "recipients" }

func (crowds) Process(_ context.Context, batch *signalbox.Batch) error {
	for _, item := range batch.Live() {
		if item.Users == nil {
			var n int
			_, _ = fmt.Sscan(item.Request.Payload.Title, &n)
			for i := range n {
				item.Users = append(item.Users, fmt.Sprintf("user:default/u%d", i))
			}
		}
	}
	return nil
}

// What a message becomes is known only when groups are resolved; a commit is
// bounded all the same.
func TestGroupsInOneMessageAreBoundedTogether(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) { d.Recipients = crowds{} })
	b.submit(t, request("900", "group:default/a"), request("900", "group:default/a"), request("900", "group:default/a"),
		request("900", "group:default/a"), request("900", "group:default/a"), request("1", "group:default/a"),
		request("60000", "group:default/b"), request("60000", "group:default/b"))
	rowsOf := func(msg signalbox.Message) int {
		t.Helper()
		before := len(b.memory.rows)
		if err := b.process(t, msg); err != nil {
			t.Fatal(err)
		}
		added := len(b.memory.rows) - before
		if added > maxCommitRows {
			t.Fatalf("%d rows in one commit", added)
		}
		return added
	}
	total := rowsOf(b.one(t, TopicNotifications))
	if named := len(b.memory.published); named != 60+2 {
		t.Errorf("%d messages, want 60 parts and 2 requests without room", named)
	}
	for waiting := b.memory.take(TopicFanout); len(waiting) > 0; waiting = b.memory.take(TopicFanout) {
		for _, msg := range waiting {
			total += rowsOf(msg)
		}
	}
	if want := 5*900 + 1 + 2*60_000; total != want {
		t.Errorf("%d rows, want %d", total, want)
	}
	if len(b.memory.dead) != 0 {
		t.Errorf("%d dead letters", len(b.memory.dead))
	}
}

// TestLatencyIsMeasuredAtTheEnd: what becomes messages of its own is measured when
// those are stored.
func TestLatencyIsMeasuredAtTheEnd(t *testing.T) {
	registry := prometheus.NewRegistry()
	b := newBench(t, func(d *Deps, _ *Config) { d.Recipients, d.Registerer = crowds{}, registry })
	measured := func() uint64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "signalbox_pipeline_seconds" {
				return family.GetMetric()[0].GetHistogram().GetSampleCount()
			}
		}
		t.Fatal("there is no such metric")
		return 0
	}
	b.submit(t, request(fmt.Sprint(2*maxPartRows), "group:default/a"), request("1", "group:default/b"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if got := measured(); got != 1 {
		t.Errorf("%d measured, want only what was stored", got)
	}
	for _, part := range b.memory.take(TopicFanout) {
		if err := b.process(t, part); err != nil {
			t.Fatal(err)
		}
	}
	if got := measured(); got != 3 {
		t.Errorf("%d measured, want one and two parts", got)
	}
}

// slow takes its time with every notification.
type slow struct{ name string }

func (s slow) Name() string { return s.name }

func (slow) PreProcess(ctx context.Context, _ *signalbox.Notification) (bool, error) {
	<-ctx.Done()
	return true, nil
}

func TestAllProcessorsTogetherHaveOneDeadline(t *testing.T) {
	b := newBench(t, func(d *Deps, c *Config) {
		d.Processors = []signalbox.Processor{slow{"one"}, slow{"two"}, slow{"three"}}
		c.Patience, c.ProcessorTimeout = 20*time.Millisecond, 60*time.Millisecond
		c.Retry.MaxAttempts = 1
	})
	b.submit(t, request("a", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if err := b.process(t, b.one(t, TopicRetry)); err != nil {
		t.Fatal(err)
	}
	if len(b.memory.dead) != 1 {
		t.Errorf("%d dead letters, want 1: the message would come back for ever", len(b.memory.dead))
	}
}

func TestUnreadableMessagesAreBuried(t *testing.T) {
	b := newBench(t, nil)
	for i, payload := range []string{"", "{", `{"v":2,"entries":[{}]}`, `{"v":1,"entries":[]}`} {
		if err := b.process(t, signalbox.Message{Topic: TopicNotifications, Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
		if len(b.memory.dead) != i+1 {
			t.Errorf("%q was not kept", payload)
		}
	}
}

func TestRevisionsOfAScopeInOneMessage(t *testing.T) {
	b := newBench(t, nil)
	first, second := request("first", "user:default/jane"), request("second", "user:default/jane")
	first.Payload.Scope, second.Payload.Scope = "build", "build"
	receipts := b.submit(t, first, second)
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if len(b.memory.rows) != 1 {
		t.Fatalf("%d rows, want 1", len(b.memory.rows))
	}
	for _, row := range b.memory.rows {
		if row.Payload.Title != "second" || row.ID != signalbox.NotificationID(receipts[0].ID, "user:default/jane") || row.Updated.IsZero() {
			t.Errorf("row %+v", row)
		}
	}
}

func TestRowsFold(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }
	n := func(id, user, scope string, revision int64) signalbox.Notification {
		return signalbox.Notification{
			ID: id, User: user, Origin: "ci", Revision: revision, Created: at(int(revision)),
			Payload: signalbox.Payload{Title: fmt.Sprint(revision), Scope: scope},
		}
	}
	folded, index := rows([]signalbox.Notification{
		n("a", "jane", "s", 2), n("b", "joe", "s", 1), n("c", "jane", "", 3),
		n("d", "jane", "s", 1), n("e", "jane", "s", 4), n("f", "jane", "", 5),
	})
	if diff := cmp.Diff([]int{0, 1, 2, 0, 0, 3}, index); diff != "" {
		t.Error(diff)
	}
	want := n("d", "jane", "s", 4)
	want.Created, want.Updated = at(1), at(4)
	if diff := cmp.Diff(want, folded[0]); diff != "" {
		t.Error(diff)
	}
}

func TestHangingCallsLeaveRoomForOthers(t *testing.T) {
	f := &faulty{release: make(chan struct{})}
	defer close(f.release)
	b := newBench(t, func(d *Deps, c *Config) {
		d.Processors = []signalbox.Processor{f}
		c.Patience, c.ProcessorTimeout = 50*time.Millisecond, 50*time.Millisecond
		c.Retry.MaxAttempts = 1
	})
	// More than run at a time, in batches as they would come.
	for range 3 {
		var batch []signalbox.SendRequest
		for range concurrency {
			batch = append(batch, request("hangs", "user:default/jane"))
		}
		b.submit(t, batch...)
		if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
			t.Fatal(err)
		}
	}
	b.submit(t, request("good", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"good": 1}, b.titles()); diff != "" {
		t.Error(diff)
	}
}

// panics panics in a stage.
type panics struct{ away }

func (panics) Process(context.Context, *signalbox.Batch) error { panic("oops") }

// TestAPanicsStackIsLoggedNotStored: senders see what is stored.
func TestAPanicsStackIsLoggedNotStored(t *testing.T) {
	for name, add := range map[string]func(*Deps){
		"a processor": func(d *Deps) { d.Processors = []signalbox.Processor{&faulty{}} },
		"a stage":     func(d *Deps) { d.Stages = []signalbox.Stage{&panics{}} },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			b := newBench(t, func(d *Deps, _ *Config) {
				add(d)
				d.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			receipts := b.submit(t, request("panics", "user:default/jane"), request("panics", "user:default/joe"))
			if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
				t.Fatal(err)
			}
			for _, r := range receipts {
				if text := b.memory.requests[r.ID].Error; !strings.HasSuffix(text, "panic: oops") || strings.Contains(text, ".go:") {
					t.Errorf("stored: %s", text)
				}
			}
			if !strings.Contains(log.String(), "handler_test.go:") || strings.Count(log.String(), "panic: oops") != 2 {
				t.Errorf("logged: %s", log.String())
			}
			// What fails for all at once has one stack.
			if n := strings.Count(log.String(), "stack="); name == "a stage" && n != 1 {
				t.Errorf("%d stacks are logged", n)
			}
		})
	}
}

func TestNoRoomForACallIsNoAttempt(t *testing.T) {
	i := newIsolation("x")
	i.calls = isolate.New(0, 0)
	if err := i.call(t.Context(), func() error { return nil }); !signalbox.IsTransient(err) {
		t.Errorf("too many stuck calls: %v", err)
	}
	i.calls = isolate.New(maxStuck, 0)
	for range concurrency {
		i.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := i.call(ctx, func() error { return nil }); !signalbox.IsTransient(err) {
		t.Errorf("no slot: %v", err)
	}
}
