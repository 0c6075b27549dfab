package hub

// Indexed returns how many connections, channels and references the shards know.
func (h *Hub) Indexed() int {
	n := 0
	for _, s := range h.shards {
		s.mu.RLock()
		n += len(s.connections) + len(s.channels)
		for _, subs := range s.channels {
			n += len(subs.byRef)
		}
		s.mu.RUnlock()
	}
	return n
}
