package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox/storage/storagetest"
)

const (
	jane = "user:default/jane"
	joe  = "user:default/joe"
	ops  = "group:default/ops"
)

func TestSignalsOfTheInbox(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		s := start(t, t.TempDir(), url)
		hers, his := s.dial(t, as(jane)), s.dial(t, as(joe))
		hers.subscribe("notifications")
		his.subscribe("notifications")

		var ids []string
		for i := range 3 {
			title := fmt.Sprint("build ", i)
			if status, _, body, err := s.post(t.Context(), to(jane, title, "topic", "builds")); err != nil || status != http.StatusAccepted {
				t.Fatalf("%d %s %v", status, body, err)
			}
			got := hers.nextSignal("new_notification")
			if n := got.Notification; n.Payload.Title != title || n.ID != got.NotificationID || n.User == nil || *n.User != jane || n.Read != nil {
				t.Errorf("the signal has %+v", got)
			}
			// Commit, then signal: what is told of is there.
			if list := s.list(t, jane, ""); list.Notifications[0].ID != got.NotificationID {
				t.Errorf("%s is told of before it is there", got.NotificationID)
			}
			ids = append(ids, got.NotificationID)
		}
		slices.Sort(ids)

		var changed []notification
		for _, flag := range []struct{ body, action string }{
			{`"read":true`, "notification_read"},
			{`"read":false`, "notification_unread"},
			{`"saved":true`, "notification_saved"},
			{`"saved":false`, "notification_unsaved"},
		} {
			s.update(t, jane, fmt.Sprintf(`{"ids":[%q,%q],%s}`, ids[0], ids[2], flag.body), &changed)
			if len(changed) != 2 {
				t.Errorf("%s changed %d", flag.body, len(changed))
			}
			if diff := cmp.Diff([]string{ids[0], ids[2]}, hers.nextSignal(flag.action).IDs); diff != "" {
				t.Errorf("%s: %s", flag.action, diff)
			}
		}
		var count struct{ Updated int }
		s.update(t, jane, `{"filter":{"topic":"builds"},"read":true}`, &count)
		if count.Updated != 3 {
			t.Errorf("all that match: %d", count.Updated)
		}
		if diff := cmp.Diff(ids, hers.nextSignal("notification_read").IDs); diff != "" {
			t.Error(diff)
		}
		// What changes nothing is not told. The broadcast comes next, for him too.
		s.update(t, jane, `{"filter":{"topic":"builds"},"read":true}`, &count)
		s.deliver(t, "/api/notifications", toAll("maintenance"))
		for _, c := range []*socket{hers, his} {
			if got := c.nextSignal("new_notification"); got.Notification.Payload.Title != "maintenance" || got.Notification.User != nil {
				t.Errorf("the broadcast: %+v", got)
			}
		}
	})
}

func TestPublish(t *testing.T) {
	s := start(t, t.TempDir(), "")
	hers, his, deaf := s.dial(t, as(jane, ops, "group:default/dev")), s.dial(t, as(joe)), s.dial(t, as(jane))
	for _, c := range []*socket{hers, his} {
		c.subscribe("deploys")
	}
	// What makes no sense is ignored; the connection stays.
	deaf.tell("junk")
	deaf.subscribe("deploys")
	deaf.tell(`{"action":"unsubscribe","channel":"deploys"}`)
	deaf.subscribe("last")

	s.publish(t, `{"type":"user","entityRef":"User:Default/Joe"}`, "to the user")
	s.publish(t, `{"type":"user","entityRef":["`+ops+`","group:default/dev"]}`, "to the groups")
	s.publish(t, `{"type":"user","entityRef":["group:default/others"]}`, "to others")
	s.publish(t, `{"type":"broadcast"}`, "to everyone")
	for _, c := range []struct {
		socket *socket
		want   []string
	}{
		{hers, []string{"to the groups", "to everyone"}},
		{his, []string{"to the user", "to everyone"}},
	} {
		for _, want := range c.want {
			var got string
			if c.socket.next("deploys", &got); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	body := `{"recipients":{"type":"broadcast"},"channel":"last","message":{"n":[1,null]}}`
	if _, err := s.call(http.MethodPost, "/api/signals/publish", s.asService(), body, http.StatusAccepted); err != nil {
		t.Error(err)
	}
	var got map[string]any
	if deaf.next("last", &got); cmp.Diff(map[string]any{"n": []any{1.0, nil}}, got) != "" {
		t.Errorf("%v", got)
	}
	if _, err := s.call(http.MethodPost, "/api/signals/publish", as(jane), body, http.StatusForbidden); err != nil {
		t.Errorf("a user publishes: %v", err)
	}
}

// A browser sends its token as the subprotocol, and only there.
func TestTokenAsSubprotocol(t *testing.T) {
	s := start(t, t.TempDir(), "")
	for _, c := range []struct {
		token  string
		status int
	}{{"not-a-token", http.StatusUnauthorized}, {s.token, http.StatusForbidden}} {
		dialer := websocket.Dialer{Subprotocols: []string{c.token}}
		_, response, err := dialer.Dial("ws"+strings.TrimPrefix(s.base, "http")+"/api/signals", nil)
		if err == nil || response == nil || response.StatusCode != c.status {
			t.Errorf("%v, %v, want %d: a token makes no guest", response, err, c.status)
		}
	}
}

func TestSocketsCloseForARestart(t *testing.T) {
	s := start(t, t.TempDir(), "")
	c := s.dial(t, as(jane))
	c.subscribe("notifications")
	if code := s.terminate(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// Backstage's client does not come back after 1000 and 1001.
	var closed *websocket.CloseError
	if err := <-c.closed; !errors.As(err, &closed) || closed.Code != websocket.CloseServiceRestart {
		t.Errorf("closed with %v, want %d", err, websocket.CloseServiceRestart)
	}
}
