package backstage

import (
	"context"
	"errors"
	"sync"

	"github.com/signalbox/signalbox/processors/directory"
)

// loader brings together what is asked at the same time: a reference that is
// being fetched is not fetched twice, and whatever is asked while all requests
// are under way shares the next ones. There is no timer; an idle loader asks at
// once.
//
// It is not singleflight: that collapses calls with the same key, and here each
// of many keys may be in the way with another call's.
type loader struct {
	maxBatch, maxBytes, concurrency, maxWaiting int

	// fetch returns a record, or nil if there is no such entity, for each
	// reference that it could fetch; the error is for the others.
	fetch func(refs []string) (map[string]*directory.Record, error)

	mu      sync.Mutex
	flights map[string]*flight // waiting or under way
	waiting []*flight
	running int
	closed  bool
	workers sync.WaitGroup
}

// flight is one reference on its way.
type flight struct {
	ref  string
	done chan struct{}
	// record and err are set before done is closed.
	record *directory.Record
	err    error
}

// maxBatchBytes keeps the body of a request below the 100 kB that Backstage's
// backends accept by default.
const maxBatchBytes = 80 << 10

func newLoader(c Config, fetch func(refs []string) (map[string]*directory.Record, error)) *loader {
	return &loader{
		maxBatch: c.MaxBatch, maxBytes: maxBatchBytes, concurrency: c.Concurrency, maxWaiting: c.MaxWaiting,
		fetch: fetch, flights: make(map[string]*flight),
	}
}

var (
	errClosed  = errors.New("backstage catalog: closed")
	errCrowded = errors.New("backstage catalog: too many references wait to be asked for")
)

// load fetches refs. The error is why those in failed could not be fetched.
func (l *loader) load(ctx context.Context, refs []string) (loaded map[string]*directory.Record, failed []string, err error) {
	flights, err := l.board(refs)
	if err != nil {
		return nil, refs, err
	}
	loaded = make(map[string]*directory.Record, len(refs))
	for _, f := range flights {
		select {
		case <-f.done:
			if f.err != nil {
				failed, err = append(failed, f.ref), f.err
				continue
			}
			loaded[f.ref] = f.record
		case <-ctx.Done():
			// The request goes on, for others and for the cache.
			failed, err = append(failed, f.ref), ctx.Err()
		}
	}
	return loaded, failed, err
}

// renew fetches refs for those who ask later. There is no hurry: where too much
// waits it does nothing.
func (l *loader) renew(refs []string) { _, _ = l.board(refs) }

// board finds or makes a flight for each reference.
func (l *loader) board(refs []string) ([]*flight, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	if len(l.waiting)+len(refs) > l.maxWaiting {
		return nil, errCrowded
	}
	flights := make([]*flight, 0, len(refs))
	for _, ref := range refs {
		f := l.flights[ref]
		if f == nil {
			f = &flight{ref: ref, done: make(chan struct{})}
			l.flights[ref] = f
			l.waiting = append(l.waiting, f)
		}
		flights = append(flights, f)
	}
	for l.running < min(l.concurrency, (len(l.waiting)+l.maxBatch-1)/l.maxBatch+l.running) {
		l.running++
		l.workers.Go(l.work)
	}
	return flights, nil
}

// work makes requests as long as something waits.
func (l *loader) work() {
	for {
		batch := l.take()
		if batch == nil {
			return
		}
		refs := make([]string, len(batch))
		for i, f := range batch {
			refs[i] = f.ref
		}
		records, err := l.fetch(refs)
		l.mu.Lock()
		for _, f := range batch {
			delete(l.flights, f.ref)
		}
		l.mu.Unlock()
		for _, f := range batch {
			var ok bool
			if f.record, ok = records[f.ref]; !ok {
				f.err = err
			}
			close(f.done)
		}
	}
}

// take returns the next batch, or nil when nothing waits: the worker ends then.
func (l *loader) take() []*flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(l.waiting) && n < l.maxBatch && (n == 0 || size+len(l.waiting[n].ref)+3 <= l.maxBytes) {
		size += len(l.waiting[n].ref) + 3
		n++
	}
	if n == 0 {
		l.waiting = nil
		l.running--
		return nil
	}
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return batch
}

// close refuses new references and waits for the workers. Requests must have
// been ended before, or it waits for them.
func (l *loader) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.workers.Wait()
}
