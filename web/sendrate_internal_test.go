package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// Full buckets are as good as none, and make room; the number of buckets is bounded.
func TestSendRatesAreBounded(t *testing.T) {
	var r sendRates
	now := time.Unix(1_000_000, 0)
	hourly := signalbox.SendRate{Count: 1, Per: time.Hour, Burst: 1}
	for i := range maxRatedSenders {
		if wait := r.take(fmt.Sprint("a", i), hourly, 1, 1, now); wait != 0 {
			t.Fatal(wait)
		}
	}
	if wait := r.take("a7", hourly, 1, 1, now.Add(time.Minute)); wait != 59*time.Minute {
		t.Errorf("wait %v", wait)
	}
	if r.take("b", hourly, 1, 1, now.Add(time.Minute)); len(r.buckets) != maxRatedSenders {
		t.Errorf("%d buckets", len(r.buckets))
	}
	if r.take("c", hourly, 1, 1, now.Add(time.Hour)); len(r.buckets) != 2 { // b and c are not full
		t.Errorf("%d buckets", len(r.buckets))
	}
	if wait := r.take("b", hourly, 1, 1, now.Add(time.Hour)); wait != time.Minute {
		t.Errorf("wait %v", wait)
	}
}

// A rule or a number of instances that changes does not refill a bucket.
func TestSendRateChanges(t *testing.T) {
	var r sendRates
	now := time.Unix(1_000_000, 0)
	take := func(count, n, shares int) time.Duration {
		return r.take("a", signalbox.SendRate{Count: count, Per: time.Hour, Burst: 10}, n, shares, now)
	}
	if wait := take(60, 10, 1); wait != 0 {
		t.Fatal(wait)
	}
	if wait := take(60, 1, 2); wait.Round(time.Second) != 2*time.Minute {
		t.Errorf("wait %v", wait)
	}
	if wait := take(60, 1, 0); wait.Round(time.Second) != time.Minute {
		t.Errorf("wait %v", wait)
	}
}
