package processors_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors"
)

var everywhere = []string{"Web", "Slack", "Email"}

// chosen is a [processors.ChoiceReader] in memory that counts its calls.
type chosen struct {
	byUser map[string][]signalbox.Choice
	calls  int
	about  int
	err    error
}

func (c *chosen) ChoicesFor(_ context.Context, about []signalbox.Received) (map[string][]signalbox.Choice, error) {
	c.calls++
	c.about += len(about)
	return c.byUser, c.err
}

// batchOf makes a batch of one item for these users; an empty one is everyone.
func batchOf(users ...string) *signalbox.Batch {
	item := &signalbox.Item{}
	for _, user := range users {
		item.Routed = append(item.Routed, signalbox.Routed{
			Notification: signalbox.Notification{
				User: user, Origin: "ci",
				Payload: signalbox.Payload{Title: "t", Topic: "deploys", Severity: signalbox.SeverityNormal},
			},
			Audience: signalbox.UserAudience(user),
			Channels: everywhere,
		})
	}
	return &signalbox.Batch{Items: []*signalbox.Item{item}}
}

func decide(t *testing.T, d processors.Decider, batch *signalbox.Batch) {
	t.Helper()
	if err := processors.NewSettings(d, everywhere).Process(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func TestUserSettings(t *testing.T) {
	policy := signalbox.NewSettingsPolicy(signalbox.SettingsConfig{
		Channels: everywhere,
		Defaults: []signalbox.Choice{{Channel: "Email", Origin: "ci", Enabled: false}},
		Filters:  map[string]signalbox.PayloadFilter{"Slack": {ExcludedTopics: []string{"deploys"}}},
	})
	store := &chosen{byUser: map[string][]signalbox.Choice{
		"user:default/jane": {{Channel: "web", Origin: "CI"}, {Channel: "Email", Enabled: true}},
	}}
	batch := batchOf("user:default/jane", "user:default/joe", "")
	decide(t, processors.NewUserSettings(policy, store), batch)
	filtered := signalbox.Suppression{Channel: "Slack", Rule: signalbox.RuleExcludedTopics}
	for i, want := range []signalbox.Routed{
		{Channels: []string{"Email"}, Suppressed: []signalbox.Suppression{{Channel: "Web", Rule: signalbox.RuleUserOrigin}, filtered}},
		{Channels: []string{"Web"}, Suppressed: []signalbox.Suppression{filtered, {Channel: "Email", Rule: signalbox.RuleConfigOrigin}}},
		{Channels: []string{"Web", "Email"}, Suppressed: []signalbox.Suppression{filtered}},
	} {
		got := batch.Items[0].Routed[i]
		got.Notification, got.Audience = signalbox.Notification{}, ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("user %d (-want +got):\n%s", i, diff)
		}
	}
	if diff := cmp.Diff([]string{"Web", "Slack", "Email"}, everywhere); diff != "" {
		t.Errorf("the shared list was changed: %s", diff)
	}
	if store.calls != 1 || store.about != 2 {
		t.Errorf("%d queries about %d notifications", store.calls, store.about)
	}
}

func TestSettingsAskOncePerBatch(t *testing.T) {
	store := &chosen{}
	decider := processors.NewUserSettings(signalbox.NewSettingsPolicy(signalbox.SettingsConfig{Channels: everywhere}), store)
	batch := &signalbox.Batch{}
	for i := range 20 {
		var users []string
		for u := range 50 {
			users = append(users, fmt.Sprintf("user:default/u%d-%d", i, u))
		}
		batch.Items = append(batch.Items, batchOf(users...).Items...)
	}
	batch.Items[3].Fail("recipients", errors.New("no"))
	decide(t, decider, batch)
	if store.calls != 1 || store.about != 950 {
		t.Errorf("%d queries about %d notifications", store.calls, store.about)
	}
	store.calls = 0
	decide(t, decider, batchOf(""))
	decide(t, decider, &signalbox.Batch{})
	if store.calls != 0 {
		t.Errorf("%d queries for nobody", store.calls)
	}
	if &batch.Items[0].Routed[0].Channels[0] != &everywhere[0] {
		t.Error("a list was copied though nothing was taken away")
	}
}

func TestSettingsOutageDelaysTheBatch(t *testing.T) {
	store := &chosen{err: signalbox.Transient(errors.New("away"))}
	stage := processors.NewSettings(processors.NewUserSettings(signalbox.NewSettingsPolicy(signalbox.SettingsConfig{Channels: everywhere}), store), everywhere)
	batch := batchOf("user:default/jane")
	if err := stage.Process(t.Context(), batch); !signalbox.IsTransient(err) {
		t.Errorf("%v, want a transient error", err)
	}
	if len(batch.Items[0].Routed[0].Channels) != 3 || batch.Items[0].Err != nil {
		t.Errorf("%+v", batch.Items[0])
	}
}

// only lets one channel through, without saying why.
type only string

func (o only) Decide(_ context.Context, notifications []*signalbox.Notification, _ []string) ([][]string, error) {
	allowed := make([][]string, len(notifications))
	for i, n := range notifications {
		if n.IsBroadcast() {
			return nil, errors.New("asked for a broadcast")
		}
		allowed[i] = []string{string(o)}
	}
	return allowed, nil
}

func TestDeciderWithoutReasons(t *testing.T) {
	batch := batchOf("", "user:default/jane")
	decide(t, only("Slack"), batch)
	everyone, jane := batch.Items[0].Routed[0], batch.Items[0].Routed[1]
	if len(everyone.Channels) != 3 || everyone.Suppressed != nil {
		t.Errorf("broadcast: %+v", everyone)
	}
	if diff := cmp.Diff([]string{"Slack"}, jane.Channels); diff != "" {
		t.Error(diff)
	}
	want := []signalbox.Suppression{{Channel: "Web", Rule: signalbox.RuleDecider}, {Channel: "Email", Rule: signalbox.RuleDecider}}
	if diff := cmp.Diff(want, jane.Suppressed); diff != "" {
		t.Error(diff)
	}
}

// Decide and Explain say the same.
func TestDecideIsExplain(t *testing.T) {
	policy := signalbox.NewSettingsPolicy(signalbox.SettingsConfig{
		Channels: everywhere, Defaults: []signalbox.Choice{{Channel: "Slack"}}, BroadcastsRespect: []string{"Slack"},
	})
	decider := processors.NewUserSettings(policy, &chosen{})
	var notifications []*signalbox.Notification
	for i := range batchOf("", "user:default/jane").Items[0].Routed {
		notifications = append(notifications, &batchOf("", "user:default/jane").Items[0].Routed[i].Notification)
	}
	got, err := decider.Decide(t.Context(), notifications, everywhere)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"Web", "Email"}, {"Web", "Email"}}, got); diff != "" {
		t.Error(diff)
	}
}

