package web

import (
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/signalbox/signalbox"
)

// maxRatedSenders bounds how many senders' rates are kept an eye on.
const maxRatedSenders = 10_000

// sendRates holds the rates of senders, of which this instance has a share. The
// zero value is ready.
type sendRates struct {
	mu      sync.Mutex
	buckets map[string]*sendBucket
}

// sendBucket is the token bucket of one sender.
type sendBucket struct {
	whole   signalbox.SendRate
	shares  int
	limiter *rate.Limiter
}

// take takes n tokens of a sender and returns 0, or takes none and returns how long
// to wait. What is more than the burst passes when the bucket is full, and is owed:
// else it could never be sent.
func (r *sendRates) take(sender string, whole signalbox.SendRate, n, shares int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.bucket(sender, now)
	shares = max(shares, 1)
	burst := max(whole.Burst/shares, 1)
	if b.whole != whole || b.shares != shares {
		b.whole, b.shares = whole, shares
		every := rate.Limit(float64(whole.Count) / whole.Per.Seconds() / float64(shares))
		if b.limiter == nil {
			b.limiter = rate.NewLimiter(every, burst)
		}
		b.limiter.SetLimitAt(now, every)
		b.limiter.SetBurstAt(now, burst)
	}
	first := b.limiter.ReserveN(now, min(n, burst))
	if wait := first.DelayFrom(now); wait > 0 {
		first.CancelAt(now)
		return wait
	}
	for n -= min(n, burst); n > 0; n -= min(n, burst) {
		b.limiter.ReserveN(now, min(n, burst))
	}
	return 0
}

// bucket returns a sender's, and makes room for it first.
func (r *sendRates) bucket(sender string, now time.Time) *sendBucket {
	if b, ok := r.buckets[sender]; ok {
		return b
	}
	if r.buckets == nil {
		r.buckets = make(map[string]*sendBucket)
	}
	if len(r.buckets) >= maxRatedSenders {
		fullest := ""
		for name, b := range r.buckets {
			if b.limiter.TokensAt(now) >= float64(b.limiter.Burst()) {
				delete(r.buckets, name) // a full one is as good as none
			} else if fullest == "" || b.limiter.TokensAt(now) > r.buckets[fullest].limiter.TokensAt(now) {
				fullest = name
			}
		}
		if len(r.buckets) >= maxRatedSenders {
			delete(r.buckets, fullest)
		}
	}
	b := &sendBucket{}
	r.buckets[strings.Clone(sender)] = b
	return b
}
