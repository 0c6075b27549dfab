package queue_test

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
)

// The count of leases is for messages whose consumers die, or run out of time. One that
// returns a message, and cannot handle it the next time either, does neither.
func TestReturnedMessagesAreNotCounted(t *testing.T) {
	for name, c := range map[string]struct {
		// returns is that the consumer returns a message when it gets it first.
		returns bool
		// heeds is that it then ends with the context.
		heeds bool
		// blames is that the message is the reason.
		blames bool
		want   int
	}{
		"returned":                     {returns: true, heeds: true, want: 1},
		"returned for its own fault":   {returns: true, heeds: true, blames: true, want: 3},
		"returned, then died with it":  {returns: true, want: 3},
		"ran out of time at the first": {heeds: true, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *database.DB) {
				const lease = 2 * time.Second
				q := newQueue(t, db, queue.Config{Poll: never, Lease: lease, Resend: 10 * time.Millisecond})
				publish(t, q, numbered("work", 1)...)
				msgs, _ := subscribe(t, q, "work")
				for range 2 {
					msg := next(t, msgs)
					if c.returns {
						if c.blames {
							queue.Blame(msg)
						}
						msg.Nack()
						msg = next(t, msgs)
					}
					<-msg.Context().Done() // it waits, for instance for a lock
					if c.heeds {
						msg.Nack()
					}
				}
				msg := next(t, msgs)
				defer msg.Ack()
				if n := queue.Leases(msg); n != c.want {
					t.Errorf("%d leases are counted, want %d", n, c.want)
				}
			})
		})
	}
}
