package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
)

// Subscriber returns a subscriber for Watermill's router; take one per handler.
// Every call of its Subscribe is one consumer, which is handed one message at a
// time and gets the next when it has acked.
//
// Closing the subscriber, or cancelling the context of Subscribe, stops
// gracefully: no further message is handed over, the one in hand gets up to
// [Config.CloseTimeout] to be acked, its context lives on meanwhile, and what
// was leased in advance is given back.
func (q *Queue) Subscriber() message.Subscriber { return &subscriber{queue: q} }

type subscriber struct {
	queue *Queue

	mu            sync.Mutex
	closed        bool
	subscriptions map[*subscription]struct{}
}

func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, watermillsql.ErrSubscriberClosed
	}
	sub, err := s.queue.subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	if s.subscriptions == nil {
		s.subscriptions = map[*subscription]struct{}{}
	}
	s.subscriptions[sub] = struct{}{}
	go func() {
		sub.forward()
		s.mu.Lock()
		delete(s.subscriptions, sub)
		s.mu.Unlock()
		close(sub.done)
	}()
	return sub.out, nil
}

// Close stops all subscriptions and waits for them.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	open := make([]*subscription, 0, len(s.subscriptions))
	for sub := range s.subscriptions {
		open = append(open, sub)
	}
	s.mu.Unlock()
	for _, sub := range open {
		sub.stop()
	}
	for _, sub := range open {
		<-sub.done
	}
	return nil
}

// subscription is one consumer: a library subscriber of its own, with the
// adapters that know its batch, and a goroutine that hands its messages over.
type subscription struct {
	queue   *Queue
	topic   string
	library *watermillsql.Subscriber
	waiter  *waiter

	// in comes from the library, out goes to the consumer.
	in  <-chan *message.Message
	out chan *message.Message

	// stopping is closed when no further message is to be handed over; ctx ends
	// CloseTimeout later, and with it everything that is still going on.
	stopping  chan struct{}
	stopOnce  sync.Once
	ctx       context.Context
	cancel    context.CancelFunc
	detach    func() bool
	closeTime *time.Timer
	done      chan struct{}

	// Only the library's goroutine touches these; batch is also read, with
	// current, by the one that hands over.
	size        int
	floor       time.Time
	lookedAtAll time.Time
	failures    int
	mu          sync.Mutex
	batch       *batch
}

func (q *Queue) subscribe(ctx context.Context, topic string) (*subscription, error) {
	if topic == "" {
		return nil, errors.New("queue: subscribe: the topic is empty")
	}
	s := &subscription{
		queue:    q,
		topic:    topic,
		waiter:   newWaiter(),
		out:      make(chan *message.Message),
		stopping: make(chan struct{}),
		done:     make(chan struct{}),
		size:     1,
	}
	deadline := q.config.Lease
	library, err := watermillsql.NewSubscriber(beginner{
		Beginner: watermillsql.BeginnerFromStdSQL(q.db.Leaser), s: s,
	}, watermillsql.SubscriberConfig{
		AckDeadline:    &deadline,
		ResendInterval: q.config.Resend,
		BackoffManager: s,
		SchemaAdapter:  sizedSchema{schemaAdapter{dialect: q.db.Dialect, lease: q.config.Lease + q.staleAfter()}, s},
		OffsetsAdapter: watchedOffsets{offsetsAdapter{q.db.Dialect}, s},
	}, q.logger)
	if err != nil {
		return nil, err
	}
	s.library = library
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	q.waiting.join(topic)
	if s.in, err = library.Subscribe(s.ctx, topic); err != nil {
		s.cancel()
		q.waiting.leave(topic)
		return nil, err
	}
	s.detach = context.AfterFunc(ctx, s.stop)
	return s, nil
}

// stop begins the end of the subscription. It does not wait.
func (s *subscription) stop() {
	s.stopOnce.Do(func() {
		s.mu.Lock()
		s.closeTime = time.AfterFunc(s.queue.config.CloseTimeout, s.cancel)
		s.mu.Unlock()
		close(s.stopping)
	})
}

func (s *subscription) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// forward hands messages over until the subscription is stopped, and then ends
// everything that belongs to it.
func (s *subscription) forward() {
	share := time.NewTimer(time.Hour)
	defer share.Stop()
	for !s.isStopping() {
		select {
		case msg, ok := <-s.in:
			if !ok {
				s.stop()
				continue
			}
			s.handOver(msg, share)
		case <-s.stopping:
		}
	}
	// The library gives up the message that it is trying to send, if any, and the
	// batch is settled.
	_ = s.library.Close() // It returns nil.
	for range s.in {
		// It is closed by now.
	}
	s.detach()
	s.mu.Lock()
	s.closeTime.Stop()
	s.mu.Unlock()
	s.cancel()
	if s.queue.waiting.leave(s.topic) {
		s.queue.Wake(s.topic)
	}
	close(s.out)
}

// handOver passes one message to the consumer and waits until it is done with
// it.
func (s *subscription) handOver(msg *message.Message, share *time.Timer) {
	// Taken before the message is passed on, because handlers replace it.
	ctx, batch, position := msg.Context(), s.current(), Position(msg)
	if deadline, ok := ctx.Deadline(); ok && batch.gaveBack(position) {
		// The consumer lives, and something is in its way. It has only a part of the
		// lease now, so that running out of time would tell nothing of the message: it
		// is cut off before, and the lease does not count.
		if time.Until(deadline) < s.queue.again() {
			batch.share(position)
			select {
			case <-s.stopping:
			case <-ctx.Done():
			}
			return
		}
		handed, cancel := context.WithDeadline(ctx, deadline.Add(-s.queue.spare()))
		defer cancel()
		msg.SetContext(handed)
	}
	select {
	case s.out <- msg:
	case <-s.stopping:
		return
	case <-ctx.Done(): // the deadline, and nobody took it
		return
	}
	batch.hold(position)
	share.Reset(shareAfter)
	defer share.Stop()
	stopping := s.stopping
	for {
		select {
		case <-msg.Acked():
			batch.hold(0)
			return
		case <-msg.Nacked():
			if ctx.Err() == nil && msg.Metadata.Get(blamedKey) == "" {
				batch.returned(position)
			}
			return
		case <-share.C:
			batch.share(position)
		case <-stopping:
			stopping = nil
			s.queue.config.Logger.Debug("waiting for a message in hand", "topic", s.topic, "message", msg.UUID)
		case <-ctx.Done():
			// The library ends the context after an ack, too. Otherwise the
			// deadline has passed: the handler may still be at it, so the row
			// keeps its lease.
			select {
			case <-msg.Acked():
				batch.hold(0)
			default:
			}
			return
		}
	}
}

func (s *subscription) current() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batch
}

// pace chooses the size of the next batch so that it takes about batchTime. It
// grows step by step and shrinks at once; powers of two keep the number of
// statement texts small.
func (s *subscription) pace(b *batch) {
	if len(b.rows) == 0 {
		return
	}
	size := 1
	if b.handled > 0 {
		each := max(time.Since(b.leased)/time.Duration(b.handled), time.Microsecond)
		limit := min(int(batchTime/each), s.queue.config.BatchSize, 4*s.size)
		for size*2 <= limit {
			size *= 2
		}
	}
	s.size = size
}
