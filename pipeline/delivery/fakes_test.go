package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testLease = 30 * time.Second

// memory is a database and its queue, with the promises of the seams.
type memory struct {
	mu      sync.Mutex
	last    int64
	rows    map[int64]*row
	records map[signalbox.DeliveryKey]signalbox.DeliveryRecord
	threads map[signalbox.ThreadKey]*thread
	dead    map[string]signalbox.DeadLetter
	held    map[signalbox.DeliveryKey]*heldRow
	digests map[window]bool
	commits []int
	// changed is closed, and replaced, when there may be something to consume.
	changed chan struct{}
}

type row struct {
	topic   string
	payload []byte
	leases  int
	visible time.Time
}

type heldRow struct {
	signalbox.HeldDelivery
	digest string
}

type window struct {
	audience signalbox.Audience
	channel  string
	due      time.Time
}

type thread struct {
	signalbox.Thread
	by    string
	until time.Time
}

func newMemory() *memory {
	return &memory{
		rows:    make(map[int64]*row),
		records: make(map[signalbox.DeliveryKey]signalbox.DeliveryRecord),
		threads: make(map[signalbox.ThreadKey]*thread),
		dead:    make(map[string]signalbox.DeadLetter),
		held:    make(map[signalbox.DeliveryKey]*heldRow),
		digests: make(map[window]bool),
		changed: make(chan struct{}),
	}
}

func (m *memory) Delivery(_ context.Context, key signalbox.DeliveryKey) (signalbox.DeliveryRecord, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.records[key]
	return record, ok, nil
}

func (m *memory) ClaimThread(_ context.Context, key signalbox.ThreadKey, delivery string, lease time.Duration) (signalbox.Thread, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.threads[key]
	if t == nil {
		t = &thread{}
		m.threads[key] = t
	}
	if t.by != "" && t.by != delivery && time.Now().Before(t.until) {
		return signalbox.Thread{}, false, nil
	}
	t.by, t.until = delivery, time.Now().Add(lease)
	return t.Thread, true, nil
}

func (m *memory) ClaimDigest(_ context.Context, key signalbox.DeliveryKey, now time.Time) (signalbox.DigestPart, []signalbox.HeldDelivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.held[key]
	switch {
	case own == nil:
		return signalbox.DigestGone, nil, nil
	case own.digest != "" && own.digest != key.ID():
		return signalbox.DigestTaken, nil, nil
	case own.digest == "":
		w := window{key.Audience, key.Channel, own.Due}
		if m.digests[w] {
			return signalbox.DigestLate, nil, nil
		}
		m.digests[w] = true
		for k, h := range m.held {
			if k.Audience == key.Audience && k.Channel == key.Channel && h.digest == "" && !h.Due.After(now) {
				h.digest = key.ID()
			}
		}
	}
	var held []signalbox.HeldDelivery
	for _, h := range m.held {
		if h.digest == key.ID() {
			held = append(held, h.HeldDelivery)
		}
	}
	slices.SortFunc(held, func(a, b signalbox.HeldDelivery) int { return strings.Compare(a.RequestID, b.RequestID) })
	return signalbox.DigestLeads, held, nil
}

func (m *memory) Settle(_ context.Context, settlements []signalbox.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits = append(m.commits, len(settlements))
	for _, s := range settlements {
		r := m.rows[s.Lease.Position]
		late := r == nil || s.Postponed != nil && r.leases != s.Lease.Count
		if s.Lease.Position != 0 && late && !slices.ContainsFunc(append(slices.Clone(s.Members), s.Record), func(r signalbox.DeliveryRecord) bool { return r.Status == signalbox.DeliveryDelivered }) {
			continue
		}
		if s.Record.RequestID != "" && m.records[s.Record.DeliveryKey].Status != signalbox.DeliveryDelivered {
			m.records[s.Record.DeliveryKey] = s.Record
		}
		if (len(s.Children) > 0 || s.Replaced) && s.Postponed == nil {
			delete(m.records, s.Record.DeliveryKey)
		}
		for i, child := range s.Children {
			if slices.ContainsFunc(s.Children[:i], func(d signalbox.NewDelivery) bool { return d.DeliveryKey == child.DeliveryKey }) {
				return fmt.Errorf("%v is there twice", child.DeliveryKey)
			}
		}
		m.add(s.Children...)
		for _, record := range s.Members {
			m.records[record.DeliveryKey] = record
		}
		if s.Held != nil {
			if h := m.held[s.Held.DeliveryKey]; h != nil {
				h.Due = s.Held.Due
			} else {
				m.held[s.Held.DeliveryKey] = &heldRow{HeldDelivery: *s.Held}
			}
		}
		if s.Unhold {
			maps.DeleteFunc(m.held, func(key signalbox.DeliveryKey, h *heldRow) bool {
				return key == s.Record.DeliveryKey || h.digest == s.Record.ID()
			})
		}
		if s.DeadLetter != nil {
			m.dead[s.DeadLetter.ID] = *s.DeadLetter
		}
		if t := m.threads[deref(s.Thread)]; s.Thread != nil && t != nil {
			if s.Sent != nil && s.Sent.Revision >= t.Revision {
				t.Thread = *s.Sent
			}
			if t.by == s.Record.ID() {
				t.by = ""
			}
		}
		delete(m.rows, s.Lease.Position)
		if s.Postponed != nil {
			m.publish(r.topic, s.Postponed.Payload, s.Postponed.Delay)
		}
	}
	return nil
}

