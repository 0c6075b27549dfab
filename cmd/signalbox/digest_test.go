package main

import (
	"fmt"
	"net/http"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/channels/email/smtpfake"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// TestDigestUnderFaults: what users hold for their digest survives a killed process,
// and so does a digest that is being sent. Each user gets one, with everything in it.
func TestDigestUnderFaults(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		t.Parallel() // it waits, most of the time
		const users, each = 40, 5
		server, data := smtpfake.Start(t, smtpfake.Config{Work: 100 * time.Millisecond}), t.TempDir()
		// The next whole minute is soon enough for a digest of every day; what is sent
		// before it needs some seconds.
		due := time.Now().Truncate(time.Minute).Add(time.Minute)
		if time.Until(due) < 20*time.Second {
			due = due.Add(time.Minute)
		}
		zone, err := time.LoadLocation("Asia/Kolkata")
		if err != nil {
			t.Fatal(err)
		}
		environment := quickly("SIGNALBOX_DIRECTORY_FILES="+people(t, users), emailSettings(server, ""),
			"SIGNALBOX_NOTIFICATIONS_SCHEDULE_TIME_ZONE="+zone.String(), "SIGNALBOX_NOTIFICATIONS_SCHEDULE_DIGEST_EVERY=daily",
			"SIGNALBOX_NOTIFICATIONS_SCHEDULE_DIGEST_AT="+due.In(zone).Format("15:04"))
		s := start(t, data, url, environment...)
		// One user wants everything at once.
		if _, err := s.call(http.MethodPost, "/api/notifications/schedule", as("user:default/u0"), `{"digest":{"every":"never"}}`, http.StatusOK); err != nil {
			t.Fatal(err)
		}
		var batch []string
		for i := range users * each {
			batch = append(batch, to(fmt.Sprintf("user:default/u%d", i%users), fmt.Sprintf("number %d.", i)))
		}
		if _, err := s.call(http.MethodPost, "/api/notifications/batch", s.asService(), "["+strings.Join(batch, ",")+"]", http.StatusAccepted); err != nil {
			t.Fatal(err)
		}
		db := storagetest.Open(t, url)
		held := func(want int) func() error {
			return func() error {
				var n int
				if err := db.Reader.QueryRow("SELECT count(*) FROM held_deliveries").Scan(&n); err != nil {
					return err
				}
				if n != want {
					return fmt.Errorf("%d are held, not %d", n, want)
				}
				return nil
			}
		}
		eventually(t, 60*time.Second, held((users-1)*each))
		if sent := len(server.Messages()); time.Now().Before(due) && sent > each {
			t.Errorf("%d mails before the end of the window", sent)
		}
		s.kill()
		s = start(t, data, url, environment...)
		eventually(t, 150*time.Second, func() error {
			if sent := len(server.Messages()); sent < each+users/4 {
				return fmt.Errorf("%d mails", sent)
			}
			return nil
		})
		s.kill()
		start(t, data, url, environment...)
		eventually(t, 120*time.Second, held(0))
		var delivered int
		if err := db.Reader.QueryRow("SELECT count(*) FROM deliveries WHERE status = 'delivered' AND channel = 'Email'").Scan(&delivered); err != nil || delivered != users*each {
			t.Errorf("the trace tells of %d deliveries: %v", delivered, err)
		}

		digests, doubles := map[string]string{}, 0
		for _, m := range server.Messages() {
			parsed, err := mail.ReadMessage(strings.NewReader(string(m.Data)))
			if err != nil {
				t.Fatal(err)
			}
			to, id := parsed.Header.Get("To"), parsed.Header.Get("Message-Id")
			if strings.Contains(to, "u0@") {
				continue
			}
			if known, twice := digests[to]; twice {
				doubles++
				if known != id {
					t.Errorf("%s got two digests, %s and %s", to, known, id)
				}
			}
			digests[to] = id
			if n := strings.Count(string(m.Data), "number "); n < each {
				t.Errorf("%d of %d are in the digest of %s", n, each, to)
			}
		}
		if len(digests) != users-1 {
			t.Errorf("%d of %d users got a digest", len(digests), users-1)
		}
		if doubles > callsAtATime {
			t.Errorf("%d digests came twice", doubles)
		}
	})
}
