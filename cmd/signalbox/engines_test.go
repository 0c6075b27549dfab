package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/delivery"
	"github.com/signalbox/signalbox/pipeline/retry"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// engineUnderTest is a delivery engine with a store and a queue of its own.
type engineUnderTest struct {
	db     *database.DB
	queue  *queue.Queue
	store  *storage.Store
	engine *delivery.Engine
	router *message.Router
	done   chan struct{}
}

const (
	stormLease = 2 * time.Second
	// A broadcast has so many pages of so many targets, and an empty one.
	stormPages, stormPage = 3, 20
)

func startEngine(url string, instances func() int, list ...channels.Channel) (*engineUnderTest, error) {
	e := &engineUnderTest{done: make(chan struct{})}
	var err error
	for {
		// A connection may be cut off while it is being made. A process that
		// cannot start for that is started again.
		if e.db, err = database.Open(context.Background(), database.Config{URL: url}); !signalbox.IsTransient(err) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if e.queue, err = queue.New(e.db, queue.Config{Lease: stormLease, CloseTimeout: 500 * time.Millisecond, Poll: 300 * time.Millisecond, Resend: 100 * time.Millisecond}); err != nil {
		return nil, err
	}
	if e.store, err = storage.New(e.db, e.queue, storage.Config{}); err != nil {
		return nil, err
	}
	if e.engine, err = delivery.New(delivery.Deps{Store: e.store, Channels: list, Instances: instances}, delivery.Config{
		Retry: retry.Policy{Min: 5 * time.Millisecond, Max: 100 * time.Millisecond}, Lease: stormLease, Timeout: stormLease / 2,
		BreakerPause: 200 * time.Millisecond, Concurrency: 8, MaxAge: time.Hour,
	}); err != nil {
		return nil, err
	}
	if e.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: 2 * time.Second}, watermill.NopLogger{}); err != nil {
		return nil, err
	}
	for _, c := range e.engine.Consumers() {
		for i := range c.Concurrency {
			e.router.AddConsumerHandler(fmt.Sprintf("%s-%d", c.Topic, i), c.Topic, e.queue.Subscriber(), func(msg *message.Message) error {
				return c.Handle(msg.Context(), msg.Payload, signalbox.Lease{Position: queue.Position(msg), Count: queue.Leases(msg)})
			})
		}
	}
	go func() {
		defer close(e.done)
		_ = e.router.Run(context.Background())
	}()
	<-e.router.Running()
	return e, nil
}

// crash cuts the database off, and then stops.
func (e *engineUnderTest) crash() {
	_ = e.db.Close()
	e.stop()
}

func (e *engineUnderTest) stop() {
	e.engine.Stop()
	_ = e.router.Close()
	<-e.done
	e.engine.Close()
	_ = e.db.Close()
}

// storm is a channel that misbehaves.
type storm struct {
	mu    sync.Mutex
	taken map[string]int
	last  map[string]int64
	older int
	inUse map[string]int
	twice int
	calls atomic.Int64
	calm  atomic.Bool
}

func (s *storm) Name() string                        { return "Storm" }
func (s *storm) Takes(signalbox.Audience, bool) bool { return true }
func (s *storm) Limits() channels.Limits             { return channels.Limits{Concurrency: 8} }

func (s *storm) Resolve(_ context.Context, d channels.Delivery, cursor string) (channels.Targets, error) {
	if !s.calm.Load() && rand.IntN(10) == 0 {
		return channels.Targets{}, errors.New("directory away")
	}
	if d.Audience != signalbox.Everyone {
		return channels.Targets{Targets: []channels.Target{{Address: string(d.Audience)}}}, nil
	}
	page := 0
	if cursor != "" {
		page, _ = strconv.Atoi(cursor)
	}
	var out channels.Targets
	if page < stormPages {
		for i := range stormPage {
			out.Targets = append(out.Targets, channels.Target{Address: fmt.Sprintf("all-%d-%d", page, i)})
		}
		out.Next = fmt.Sprint(page + 1)
	}
	return out, nil
}