func deref(key *signalbox.ThreadKey) signalbox.ThreadKey {
	if key == nil {
		return signalbox.ThreadKey{}
	}
	return *key
}

// add stores deliveries that are not there, and publishes their messages.
func (m *memory) add(list ...signalbox.NewDelivery) {
	for _, d := range list {
		if _, ok := m.records[d.DeliveryKey]; ok {
			continue
		}
		m.records[d.DeliveryKey] = d.DeliveryRecord
		m.publish(d.Message.Topic, d.Message.Payload, d.Message.Delay)
	}
}

func (m *memory) publish(topic string, payload []byte, delay time.Duration) {
	m.last++
	m.rows[m.last] = &row{topic: topic, payload: payload, visible: time.Now().Add(delay)}
	close(m.changed)
	m.changed = make(chan struct{})
}

// plan commits deliveries, as the pipeline does.
func (m *memory) plan(list ...signalbox.NewDelivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(list...)
}

// redrive puts a dead letter back, as a person does.
func (m *memory) redrive(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	letter := m.dead[id]
	delete(m.dead, id)
	if record, ok := m.records[letter.Delivery]; ok {
		record.Status = signalbox.DeliveryQueued
		m.records[letter.Delivery] = record
	}
	m.publish(letter.Topic, letter.Payload, 0)
}

// lease takes the first message that is due. Without one it returns when the next
// will be, and what tells of changes.
func (m *memory) lease(topic string) (payload []byte, lease signalbox.Lease, next time.Time, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		r := m.rows[id]
		switch {
		case r.topic != topic:
		case !r.visible.After(time.Now()):
			r.leases++
			r.visible = time.Now().Add(testLease * 5 / 4)
			return r.payload, signalbox.Lease{Position: id, Count: r.leases}, time.Time{}, nil
		case next.IsZero() || r.visible.Before(next):
			next = r.visible
		}
	}
	return nil, signalbox.Lease{}, next, m.changed
}

func (m *memory) ack(position int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, position)
}

// consume runs the consumers of an engine until the returned function is called.
func (m *memory) consume(engine *Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for _, c := range engine.Consumers() {
		for range c.Concurrency {
			wait.Go(func() { m.consumeOne(ctx, c) })
		}
	}
	return func() {
		engine.Stop()
		cancel()
		wait.Wait()
		engine.Close()
	}
}

func (m *memory) consumeOne(ctx context.Context, c Consumer) {
	for ctx.Err() == nil {
		payload, lease, next, changed := m.lease(c.Topic)
		if payload == nil {
			wait := time.Hour
			if !next.IsZero() {
				wait = time.Until(next)
			}
			timer := time.NewTimer(wait)
			select {
			case <-changed:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			continue
		}
		// As the queue does: it outlives the subscription, and ends with the lease.
		msg, cancel := context.WithTimeout(context.WithoutCancel(ctx), testLease)
		err := c.Handle(msg, payload, lease)
		cancel()
		if err == nil {
			m.ack(lease.Position)
		}
	}
}

// settled waits until the queue is empty.
func (m *memory) settled(t *testing.T, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		m.mu.Lock()
		left, changed := len(m.rows), m.changed
		m.mu.Unlock()
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are still on the queue after %s", left, within)
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
		}
	}
}

func (m *memory) record(key signalbox.DeliveryKey) signalbox.DeliveryRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[key]
}

// statuses counts the records by status.
func (m *memory) statuses() map[signalbox.DeliveryStatus]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := make(map[signalbox.DeliveryStatus]int)
	for _, record := range m.records {
		count[record.Status]++
	}
	return count
}

