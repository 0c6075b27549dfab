package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox/processors/directory/directorytest"
)

// traceAnswer is what the API tells of deliveries.
type traceAnswer struct {
	Request struct {
		Status     string
		Recipients int
		Unknown    []string
		Stage      string
		Error      string
	}
	Summary []struct {
		Channel, Status, Rule string
		Count                 int
	}
	Deliveries []struct {
		Channel, Status, Rule, Detail, Recipient, Target, Notification string
		Attempts                                                       int
	}
	NextCursor string
}

// counts sums the summary up, as "Web delivered" and "Pager suppressed user.origin".
func (a traceAnswer) counts() map[string]int {
	counts := map[string]int{}
	for _, c := range a.Summary {
		counts[strings.TrimSpace(c.Channel+" "+c.Status+" "+c.Rule)] += c.Count
	}
	return counts
}

// accept posts a request, which has to be accepted, and returns where to see what
// becomes of it.
func (s *server) accept(t *testing.T, body string) (location string) {
	t.Helper()
	status, header, answer, err := s.post(t.Context(), body)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %s, %v", status, answer, err)
	}
	return header.Get("Location")
}

// trace reads a trace as the sender.
func (s *server) trace(location string) (answer traceAnswer, err error) {
	body, err := s.call(http.MethodGet, location, s.asService(), "", http.StatusOK)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(body, &answer)
}

