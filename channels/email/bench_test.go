package email

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels/email/smtpfake"
)

// BenchmarkSend sends 1,000 mails with a concurrency of 10 to a server that needs
// 10 ms for a mail, and to one that needs 10 ms for each of the four replies of a
// mail. "of_limit" is the part of what such a server could take at most.
func BenchmarkSend(b *testing.B) {
	const concurrency, delay, mails = 10, 10 * time.Millisecond, 1000
	for _, c := range []struct {
		name    string
		config  smtpfake.Config
		perMail time.Duration
	}{
		{"10ms a mail", smtpfake.Config{Work: delay}, delay},
		{"10ms a reply", smtpfake.Config{Latency: delay}, 4 * delay},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := smtpfake.Start(b, c.config)
			config := toServer(server)
			config.Concurrency = concurrency
			channel := open(b, config)
			d := delivery("0", signalbox.Payload{Title: "Title", Description: description, Link: "/x"})
			var took time.Duration
			for b.Loop() {
				begin := time.Now()
				work := make(chan string)
				var group sync.WaitGroup
				for range concurrency {
					group.Go(func() {
						for id := range work {
							d := d
							d.ID = id
							if _, err := channel.Deliver(b.Context(), d); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for i := range mails {
					work <- strconv.Itoa(i)
				}
				close(work)
				group.Wait()
				took += time.Since(begin)
			}
			rate := float64(mails*b.N) / took.Seconds()
			b.ReportMetric(rate, "mails/s")
			b.ReportMetric(rate/(float64(concurrency)/c.perMail.Seconds()), "of_limit")
			b.ReportMetric(float64(server.Connections())/float64(b.N), "connections")
		})
	}
}
