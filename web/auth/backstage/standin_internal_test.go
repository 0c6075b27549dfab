package backstage

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

// TestAStandInDoesNotOutliveTheOutage: a WebSocket keeps the groups that it was opened
// with until the credential expires, so with a stand-in that must be soon.
func TestAStandInDoesNotOutliveTheOutage(t *testing.T) {
	h := start(t, func(c *Config) { c.Directory = directory{away: true} })
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Status: 503})
	for _, want := range []struct {
		groups int
		least  time.Duration
		most   time.Duration
	}{{0, time.Second, 5 * time.Minute}, {1, 30 * time.Minute, time.Hour}} {
		var user signalbox.UserPrincipal
		until(t, "the answer", func() bool {
			principal, err := h.authenticate(h.slim(t))
			if err != nil {
				t.Fatal(err)
			}
			user = principal.(signalbox.UserPrincipal)
			return len(user.Ownership) == 1+want.groups
		})
		if left := user.Expires.Sub(h.clock()); left < want.least || left > want.most {
			t.Errorf("a connection with %d groups lives for %s", want.groups, left)
		}
		h.backstage.Answer(userInfo, jwkstest.Behaviour{Body: info(t, jane, "group:default/a")})
		h.pass(11 * time.Second)
	}
}
