package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

func receivedBy(users ...int) []signalbox.Received {
	list := make([]signalbox.Received, len(users))
	for i, u := range users {
		list[i] = signalbox.Received{User: fmt.Sprint(u), Origin: "ci"}
	}
	return list
}

// The cache holds at least its last generation, at most two, and keeps what is
// in use.
func TestSeenCacheIsBounded(t *testing.T) {
	const limit = 100
	c, now := newSeenCache(limit), time.Now()
	for i := range 50 * limit {
		if unknown := c.filter(receivedBy(i), now); len(unknown) != 1 {
			t.Fatalf("%d is known before it was added", i)
		}
		c.add(receivedBy(i), now)
		if unknown := c.filter(receivedBy(0, i), now); len(unknown) != 0 {
			t.Fatalf("%v is forgotten after %d", unknown, i)
		}
		if size := len(c.younger) + len(c.older); size > 2*limit {
			t.Fatalf("%d entries", size)
		}
	}
	if unknown := c.filter(receivedBy(1), now); len(unknown) != 1 {
		t.Error("what was not in use is still there")
	}
	if unknown := c.filter(receivedBy(0), now.Add(day)); len(unknown) != 1 {
		t.Error("what was seen yesterday is not recorded today")
	}
}
