package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// eachDeployment runs a test on one instance with SQLite, and on two that share
// a PostgreSQL.
func eachDeployment(t *testing.T, test func(t *testing.T, instances []*server)) {
	storagetest.Each(t, func(t *testing.T, url string) {
		instances := []*server{start(t, t.TempDir(), url)}
		if strings.HasPrefix(url, "postgres") {
			instances = append(instances, start(t, t.TempDir(), url))
		}
		test(t, instances)
	})
}

func (s *server) status(t *testing.T, user string) signalbox.Status {
	t.Helper()
	var status signalbox.Status
	if err := s.get(user, "/api/notifications/status", &status); err != nil {
		t.Fatal(err)
	}
	return status
}

func (p page) titles() []string {
	var titles []string
	for _, n := range p.Notifications {
		titles = append(titles, n.Payload.Title)
	}
	return titles
}

func TestInbox(t *testing.T) {
	eachDeployment(t, func(t *testing.T, instances []*server) {
		// What one instance did, another one knows.
		s, other := instances[0], instances[len(instances)-1]
		t.Run("a re-send rises and is unread", func(t *testing.T) { testResend(t, s, other) })
		t.Run("a broadcast re-sent is unread for everyone", func(t *testing.T) { testBroadcastResend(t, s, other) })
		t.Run("users have only their own", func(t *testing.T) { testOwnOnly(t, s, other) })
		t.Run("cursor and offset agree", func(t *testing.T) { testWalks(t, s, other) })
		t.Run("the newest of a scope wins", func(t *testing.T) { testNewestWins(t, s, other) })
		t.Run("a batch is all or none", func(t *testing.T) { testBatch(t, s) })
		t.Run("an idempotency key makes one", func(t *testing.T) { testIdempotencyKey(t, s, other) })
	})
}

func testResend(t *testing.T, s, other *server) {
	const user = "user:default/resend"
	first := s.deliver(t, "/api/notifications", to(user, "main is red", "scope", "main"))
	s.deliver(t, "/api/notifications", to(user, "second"))
	s.deliver(t, "/api/notifications", to(user, "third"))
	s.update(t, user, `{"filter":{},"read":true}`, new(any))
	if status := other.status(t, user); status != (signalbox.Status{Read: 3}) {
		t.Errorf("after reading: %+v", status)
	}
	again := other.deliver(t, "/api/notifications", to(user, "main is green", "scope", "main"))
	if len(again) != 1 || again[0].ID != first[0].ID || again[0].Updated == nil {
		t.Errorf("first %+v, again %+v", first, again)
	}
	list := s.list(t, user, "")
	if diff := cmp.Diff([]string{"main is green", "third", "second"}, list.titles()); diff != "" || list.TotalCount != 3 {
		t.Errorf("%d: %s", list.TotalCount, diff)
	}
	if n := list.Notifications[0]; n.Read != nil || n.Updated == nil {
		t.Errorf("%+v", n)
	}
	if status := s.status(t, user); status != (signalbox.Status{Unread: 1, Read: 2}) {
		t.Errorf("after the re-send: %+v", status)
	}
}

func testBroadcastResend(t *testing.T, s, other *server) {
	users := []string{"user:default/bc1", "user:default/bc2"}
	read := func(id string) {
		for _, user := range users {
			s.update(t, user, `{"ids":["`+id+`"],"read":true}`, new(any))
			if list := other.list(t, user, "read=false"); list.TotalCount != 0 {
				t.Errorf("%s has unread %v", user, list.titles())
			}
		}
	}
	first := s.deliver(t, "/api/notifications", toAll("maintenance at 7", "scope", "maintenance"))
	// Twice: the second time, the users have marks of the first.
	for _, title := range []string{"maintenance at 8", "maintenance at 9"} {
		read(first[0].ID)
		again := other.deliver(t, "/api/notifications", toAll(title, "scope", "maintenance"))
		if again[0].ID != first[0].ID {
			t.Errorf("first %+v, again %+v", first, again)
		}
		for _, user := range append(users, "user:default/never-looked") {
			if diff := cmp.Diff([]string{title}, s.list(t, user, "read=false").titles()); diff != "" {
				t.Errorf("%s: %s", user, diff)
			}
		}
	}
}

func testOwnOnly(t *testing.T, s, other *server) {
	const hers, his = "user:default/own1", "user:default/own2"
	made := s.deliver(t, "/api/notifications", to(hers, "hers"))
	path := "/api/notifications/" + made[0].ID
	if _, err := other.call(http.MethodGet, path, as(his), "", http.StatusNotFound); err != nil {
		t.Errorf("another user reads it: %v", err)
	}
	var changed []notification
	other.update(t, his, `{"ids":["`+made[0].ID+`"],"read":true,"saved":true}`, &changed)
	var count struct{ Updated int }
	other.update(t, his, `{"filter":{"search":"hers"},"read":true}`, &count)
	if len(changed) != 0 || count.Updated != 0 {
		t.Errorf("another user changed %v, %d", changed, count.Updated)
	}
	if list := other.list(t, his, "search=hers"); list.TotalCount != 0 {
		t.Errorf("another user finds %v", list.titles())
	}
	var got notification
	if err := s.get(hers, path, &got); err != nil || got.Read != nil || got.Saved != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.call(http.MethodGet, path, s.asService(), "", http.StatusForbidden); err != nil {
		t.Errorf("a service reads: %v", err)
	}
	if _, err := s.call(http.MethodPost, "/api/notifications", as(hers), to(hers, "x"), http.StatusForbidden); err != nil {
		t.Errorf("a user sends: %v", err)
	}
}

