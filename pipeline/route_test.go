package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// everywhere is a channel that takes users and broadcasts.
type everywhere struct{}

func (everywhere) Name() string { return "Everywhere" }

func (everywhere) Deliver(context.Context, channels.Delivery) (channels.Sent, error) {
	return channels.Sent{}, nil
}

// rooms is a channel of groups, and of users who were named.
type rooms struct{ everywhere }

func (rooms) Name() string { return "Rooms" }

func (rooms) Takes(audience signalbox.Audience, named bool) bool {
	return audience.IsEntity() || audience.IsUser() && named
}

// mapped resolves groups to users.
type mapped map[string][]string

func (mapped) Name() string { return "recipients" }

func (m mapped) Process(_ context.Context, batch *signalbox.Batch) error {
	for _, item := range batch.Live() {
		if item.Users != nil {
			continue
		}
		for _, ref := range item.Request.Recipients.EntityRefs {
			if strings.HasPrefix(ref, "user:") {
				item.Users = append(item.Users, ref)
			} else if users, known := m[ref]; known {
				item.Users = append(item.Users, users...)
			} else {
				item.Unknown = append(item.Unknown, ref)
			}
		}
	}
	return nil
}

// recorded lists the records as "audience channel[/target] status [rule]".
func (b *bench) recorded() []string {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	list := []string{}
	for key, r := range b.memory.records {
		text := fmt.Sprintf("%s %s", key.Audience, key.Channel)
		if key.Target != "" {
			text += "/" + key.Target
		}
		list = append(list, strings.TrimSpace(text+" "+string(r.Status)+" "+string(r.Rule)))
	}
	slices.Sort(list)
	return list
}

func TestAudiences(t *testing.T) {
	crowd := mapped{"group:default/team": {"user:default/joe", "user:default/ann"}, "group:default/out": {"user:default/zoe"}}
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Recipients = crowd
		d.Channels = []channels.Channel{everywhere{}, rooms{}}
	})
	r := request("t", "user:default/jane", "group:default/team", "group:default/gone", "group:default/out")
	r.Recipients.ExcludeEntityRefs = []string{"group:default/out"}
	r.Recipients.Targets = []signalbox.DirectTarget{{Channel: "Rooms", Address: "#ops"}}
	receipts := b.submit(t, r)
	msg := b.one(t, TopicNotifications)
	for range 2 { // it may come twice
		if err := b.processAt(t, msg, "1"); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"Rooms/#ops queued",
		"group:default/gone Rooms queued", "group:default/team Rooms queued",
		"user:default/ann Everywhere queued", "user:default/jane Everywhere queued", "user:default/jane Rooms queued",
		"user:default/joe Everywhere queued", "user:default/zoe Everywhere queued",
	}
	if diff := cmp.Diff(want, b.recorded()); diff != "" {
		t.Error(diff)
	}
	if got := len(b.memory.take("deliveries.Everywhere")) + len(b.memory.take("deliveries.Rooms")); got != len(want) {
		t.Errorf("%d messages", got)
	}
	record := b.memory.requests[receipts[0].ID]
	if record.Recipients != 4 || !slices.Equal(record.Unknown, []string{"group:default/gone"}) || record.Status != signalbox.RequestProcessed {
		t.Errorf("request: %+v", record)
	}
	if len(b.memory.rows) != 4 {
		t.Errorf("%d inbox rows: places that are no user's have none", len(b.memory.rows))
	}
}

// TestSharedOncePerRequest: however many parts a request is processed in.
func TestSharedOncePerRequest(t *testing.T) {
	crowd := mapped{}
	for i := range 2*maxPartRows + 1 {
		crowd["group:default/crowd"] = append(crowd["group:default/crowd"], fmt.Sprintf("user:default/u%d", i))
	}
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Recipients, d.Channels = crowd, []channels.Channel{rooms{}}
	})
	receipts := b.submit(t, request("t", "group:default/crowd"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	for _, part := range b.memory.take(TopicFanout) {
		if err := b.process(t, part); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"group:default/crowd Rooms queued"}, b.recorded()); diff != "" {
		t.Error(diff)
	}
	if n := b.memory.requests[receipts[0].ID].Recipients; n != 2*maxPartRows+1 {
		t.Errorf("%d recipients", n)
	}
}

