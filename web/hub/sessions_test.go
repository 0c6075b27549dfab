package hub_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/hub"
)

// A token is the user's name and, after "@", the session; "-" says that it expires
// soon.
func withSession(soon time.Duration) func(*fiber.Ctx) (signalbox.UserPrincipal, error) {
	return func(c *fiber.Ctx) (signalbox.UserPrincipal, error) {
		name, session, _ := strings.Cut(hub.Token(c), ".")
		user := signalbox.UserPrincipal{Ref: "user:default/" + strings.Trim(name, "-"), Session: session, Expires: time.Now().Add(time.Hour)}
		user.Ownership = []string{user.Ref}
		if strings.HasSuffix(name, "-") {
			user.Expires = time.Now().Add(soon)
		}
		return user, nil
	}
}

func TestConnectionEndsWithItsCredential(t *testing.T) {
	s := startServerWith(t, hub.Config{}, withSession(300*time.Millisecond))
	lasting := s.connect(t, "joe", "n")
	begun := time.Now()
	expiring := s.connect(t, "jane-", "n")
	expiring.expectClose(websocket.ClosePolicyViolation)
	if after := time.Since(begun); after < 300*time.Millisecond {
		t.Errorf("closed after %s", after)
	}
	waitFor(t, "the connection to be gone", func() bool { return s.Connections() == 1 })
	s.Signal(t.Context(), broadcast("n", `1`))
	lasting.expect(`{"channel":"n","message":1}`)

	// One that has expired by the time it is there.
	late := startServerWith(t, hub.Config{}, withSession(-time.Second))
	late.connect(t, "jane-").expectClose(websocket.ClosePolicyViolation)
}

func TestConnectionsEndWithTheirSession(t *testing.T) {
	s := startServerWith(t, hub.Config{}, withSession(0))
	one, two := s.connect(t, "jane.a", "n"), s.connect(t, "jane.a", "n")
	other, none := s.connect(t, "jane.b", "n"), s.connect(t, "jane", "n")
	if got := s.Sessions(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("sessions %q", got)
	}
	s.EndSessions(nil)
	s.EndSessions([]string{""})
	s.EndSessions([]string{"a", "x"})
	one.expectClose(websocket.ClosePolicyViolation)
	two.expectClose(websocket.ClosePolicyViolation)
	waitFor(t, "the connections to be gone", func() bool { return s.Connections() == 2 })
	if got := s.Sessions(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("sessions %q", got)
	}
	s.Signal(t.Context(), broadcast("n", `1`))
	other.expect(`{"channel":"n","message":1}`)
	none.expect(`{"channel":"n","message":1}`)
}
