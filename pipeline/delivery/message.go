package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// Topic returns the topic of a channel's deliveries.
func Topic(channel string) string { return "deliveries." + channel }

// ProcessorTopic returns the topic of what a processor gets after storing.
func ProcessorTopic(processor string) string { return "post." + processor }

// messageVersion is the version of the payload that this program writes and reads.
const messageVersion = 2

// Bounds of what a message carries of earlier failures.
const (
	maxHistory     = 10
	maxHistoryText = 300
)

// Message is the payload of the message that carries a delivery. Everything that
// must survive between attempts is in it.
type Message struct {
	Key signalbox.DeliveryKey
	// NotificationID, Origin, Rule and Created are those of the
	// [signalbox.DeliveryRecord].
	NotificationID string
	Origin         string
	Rule           signalbox.Rule
	Created        time.Time

	Notification signalbox.Notification
	Named        bool
	Via          []string

	// Target is where it goes; zero while it is not known, or if the channel does
	// not care. Until it is Resolved, it is what a sender named.
	Target   channels.Target
	Resolved bool
	// Cursor is how far a delivery that becomes several has been split, Parts how
	// many it has become.
	Cursor string
	Parts  int

	// Window is until when the delivery was held by its user's schedule, and Held why;
	// zero if it was not.
	Window time.Time
	Held   signalbox.Rule

	// Since is what the age counts from; zero for the time at which the message is
	// first consumed.
	Since time.Time
	Tries retry.Tries
	// Calls counts the calls of the channel that ended.
	Calls int
	// History are the last failures, oldest first: at most 10, with 300 bytes of
	// text each.
	History []signalbox.Failure
	// Slot is the time at which the target's rate limit lets it through; zero
	// without a reservation.
	Slot time.Time
}

// envelope is a [Message] as JSON.
type envelope struct {
	Version        int                   `json:"v"`
	Key            signalbox.DeliveryKey `json:"key"`
	NotificationID string                `json:"notificationId"`
	Origin         string                `json:"origin"`
	Rule           signalbox.Rule        `json:"rule,omitempty"`
	Created        time.Time             `json:"created,omitzero"`
	Notification   Notification          `json:"notification"`
	Named          bool                  `json:"named,omitempty"`
	Via            []string              `json:"via,omitempty"`
	Target         target                `json:"target,omitzero"`
	Resolved       bool                  `json:"resolved,omitempty"`
	Cursor         string                `json:"cursor,omitempty"`
	Parts          int                   `json:"parts,omitempty"`
	Window         time.Time             `json:"window,omitzero"`
	Held           signalbox.Rule        `json:"held,omitempty"`
	Since          time.Time             `json:"since,omitzero"`
	retry.Tries
	Calls   int                 `json:"calls,omitempty"`
	History []signalbox.Failure `json:"history,omitempty"`
	Slot    time.Time           `json:"slot,omitzero"`
}

// target is a [channels.Target] as JSON.
type target struct {
	Address string `json:"address"`
	Display string `json:"display,omitempty"`
	Limit   string `json:"limit,omitempty"`
}

// Encode returns the payload.
func (m Message) Encode() ([]byte, error) {
	payload, err := json.Marshal(envelope{
		Version: messageVersion, Key: m.Key, NotificationID: m.NotificationID, Origin: m.Origin, Rule: m.Rule, Created: m.Created,
		Notification: NotificationFrom(m.Notification), Named: m.Named, Via: m.Via,
		Target: target(m.Target), Resolved: m.Resolved, Cursor: m.Cursor, Parts: m.Parts, Window: m.Window, Held: m.Held,
		Since: m.Since, Tries: m.Tries, Calls: m.Calls, History: m.History, Slot: m.Slot,
	})
	if err != nil {
		return nil, fmt.Errorf("delivery: encode: %w", err)
	}
	return payload, nil
}

