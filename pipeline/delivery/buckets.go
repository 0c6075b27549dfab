package delivery

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/signalbox/signalbox/channels"
)

// bucket is a token bucket of which this instance has a share.
type bucket struct {
	whole   channels.Rate
	shares  int
	limiter *rate.Limiter
}

// newBucket returns nil for a rate that does not limit.
func newBucket(whole channels.Rate) *bucket {
	if whole.Every <= 0 {
		return nil
	}
	whole.Burst = max(whole.Burst, 1)
	return &bucket{whole: whole, shares: 1, limiter: rate.NewLimiter(rate.Every(whole.Every), whole.Burst)}
}

// reserve takes a token, perhaps a later one, as one of so many instances.
func (b *bucket) reserve(now time.Time, shares int) *rate.Reservation {
	if shares = max(shares, 1); shares != b.shares {
		b.shares = shares
		b.limiter.SetLimitAt(now, rate.Every(b.whole.Every*time.Duration(shares)))
		b.limiter.SetBurstAt(now, max(b.whole.Burst/shares, 1))
	}
	return b.limiter.ReserveN(now, 1)
}

// isFull reports whether no token is missing.
func (b *bucket) isFull(now time.Time) bool {
	return b.limiter.TokensAt(now) >= float64(b.limiter.Burst())
}

// maxTargets bounds how many targets of a channel are kept an eye on. The one
// that was not seen for longest is forgotten first: its limit starts afresh.
const maxTargets = 10_000

// targets are the limits and pauses of a channel's targets.
type targets struct {
	rate channels.Rate
	most int

	mu     sync.Mutex
	byName map[string]*list.Element
	// recent has the [place] of each, the latest first.
	recent list.List
}

// place is what is known of one target.
type place struct {
	name   string
	bucket *bucket
	paused time.Time
}

func newTargets(each channels.Rate) *targets {
	return &targets{rate: each, most: maxTargets, byName: make(map[string]*list.Element)}
}

// pause keeps everything from a target until then.
func (t *targets) pause(name string, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.place(name)
	if until.After(p.paused) {
		p.paused = until
	}
}

// pausedUntil returns when the last pause of a target ends or ended.
func (t *targets) pausedUntil(name string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.byName[name]; ok {
		return e.Value.(*place).paused //nolint:forcetypeassert // The list holds nothing else.
	}
	return time.Time{}
}

// reserve takes the target's next slot and returns how far away it is.
func (t *targets) reserve(name string, now time.Time, shares int) time.Duration {
	if t.rate.Every <= 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.place(name).bucket.reserve(now, shares).DelayFrom(now)
}

// place returns a target's, and makes it if it is not there.
func (t *targets) place(name string) *place {
	if e, ok := t.byName[name]; ok {
		t.recent.MoveToFront(e)
		return e.Value.(*place) //nolint:forcetypeassert // The list holds nothing else.
	}
	p := &place{name: name, bucket: newBucket(t.rate)}
	t.byName[name] = t.recent.PushFront(p)
	if t.recent.Len() > t.most {
		oldest := t.recent.Back()
		delete(t.byName, t.recent.Remove(oldest).(*place).name) //nolint:forcetypeassert // The list holds nothing else.
	}
	return p
}
