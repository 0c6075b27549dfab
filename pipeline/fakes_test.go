package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
)

// memory is a database and queue in memory, with the promises of the seams.
type memory struct {
	mu        sync.Mutex
	rows      map[string]signalbox.Notification
	claims    map[string]signalbox.Claim
	once      map[string]bool
	dead      map[string]signalbox.DeadLetter
	published []signalbox.Message
	records   map[signalbox.DeliveryKey]signalbox.DeliveryRecord
	requests  map[string]signalbox.RequestRecord
	// topics are those of the messages that were handed out, by position.
	topics  map[int64]string
	commits int
	// poison makes commits that hold this title fail for their data.
	poison string
	// fail is returned by the next commits and accepts, one each.
	fail []error
	// gate, if set, blocks Accept until it can receive.
	gate chan struct{}
	// accepting counts the calls of Accept that have begun.
	accepting atomic.Int64
	opened    sync.Once
}

func newMemory() *memory {
	return &memory{
		rows:   make(map[string]signalbox.Notification),
		claims: make(map[string]signalbox.Claim),
		once:   make(map[string]bool),
		dead:   make(map[string]signalbox.DeadLetter),

		records:  make(map[signalbox.DeliveryKey]signalbox.DeliveryRecord),
		requests: make(map[string]signalbox.RequestRecord),
		topics:   make(map[int64]string),
	}
}

// open opens the gate for good.
func (m *memory) open() {
	if m.gate != nil {
		m.opened.Do(func() { close(m.gate) })
	}
}

func (m *memory) failNext() error {
	if len(m.fail) == 0 {
		return nil
	}
	err := m.fail[0]
	m.fail = m.fail[1:]
	return err
}

func (m *memory) Accept(_ context.Context, claims []signalbox.Claim, build func([]*signalbox.Claim) []signalbox.Message) error {
	m.accepting.Add(1)
	if m.gate != nil {
		<-m.gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failNext(); err != nil {
		return err
	}
	m.commits++
	earlier := make([]*signalbox.Claim, len(claims))
	for i, c := range claims {
		key := c.Origin + "\x00" + c.Key
		if first, ok := m.claims[key]; ok {
			earlier[i] = &first
			continue
		}
		m.claims[key] = c
	}
	m.published = append(m.published, build(earlier)...)
	return nil
}

func (m *memory) Commit(_ context.Context, c signalbox.Commit) ([]signalbox.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failNext(); err != nil {
		return nil, err
	}
	for _, n := range c.Notifications {
		if m.poison != "" && n.Payload.Title == m.poison {
			return nil, errors.New("the data is bad")
		}
	}
	m.commits++
	outcomes := make([]signalbox.Outcome, 0, len(c.Notifications))
	for _, n := range c.Notifications {
		outcomes = append(outcomes, m.upsert(n))
	}
	m.published = append(m.published, c.Messages...)
	for _, once := range c.Once {
		if !m.once[once.Key] {
			m.published = append(m.published, once.Messages...)
		}
		m.once[once.Key] = true
	}
	if c.Deliveries != nil {
		list, err := c.Deliveries(outcomes)
		if err != nil {
			return nil, err
		}
		m.add(list)
	}
	for _, r := range c.Requests {
		m.requests[r.ID] = r
	}
	for _, d := range c.DeadLetters {
		m.dead[d.ID] = d
	}
	return outcomes, nil
}

func (m *memory) add(list []signalbox.NewDelivery) {
	for _, one := range list {
		if _, there := m.records[one.DeliveryKey]; there {
			continue
		}
		m.records[one.DeliveryKey] = one.DeliveryRecord
		if one.Message != nil {
			m.published = append(m.published, *one.Message)
		}
	}
}

func (m *memory) Delivery(_ context.Context, key signalbox.DeliveryKey) (signalbox.DeliveryRecord, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.records[key]
	return record, ok, nil
}

func (*memory) ClaimThread(context.Context, signalbox.ThreadKey, string, time.Duration) (signalbox.Thread, bool, error) {
	return signalbox.Thread{}, true, nil
}

func (*memory) ClaimDigest(context.Context, signalbox.DeliveryKey, time.Time) (signalbox.DigestPart, []signalbox.HeldDelivery, error) {
	return signalbox.DigestGone, nil, nil
}

func (m *memory) Settle(_ context.Context, settlements []signalbox.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range settlements {
		if one.Record.RequestID != "" {
			m.records[one.Record.DeliveryKey] = one.Record
		}
		m.add(one.Children)
		if one.DeadLetter != nil {
			m.dead[one.DeadLetter.ID] = *one.DeadLetter
		}
		if one.Postponed != nil {
			m.published = append(m.published, signalbox.Message{
				Topic: m.topics[one.Lease.Position], Payload: one.Postponed.Payload, Delay: one.Postponed.Delay,
			})
		}
	}
	return nil
}

func (m *memory) upsert(n signalbox.Notification) signalbox.Outcome {
	key := n.ID
	if n.Payload.Scope != "" {
		key = n.User + "\x00" + n.Origin + "\x00" + n.Payload.Scope
	}
	old, there := m.rows[key]
	if there && old.Revision >= n.Revision {
		return signalbox.Outcome{Notification: old}
	}
	if there {
		n.ID, n.Created, n.Updated = old.ID, old.Created, n.Revised()
	}
	m.rows[key] = n
	return signalbox.Outcome{Notification: n, Changed: true}
}

// take returns the messages of a topic, and removes them.
func (m *memory) take(topic string) []signalbox.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	var taken, rest []signalbox.Message
	for _, message := range m.published {
		if message.Topic == topic {
			taken = append(taken, message)
		} else {
			rest = append(rest, message)
		}
	}
	m.published = rest
	return taken
}

