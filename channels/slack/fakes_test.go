package slack

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/e2e/output"

	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/slack/slackfake"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// directory is a directory of entities, and of whom the groups among them stand for.
type directory struct {
	entities map[string]signalbox.Entity
	members  map[string][]string

	mu       sync.Mutex
	err      error
	resolved int
}

func (d *directory) failing() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *directory) Resolve(_ context.Context, refs, _ []string) (signalbox.Resolution, error) {
	d.mu.Lock()
	d.resolved++
	d.mu.Unlock()
	var r signalbox.Resolution
	for _, ref := range refs {
		r.Users = append(r.Users, d.members[ref]...)
	}
	return r, d.failing()
}

func (d *directory) Entities(_ context.Context, refs []string) (map[string]signalbox.Entity, error) {
	found := map[string]signalbox.Entity{}
	for _, ref := range refs {
		if entity, ok := d.entities[ref]; ok {
			found[ref] = entity
		}
	}
	return found, d.failing()
}

func (d *directory) Ownership(_ context.Context, user string) ([]string, error) {
	return []string{user}, d.failing()
}

// organisation is who is known in the tests.
func organisation() *directory {
	d := &directory{entities: map[string]signalbox.Entity{}, members: map[string][]string{
		"group:default/team":      {"user:default/jane", "user:default/joe"},
		"group:default/quiet":     {"user:default/joe", "user:default/ann"},
		"component:default/quiet": {"user:default/ann"},
	}}
	for _, e := range []signalbox.Entity{
		{Ref: "user:default/jane", Title: "Jane Doe", Annotations: map[string]string{signalbox.AnnotationSlack: "U0JANE"}},
		{Ref: "user:default/joe", Title: "Joe <!channel>", Email: "Joe@example.com"},
		{Ref: "user:default/ann", Email: "ann@example.com"},
		{Ref: "user:default/mia", Email: "mia@elsewhere.example.com"},
		{Ref: "user:default/mute", Title: "Mute"},
		{Ref: "user:default/byemail", Annotations: map[string]string{signalbox.AnnotationSlack: "joe@example.com"}},
		{Ref: "group:default/team", Title: "Team A", Annotations: map[string]string{signalbox.AnnotationSlack: "#Team-A"}},
		{Ref: "group:default/byid", Title: "Team B", Annotations: map[string]string{signalbox.AnnotationSlack: "C0TEAMB"}},
		{Ref: "group:default/broken", Annotations: map[string]string{signalbox.AnnotationSlack: "two words"}},
		{Ref: "group:default/quiet"},
		{Ref: "component:default/quiet"},
	} {
		d.entities[e.Ref] = e
	}
	return d
}

// bench is a channel in front of a workspace.
type bench struct {
	*Channel
	server    *slackfake.Server
	directory *directory
	logs      *output.Buffer
}

// setUp makes a bench; change completes the configuration.
func setUp(t testing.TB, change ...func(*Config)) bench {
	t.Helper()
	b := bench{server: slackfake.New(t), directory: organisation(), logs: &output.Buffer{}}
	b.server.AddUsers(
		slackfake.User{ID: "U0JOE", Name: "joe", Email: "joe@example.com"},
		slackfake.User{ID: "U0ANN", Name: "ann", Email: "ann@example.com"},
	)
	config := Config{
		Token: signalbox.NewSecret(slackfake.Token), APIURL: b.server.URL(), Directory: b.directory,
		BaseURL: "https://portal.example.com/app",
		Logger:  slog.New(slog.NewTextHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&config)
	}
	var err error
	if b.Channel, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// to is a delivery to an address.
func to(address string) channels.Delivery {
	return channels.Delivery{
		ID:           "0123456789abcdef0123456789abcdef",
		Notification: signalbox.Notification{Origin: "ci", Payload: signalbox.Payload{Title: "Title", Severity: signalbox.SeverityNormal}},
		Target:       channels.Target{Address: address},
		Attempt:      1,
	}
}

// last returns the newest message.
func (b bench) last(t *testing.T) slackfake.Message {
	t.Helper()
	messages := b.server.Messages()
	if len(messages) == 0 {
		t.Fatal("nothing was posted")
	}
	return messages[len(messages)-1]
}

// golden compares with, or writes, a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(want, got) {
		t.Errorf("%s differs; -update writes it. Got:\n%s", name, got)
	}
}