// TestSupersededIsRecorded: an older revision that comes late goes nowhere, and
// the trace says why.
func TestSupersededIsRecorded(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) { d.Channels = []channels.Channel{everywhere{}} })
	scoped := func(title string) signalbox.SendRequest {
		r := request(title, "user:default/jane")
		r.Payload.Scope = "s"
		return r
	}
	first := b.submit(t, scoped("first"))
	older := b.one(t, TopicNotifications)
	second := b.submit(t, scoped("second"))
	newer := b.one(t, TopicNotifications)
	if err := b.processAt(t, newer, "2"); err != nil {
		t.Fatal(err)
	}
	if err := b.processAt(t, older, "1"); err != nil {
		t.Fatal(err)
	}
	if got := len(b.memory.take("deliveries.Everywhere")); got != 1 {
		t.Errorf("%d messages, want that of the newer revision", got)
	}
	for channel, want := range map[string]signalbox.DeliveryStatus{"Web": signalbox.DeliverySuppressed, "Everywhere": signalbox.DeliverySuppressed} {
		key := signalbox.DeliveryKey{RequestID: first[0].ID, Audience: "user:default/jane", Channel: channel}
		if r := b.memory.records[key]; r.Status != want || r.Rule != signalbox.RuleSuperseded {
			t.Errorf("%s of the older revision: %+v", channel, r)
		}
	}
	key := signalbox.DeliveryKey{RequestID: second[0].ID, Audience: "user:default/jane", Channel: "Everywhere"}
	if r := b.memory.records[key]; r.Status != signalbox.DeliveryQueued {
		t.Errorf("the newer revision: %+v", r)
	}
}

// dropAll is a processor that lets nothing through.
type dropAll struct{}

func (dropAll) Name() string { return "censor" }

func (dropAll) PreProcess(context.Context, *signalbox.Notification) (bool, error) { return false, nil }

func TestDroppedIsRecorded(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Channels = []channels.Channel{everywhere{}}
		d.Processors = []signalbox.Processor{dropAll{}, &post{}}
	})
	b.submit(t, request("t", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"user:default/jane Everywhere suppressed processor.censor", "user:default/jane Web suppressed processor.censor",
	}, b.recorded()); diff != "" {
		t.Error(diff)
	}
	if len(b.memory.rows) != 0 || len(b.memory.take("post.audit")) != 0 {
		t.Error("what was dropped went on")
	}
}

// TestRequestRecords: what cannot be told by deliveries is told of the request.
func TestRequestRecords(t *testing.T) {
	stage := &outageStage{err: signalbox.Transient(context.DeadlineExceeded)}
	b := newBench(t, func(d *Deps, c *Config) {
		d.Recipients = stage
		c.Retry.MaxAttempts = 2
	})
	plain := b.submit(t, request("plain", "user:default/jane"))
	waiting := b.submit(t, request("waiting", "group:default/a"))
	for _, m := range b.memory.take(TopicNotifications) {
		if err := b.process(t, m); err != nil {
			t.Fatal(err)
		}
	}
	if _, there := b.memory.requests[plain[0].ID]; there {
		t.Error("a request of which the inbox tells everything has a record")
	}
	status := func() signalbox.RequestRecord { return b.memory.requests[waiting[0].ID] }
	if r := status(); r.Status != signalbox.RequestRetrying || r.Stage != "recipients" || r.Error == "" {
		t.Errorf("while it is retried: %+v", r)
	}
	stage.err = signalbox.Permanent(context.Canceled)
	if err := b.process(t, b.one(t, TopicRetry)); err != nil {
		t.Fatal(err)
	}
	if r := status(); r.Status != signalbox.RequestFailed {
		t.Errorf("when it was given up: %+v", r)
	}
	stage.err = nil
	for _, letter := range b.memory.dead {
		if err := b.process(t, signalbox.Message{Topic: letter.Topic, Payload: letter.Payload}); err != nil {
			t.Fatal(err)
		}
	}
	if r := status(); r.Status != signalbox.RequestProcessed {
		t.Errorf("after a person put it back: %+v", r)
	}
}