// recorder keeps signals.
type recorder struct {
	mu      sync.Mutex
	signals []signalbox.Signal
}

func (r *recorder) Signal(_ context.Context, signals ...signalbox.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signals = append(r.signals, signals...)
}

// usersStage takes the references of a request for users.
type usersStage struct{}

func (usersStage) Name() string { return "recipients" }

func (usersStage) Process(_ context.Context, batch *signalbox.Batch) error {
	for _, item := range batch.Live() {
		switch {
		case item.Users != nil:
		case item.Request.Recipients.Type == signalbox.RecipientsBroadcast:
			item.Users = []string{""}
		default:
			item.Users = []string{}
			for _, ref := range item.Request.Recipients.EntityRefs {
				item.Users = append(item.Users, strings.Replace(ref, "group:", "user:", 1))
			}
		}
	}
	return nil
}

// onlyTo leaves one channel.
type onlyTo string

func (onlyTo) Name() string { return "settings" }

func (o onlyTo) Process(_ context.Context, batch *signalbox.Batch) error {
	for _, item := range batch.Live() {
		for i := range item.Routed {
			item.Routed[i].Channels = []string{string(o)}
		}
	}
	return nil
}

// idle is a subscriber without messages: tests call the handlers themselves.
type idle struct{}

func (idle) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	ch := make(chan *message.Message)
	go func() {
		<-ctx.Done()
		close(ch)
	}()
	return ch, nil
}

func (idle) Close() error { return nil }

// lenient accepts whatever a processor leaves that has a title.
type lenient struct{}

func (lenient) Request(r *signalbox.SendRequest) error { return lenient{}.Payload(&r.Payload) }

func (lenient) Payload(p *signalbox.Payload) error {
	if p.Title == "" {
		return errors.New("title is missing")
	}
	return nil
}

// bench is a pipeline on fakes.
type bench struct {
	*Pipeline
	memory  *memory
	signals *recorder
	next    int64
}

func newBench(t *testing.T, change func(*Deps, *Config)) *bench {
	t.Helper()
	b := &bench{memory: newMemory(), signals: &recorder{}}
	deps := Deps{
		Subscribe: func() message.Subscriber { return idle{} },
		Position: func(msg *message.Message) int64 {
			var n int64
			_ = json.Unmarshal([]byte(msg.Metadata.Get("position")), &n)
			return n
		},
		Leases:     func(msg *message.Message) int { return len(msg.Metadata.Get("leases")) },
		Recipients: usersStage{},
		Accepter:   b.memory, Committer: b.memory, Deliveries: b.memory, Signaler: b.signals,
		Rules: lenient{},
	}
	config := Config{Patience: 5 * time.Second, ProcessorTimeout: 5 * time.Second}
	if change != nil {
		change(&deps, &config)
	}
	p, err := New(deps, config)
	if err != nil {
		t.Fatal(err)
	}
	b.Pipeline = p
	p.coalescer.start(1)
	t.Cleanup(func() {
		b.memory.open()
		p.coalescer.close()
		p.engine.Close()
	})
	return b
}

// submit accepts requests and returns their receipts.
func (b *bench) submit(t *testing.T, requests ...signalbox.SendRequest) []signalbox.Receipt {
	t.Helper()
	submitted, err := b.Submit(t.Context(), signalbox.Submission{Requests: requests})
	if err != nil {
		t.Fatal(err)
	}
	return submitted.Receipts
}

// process runs the handler on a message as the router would.
func (b *bench) process(t *testing.T, m signalbox.Message) error {
	t.Helper()
	b.next++
	position, err := json.Marshal(b.next)
	if err != nil {
		t.Fatal(err)
	}
	return b.processAt(t, m, string(position))
}

func (b *bench) processAt(t *testing.T, m signalbox.Message, position string) error {
	t.Helper()
	return b.processLease(t, m, position, 1)
}

// processLease is processAt for a message that was leased so often.
func (b *bench) processLease(t *testing.T, m signalbox.Message, position string, leases int) error {
	t.Helper()
	msg := message.NewMessage(watermill.NewUUID(), m.Payload)
	msg.SetContext(t.Context())
	msg.Metadata.Set("position", position)
	msg.Metadata.Set("leases", strings.Repeat("x", leases))
	at := b.deps.Position(msg)
	b.memory.mu.Lock()
	b.memory.topics[at] = m.Topic
	b.memory.mu.Unlock()
	for _, c := range b.engine.Consumers() {
		if c.Topic == m.Topic {
			return c.Handle(t.Context(), msg.Payload, signalbox.Lease{Position: at, Count: leases})
		}
	}
	patience := b.config.Patience
	if m.Topic != TopicNotifications {
		patience = b.config.ProcessorTimeout
	}
	return b.handle(t.Context(), msg, m.Topic, patience)
}

func request(title string, users ...string) signalbox.SendRequest {
	r := signalbox.SendRequest{
		Origin:     "ci",
		Recipients: signalbox.Recipients{Type: signalbox.RecipientsEntity, EntityRefs: users},
		Payload:    signalbox.Payload{Title: title, Severity: signalbox.SeverityNormal},
	}
	if len(users) == 0 {
		r.Recipients = signalbox.Recipients{Type: signalbox.RecipientsBroadcast}
	}
	return r
}
