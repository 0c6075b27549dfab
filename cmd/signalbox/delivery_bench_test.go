package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox/signalbox/storage/storagetest"
)

// BenchmarkDeliveries measures the delivery engine on a channel that answers at
// once, and on one that takes 100 ms: deliveries per second, from the first to the
// last of a group that was sent one notification, and with latency that as a share
// of what the channel's own concurrency allows.
func BenchmarkDeliveries(b *testing.B) {
	for _, bench := range []struct {
		latency time.Duration
		members int
	}{{0, 10_000}, {100 * time.Millisecond, 2000}} {
		b.Run("latency="+bench.latency.String(), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, url string) {
				org := filepath.Join(b.TempDir(), "org.yaml")
				if err := os.WriteFile(org, []byte(groupOf(bench.members)), 0o600); err != nil {
					b.Fatal(err)
				}
				trouble := "latent 0"
				if bench.latency > 0 {
					trouble = fmt.Sprintf("latent %s", bench.latency)
				}
				s := start(b, b.TempDir(), url, "SIGNALBOX_DIRECTORY_FILES="+org, inTrouble+"="+trouble)
				db := storagetest.Open(b, url)
				out := newSender(s, 1)
				delivered := func() (n int) {
					if err := db.Reader.QueryRow("SELECT count(*) FROM deliveries WHERE status = 'delivered'").Scan(&n); err != nil {
						b.Fatal(err)
					}
					return n
				}
				for range b.N {
					before := delivered()
					if err := out.post(`{"recipients":{"type":"entity","entityRef":"group:default/all"},"payload":{"title":"All hands"}}`, http.StatusAccepted, ""); err != nil {
						b.Fatal(err)
					}
					first := before
					eventuallyFast(b, time.Minute, func() bool { first = delivered(); return first > before })
					begun := time.Now()
					eventuallyFast(b, 5*time.Minute, func() bool { return delivered()-before >= bench.members })
					rate := float64(bench.members-(first-before)) / time.Since(begun).Seconds()
					b.ReportMetric(rate, "deliveries/s")
					if bench.latency > 0 {
						b.ReportMetric(rate/(latentCalls/bench.latency.Seconds()), "of-limit")
					}
				}
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}
