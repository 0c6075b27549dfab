package signalbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTokenState(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for want, token := range map[string]APIToken{
		"active":  {Expires: now.Add(1)},
		"expired": {Expires: now},
		"revoked": {Expires: now.Add(time.Hour), Revoked: now},
	} {
		if got := token.State(now); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	both := APIToken{Expires: now.Add(-2), Revoked: now.Add(-1)}
	if got := both.State(now); got != "revoked" {
		t.Errorf("expired, then revoked: %s", got)
	}
}

func TestTokenBecomesCanonical(t *testing.T) {
	given := []TokenScope{TokenAdmin, TokenRead}
	token := APIToken{Name: "a", User: "User:Jane", Scopes: given}
	if err := token.Validate(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(APIToken{Name: "a", User: "user:default/jane", Scopes: []TokenScope{TokenRead, TokenAdmin}}, token); diff != "" {
		t.Error(diff)
	}
	if given[0] != TokenAdmin {
		t.Error("the caller's slice was changed")
	}
	if token.Subject() != "user:default/jane" || (&APIToken{Origin: "ci"}).Subject() != "ci" {
		t.Error("the subject is wrong")
	}
}

func TestTokenHashHidesItself(t *testing.T) {
	hash := HashToken("secret")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, hash); got != "[redacted]" {
			t.Errorf("%s: %s", format, got)
		}
	}
}
