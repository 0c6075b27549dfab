package storagetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

// Store is what the suites test: the seams and their maintenance.
type Store interface {
	signalbox.Inbox
	signalbox.Snoozes
	signalbox.Committer
	signalbox.Accepter
	signalbox.SettingsStore
	signalbox.ScheduleStore
	signalbox.KeyStore
	signalbox.DeadLetterStore
	signalbox.DeliveryStore
	signalbox.TraceStore
	signalbox.SessionStore
	signalbox.TokenStore

	DeleteExpired(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteClaims(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteOnceKeys(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteTrace(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteThreads(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteTokens(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteDigests(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteSeen(ctx context.Context, before time.Time, batch int) (int, error)
	DeleteSessions(ctx context.Context, before time.Time, batch int) (int, error)
	CountDeadLetters(ctx context.Context) (int, error)
}

// Fixture is a store on an empty database, and what a test can see beside it.
type Fixture struct {
	Store Store
	// Other is a second store on the same database, as another instance is.
	Other Store
	// Clock is what both stores read.
	Clock *Clock
	// Published returns the messages that were committed, in order.
	Published func(t *testing.T) []signalbox.Message
	// Position returns the position of the message that was published last.
	Position func() int64
	// Woken returns the topics that were woken since the last call.
	Woken func() []string
	// FailPublishing makes publishing fail with err until it is called with nil.
	FailPublishing func(err error)
}

// Clock is a clock that stands still until it is moved. It is safe for
// concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at an arbitrary time.
func NewClock() *Clock {
	return &Clock{now: start.Add(1000 * time.Hour)}
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start is when the first request of a test was made.
var start = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// requestID returns a UUIDv7 of a time; n makes it unique.
func requestID(at time.Time, n int64) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return fmt.Sprintf("%s-%s-7000-8000-%012x", ms[:8], ms[8:], n)
}

// alice and bob are two users.
const (
	alice = "user:default/alice"
	bob   = "user:default/bob"
)

// notification returns what the nth request becomes for user (empty: everyone):
// made n seconds after start, with revision n.
func notification(n int64, user string, change ...func(*signalbox.Notification)) signalbox.Notification {
	created := start.Add(time.Duration(n) * time.Second)
	id := requestID(created, n)
	made := signalbox.Notification{
		ID: signalbox.NotificationID(id, user), User: user, Origin: "ci", Created: created,
		RequestID: id, Revision: n,
		Payload: signalbox.Payload{Title: fmt.Sprintf("Build %d", n), Severity: signalbox.SeverityNormal},
	}
	for _, c := range change {
		c(&made)
	}
	return made
}

func scoped(scope string) func(*signalbox.Notification) {
	return func(n *signalbox.Notification) { n.Payload.Scope = scope }
}

func titled(title, description string) func(*signalbox.Notification) {
	return func(n *signalbox.Notification) { n.Payload.Title, n.Payload.Description = title, description }
}

// commit stores notifications and returns the outcomes.
func commit(t *testing.T, s signalbox.Committer, notifications ...signalbox.Notification) []signalbox.Outcome {
	t.Helper()
	outcomes, err := s.Commit(t.Context(), signalbox.Commit{Notifications: notifications})
	if err != nil {
		t.Fatal(err)
	}
	if len(outcomes) != len(notifications) {
		t.Fatalf("%d outcomes for %d notifications", len(outcomes), len(notifications))
	}
	return outcomes
}

// list returns a page of an inbox.
func list(t *testing.T, s signalbox.Inbox, user string, filter signalbox.Filter, page signalbox.Page) []signalbox.Notification {
	t.Helper()
	rows, err := s.List(t.Context(), user, filter, page)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// inbox returns all of an inbox, newest first.
func inbox(t *testing.T, s signalbox.Inbox, user string) []signalbox.Notification {
	t.Helper()
	return list(t, s, user, signalbox.Filter{}, signalbox.Page{})
}

// update applies a change.
func update(t *testing.T, s signalbox.Inbox, user string, filter signalbox.Filter, change signalbox.Change) signalbox.Updated {
	t.Helper()
	updated, err := s.Update(t.Context(), user, filter, change, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return updated
}

func idsOf(rows []signalbox.Notification) []string {
	ids := []string{}
	for _, n := range rows {
		ids = append(ids, n.ID)
	}
	return ids
}

// equal fails the test when got is not want.
func equal(t *testing.T, what string, got, want any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// recount fails the test unless the counts of an inbox are those of its rows.
func recount(t *testing.T, s signalbox.Inbox, users ...string) {
	t.Helper()
	for _, user := range users {
		var want signalbox.Status
		saved := 0
		for _, n := range inbox(t, s, user) {
			if n.Read.IsZero() {
				want.Unread++
			} else {
				want.Read++
			}
			if !n.Saved.IsZero() {
				saved++
			}
		}
		snoozed := list(t, s, user, signalbox.Filter{Snoozed: true}, signalbox.Page{})
		want.Snoozed = len(snoozed)
		got, err := s.Status(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status of "+user, got, want)
		for _, c := range []struct {
			filter signalbox.Filter
			want   int
		}{
			{signalbox.Filter{}, want.Read + want.Unread},
			{signalbox.Filter{Read: yes}, want.Read},
			{signalbox.Filter{Read: no}, want.Unread},
			{signalbox.Filter{Saved: yes}, saved},
			{signalbox.Filter{Saved: no}, want.Read + want.Unread - saved},
			{signalbox.Filter{Snoozed: true}, want.Snoozed},
		} {
			count, err := s.Count(t.Context(), user, c.filter)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, fmt.Sprintf("count of %s with %+v", user, c.filter), count, c.want)
		}
	}
}

var (
	yes = boolean(true)
	no  = boolean(false)
)

func boolean(b bool) *bool { return &b }
