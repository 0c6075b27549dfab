package hub

import "slices"

// Sessions returns the sessions of the connected users, each once, in any order; see
// [signalbox.UserPrincipal.Session].
func (h *Hub) Sessions() []string {
	var sessions []string
	for _, c := range h.all() {
		if c.session != "" {
			sessions = append(sessions, c.session)
		}
	}
	slices.Sort(sessions)
	return slices.Clip(slices.Compact(sessions))
}

// EndSessions closes the connections of sessions that have ended.
func (h *Hub) EndSessions(sessions []string) {
	if len(sessions) == 0 {
		return
	}
	ended := make(map[string]bool, len(sessions))
	for _, session := range sessions {
		ended[session] = true
	}
	for _, c := range h.all() {
		if c.session != "" && ended[c.session] {
			c.close(endedFrame)
		}
	}
}
