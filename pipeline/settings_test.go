package pipeline

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

// threePhases is a processor that keeps the titles that reach each phase.
type threePhases struct {
	mu   sync.Mutex
	seen map[string][]string
}

func (*threePhases) Name() string { return "spy" }

func (s *threePhases) saw(phase, title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[phase] = append(s.seen[phase], title)
}

func (s *threePhases) ProcessOptions(_ context.Context, request *signalbox.SendRequest) error {
	s.saw("options", request.Payload.Title)
	return nil
}

func (s *threePhases) PreProcess(_ context.Context, n *signalbox.Notification) (bool, error) {
	s.saw("pre", n.Payload.Title)
	return true, nil
}

func (s *threePhases) PostProcess(context.Context, signalbox.Notification) error { return nil }

// What a processor's filter drops passes by all of its phases, and is stored all
// the same.
func TestFilterOfAProcessor(t *testing.T) {
	spy := &threePhases{seen: map[string][]string{}}
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Processors = []signalbox.Processor{spy}
		d.Filters = map[string]signalbox.PayloadFilter{"spy": {ExcludedTopics: []string{"Noise"}}}
	})
	noise := request("noise", "user:default/jane")
	noise.Payload.Topic = "noise"
	signal := request("signal", "user:default/jane")
	b.submit(t, noise, signal)
	for _, m := range b.memory.take(TopicNotifications) {
		if err := b.process(t, m); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string][]string{"options": {"signal"}, "pre": {"signal"}}, spy.seen); diff != "" {
		t.Error(diff)
	}
	if post := b.memory.take("post.spy"); len(post) != 1 {
		t.Errorf("%d messages after storing", len(post))
	}
	if len(b.memory.rows) != 2 {
		t.Errorf("%d rows", len(b.memory.rows))
	}
}

// suppressAll takes every channel away from one user.
type suppressAll string

func (suppressAll) Name() string { return "settings" }

func (s suppressAll) Process(_ context.Context, batch *signalbox.Batch) error {
	for _, item := range batch.Live() {
		for i := range item.Routed {
			if r := &item.Routed[i]; r.Notification.User == string(s) {
				r.Channels, r.Suppressed = nil, []signalbox.Suppression{{Channel: "Web", Rule: signalbox.RuleUserOrigin}}
			}
		}
	}
	return nil
}

// What a user does not get is remembered with the commit, and why it was
// suppressed survives custom steps.
func TestSuppressedIsRemembered(t *testing.T) {
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Stages = append(d.Stages, suppressAll("user:default/jane"))
		d.Processors = []signalbox.Processor{&threePhases{seen: map[string][]string{}}}
	})
	batch := &signalbox.Batch{}
	both := request("a", "user:default/jane", "user:default/joe")
	both.Origin, both.Payload.Topic = "ci", "deploys"
	w := &work{entries: []entry{{Request: both}}, batch: batch}
	batch.Items = []*signalbox.Item{{Request: both}}
	w.fanouts = map[int]*fanout{}
	if err := b.run(t.Context(), w, time.Second); err != nil {
		t.Fatal(err)
	}
	if got := batch.Items[0].Routed[0].Suppressed; len(got) != 1 || got[0].Rule != signalbox.RuleUserOrigin {
		t.Errorf("suppressed: %+v", got)
	}
	c, err := b.plan(w)
	if err != nil {
		t.Fatal(err)
	}
	want := []signalbox.Received{{User: "user:default/jane", Origin: "ci", Topic: "deploys"}}
	if diff := cmp.Diff(want, c.commit.Received); diff != "" {
		t.Error(diff)
	}
	if len(c.commit.Notifications) != 1 {
		t.Errorf("%d rows", len(c.commit.Notifications))
	}
}