// Decode reads a payload that [Message.Encode] made.
func Decode(payload []byte) (Message, error) {
	// The version first: another one may not fit the rest.
	var version struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(payload, &version); err != nil {
		return Message{}, fmt.Errorf("delivery: decode: %w", err)
	}
	if version.Version != messageVersion {
		return Message{}, fmt.Errorf("delivery: decode: version %d is not known", version.Version)
	}
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return Message{}, fmt.Errorf("delivery: decode: %w", err)
	}
	if e.Key.RequestID == "" || e.Key.Channel == "" {
		return Message{}, errors.New("delivery: decode: the key is not complete")
	}
	return Message{
		Key: e.Key, NotificationID: e.NotificationID, Origin: e.Origin, Rule: e.Rule, Created: e.Created,
		Notification: e.Notification.Notification(), Named: e.Named, Via: e.Via,
		Target: channels.Target(e.Target), Resolved: e.Resolved, Cursor: e.Cursor, Parts: e.Parts, Window: e.Window, Held: e.Held,
		Since: e.Since, Tries: e.Tries, Calls: e.Calls, History: e.History, Slot: e.Slot,
	}, nil
}

// identify reads of a payload that [Decode] refuses, such as another version's, which
// delivery it is: as much as there is.
func identify(payload []byte) Message {
	var e struct {
		Key            signalbox.DeliveryKey `json:"key"`
		NotificationID string                `json:"notificationId"`
		Origin         string                `json:"origin"`
		Created        time.Time             `json:"created"`
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return Message{}
	}
	return Message{Key: e.Key, NotificationID: e.NotificationID, Origin: e.Origin, Created: e.Created}
}

// Plan returns the delivery to a channel that a record is about, with the message
// that brings it about. target is zero unless the sender named an address; its
// address is then the record's Target. The age of the delivery counts from the
// record's Created.
func Plan(record signalbox.DeliveryRecord, notification signalbox.Notification, named bool, via []string, target channels.Target) (signalbox.NewDelivery, error) {
	return plan(Topic(record.Channel), record, Message{Notification: notification, Named: named, Via: via, Target: target, Since: record.Created})
}

// PlanProcessor is [Plan] for a processor that runs after storing.
func PlanProcessor(record signalbox.DeliveryRecord, notification signalbox.Notification) (signalbox.NewDelivery, error) {
	return plan(ProcessorTopic(record.Channel), record, Message{Notification: notification, Since: record.Created})
}

// plan completes a message with what its record says.
func plan(topic string, record signalbox.DeliveryRecord, m Message) (signalbox.NewDelivery, error) {
	record.Status = signalbox.DeliveryQueued
	m.Key, m.NotificationID, m.Origin, m.Rule, m.Created = record.DeliveryKey, record.NotificationID, record.Origin, record.Rule, record.Created
	payload, err := m.Encode()
	if err != nil {
		return signalbox.NewDelivery{}, err
	}
	return signalbox.NewDelivery{
		DeliveryRecord: record,
		Message:        &signalbox.Message{Topic: topic, ID: record.ID(), Payload: payload},
	}, nil
}

// record is what there is to say of the delivery now.
func (m *Message) record(status signalbox.DeliveryStatus, now time.Time) signalbox.DeliveryRecord {
	address := m.Target.Display
	if address == "" {
		address = m.Target.Address
	}
	return signalbox.DeliveryRecord{
		DeliveryKey: m.Key, NotificationID: m.NotificationID, Origin: m.Origin, Status: status, Rule: m.Rule,
		Address: address, Attempts: m.Calls, Created: m.Created, Updated: now,
	}
}

// failed adds to the history.
func (m *Message) failed(err error, now time.Time) {
	m.History = append(m.History, signalbox.Failure{At: now, Error: retry.Text(err.Error(), maxHistoryText)})
	if extra := len(m.History) - maxHistory; extra > 0 {
		m.History = m.History[extra:]
	}
}

// lastError is the last failure's text; empty without one.
func (m *Message) lastError() string {
	if len(m.History) == 0 {
		return ""
	}
	return m.History[len(m.History)-1].Error
}

// afresh is the message as it was planned: what a person puts back on the queue
// has all its time again, and is resolved again.
func (m Message) afresh() Message {
	m.Since, m.Slot = time.Time{}, time.Time{}
	m.Tries, m.Calls, m.History = retry.Tries{}, 0, nil
	m.Cursor, m.Parts = "", 0
	switch {
	case m.Key.Target == "":
		m.Target, m.Resolved = channels.Target{}, false
	case m.Key.Audience == "":
		m.Target, m.Resolved = channels.Target{Address: m.Key.Target}, false
	}
	return m
}
