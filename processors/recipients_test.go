package processors_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors"
	"github.com/signalbox/signalbox/processors/directory"
)

// org is a directory of two groups that remembers what it was asked.
type org struct {
	mu    sync.Mutex
	asked [][]string
	err   error
	hang  bool
	panic bool
}

func (o *org) Lookup(ctx context.Context, refs []string) (map[string]*directory.Record, error) {
	o.mu.Lock()
	o.asked = append(o.asked, refs)
	o.mu.Unlock()
	if o.panic {
		panic("broken")
	}
	if o.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	found := make(map[string]*directory.Record)
	for _, ref := range refs {
		switch ref {
		case "group:default/a":
			found[ref] = &directory.Record{Members: []string{"user:default/jane", "user:default/joe"}}
		case "group:default/b":
			found[ref] = &directory.Record{Members: []string{"user:default/joe"}}
		}
	}
	return found, o.err
}

func item(exclude string, refs ...string) *signalbox.Item {
	i := &signalbox.Item{Revision: 7, Request: signalbox.SendRequest{
		ID: "0190", Origin: "ci", Created: time.Unix(1, 0),
		Recipients: signalbox.Recipients{Type: signalbox.RecipientsEntity, EntityRefs: refs},
		Payload:    signalbox.Payload{Title: "t"},
	}}
	if exclude != "" {
		i.Request.Recipients.ExcludeEntityRefs = []string{exclude}
	}
	return i
}

func users(i *signalbox.Item) []string {
	return i.Users
}

func process(t *testing.T, source *org, patience time.Duration, items ...*signalbox.Item) {
	t.Helper()
	stage := processors.NewRecipients(directory.New(directory.Config{}, source))
	if err := stage.Process(t.Context(), &signalbox.Batch{Items: items, Deadline: time.Now().Add(patience)}); err != nil {
		t.Fatalf("the batch failed: %v", err)
	}
}

func TestRecipients(t *testing.T) {
	source := &org{}
	broadcast := item("")
	broadcast.Request.Recipients = signalbox.Recipients{Type: signalbox.RecipientsBroadcast}
	failed := item("", "group:default/b")
	failed.Fail("before", errors.New("x"))
	items := []*signalbox.Item{
		item("", "group:default/a"), item("user:default/joe", "group:default/a"), item("", "group:default/a"),
		item("", "group:default/none", "user:default/ann"), broadcast, failed,
	}
	process(t, source, time.Minute, items...)

	var got [][]string
	for _, i := range items {
		got = append(got, users(i))
	}
	if diff := cmp.Diff([][]string{
		{"user:default/jane", "user:default/joe"},
		{"user:default/jane"},
		{"user:default/jane", "user:default/joe"},
		{"user:default/ann"},
		{""},
		nil,
	}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"group:default/none"}, items[3].Unknown); diff != "" {
		t.Error(diff)
	}
	if len(source.asked) != 3 {
		t.Errorf("%d lookups for three distinct sets: %v", len(source.asked), source.asked)
	}
}

// TestOutage: only who needs the directory waits for it.
func TestOutage(t *testing.T) {
	for name, source := range map[string]*org{
		"fails": {err: errors.New("connection refused")},
		"hangs": {hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			plain, group, excluding := item("user:default/joe", "user:default/jane", "user:default/joe"), item("", "group:default/a"), item("group:default/b", "user:default/joe")
			process(t, source, 20*time.Millisecond, plain, group, excluding)
			if plain.Err != nil || !slices.Equal(users(plain), []string{"user:default/jane"}) {
				t.Errorf("plain users: %v, %v", users(plain), plain.Err)
			}
			for _, i := range []*signalbox.Item{group, excluding} {
				if !signalbox.IsTransient(i.Err) || i.Stage != "recipients" {
					t.Errorf("%v failed in %q with %v, want a transient error", i.Request.Recipients, i.Stage, i.Err)
				}
				if errors.Is(i.Err, signalbox.ErrPatience) != source.hang {
					t.Errorf("error %v", i.Err)
				}
			}
		})
	}
}

func TestDirectoryPanics(t *testing.T) {
	plain, group := item("", "user:default/jane"), item("", "group:default/a")
	process(t, &org{panic: true}, 0, plain, group)
	if plain.Err != nil || group.Err == nil || signalbox.IsTransient(group.Err) {
		t.Errorf("%v, %v", plain.Err, group.Err)
	}
	if bug := (*signalbox.PanicError)(nil); !errors.As(group.Err, &bug) || group.Err.Error() != "directory: panic: broken" || len(bug.Stack) == 0 {
		t.Errorf("the error %q", group.Err)
	}
}
