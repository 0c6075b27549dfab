package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/retry"
)

var update = flag.Bool("update", false, "update the golden files")

func fullMessage() Message {
	at := time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)
	return Message{
		Key:            signalbox.DeliveryKey{RequestID: "0195-request", Audience: "user:default/anna", Channel: "Slack", Target: "C1"},
		NotificationID: "0195-notification", Origin: "ci", Rule: signalbox.RuleUserTopic, Created: at,
		Notification: signalbox.Notification{
			ID: "0195-notification", User: "user:default/anna", Origin: "ci", Created: at, Updated: at.Add(1), Read: at.Add(2), Saved: at.Add(3),
			Payload: signalbox.Payload{
				Title: "Build <1> broke", Description: "d", Link: "/x", Severity: signalbox.SeverityHigh, Topic: "t", Scope: "s", Icon: "i",
				AdditionalLinks: []signalbox.AdditionalLink{{Title: "a", URL: "https://example.com"}}, Metadata: json.RawMessage(`{"a":1}`),
			},
			RequestID: "0195-request", Revision: 1 << 60,
		},
		Named: true, Via: []string{"group:default/team"},
		Target: channels.Target{Address: "C1", Display: "#builds", Limit: "T1"}, Cursor: "500", Parts: 499,
		Since: at, Tries: retry.Tries{Attempt: 2, Waits: 3}, Calls: 4,
		History: []signalbox.Failure{{At: at, Error: "broken"}}, Slot: at.Add(time.Minute),
	}
}

// Everything survives, and the format does not change unnoticed: messages of
// older programs are on the queue.
func TestMessageFormat(t *testing.T) {
	payload, err := fullMessage().Encode()
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, append(payload, '\n'), "", "  "); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/message.json"
	if *update {
		if err := os.WriteFile(golden, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Error(diff)
	}
	got, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	// Its white space is that of the file.
	if diff := cmp.Diff(fullMessage(), got, cmpopts.IgnoreFields(signalbox.Payload{}, "Metadata")); diff != "" {
		t.Error(diff)
	}
}

func TestPlan(t *testing.T) {
	want := fullMessage()
	record := signalbox.DeliveryRecord{
		DeliveryKey: want.Key, NotificationID: want.NotificationID, Origin: want.Origin, Rule: want.Rule, Created: want.Created, Updated: want.Created,
	}
	planned, err := Plan(record, want.Notification, want.Named, want.Via, want.Target)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(planned.Message.Payload)
	if err != nil {
		t.Fatal(err)
	}
	want.Cursor, want.Parts, want.Slot = "", 0, time.Time{}
	want.Tries, want.Calls, want.History = retry.Tries{}, 0, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	record.Status = signalbox.DeliveryQueued
	if diff := cmp.Diff(record, planned.DeliveryRecord); diff != "" {
		t.Error(diff)
	}
	if planned.Message.Topic != "deliveries.Slack" || planned.Message.ID != record.ID() {
		t.Errorf("%+v", planned.Message)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var m Message
	for n := range 50 {
		m.failed(errors.New(strings.Repeat("ä", 100+n*10)), time.Unix(int64(n), 0))
	}
	if len(m.History) != maxHistory || m.History[0].At.Unix() != 40 || m.History[9].At.Unix() != 49 {
		t.Errorf("%+v", m.History)
	}
	for _, failure := range m.History {
		if len(failure.Error) > maxHistoryText {
			t.Errorf("%d bytes", len(failure.Error))
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, config := range map[string]Config{
		"a timeout as long as the lease": {Lease: time.Minute, Timeout: time.Minute},
		"too much at a time":             {Concurrency: maxConcurrency + 1},
	} {
		if _, err := New(Deps{Store: newMemory()}, config); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := New(Deps{}, Config{}); err == nil {
		t.Error("no store is accepted")
	}
}

func TestConsumers(t *testing.T) {
	e, err := New(Deps{
		Store: newMemory(),
		Channels: []channels.Channel{
			&fakeChannel{name: "A"},
			&fakeChannel{name: "B", limits: channels.Limits{Concurrency: 1000, Timeout: time.Hour}},
		},
		Processors: []signalbox.PostProcessor{&fakeProcessor{name: "c"}},
	}, Config{Concurrency: 3})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range e.Consumers() {
		got = append(got, c.Topic+" "+strings.Repeat("x", min(c.Concurrency, 70)))
	}
	want := []string{"deliveries.A xxx", "deliveries.B " + strings.Repeat("x", maxConcurrency), "post.c xxx"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e.consumers[1].timeout != 20*time.Second {
		t.Errorf("timeout %s", e.consumers[1].timeout)
	}
	if list := e.Health(); len(list) != 3 || list[2].Name != "c" || list[2].State != StateClosed {
		t.Errorf("%+v", list)
	}
}
