package delivery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// settler stores settlements. Those that arrive while a commit is under way share
// the next one: under load commits carry many, and an idle router commits each at
// once. No timer is involved.
type settler struct {
	store   signalbox.DeliveryStore
	timeout time.Duration
	size    prometheus.Observer

	mu      sync.Mutex
	pending []*settling
	running bool
	wait    sync.WaitGroup
}

// settling is one settlement that waits for its commit.
type settling struct {
	settlement signalbox.Settlement
	err        error
	done       chan struct{}
}

const (
	// maxSettlements bounds a commit. What waits is bounded by the consumers, each
	// of which waits for its own.
	maxSettlements = 256
	// settleBackoff is the first pause after a commit that failed, settlePause the
	// longest.
	settleBackoff = 50 * time.Millisecond
	settlePause   = 2 * time.Second
	// settleSpare is left when trying ends: the queue must hear in time that the store is
	// away, so that it does not take the consumer for dead.
	settleSpare = 500 * time.Millisecond
)

// settle returns after the commit of the settlement. It tries at least once, and
// while the store fails transiently until ctx is about to end: what was sent and is
// not recorded would be sent again.
func (s *settler) settle(ctx context.Context, settlement signalbox.Settlement) error {
	for pause := settleBackoff; ; pause = min(2*pause, settlePause) {
		err := s.commit(settlement)
		if err == nil || !signalbox.IsTransient(err) {
			return err
		}
		// The next commit may have to wait for the end of one that is under way.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause+2*s.timeout+settleSpare {
			return err
		}
		timer := time.NewTimer(pause/2 + retry.Jitter(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// commit takes part in one commit.
func (s *settler) commit(settlement signalbox.Settlement) error {
	one := &settling{settlement: settlement, done: make(chan struct{})}
	s.mu.Lock()
	s.pending = append(s.pending, one)
	if !s.running {
		s.running = true
		s.wait.Go(s.run)
	}
	s.mu.Unlock()
	<-one.done
	return one.err
}

// run commits until nothing waits.
func (s *settler) run() {
	for {
		s.mu.Lock()
		n := min(len(s.pending), maxSettlements)
		batch := s.pending[:n:n]
		s.pending = s.pending[n:]
		if n == 0 {
			s.pending, s.running = nil, false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.settleBatch(batch)
	}
}

// settleBatch commits a batch; when the data of one settlement makes that impossible,
// one by one, so that only that one fails.
func (s *settler) settleBatch(batch []*settling) {
	err := s.call(batch)
	if err != nil && !signalbox.IsTransient(err) && len(batch) > 1 {
		for i := range batch {
			s.settleBatch(batch[i : i+1])
		}
		return
	}
	for _, one := range batch {
		one.err = err
		close(one.done)
	}
}

func (s *settler) call(batch []*settling) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	settlements := make([]signalbox.Settlement, len(batch))
	for i, one := range batch {
		settlements[i] = one.settlement
	}
	s.size.Observe(float64(len(batch)))
	if err := signalbox.Guard(func() error { return s.store.Settle(ctx, settlements) }); err != nil {
		return fmt.Errorf("delivery: settle: %w", err)
	}
	return nil
}

// close waits for the commits under way.
func (s *settler) close() { s.wait.Wait() }
