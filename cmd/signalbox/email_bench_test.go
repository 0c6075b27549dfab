package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/channels/email/smtpfake"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// BenchmarkEmailUnderKills sends 10,000 mails through a server that takes 10 ms for
// each, with concurrency 10, while the process is killed twice: mails per second as a
// share of the server's limit, how many were lost (none, or it fails), and how many
// came twice.
func BenchmarkEmailUnderKills(b *testing.B) {
	eachDatabase(b, func(b *testing.B, url string) {
		const n, work = 10_000, 10 * time.Millisecond
		for range b.N {
			server, data := smtpfake.Start(b, smtpfake.Config{Work: work}), b.TempDir()
			environment := []string{"SIGNALBOX_DIRECTORY_FILES=" + people(b, 50), emailSettings(server, ""), "SIGNALBOX_PIPELINE_LEASE=6s", "SIGNALBOX_PIPELINE_PROCESSOR_TIMEOUT=4s"}
			s := start(b, data, url, environment...)
			for at := 0; at < n; at += 100 {
				var batch []string
				for i := at; i < at+100; i++ {
					batch = append(batch, to(fmt.Sprintf("user:default/u%d", i%50), fmt.Sprintf("number %d.", i)))
				}
				if _, err := s.call(http.MethodPost, "/api/notifications/batch", s.asService(), "["+strings.Join(batch, ",")+"]", http.StatusAccepted); err != nil {
					b.Fatal(err)
				}
			}
			received := func() int { return len(server.Messages()) }
			// The rate is that of the middle, in which nothing is killed.
			eventuallyFast(b, 5*time.Minute, func() bool { return received() >= n/5 })
			s.kill()
			s = start(b, data, url, environment...)
			eventuallyFast(b, 5*time.Minute, func() bool { return received() >= n*3/10 })
			first, begun := received(), time.Now()
			eventuallyFast(b, 5*time.Minute, func() bool { return received() >= n*7/10 })
			rate := float64(received()-first) / time.Since(begun).Seconds()
			s.kill()
			s = start(b, data, url, environment...)
			db := storagetest.Open(b, url)
			eventuallyFast(b, 5*time.Minute, func() bool {
				var delivered int
				if err := db.Reader.QueryRow("SELECT count(*) FROM deliveries WHERE status = 'delivered'").Scan(&delivered); err != nil {
					b.Fatal(err)
				}
				return delivered == n
			})
			s.kill()
			arrived := map[string]bool{}
			for _, m := range server.Messages() {
				_, subject, _ := strings.Cut(string(m.Data), "\r\nSubject: ")
				subject, _, _ = strings.Cut(subject, "\r\n")
				arrived[subject] = true
			}
			if len(arrived) != n {
				b.Errorf("%d of %d arrived", len(arrived), n)
			}
			b.ReportMetric(rate, "mails/s")
			b.ReportMetric(rate*work.Seconds()/callsAtATime, "of-limit")
			b.ReportMetric(float64(received()-n), "doubles")
		}
		b.ReportMetric(0, "ns/op")
	})
}
