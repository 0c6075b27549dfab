package hub

import (
	"cmp"
	"slices"
	"sync"

	"github.com/signalbox/signalbox"
)

// A shard is one independently locked part of the hub's connections and
// subscriptions. A connection stays in the shard it was given first.
type shard struct {
	mu          sync.RWMutex
	connections map[*connection]struct{}
	channels    map[string]*subscribers
}

// subscribers are the connections of one shard that subscribed one channel.
type subscribers struct {
	all []*connection
	// byRef finds them by what their users own. It holds slices instead of sets
	// because most references have one connection.
	byRef map[string][]*connection
}

func newShard() *shard {
	return &shard{
		connections: map[*connection]struct{}{},
		channels:    map[string]*subscribers{},
	}
}

func (s *shard) add(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections[c] = struct{}{}
}

// remove takes a connection out, with its subscriptions to channels.
func (s *shard) remove(c *connection, channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c)
	for _, channel := range channels {
		s.drop(c, channel)
	}
}

// subscribe must be called once per connection and channel.
func (s *shard) subscribe(c *connection, channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subs, ok := s.channels[channel]
	if !ok {
		subs = &subscribers{byRef: map[string][]*connection{}}
		s.channels[channel] = subs
	}
	subs.all = append(subs.all, c)
	for _, ref := range c.refs {
		subs.byRef[ref] = append(subs.byRef[ref], c)
	}
}

func (s *shard) unsubscribe(c *connection, channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c, channel)
}

// drop ends one subscription. The caller holds the lock.
func (s *shard) drop(c *connection, channel string) {
	subs, ok := s.channels[channel]
	if !ok {
		return
	}
	subs.all = without(subs.all, c)
	if len(subs.all) == 0 {
		delete(s.channels, channel)
		return
	}
	for _, ref := range c.refs {
		if rest := without(subs.byRef[ref], c); len(rest) > 0 {
			subs.byRef[ref] = rest
		} else {
			delete(subs.byRef, ref)
		}
	}
}

// without removes c from conns, which it reorders.
func without(conns []*connection, c *connection) []*connection {
	i := slices.Index(conns, c)
	if i < 0 {
		return conns
	}
	last := len(conns) - 1
	conns[i] = conns[last]
	conns[last] = nil
	return conns[:last]
}

// appendTargets appends the connections that a signal is for, each once.
func (s *shard) appendTargets(targets []*connection, signal *signalbox.Signal) []*connection {
	s.mu.RLock()
	defer s.mu.RUnlock()
	subs, ok := s.channels[signal.Channel]
	if !ok {
		return targets
	}
	if signal.Broadcast {
		return append(targets, subs.all...)
	}
	first, groups := len(targets), 0
	for _, ref := range signal.Recipients {
		if owners := subs.byRef[ref]; len(owners) > 0 {
			targets = append(targets, owners...)
			groups++
		}
	}
	if groups > 1 {
		// A user may own several of the recipients.
		found := targets[first:]
		slices.SortFunc(found, func(a, b *connection) int { return cmp.Compare(a.id, b.id) })
		targets = targets[:first+len(slices.Compact(found))]
	}
	return targets
}

// appendAll appends every connection of the shard.
func (s *shard) appendAll(conns []*connection) []*connection {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for c := range s.connections {
		conns = append(conns, c)
	}
	return conns
}
