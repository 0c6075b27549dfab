package apitoken

// Known is how many tokens an authenticator remembers.
func Known(a *Authenticator) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.known)
}

// MaxKnown is how many it may.
const MaxKnown = maxKnown
