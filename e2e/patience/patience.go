// Package patience waits in tests: for conditions, never for a time.
package patience

import (
	"context"
	"testing"
	"time"
)

// Limit is how long a test waits for what has to happen. Machines that run tests are
// busy.
const Limit = time.Minute

// Until waits until a condition has nothing to complain about.
func Until(t testing.TB, condition func() error) {
	t.Helper()
	UntilAfter(t, 0, condition)
}

// UntilAfter waits for what cannot be before a time from now has passed.
func UntilAfter(t testing.TB, earliest time.Duration, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), earliest+Limit)
	defer cancel()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", earliest+Limit, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