// TestARecordOfWhatHangs: a request that takes too long even alone has a record, of
// every attempt and of its end. That it left its batch is none.
func TestARecordOfWhatHangs(t *testing.T) {
	f := &faulty{release: make(chan struct{})}
	defer close(f.release)
	b := newBench(t, func(d *Deps, c *Config) {
		d.Processors = []signalbox.Processor{f}
		c.Patience, c.ProcessorTimeout = time.Millisecond, 2*time.Millisecond
		c.Retry.MaxAttempts = 2
	})
	receipts := b.submit(t, request("hangs", "user:default/jane"))
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if record, there := b.memory.requests[receipts[0].ID]; there {
		t.Errorf("leaving the batch is recorded: %+v", record)
	}
	for attempt, want := range []signalbox.RequestStatus{signalbox.RequestRetrying, signalbox.RequestFailed} {
		if err := b.process(t, b.one(t, TopicRetry)); err != nil {
			t.Fatal(err)
		}
		if r := b.memory.requests[receipts[0].ID]; r.Status != want || r.Stage != "faulty" || r.Attempts != attempt+1 || r.Error == "" {
			t.Errorf("after attempt %d: %+v", attempt+1, r)
		}
	}
	if len(b.memory.dead) != 1 {
		t.Errorf("%d dead letters", len(b.memory.dead))
	}
}

// TestATargetWhoseChannelIsGone is on record, and not published to a topic that
// nobody consumes.
func TestATargetWhoseChannelIsGone(t *testing.T) {
	for name, list := range map[string][]channels.Channel{"none are left": nil, "others are left": {rooms{}}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(d *Deps, _ *Config) {
				d.Channels = list
				d.Processors = []signalbox.Processor{editor{}} // what it did not add is not its fault
			})
			r := request("t", "user:default/jane")
			r.Recipients.Targets = []signalbox.DirectTarget{{Channel: "Gone", Address: "#ops"}}
			b.submit(t, r)
			if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
				t.Fatal(err)
			}
			if got := b.recorded(); !slices.Contains(got, "Gone/#ops suppressed address.none") {
				t.Errorf("recorded %q", got)
			}
			if got := len(b.memory.take("deliveries.Gone")); got != 0 {
				t.Errorf("%d messages that nobody consumes", got)
			}
			if len(b.memory.rows) != 2 || len(b.memory.dead) != 0 {
				t.Errorf("%d rows, %d dead letters", len(b.memory.rows), len(b.memory.dead))
			}
		})
	}
}

// aims adds direct targets.
type aims []signalbox.DirectTarget

func (aims) Name() string { return "aims" }

func (a aims) ProcessOptions(_ context.Context, r *signalbox.SendRequest) error {
	r.Recipients.Targets = append(r.Recipients.Targets, a...)
	return nil
}

// TestAProcessorAimsAtNoChannel: that is as wrong as anything else that it leaves.
func TestAProcessorAimsAtNoChannel(t *testing.T) {
	direct, err := signalbox.NewDirectTargets([]string{"Rooms"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for channel, dead := range map[string]int{"rooms": 0, "Pager": 1} {
		b := newBench(t, func(d *Deps, _ *Config) {
			d.Channels = []channels.Channel{rooms{}}
			d.Processors = []signalbox.Processor{aims{{Channel: channel, Address: "#ops"}}}
			d.Rules = signalbox.Validator{Direct: direct}
		})
		b.submit(t, request("t", "group:default/team"))
		if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
			t.Fatal(err)
		}
		if len(b.memory.dead) != dead || slices.Contains(b.recorded(), "Rooms/#ops queued") != (dead == 0) {
			t.Errorf("%s: %d dead letters, recorded %q", channel, len(b.memory.dead), b.recorded())
		}
	}
}
