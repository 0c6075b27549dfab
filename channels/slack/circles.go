package slack

import (
	"context"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
)

const (
	// circlesFor is how long the users of an entity are remembered: long enough for
	// the deliveries of one request, short enough to follow the directory.
	circlesFor = 30 * time.Second
	// maxCircles and maxCircle bound how many are, and how large.
	maxCircles = 8
	maxCircle  = 100_000
)

// circles remembers whom entities stand for, so that the deliveries to a large
// group do not each resolve it again.
type circles struct {
	directory signalbox.Directory
	now       func() time.Time

	mu     sync.Mutex
	recent map[string]circle
}

type circle struct {
	users map[string]struct{}
	until time.Time
}

func newCircles(directory signalbox.Directory) *circles {
	return &circles{directory: directory, now: time.Now, recent: map[string]circle{}}
}

// contains reports whether an entity leads to a user.
func (c *circles) contains(ctx context.Context, ref, user string) (bool, error) {
	c.mu.Lock()
	known, ok := c.recent[ref]
	c.mu.Unlock()
	if !ok || !c.now().Before(known.until) {
		resolution, err := c.directory.Resolve(ctx, []string{ref}, nil)
		if err != nil {
			return false, signalbox.Transient(err)
		}
		known = circle{make(map[string]struct{}, len(resolution.Users)), c.now().Add(circlesFor)}
		for _, member := range resolution.Users {
			known.users[member] = struct{}{}
		}
		c.keep(ref, known)
	}
	_, ok = known.users[user]
	return ok, nil
}

func (c *circles) keep(ref string, known circle) {
	if len(known.users) > maxCircle {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) >= maxCircles {
		clear(c.recent)
	}
	c.recent[ref] = known
}
