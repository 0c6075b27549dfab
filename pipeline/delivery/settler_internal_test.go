package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
)

// TestWhoCannotSettleSaysSoInTime: a consumer that tries until its lease has ended looks
// like one that died.
func TestWhoCannotSettleSaysSoInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{memory: newMemory(), fail: func([]signalbox.Settlement) error {
			time.Sleep(4 * time.Second) // it waits for a lock
			return errDatabase
		}}
		s := &settler{store: store, timeout: 5 * time.Second, size: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "n"})}
		defer s.close()
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		begun := time.Now()
		if err := s.settle(ctx, signalbox.Settlement{}); err == nil || ctx.Err() != nil {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		if took := time.Since(begun); took < 15*time.Second {
			t.Errorf("it gave up after %s", took)
		}
	})
}
