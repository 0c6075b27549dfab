package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/storage/storagetest"
)

// meet waits until what one instance signals reaches the clients of the other:
// they learn of each other shortly after the start.
func meet(t *testing.T, instances ...*server) {
	t.Helper()
	for i, from := range instances {
		at := instances[(i+1)%len(instances)].dial(t, as("user:default/meeting"))
		at.subscribe("deploys")
		eventually(t, 20*time.Second, func() error {
			from.publish(t, `{"type":"user","entityRef":"user:default/meeting"}`, "hello")
			select {
			case <-at.messages:
				return nil
			case <-time.After(50 * time.Millisecond):
				return fmt.Errorf("instance %d is not heard", i)
			}
		})
	}
}

func TestSignalsCrossInstances(t *testing.T) {
	url := storagetest.PostgresURL(t)
	a, b := start(t, t.TempDir(), url), start(t, t.TempDir(), url)
	meet(t, a, b)
	atA, atB := a.dial(t, as(jane, ops)), b.dial(t, as(jane))
	for _, c := range []*socket{atA, atB} {
		c.subscribe("notifications")
		c.subscribe("deploys")
	}
	for i := range 20 {
		title := fmt.Sprint("build ", i)
		if status, _, body, err := []*server{b, a}[i%2].post(t.Context(), to(jane, title)); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %s %v", status, body, err)
		}
		for _, c := range []*socket{atA, atB} {
			if got := c.nextSignal("new_notification"); got.Notification.Payload.Title != title {
				t.Errorf("%q, want %q", got.Notification.Payload.Title, title)
			}
		}
	}
	var count struct{ Updated int }
	b.update(t, jane, `{"filter":{},"read":true}`, &count)
	for _, c := range []*socket{atA, atB} {
		if got := c.nextSignal("notification_read"); len(got.IDs) != 20 || count.Updated != 20 {
			t.Errorf("read: %d of %d", len(got.IDs), count.Updated)
		}
	}
	var got string
	b.publish(t, `{"type":"user","entityRef":"`+ops+`"}`, "to the group")
	if atA.next("deploys", &got); got != "to the group" {
		t.Errorf("%q", got)
	}
	a.publish(t, `{"type":"broadcast"}`, "to everyone")
	for _, c := range []*socket{atA, atB} {
		if c.next("deploys", &got); got != "to everyone" {
			t.Errorf("%q", got)
		}
	}
}

// The sender waits at one instance, the other one does the work.
func TestWaitAcrossInstances(t *testing.T) {
	url := storagetest.PostgresURL(t)
	a := start(t, t.TempDir(), url, inTrouble+"=slow", "SIGNALBOX_PIPELINE_CONSUMERS=1")
	b := start(t, t.TempDir(), url)
	meet(t, a, b)
	const senders, each = 4, 10
	var wait sync.WaitGroup
	for i := range senders {
		wait.Go(func() {
			for j := range each {
				title := fmt.Sprintf("build %d.%d", i, j)
				begun := time.Now()
				status, _, body, err := a.post(t.Context(), to(jane, title), "Prefer", "wait=15")
				var made []notification
				if err != nil || status != http.StatusOK || json.Unmarshal(body, &made) != nil || len(made) != 1 || made[0].Payload.Title != title {
					t.Errorf("%s: %d %s %v", title, status, body, err)
				}
				// Well before the safety poll would find what was lost.
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("%s took %s", title, took)
				}
			}
		})
	}
	wait.Wait()
	there, err := b.metric("signalbox_requests_processed_total")
	if err != nil || there < senders {
		t.Errorf("the other instance did only %v of %d: this tests nothing (%v)", there, senders*each, err)
	}
}
