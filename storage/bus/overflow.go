package bus

import (
	"sync"
	"time"
)

// overflowQuiet is how long nothing is said of an overflow after it was told.
const overflowQuiet = time.Minute

// overflow says when it is to be told that the queue has no room, so that a burst of
// messages is not one of log lines.
type overflow struct {
	mu      sync.Mutex
	told    time.Time
	dropped int64
}

// drop counts a message that was dropped now. If it is to be told, it returns how
// many were since that was told last.
func (o *overflow) drop(now time.Time) (dropped int64, tell bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped++
	if !o.told.IsZero() && now.Sub(o.told) < overflowQuiet {
		return 0, false
	}
	dropped, o.dropped, o.told = o.dropped, 0, now
	return dropped, true
}
