package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox/storage/storagetest"
)

// snooze snoozes one notification of jane for a while, and returns until when.
func (s *server) snooze(t *testing.T, id string, wait time.Duration) time.Time {
	t.Helper()
	until := time.Now().UTC().Add(wait).Truncate(time.Millisecond)
	var changed []snoozedNotification
	s.update(t, jane, fmt.Sprintf(`{"ids":[%q],"snoozedUntil":%q}`, id, until.Format(time.RFC3339Nano)), &changed)
	if len(changed) != 1 || changed[0].SnoozedUntil == nil || !changed[0].SnoozedUntil.Equal(until) {
		t.Fatalf("snoozed: %+v", changed)
	}
	return until
}

type snoozedNotification struct {
	ID           string
	SnoozedUntil *time.Time
}

type status struct{ Unread, Read, Snoozed int }

// wantInbox demands what jane's inbox has, in order, and her counts.
func (s *server) wantInbox(t *testing.T, counts status, ids ...string) {
	t.Helper()
	got := []string{}
	for _, n := range s.list(t, jane, "").Notifications {
		got = append(got, n.ID)
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("the inbox: %s", diff)
	}
	var now status
	if err := s.get(jane, "/api/notifications/status", &now); err != nil {
		t.Fatal(err)
	}
	if now != counts {
		t.Errorf("status %+v, want %+v", now, counts)
	}
}

func TestSnoozeReturns(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		s := start(t, t.TempDir(), url)
		old := s.deliver(t, "/api/notifications", to(jane, "old"))[0].ID
		all := s.deliver(t, "/api/notifications", toAll("to all"))[0].ID
		latest := s.deliver(t, "/api/notifications", to(jane, "latest"))[0].ID
		var changed []notification
		s.update(t, jane, `{"ids":["`+old+`","`+all+`"],"read":true}`, &changed)
		hers, his := s.dial(t, as(jane)), s.dial(t, as(joe))
		hers.subscribe("notifications")
		his.subscribe("notifications")

		for _, id := range []string{old, all} {
			until := s.snooze(t, id, 2*time.Second)
			if diff := cmp.Diff([]string{id}, hers.nextSignal("notification_snoozed").IDs); diff != "" {
				t.Error(diff)
			}
			if list := s.list(t, jane, "snoozed=true"); list.TotalCount != 1 || list.Notifications[0].ID != id {
				t.Errorf("what is snoozed: %+v", list)
			}
			got := hers.nextSignal("new_notification")
			if early := time.Until(until); early > 0 {
				t.Errorf("back %s too early", early)
			}
			if got.NotificationID != id || got.Notification.ID != id || got.Notification.Read != nil || got.Notification.Updated != nil {
				t.Errorf("the signal has %+v", got)
			}
		}
		s.wantInbox(t, status{Unread: 3}, all, old, latest)

		// A new revision does not wait, and neither does the user who changes her mind.
		scoped := s.deliver(t, "/api/notifications", to(jane, "build 1", "scope", "build"))[0].ID
		hers.nextSignal("new_notification")
		s.snooze(t, scoped, time.Hour)
		hers.nextSignal("notification_snoozed")
		s.deliver(t, "/api/notifications", to(jane, "build 2", "scope", "build"))
		if got := hers.nextSignal("new_notification"); got.NotificationID != scoped || got.Notification.Payload.Title != "build 2" {
			t.Errorf("the signal has %+v", got)
		}
		s.snooze(t, latest, time.Hour)
		hers.nextSignal("notification_snoozed")
		s.update(t, jane, `{"ids":["`+latest+`"],"snoozedUntil":null}`, &changed)
		hers.nextSignal("notification_unsnoozed")
		s.wantInbox(t, status{Unread: 4}, scoped, all, old, latest)

		// The broadcast came back for her alone.
		s.deliver(t, "/api/notifications", to(joe, "the first for him"))
		if got := his.nextSignal("new_notification"); got.Notification.Payload.Title != "the first for him" {
			t.Errorf("he got %+v", got)
		}
	})
}

