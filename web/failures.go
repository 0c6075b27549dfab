package web

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/signalbox/signalbox"
)

// Bounds of failed authentications, for each client: so many at once, and so many per
// second sustained. They are far beyond what mistakes come to, and far below what
// guessing needs.
const (
	failureBurst = 100
	failureRate  = 10
)

// Bounds of what is remembered; of each, up to twice as many.
const (
	maxFailing = 8_192
	maxProven  = 32_768
)

// tellEvery is the time between two lines of the log about one client.
const tellEvery = time.Minute

// failures limits how often a client may fail to authenticate. Beyond that its
// credentials are not looked at any more, so that guessing on is useless: a right
// guess would not show. Others may share its address, so credentials that were right
// before, from there, go on being looked at, and who never failed is not limited.
type failures struct {
	now func() time.Time
	// tell says that a client failed; it must not block for long.
	tell func(failureReport)
	seed maphash.Seed

	mu      sync.Mutex
	failing recent[netip.Prefix, *failing]
	proven  recent[uint64, struct{}]
	// lines bounds what is told of all clients; untold counts failures of clients
	// that were forgotten before they were told of.
	lines  *rate.Limiter
	untold int
}

// failing is a client that failed.
type failing struct {
	// tokens is how many more failures it has, as of at.
	tokens float64
	at     time.Time
	// trying is how many of its attempts are under way.
	trying int

	report failureReport
	told   time.Time
}

// failureReport is what became of a client's attempts since the last report.
type failureReport struct {
	addr netip.Addr
	// failed were refused, limited were not looked at.
	failed, limited int
	// reason is the last refusal's.
	reason string
	// others is how many failures of clients there are no reports of.
	others int
}

func newFailures(now func() time.Time, tell func(failureReport)) *failures {
	f := &failures{now: now, tell: tell, seed: maphash.MakeSeed(), lines: rate.NewLimiter(10, 100)}
	f.failing = recent[netip.Prefix, *failing]{limit: maxFailing, gone: func(old *failing) {
		f.untold += old.report.failed + old.report.limited
	}}
	f.proven = recent[uint64, struct{}]{limit: maxProven}
	return f
}

// attempt is one authentication under way.
type attempt struct {
	failures   *failures
	addr       netip.Addr
	credential uint64
	failing    *failing
}

// begin admits an attempt, which must be ended, or returns how long to wait. secrets
// are all that the client says to prove who it is.
func (f *failures) begin(addr netip.Addr, secrets ...string) (attempt, time.Duration) {
	a := attempt{failures: f, addr: addr, credential: f.fingerprint(addr, secrets)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.proven.get(a.credential); ok {
		return a, 0
	}
	known, ok := f.failing.get(neighbourhood(addr))
	if !ok {
		return a, 0
	}
	known.refill(f.now())
	if missing := 1 + float64(known.trying) - known.tokens; missing > 0 {
		known.report.limited++
		return attempt{}, time.Duration(missing / failureRate * float64(time.Second))
	}
	known.trying++
	a.failing = known
	return a, 0
}

// end takes what came of an attempt: only credentials that are wrong count.
func (a attempt) end(err error) {
	f := a.failures
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.failing != nil {
		a.failing.trying--
	}
	switch {
	case err == nil:
		f.proven.put(a.credential, struct{}{})
		return
	case signalbox.ErrorCode(err) != signalbox.CodeAuthentication:
		return
	}
	f.proven.remove(a.credential)
	now, network := f.now(), neighbourhood(a.addr)
	known, ok := f.failing.get(network)
	if !ok {
		known = &failing{tokens: failureBurst, at: now}
		f.failing.put(network, known)
	}
	known.refill(now)
	// Many can be under way before the first has failed. They are held against the
	// client, within reason.
	known.tokens = max(known.tokens-1, -failureBurst)
	known.report.addr, known.report.reason = a.addr, err.Error()
	known.report.failed++
	f.tellOf(known, now)
}

func (k *failing) refill(now time.Time) {
	k.tokens = min(k.tokens+now.Sub(k.at).Seconds()*failureRate, failureBurst)
	k.at = now
}

// tellOf tells of a client, unless it was told of just now.
func (f *failures) tellOf(known *failing, now time.Time) {
	if known.report.failed+known.report.limited == 0 || now.Sub(known.told) < tellEvery || !f.lines.AllowN(now, 1) {
		return
	}
	known.report.others, f.untold = f.untold, 0
	f.tell(known.report)
	known.report, known.told = failureReport{addr: known.report.addr, reason: known.report.reason}, now
}

// run tells of failures that were not told of when they happened, until ctx ends, and
// then of all.
func (f *failures) run(ctx context.Context) {
	ticker := time.NewTicker(tellEvery / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			f.flush(true)
			return
		case <-ticker.C:
			f.flush(false)
		}
	}
}

func (f *failures) flush(last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.failing.each(func(known *failing) {
		if last {
			known.told = time.Time{}
		}
		f.tellOf(known, now)
	})
}

// fingerprint names what a client proves who it is with. It is good for this process
// only, and nothing can be made of it.
func (f *failures) fingerprint(addr netip.Addr, secrets []string) uint64 {
	var h maphash.Hash
	h.SetSeed(f.seed)
	maphash.WriteComparable(&h, neighbourhood(addr))
	for _, secret := range secrets {
		maphash.WriteComparable(&h, len(secret))
		_, _ = h.WriteString(secret)
	}
	return h.Sum64()
}

// recent keeps values that were used lately: at least limit of them, at most twice as
// many. It is not safe for concurrent use.
type recent[K comparable, V any] struct {
	limit      int
	young, old map[K]V
	// gone is told of values that are dropped. Optional.
	gone func(V)
}

func (r *recent[K, V]) get(key K) (V, bool) {
	value, ok := r.young[key]
	if ok {
		return value, true
	}
	if value, ok = r.old[key]; ok {
		delete(r.old, key)
		r.put(key, value)
	}
	return value, ok
}

func (r *recent[K, V]) put(key K, value V) {
	if _, ok := r.young[key]; !ok && len(r.young) >= r.limit {
		if r.gone != nil {
			for _, v := range r.old {
				r.gone(v)
			}
		}
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = make(map[K]V)
	}
	r.young[key] = value
}

func (r *recent[K, V]) remove(key K) {
	delete(r.young, key)
	delete(r.old, key)
}

func (r *recent[K, V]) each(do func(V)) {
	for _, generation := range []map[K]V{r.young, r.old} {
		for _, value := range generation {
			do(value)
		}
	}
}