func testWalks(t *testing.T, s, other *server) {
	const user, rows, limit = "user:default/walks", 250, 40
	var batch []string
	for i := range rows {
		batch = append(batch, to(user, fmt.Sprint("n", i)))
	}
	if made := s.deliver(t, "/api/notifications/batch", "["+strings.Join(batch, ",")+"]"); len(made) != rows {
		t.Fatalf("%d made", len(made))
	}
	ids := func(p page) (ids []string) {
		for _, n := range p.Notifications {
			ids = append(ids, n.ID)
		}
		return ids
	}
	whole := ids(s.list(t, user, "limit=1000&search=n"))
	var byOffset, byCursor []string
	for offset := 0; ; offset += limit {
		p := other.list(t, user, fmt.Sprintf("limit=%d&offset=%d&search=n", limit, offset))
		if len(p.Notifications) == 0 {
			break
		}
		byOffset = append(byOffset, ids(p)...)
	}
	for cursor := ""; ; {
		p := other.list(t, user, fmt.Sprintf("limit=%d&search=n%s", limit, cursor))
		byCursor = append(byCursor, ids(p)...)
		if p.NextCursor == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(p.NextCursor)
	}
	different := map[string]bool{}
	for _, id := range whole {
		different[id] = true
	}
	if len(different) < rows {
		t.Errorf("%d different rows", len(different))
	}
	if diff := cmp.Diff(whole, byOffset); diff != "" {
		t.Errorf("by offset: %s", diff)
	}
	if diff := cmp.Diff(whole, byCursor); diff != "" {
		t.Errorf("by cursor: %s", diff)
	}
}

// Many send the same scope at once; whoever sends after all of them were
// acknowledged has the last word, whatever is still on its way then.
func testNewestWins(t *testing.T, s, other *server) {
	const user, rounds, senders = "user:default/newest", 8, 12
	for round := range rounds {
		scope := fmt.Sprint("scope ", round)
		var wait sync.WaitGroup
		for i := range senders {
			wait.Go(func() {
				at := []*server{s, other}[i%2]
				status, _, body, err := at.post(t.Context(), to(user, fmt.Sprintf("%d.%d", round, i), "scope", scope))
				if err != nil || status != http.StatusAccepted {
					t.Errorf("%d %s %v", status, body, err)
				}
			})
		}
		wait.Wait()
		at := []*server{s, other}[round%2]
		if status, _, body, err := at.post(t.Context(), to(user, fmt.Sprint("last of ", round), "scope", scope)); err != nil || status != http.StatusAccepted {
			t.Errorf("%d %s %v", status, body, err)
		}
	}
	s.drain(t)
	titles := map[string]int{}
	for _, title := range s.list(t, user, "search=").titles() {
		titles[title]++
	}
	want := map[string]int{}
	for round := range rounds {
		want[fmt.Sprint("last of ", round)] = 1
	}
	delete(titles, "maintenance at 9")
	if diff := cmp.Diff(want, titles); diff != "" {
		t.Error(diff)
	}
	if status := other.status(t, user); status.Unread != rounds+1 {
		t.Errorf("%+v", status)
	}
}

func testBatch(t *testing.T, s *server) {
	const user = "user:default/batch"
	batch := "[" + strings.Repeat(to(user, "part")+",", 50) + `{"recipients":{"type":"broadcast"},"payload":{"title":"x","link":"javascript:x"}}]`
	answer, err := s.call(http.MethodPost, "/api/notifications/batch", s.asService(), batch, http.StatusBadRequest)
	if err != nil || !strings.Contains(string(answer), "/50") {
		t.Errorf("%s, %v: does not say which", answer, err)
	}
	good := "[" + strings.TrimSuffix(strings.Repeat(to(user, "whole")+",", 50), ",") + "]"
	if made := s.deliver(t, "/api/notifications/batch", good); len(made) != 50 {
		t.Errorf("%d made", len(made))
	}
	s.drain(t)
	if list := s.list(t, user, "search=part"); list.TotalCount != 0 {
		t.Errorf("%d of a refused batch", list.TotalCount)
	}
	if list := s.list(t, user, "search=whole"); list.TotalCount != 50 {
		t.Errorf("%d of an accepted batch", list.TotalCount)
	}
}

func testIdempotencyKey(t *testing.T, s, other *server) {
	const user, senders = "user:default/once", 16
	receipts := make([]signalbox.Receipt, senders)
	var wait sync.WaitGroup
	for i := range senders {
		wait.Go(func() {
			at := []*server{s, other}[i%2]
			status, _, body, err := at.post(t.Context(), to(user, "once"), "Idempotency-Key", "build 7")
			if err == nil {
				err = json.Unmarshal(body, &receipts[i])
			}
			if err != nil || status != http.StatusAccepted {
				t.Errorf("%d %s %v", status, body, err)
			}
		})
	}
	wait.Wait()
	for _, receipt := range receipts {
		if receipt.ID == "" || receipt.ID != receipts[0].ID {
			t.Errorf("receipts %q and %q", receipts[0].ID, receipt.ID)
		}
	}
	s.drain(t)
	if list := s.list(t, user, "search=once"); list.TotalCount != 1 {
		t.Errorf("%d made", list.TotalCount)
	}
	if status, _, _, err := other.post(t.Context(), to(user, "another"), "Idempotency-Key", "build 7"); err != nil || status != http.StatusConflict {
		t.Errorf("other content was answered %d, %v", status, err)
	}
}