// sloppy answers with what it has.
type sloppy struct {
	allowed   [][]string
	decisions [][]signalbox.SettingsDecision
}

func (s sloppy) Decide(context.Context, []*signalbox.Notification, []string) ([][]string, error) {
	return s.allowed, nil
}

// explaining is a sloppy one that says why.
type explaining struct{ sloppy }

func (e explaining) Explain(context.Context, []*signalbox.Notification, []string) ([][]signalbox.SettingsDecision, error) {
	return e.decisions, nil
}

func (explaining) ExplainShared(*signalbox.Notification, string) signalbox.SettingsDecision {
	return signalbox.SettingsDecision{}
}

// TestADeciderThatAnswersInPart decides nothing, and is told what is wrong.
func TestADeciderThatAnswersInPart(t *testing.T) {
	full, short := make([]signalbox.SettingsDecision, len(everywhere)), make([]signalbox.SettingsDecision, 1)
	for name, c := range map[string]struct {
		decider processors.Decider
		want    string
	}{
		"too few":           {sloppy{allowed: make([][]string, 1)}, "settings: 1 answers about 2 notifications"},
		"too many":          {sloppy{allowed: make([][]string, 3)}, "settings: 3 answers about 2 notifications"},
		"too few reasons":   {explaining{}, "settings: 0 answers about 2 notifications"},
		"too few decisions": {explaining{sloppy{decisions: [][]signalbox.SettingsDecision{full, short}}}, "settings: 1 decisions about 3 channels"},
	} {
		batch := batchOf("user:default/jane", "user:default/joe")
		err := processors.NewSettings(c.decider, everywhere).Process(t.Context(), batch)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if len(batch.Items[0].Routed[0].Channels) != len(everywhere) {
			t.Errorf("%s: something was decided", name)
		}
	}
}

// TestADecisionWithoutARule is a decision.
func TestADecisionWithoutARule(t *testing.T) {
	batch := batchOf("user:default/jane")
	decide(t, explaining{sloppy{decisions: [][]signalbox.SettingsDecision{make([]signalbox.SettingsDecision, len(everywhere))}}}, batch)
	if r := batch.Items[0].Routed[0]; len(r.Channels) != 0 || len(r.Suppressed) != 3 || r.Suppressed[0].Rule != signalbox.RuleDecider {
		t.Errorf("%+v", r)
	}
}
