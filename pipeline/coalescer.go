package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox/signalbox"
)

// coalescer makes submissions durable. Submissions that arrive while a commit is
// under way share the next one: under load commits carry many, and an idle
// router commits each at once. No timer is involved.
type coalescer struct {
	accepter signalbox.Accepter
	metrics  *metrics
	timeout  time.Duration

	// intake is bounded by submissions, bytes by their encoded size.
	intake chan *pending
	bytes  *budget

	// closing guards intake against a send after its close.
	closing sync.RWMutex
	closed  bool
	wait    sync.WaitGroup
}

// pending is one submission that waits for its commit.
type pending struct {
	claim    *signalbox.Claim
	entries  []encoded
	size     int
	receipts []signalbox.Receipt

	// taken decides between the committer, who takes the submission, and the
	// sender, who may stop waiting as long as nobody has.
	taken atomic.Bool

	earlier *signalbox.Claim
	err     error
	done    chan struct{}
}

// Bounds of what waits for its commit; beyond them senders are told to come back.
const (
	maxPending      = 8192
	maxPendingBytes = 64 << 20
	// maxCommit bounds the requests of one commit.
	maxCommit = 1024
)

func newCoalescer(accepter signalbox.Accepter, timeout time.Duration, m *metrics) *coalescer {
	return &coalescer{
		accepter: accepter,
		metrics:  m,
		timeout:  timeout,
		intake:   make(chan *pending, maxPending),
		bytes:    &budget{limit: maxPendingBytes},
	}
}

// start runs the committers until close.
func (c *coalescer) start(committers int) {
	for range committers {
		c.wait.Go(c.run)
	}
}

// close refuses new submissions, commits those that are waiting, and returns
// when the committers have ended.
func (c *coalescer) close() {
	c.closing.Lock()
	if !c.closed {
		c.closed = true
		close(c.intake)
	}
	c.closing.Unlock()
	c.wait.Wait()
}

// errBusy and errClosing are what a sender is told when nothing was stored.
func errBusy() error {
	return signalbox.Unavailable("Too many requests are waiting to be stored, try again later", time.Second, nil)
}

func errClosing() error {
	return signalbox.Unavailable("The server is shutting down, try again later", time.Second, nil)
}

// submit returns after the submission's own commit, or when ctx ends before the
// submission was taken into one.
func (c *coalescer) submit(ctx context.Context, p *pending) error {
	if !c.bytes.take(p.size) {
		return errBusy()
	}
	defer c.bytes.give(p.size)
	p.done = make(chan struct{})
	if err := c.enqueue(p); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
	}
	if p.taken.CompareAndSwap(false, true) {
		return errBusy()
	}
	<-p.done // what is being committed must be answered truly
	return p.err
}

func (c *coalescer) enqueue(p *pending) error {
	c.closing.RLock()
	defer c.closing.RUnlock()
	if c.closed {
		return errClosing()
	}
	select {
	case c.intake <- p:
		return nil
	default:
		return errBusy()
	}
}

// run commits whatever has arrived, as long as there is anything.
func (c *coalescer) run() {
	var held []*pending
	for {
		batch := held
		if len(batch) == 0 {
			first, ok := <-c.intake
			if !ok {
				return
			}
			batch = []*pending{first}
		}
		batch, held = separateClaims(c.gather(batch))
		c.commit(batch)
	}
}

// gather adds what waits already, without waiting for more.
func (c *coalescer) gather(batch []*pending) []*pending {
	n := 0
	for _, p := range batch {
		n += len(p.entries)
	}
	for n < maxCommit {
		select {
		case p, ok := <-c.intake:
			if !ok {
				return batch
			}
			batch = append(batch, p)
			n += len(p.entries)
		default:
			return batch
		}
	}
	return batch
}