func (s *storm) Deliver(ctx context.Context, d channels.Delivery) (channels.Sent, error) {
	s.calls.Add(1)
	key := ""
	if d.Notification.Payload.Scope != "" {
		key = d.Target.Address + "/" + d.Notification.Payload.Scope
		s.mu.Lock()
		if s.inUse[key]++; s.inUse[key] > 1 {
			s.twice++
		}
		s.mu.Unlock()
		defer func() { s.mu.Lock(); s.inUse[key]--; s.mu.Unlock() }()
	}
	if !s.calm.Load() {
		switch rand.IntN(30) {
		case 0:
			return channels.Sent{}, errors.New("fails")
		case 1:
			return channels.Sent{}, signalbox.RetryAfter(errors.New("later"), 20*time.Millisecond)
		case 2:
			return channels.Sent{}, channels.TargetLimited(errors.New("slow down"), 100*time.Millisecond)
		case 3:
			if rand.IntN(10) == 0 {
				return channels.Sent{}, channels.ChannelLimited(errors.New("slow down all"), 100*time.Millisecond)
			}
		case 4:
			panic("storm")
		case 5:
			return channels.Sent{}, signalbox.Permanent(errors.New("never"))
		case 6:
			if rand.IntN(20) == 0 {
				<-ctx.Done()
				return channels.Sent{}, ctx.Err()
			}
		case 7:
			time.Sleep(30 * time.Millisecond)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[d.ID]++
	if key != "" {
		if s.last[key] > d.Notification.Revision {
			s.older++
		}
		s.last[key] = d.Notification.Revision
	}
	return channels.Sent{ID: "x", State: "s"}, nil
}

func stormID(at time.Time, n int) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return fmt.Sprintf("%s-%s-7000-8000-%012x", ms[:8], ms[8:], n)
}

func planStorm(t *testing.T, store *storage.Store, n int, audience signalbox.Audience, scope string) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	request := stormID(now, n)
	notification := signalbox.Notification{
		ID: signalbox.NotificationID(request, string(audience)), Origin: "ci", Created: now, RequestID: request, Revision: int64(n),
		Payload: signalbox.Payload{Title: fmt.Sprint(n), Scope: scope},
	}
	d, err := delivery.Plan(signalbox.DeliveryRecord{
		DeliveryKey:    signalbox.DeliveryKey{RequestID: request, Audience: audience, Channel: "Storm"},
		NotificationID: notification.ID, Origin: "ci", Created: now, Updated: now,
	}, notification, true, nil, channels.Target{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err = store.Commit(context.Background(), signalbox.Commit{Deliveries: func([]signalbox.Outcome) ([]signalbox.NewDelivery, error) {
			return []signalbox.NewDelivery{d}, nil
		}}); !signalbox.IsTransient(err) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stormLeft puts dead letters back, and counts what is still to be done. Errors may
// be transient: connections cut off earlier can still be in the pool.
func stormLeft(db *database.DB, store *storage.Store) (messages, letters int, err error) {
	if err = db.Reader.QueryRow("SELECT count(*) FROM queue_messages").Scan(&messages); err != nil {
		return 0, 0, database.Classify(err)
	}
	if _, err = store.Redrive(context.Background(), signalbox.DeadLetterFilter{}); err != nil {
		return 0, 0, err
	}
	letters, err = store.CountDeadLetters(context.Background())
	return messages, letters, err
}

// TestStorm: several engines on one database, where channels fail in every way,
// processes and connections die, and people put back what was given up. In the end
// everything was delivered, and no record waits for a message that is gone.
func TestStorm(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		admin := storagetest.Open(t, url)
		quiet, err := queue.New(admin, queue.Config{})
		if err != nil {
			t.Fatal(err)
		}
		store, err := storage.New(admin, quiet, storage.Config{})
		if err != nil {
			t.Fatal(err)
		}
		const rounds = 25
		s := &storm{taken: map[string]int{}, last: map[string]int64{}, inUse: map[string]int{}}
		count := 3
		postgres := strings.HasPrefix(url, "postgres")
		if !postgres {
			count = 1
		}
		instances := func() int { return 1 + rand.IntN(3) }
		var engines []*engineUnderTest
		for range count {
			e, err := startEngine(url, instances, s)
			if err != nil {
				t.Fatal(err)
			}
			engines = append(engines, e)
		}
		stop := make(chan struct{})
		var wait sync.WaitGroup
		background := func(every time.Duration, do func()) {
			wait.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(every):
						do()
					}
				}
			})
		}
		background(150*time.Millisecond, func() { _, _ = store.Redrive(context.Background(), signalbox.DeadLetterFilter{}) })
		background(170*time.Millisecond, func() { _, _ = store.Redrive(context.Background(), signalbox.DeadLetterFilter{Stage: "Storm"}) })
		if postgres {
			background(400*time.Millisecond, func() {
				_, _ = admin.Writer.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.15`)
			})
		}
		background(1500*time.Millisecond, func() {
			if !postgres {
				return
			}
			i := rand.IntN(len(engines))
			engines[i].crash()
			e, err := startEngine(url, instances, s)
			if err != nil {
				t.Error(err)
				return
			}
			engines[i] = e
		})
		n := 0
		for range rounds {
			n++
			planStorm(t, store, n, signalbox.Everyone, "")
			for range 30 {
				n++
				user := signalbox.Audience(fmt.Sprintf("user:default/u%d", rand.IntN(20)))
				scope := ""
				if rand.IntN(3) == 0 {
					scope = fmt.Sprintf("s%d", rand.IntN(3))
				}
				planStorm(t, store, n, user, scope)
			}
			time.Sleep(100 * time.Millisecond)
		}
		close(stop)
		wait.Wait()
		s.calm.Store(true)
		moved, known := time.Now(), int64(-1)
		for {
			// A busy machine may need long for what is left, but not stand still.
			if calls := s.calls.Load(); calls != known {
				moved, known = time.Now(), calls
			}
			left, letters, err := stormLeft(admin, store)
			if err != nil && !signalbox.IsTransient(err) {
				t.Fatal(err)
			}
			if err == nil && left == 0 && letters == 0 {
				break
			}
			if time.Since(moved) > time.Minute {
				t.Errorf("%d messages, %d dead letters left; %v", left, letters, err)
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		for _, e := range engines {
			e.stop()
		}
		rows, err := admin.Reader.Query("SELECT status, rule, count(*) FROM deliveries GROUP BY 1, 2 ORDER BY 1, 2")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var status, rule string
			var c int
			if err := rows.Scan(&status, &rule, &c); err != nil {
				t.Fatal(err)
			}
			if status == "queued" || status == "failed" {
				t.Errorf("%d records are %s, and there is no message", c, status)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		var claimed int
		if err := admin.Reader.QueryRow("SELECT count(*) FROM delivery_threads WHERE claimed_by IS NOT NULL").Scan(&claimed); err != nil {
			t.Fatal(err)
		}
		doubles := 0 // of processes that died, or were cut off
		for _, times := range s.taken {
			doubles += times - 1
		}
		if claimed > 0 || s.older > 0 || s.twice > 0 || doubles > n/20 {
			t.Errorf("%d threads are claimed, %d older after newer, %d overlaps, %d doubles", claimed, s.older, s.twice, doubles)
		}
		t.Logf("%d calls, %d taken, %d doubles, %d threads claimed, %d older after newer, %d overlaps", s.calls.Load(), len(s.taken), doubles, claimed, s.older, s.twice)
		var parents int
		if err := admin.Reader.QueryRow("SELECT count(*) FROM deliveries WHERE audience = '*' AND target = ''").Scan(&parents); err != nil {
			t.Fatal(err)
		}
		if parents > 0 {
			t.Errorf("%d parents are left", parents)
		}
		var children int
		if err := admin.Reader.QueryRow("SELECT count(*) FROM deliveries WHERE audience = '*' AND target <> '' AND status = 'delivered'").Scan(&children); err != nil {
			t.Fatal(err)
		}
		if children != rounds*stormPages*stormPage {
			t.Errorf("%d children; want %d", children, rounds*stormPages*stormPage)
		}
	})
}
