package page

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestWhoIsReadingIsAskedAgain: one answer that fails as the page opens, as while the
// server starts anew, must not leave an admin without the admin pages for good.
func TestWhoIsReadingIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, "auth:\n  admins: [user:default/guest]\n")
	n := s.network()
	var asked atomic.Int64
	n.instead.Store(new(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/auth/session") || asked.Add(1) > 1 {
			return false
		}
		http.Error(w, "away", http.StatusServiceUnavailable)
		return true
	}))
	p := newProfile(t).open(n.base, "/")
	p.Expect("503")
	p.live()
	if asked.Load() == 0 {
		t.Fatal("the page did not ask who is reading")
	}
	p.WaitText(".nav-pages", "Admin")
}