// separateClaims holds back submissions whose idempotency key is in the batch
// already: they are repetitions of it, and must find it committed.
func separateClaims(batch []*pending) (now, held []*pending) {
	seen := make(map[[2]string]bool)
	for _, p := range batch {
		if p.claim != nil {
			key := [2]string{p.claim.Origin, p.claim.Key}
			if seen[key] {
				held = append(held, p)
				continue
			}
			seen[key] = true
		}
		now = append(now, p)
	}
	return now, held
}

// commit stores a batch and answers its submissions.
func (c *coalescer) commit(batch []*pending) {
	var (
		claims  []signalbox.Claim
		claimed []*pending
	)
	batch = slices.DeleteFunc(batch, func(p *pending) bool { return !p.taken.CompareAndSwap(false, true) })
	if len(batch) == 0 {
		return
	}
	for _, p := range batch {
		if p.claim != nil {
			claims = append(claims, *p.claim)
			claimed = append(claimed, p)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	err := signalbox.Guard(func() error {
		return c.accepter.Accept(ctx, claims, func(earlier []*signalbox.Claim) []signalbox.Message {
			for i, p := range claimed {
				p.earlier = earlier[i]
			}
			return messages(batch)
		})
	})
	c.metrics.commits.Inc()
	c.metrics.commitSize.Observe(float64(len(batch)))
	for _, p := range batch {
		if err != nil {
			p.err = signalbox.Unavailable("The notification could not be stored, try again later", 2*time.Second, err)
		}
		close(p.done)
	}
}

// messages joins the entries of all submissions that are new.
func messages(batch []*pending) []signalbox.Message {
	var entries []encoded
	for _, p := range batch {
		if p.earlier == nil {
			entries = append(entries, p.entries...)
		}
	}
	envelopes := joinEntries(entries)
	list := make([]signalbox.Message, 0, len(envelopes))
	for _, payload := range envelopes {
		list = append(list, signalbox.Message{Topic: TopicNotifications, ID: newID(), Payload: payload})
	}
	return list
}

// newPending gives a submission its identifiers and encodes it.
func newPending(s signalbox.Submission, waiter string, now time.Time) (*pending, []string, error) {
	p := &pending{
		entries:  make([]encoded, 0, len(s.Requests)),
		receipts: make([]signalbox.Receipt, 0, len(s.Requests)),
	}
	ids := make([]string, 0, len(s.Requests))
	for _, request := range s.Requests {
		request.ID, request.Created = newID(), now
		one, err := encodeEntry(entry{Request: request, Waiter: waiter})
		if err != nil {
			return nil, nil, err
		}
		p.entries = append(p.entries, one)
		p.size += len(one.json)
		p.receipts = append(p.receipts, signalbox.Receipt{ID: request.ID, Status: signalbox.StatusAccepted})
		ids = append(ids, request.ID)
	}
	if s.IdempotencyKey != "" {
		receipt, err := json.Marshal(p.receipts)
		if err != nil {
			return nil, nil, fmt.Errorf("receipts: %w", err)
		}
		p.claim = &signalbox.Claim{
			Origin: s.Requests[0].Origin, Key: s.IdempotencyKey,
			Fingerprint: s.Fingerprint, Receipt: receipt,
		}
	}
	return p, ids, nil
}

// repeated returns the receipts of the submission that came first.
func (p *pending) repeated() (signalbox.Submitted, error) {
	if p.earlier.Fingerprint != p.claim.Fingerprint {
		return signalbox.Submitted{}, signalbox.Errorf(signalbox.CodeConflict,
			"The idempotency key was used before for a different request")
	}
	var receipts []signalbox.Receipt
	if err := json.Unmarshal(p.earlier.Receipt, &receipts); err != nil {
		return signalbox.Submitted{}, fmt.Errorf("receipt of an earlier request: %w", err)
	}
	return signalbox.Submitted{Receipts: receipts, Repeated: true}, nil
}

// newID returns a UUIDv7. It panics only when the system has no randomness.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// budget bounds the bytes that wait.
type budget struct {
	mu    sync.Mutex
	limit int
	used  int
}

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > 0 && b.used+n > b.limit {
		return false
	}
	b.used += n
	return true
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}
