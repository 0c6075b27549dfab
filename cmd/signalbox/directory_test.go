package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/processors/directory/directorytest"
)

// sendTo posts one notification, which has to be accepted.
func (s *server) sendTo(title string, refs ...string) {
	s.t.Helper()
	status, _, body, err := s.post(context.Background(), fmt.Sprintf(
		`{"recipients":{"type":"entity","entityRef":["%s"]},"payload":{"title":%q}}`, strings.Join(refs, `","`), title))
	if err != nil || status != http.StatusAccepted {
		s.t.Fatalf("%d %s, %v", status, body, err)
	}
}

// has returns a condition: these users, and not the others, have a title once.
func (s *server) has(title string, users, others []string) func() error {
	return func() error {
		for _, user := range slices.Concat(users, others) {
			titles, err := s.inbox(user)
			if err != nil {
				return err
			}
			want := 0
			if slices.Contains(users, user) {
				want = 1
			}
			if titles[title] != want {
				return fmt.Errorf("%s has %q %d times, want %d", user, title, titles[title], want)
			}
		}
		return nil
	}
}

func TestSampleOrganisation(t *testing.T) {
	s := start(t, t.TempDir(), "")
	const jane, joe, ann, guest = "user:default/jane", "user:default/joe", "user:default/ann", "user:default/guest"
	s.sendTo("to a team", "group:default/team-a")
	s.sendTo("to an owner", "component:default/website")
	s.sendTo("to a department", "Group:department-x", "group:default/nobody")
	eventually(t, 20*time.Second, s.has("to a team", []string{jane, joe, guest}, []string{ann}))
	eventually(t, 20*time.Second, s.has("to an owner", []string{ann}, []string{jane, joe, guest}))
	eventually(t, 20*time.Second, s.has("to a department", []string{jane, joe, guest, ann}, nil))
	if !strings.Contains(s.output.String(), `"entityRef":"group:default/team-a"`) {
		t.Error("the greeting does not show a send to a group")
	}
}

// TestDirectoryOutage: what needs a catalog that is away waits for it, for more
// attempts than anything else gets, while plain users get theirs at once.
func TestDirectoryOutage(t *testing.T) {
	catalog := directorytest.NewCatalog(t, []directorytest.Entity{
		{Kind: "User", Name: "bob", MemberOf: []string{"group:remote"}}, {Kind: "Group", Name: "remote"},
	})
	catalog.Behave(directorytest.Behaviour{Hang: true})
	files := filepath.Join(t.TempDir(), "org.yaml")
	if err := os.WriteFile(files, directorytest.YAML([]directorytest.Entity{
		{Kind: "Group", Name: "local", Members: []string{"user:ann"}, Children: []string{"group:remote"}},
		{Kind: "Group", Name: "file-only", Members: []string{"user:ann"}},
	}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir(), "",
		"SIGNALBOX_DIRECTORY_FILES="+files, "SIGNALBOX_DIRECTORY_BACKSTAGE_BASE_URL="+catalog.URL,
		"SIGNALBOX_DIRECTORY_BACKSTAGE_TIMEOUT=100ms", "SIGNALBOX_PIPELINE_MAX_ATTEMPTS=1",
		"SIGNALBOX_PIPELINE_RETRY_MIN=10ms", "SIGNALBOX_PIPELINE_RETRY_MAX=50ms")
	const ann, bob, joe = "user:default/ann", "user:default/bob", "user:default/joe"
	s.sendTo("across both", "group:default/local")
	s.sendTo("from the file", "group:default/file-only")
	s.sendTo("plain", joe)
	eventually(t, 10*time.Second, s.has("plain", []string{joe}, []string{ann, bob}))
	eventually(t, 10*time.Second, s.has("from the file", []string{ann}, []string{bob, joe}))

	catalog.Behave(directorytest.Behaviour{Status: http.StatusBadGateway})
	requests := 0
	eventually(t, 30*time.Second, func() error {
		if requests += len(catalog.Requests()); requests < 10 {
			return fmt.Errorf("only %d requests to the catalog", requests)
		}
		return nil
	})
	if err := s.has("across both", nil, []string{ann, bob})(); err != nil {
		t.Error(err)
	}
	catalog.Behave(directorytest.Behaviour{})
	eventually(t, 20*time.Second, s.has("across both", []string{ann, bob}, []string{joe}))
}
