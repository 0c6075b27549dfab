package email

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errClosed = errors.New("email: the channel is closed")

// pool keeps connections. At most as many are in use as there are slots, and at
// most as many wait.
type pool struct {
	dial  func(ctx context.Context) (*session, error)
	slots chan struct{}
	after time.Duration

	mu     sync.Mutex
	idle   []*session // the last one was used last
	closed bool
	// timers are of the idle ones.
	timers sync.WaitGroup
}

func newPool(size int, idleTimeout time.Duration, dial func(ctx context.Context) (*session, error)) *pool {
	return &pool{dial: dial, slots: make(chan struct{}, size), after: idleTimeout}
}

// take returns a connection, waiting for one if all are in use. put or drop gives
// it back.
func (p *pool) take(ctx context.Context) (*session, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.slots
		return nil, errClosed
	}
	if last := len(p.idle) - 1; last >= 0 {
		s := p.idle[last]
		p.idle = p.idle[:last]
		p.stopTimer(s)
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	return p.fresh(ctx)
}

// fresh returns a new connection to who has a slot, and frees the slot if there is
// none, also because of a panic.
func (p *pool) fresh(ctx context.Context) (s *session, err error) {
	defer func() {
		if s == nil {
			<-p.slots
		}
	}()
	return p.dial(ctx)
}

// drop closes a connection, and all idle ones, but keeps the slot.
func (p *pool) drop(s *session) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	for _, other := range idle {
		p.stopTimer(other)
	}
	p.mu.Unlock()
	s.abort()
	for _, other := range idle {
		other.abort()
	}
}

// put gives a connection and its slot back.
func (p *pool) put(s *session) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	if s.usable() && !p.closed && len(p.idle) < cap(p.slots) {
		s.reused = true
		p.timers.Add(1)
		s.idle = time.AfterFunc(p.after, func() {
			defer p.timers.Done()
			if p.remove(s) {
				s.quit()
			}
		})
		p.idle = append(p.idle, s)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	s.quit()
}

// stopTimer stops the timer of a connection that is idle no more. The lock is held.
func (p *pool) stopTimer(s *session) {
	if s.idle.Stop() {
		p.timers.Done()
	}
}

// remove takes a connection out of the idle ones, and reports whether it was there.
func (p *pool) remove(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.idle {
		if other == s {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return true
		}
	}
	return false
}

// close closes the idle connections and waits for those in use.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	idle := p.idle
	p.idle = nil
	for _, s := range idle {
		p.stopTimer(s)
	}
	p.mu.Unlock()
	for _, s := range idle {
		s.quit()
	}
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	for range cap(p.slots) {
		<-p.slots
	}
	p.timers.Wait()
}
