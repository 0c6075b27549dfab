package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
)

// Bounds of what a sender that waits is answered with. Beyond them it gets its
// receipts only.
const (
	maxWaitedNotifications = 5000
	maxWaitedBytes         = 8 << 20
)

// waiters are the senders on this instance that wait for the pipeline.
type waiters struct {
	mu      sync.Mutex
	waiting map[string]*waiter // by request ID
}

// waiter collects the results of one submission.
type waiter struct {
	missing int
	results map[string][]signalbox.Notification
	// count and bytes are the size of results.
	count, bytes int
	done         chan struct{}
	// failed is set when one of the requests became a dead letter, or the results
	// too many.
	failed bool
}

func newWaiters() *waiters {
	return &waiters{waiting: make(map[string]*waiter)}
}

// expect registers interest in requests, before they are accepted: the pipeline
// may be through with them before the sender's commit returns.
func (w *waiters) expect(ids []string) *waiter {
	one := &waiter{missing: len(ids), results: make(map[string][]signalbox.Notification, len(ids)), done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.waiting[id] = one
	}
	return one
}

// forget ends the interest.
func (w *waiters) forget(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		delete(w.waiting, id)
	}
}

// resolve hands over what a request became; ok is false when it was given up.
func (w *waiters) resolve(id string, notifications []signalbox.Notification, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.waiting[id]
	if one == nil {
		return
	}
	delete(w.waiting, id)
	one.results[id] = notifications
	one.count += len(notifications)
	for i := range notifications {
		one.bytes += notifications[i].Payload.Size()
	}
	one.failed = one.failed || !ok || one.count > maxWaitedNotifications || one.bytes > maxWaitedBytes
	if one.missing--; one.missing == 0 || one.failed {
		close(one.done)
		for other, candidate := range w.waiting {
			if candidate == one {
				delete(w.waiting, other)
			}
		}
	}
}

// await waits until all requests are through and returns their notifications in
// the order of ids; ok is false when time ran out or a request was given up.
func (w *waiters) await(ctx context.Context, one *waiter, ids []string, limit time.Duration) (list []signalbox.Notification, ok bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-one.done:
	case <-timer.C:
		return nil, false
	case <-ctx.Done():
		return nil, false
	}
	if one.failed {
		return nil, false
	}
	list = []signalbox.Notification{}
	for _, id := range ids {
		list = append(list, one.results[id]...)
	}
	return list, true
}