// traced waits until a trace tells these counts.
func (s *server) traced(t *testing.T, location string, want map[string]int) (answer traceAnswer) {
	t.Helper()
	eventually(t, time.Minute, func() (err error) {
		if answer, err = s.trace(location); err != nil {
			return err
		}
		if diff := cmp.Diff(want, answer.counts()); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
	return answer
}

func TestTrace(t *testing.T) {
	t.Parallel()
	eachDeployment(t, func(t *testing.T, instances []*server) {
		s, other := instances[0], instances[len(instances)-1]
		const jane, joe = "user:default/jane", "user:default/joe"
		mute := `{"channels":[{"id":"Web","origins":[{"id":"local","enabled":false,"topics":[]}]}]}`
		if _, err := s.call(http.MethodPost, "/api/notifications/settings", as(jane), mute, http.StatusOK); err != nil {
			t.Fatal(err)
		}
		first := s.accept(t, `{"recipients":{"type":"entity","entityRef":["`+jane+`","`+joe+`","group:default/nobody"]},"payload":{"title":"1","scope":"s"}}`)
		answer := other.traced(t, first, map[string]int{"Web delivered": 1, "Web suppressed user.origin": 1})
		if answer.Request.Recipients != 2 || !slices.Equal(answer.Request.Unknown, []string{"group:default/nobody"}) {
			t.Errorf("request: %+v", answer.Request)
		}
		// A re-send is a delivery of its own, to the same row.
		second := s.accept(t, to(joe, "2", "scope", "s"))
		resent := other.traced(t, second, map[string]int{"Web delivered": 1})
		row := resent.Deliveries[0].Notification
		if list := other.list(t, joe, ""); list.Notifications[0].ID != row {
			t.Errorf("the trace tells of %s, the inbox has %s", row, list.Notifications[0].ID)
		}
		var own traceAnswer
		if err := other.get(joe, "/api/notifications/notifications/"+row+"/deliveries", &own); err != nil || len(own.Deliveries) != 1 {
			t.Errorf("as the user: %+v, %v", own, err)
		}
		if err := other.get(jane, "/api/notifications/notifications/"+row+"/deliveries", &own); err == nil {
			t.Error("another user sees the deliveries")
		}
		if _, err := other.call(http.MethodGet, first, as("user:default/ann"), "", http.StatusNotFound); err != nil {
			t.Error(err) // guests see only their own
		}
		broadcast := s.accept(t, toAll("3"))
		if one := other.traced(t, broadcast, map[string]int{"Web delivered": 1}).Deliveries[0]; one.Recipient != "*" {
			t.Errorf("broadcast: %+v", one)
		}
	})
}

// TestTraceOfLargeGroup: a fan-out is summarised, and told page by page.
func TestTraceOfLargeGroup(t *testing.T) {
	t.Parallel()
	const members = 2500
	group := directorytest.Entity{Kind: "Group", Name: "crowd"}
	for i := range members {
		group.Members = append(group.Members, fmt.Sprintf("user:u%d", i))
	}
	files := filepath.Join(t.TempDir(), "org.yaml")
	if err := os.WriteFile(files, directorytest.YAML([]directorytest.Entity{group}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir(), "", "SIGNALBOX_DIRECTORY_FILES="+files)
	mute := `{"channels":[{"id":"Web","enabled":false,"origins":[]}]}`
	for _, user := range []string{"user:default/u7", "user:default/u2222"} {
		if _, err := s.call(http.MethodPost, "/api/notifications/settings", as(user), mute, http.StatusOK); err != nil {
			t.Fatal(err)
		}
	}
	location := s.accept(t, `{"recipients":{"type":"entity","entityRef":"group:crowd"},"payload":{"title":"all"}}`)
	answer := s.traced(t, location, map[string]int{"Web delivered": members - 2, "Web suppressed user.channel": 2})
	if answer.Request.Recipients != members {
		t.Errorf("%d recipients", answer.Request.Recipients)
	}
	seen, pages := map[string]int{}, 1
	for {
		for _, d := range answer.Deliveries {
			seen[d.Recipient]++
		}
		if answer.NextCursor == "" {
			break
		}
		var err error
		if answer, err = s.trace(location + "?limit=700&cursor=" + answer.NextCursor); err != nil {
			t.Fatal(err)
		}
		if pages++; answer.Summary != nil {
			t.Error("a further page is summarised")
		}
	}
	if len(seen) != members || pages < 3 {
		t.Errorf("%d recipients on %d pages", len(seen), pages)
	}
}

// TestTraceOfFailures: what is given up, and what a channel answers.
func TestTraceOfFailures(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "", inTrouble+"=titles", "SIGNALBOX_PIPELINE_MAX_ATTEMPTS=2",
		"SIGNALBOX_PIPELINE_RETRY_MIN=10ms", "SIGNALBOX_PIPELINE_RETRY_MAX=20ms",
		`SIGNALBOX_NOTIFICATIONS_DIRECT_TARGETS=pager:#ops`)
	const jane = "user:default/jane"
	failed := s.accept(t, to(jane, "fail 1"))
	eventually(t, 20*time.Second, func() error {
		answer, err := s.trace(failed)
		if err != nil {
			return err
		}
		if r := answer.Request; r.Status != "failed" || r.Stage != "trouble" || !strings.Contains(r.Error, errAsked.Error()) {
			return fmt.Errorf("request: %+v", r)
		}
		return nil
	})
	delivered := s.traced(t, s.accept(t, to(jane, "fine")), map[string]int{"Web delivered": 1, "Pager delivered": 1})
	if one := delivered.Deliveries[0]; one.Channel != "Pager" || one.Attempts != 1 || one.Detail != "paged" {
		t.Errorf("delivered: %+v", one)
	}
	bad := s.traced(t, s.accept(t, to(jane, "undeliverable")), map[string]int{"Web delivered": 1, "Pager failed": 1})
	if one := bad.Deliveries[0]; !strings.Contains(one.Detail, errAsked.Error()) {
		t.Errorf("failed: %+v", one)
	}
	direct := s.traced(t, s.accept(t, `{"recipients":{"type":"entity","entityRef":"pager:#ops"},"payload":{"title":"direct"}}`),
		map[string]int{"Pager delivered": 1})
	if one := direct.Deliveries[0]; one.Recipient != "" || one.Target != "#ops" {
		t.Errorf("direct: %+v", one)
	}
	if status, _, body, err := s.post(t.Context(), `{"recipients":{"type":"entity","entityRef":"pager:#other"},"payload":{"title":"t"}}`); err != nil || status != http.StatusForbidden {
		t.Errorf("a target that is not allowed: %d %s, %v", status, body, err)
	}
}