// letter returns the only dead letter.
func (m *memory) letter(t *testing.T) signalbox.DeadLetter {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.dead) != 1 {
		t.Fatalf("%d dead letters; want 1", len(m.dead))
	}
	for _, letter := range m.dead {
		return letter
	}
	panic("unreachable")
}

// flaky is the store as a process sees it whose connection fails.
type flaky struct {
	*memory
	mu sync.Mutex
	// fail is asked before each Settle.
	fail func(settlements []signalbox.Settlement) error
}

func (f *flaky) Settle(ctx context.Context, settlements []signalbox.Settlement) error {
	f.mu.Lock()
	fail := f.fail
	f.mu.Unlock()
	if fail != nil {
		if err := fail(settlements); err != nil {
			return err
		}
	}
	return f.memory.Settle(ctx, settlements)
}

func (f *flaky) setFail(fail func([]signalbox.Settlement) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

var errDatabase = signalbox.Transient(errors.New("the database is gone"))

// fakeChannel is a channel that remembers what was sent.
type fakeChannel struct {
	name   string
	limits channels.Limits
	// act is what it does; nil takes everything.
	act func(ctx context.Context, d channels.Delivery) (channels.Sent, error)

	mu    sync.Mutex
	calls []call
}

type call struct {
	at time.Time
	channels.Delivery
}

func (f *fakeChannel) Name() string            { return f.name }
func (f *fakeChannel) Limits() channels.Limits { return f.limits }

func (f *fakeChannel) Deliver(ctx context.Context, d channels.Delivery) (channels.Sent, error) {
	f.mu.Lock()
	f.calls = append(f.calls, call{time.Now(), d})
	f.mu.Unlock()
	if f.act != nil {
		return f.act(ctx, d)
	}
	return channels.Sent{ID: "ts-" + d.Notification.RequestID, Reply: "ok", State: fmt.Sprint(d.Notification.Revision)}, nil
}

func (f *fakeChannel) made() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// fakeResolver is a channel that resolves.
type fakeResolver struct {
	fakeChannel
	resolve func(ctx context.Context, d channels.Delivery, cursor string) (channels.Targets, error)
}

func (f *fakeResolver) Resolve(ctx context.Context, d channels.Delivery, cursor string) (channels.Targets, error) {
	return f.resolve(ctx, d, cursor)
}

// fakeProcessor runs after storing.
type fakeProcessor struct {
	name string
	act  func(ctx context.Context, n signalbox.Notification) error
}

func (f *fakeProcessor) Name() string { return f.name }
func (f *fakeProcessor) PostProcess(ctx context.Context, n signalbox.Notification) error {
	return f.act(ctx, n)
}

func newEngine(t testing.TB, store signalbox.DeliveryStore, config Config, list ...channels.Channel) *Engine {
	t.Helper()
	config.Lease = testLease
	engine, err := New(Deps{Store: store, Channels: list}, config)
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// planned is a delivery of request n to an audience.
func planned(t testing.TB, channel string, n int, audience signalbox.Audience, more ...func(*signalbox.Notification, *channels.Target)) signalbox.NewDelivery {
	t.Helper()
	request := fmt.Sprintf("request-%d", n)
	notification := signalbox.Notification{
		ID: signalbox.NotificationID(request, string(audience)), User: string(audience), Origin: "ci", Created: stamp(),
		Payload: signalbox.Payload{Title: fmt.Sprintf("title %d", n)}, RequestID: request, Revision: int64(n),
	}
	var target channels.Target
	for _, change := range more {
		change(&notification, &target)
	}
	record := signalbox.DeliveryRecord{
		DeliveryKey:    signalbox.DeliveryKey{RequestID: request, Audience: audience, Channel: channel, Target: target.Address},
		NotificationID: notification.ID, Origin: "ci", Rule: signalbox.RuleDefault, Created: notification.Created, Updated: stamp(),
	}
	d, err := Plan(record, notification, true, nil, target)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func scope(name string) func(*signalbox.Notification, *channels.Target) {
	return func(n *signalbox.Notification, _ *channels.Target) { n.Payload.Scope = name }
}

func to(address string) func(*signalbox.Notification, *channels.Target) {
	return func(_ *signalbox.Notification, target *channels.Target) { target.Address = address }
}

// metric returns the value of one counter or gauge.
func metric(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("%v, %v", families, err)
	}
	one := families[0].GetMetric()[0]
	return one.GetCounter().GetValue() + one.GetGauge().GetValue()
}