// A crash in between neither loses the return nor what tells of it.
func TestSnoozeSurvivesACrash(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		data := t.TempDir()
		s := start(t, data, url)
		old := s.deliver(t, "/api/notifications", to(jane, "old"))[0].ID
		latest := s.deliver(t, "/api/notifications", to(jane, "latest"))[0].ID
		var changed []notification
		s.update(t, jane, `{"ids":["`+old+`"],"read":true}`, &changed)

		// Longer, if the machine takes that long for a start.
		for wait := 2 * time.Second; ; wait *= 2 {
			until := s.snooze(t, old, wait)
			s.wantInbox(t, status{Unread: 1, Snoozed: 1}, latest)
			s.kill()
			s = start(t, data, url)
			hers := s.dial(t, as(jane))
			hers.subscribe("notifications")
			if wait < time.Minute && time.Until(until) < 100*time.Millisecond {
				s.wantInbox(t, status{Unread: 2}, old, latest)
				continue
			}
			if got := hers.nextSignal("new_notification"); got.NotificationID != old || got.Notification.Read != nil {
				t.Errorf("the signal has %+v", got)
			}
			break
		}
		s.wantInbox(t, status{Unread: 2}, old, latest)
		s.drain(t)
	})
}

// Nobody has to be there when the time comes.
func TestSnoozeEndsWhileNothingRuns(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		data := t.TempDir()
		s := start(t, data, url)
		old := s.deliver(t, "/api/notifications", to(jane, "old"))[0].ID
		latest := s.deliver(t, "/api/notifications", to(jane, "latest"))[0].ID
		until := s.snooze(t, old, time.Second)
		s.kill()
		<-time.After(time.Until(until))
		s = start(t, data, url)
		s.wantInbox(t, status{Unread: 2}, old, latest)
		s.drain(t)
	})
}

// Another instance tells, if the one that was asked is gone; while both are there,
// one of them does.
func TestSnoozeAcrossInstances(t *testing.T) {
	url := storagetest.PostgresURL(t)
	a, b := start(t, t.TempDir(), url), start(t, t.TempDir(), url)
	meet(t, a, b)
	hers := b.dial(t, as(jane))
	hers.subscribe("notifications")
	hers.subscribe("deploys")
	id := a.deliver(t, "/api/notifications", to(jane, "old"))[0].ID
	hers.nextSignal("new_notification")
	for _, crash := range []bool{false, true} {
		a.snooze(t, id, time.Second)
		hers.nextSignal("notification_snoozed")
		if crash {
			a.kill()
		}
		if got := hers.nextSignal("new_notification"); got.NotificationID != id {
			t.Errorf("the signal has %+v", got)
		}
	}
	b.drain(t)
	b.publish(t, `{"type":"user","entityRef":"`+jane+`"}`, "nothing in between")
	var got string
	if hers.next("deploys", &got); got != "nothing in between" {
		t.Errorf("%q", got)
	}
}

func TestSendTestNotification(t *testing.T) {
	s := start(t, t.TempDir(), "")
	hers := s.dial(t, as(jane))
	hers.subscribe("notifications")
	ask := func(status int) http.Header {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, s.base+"/api/notifications/test", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = as(jane)
		got, header, body, err := do(request)
		if err != nil || got != status {
			t.Fatalf("%d %s, %v", got, body, err)
		}
		return header
	}
	location := ask(http.StatusAccepted).Get("Location")
	if got := hers.nextSignal("new_notification"); got.Notification.Payload.Title != "This is a test" {
		t.Errorf("the signal has %+v", got)
	}
	var trace struct {
		Deliveries []struct{ Channel, Status string }
	}
	if err := s.get(jane, location, &trace); err != nil {
		t.Fatal(err)
	}
	if len(trace.Deliveries) == 0 || trace.Deliveries[0].Channel != "Web" || trace.Deliveries[0].Status != "delivered" {
		t.Errorf("%+v", trace)
	}
	ask(http.StatusTooManyRequests)
}
