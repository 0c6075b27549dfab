package backstage

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
)

// FuzzCredentials: whatever a request brings, the answer is one that the wire
// knows, and nothing but what a key signed is a principal.
func FuzzCredentials(f *testing.F) {
	h := start(f, nil)
	legacy, err := NewLegacyTokens(Config{Now: h.clock}, []LegacyAccess{{Secret: "c2VjcmV0LXNlY3JldC1zZWNyZXQ="}})
	if err != nil {
		f.Fatal(err)
	}
	chain := auth.Chain{h.plugins, h.users, legacy}
	good := map[string]bool{}
	for _, token := range []string{h.user(f, nil), h.plugin(f, nil)} {
		good[token] = true
		f.Add(token)
	}
	f.Add(h.limited(f, nil))
	f.Add(h.plugin(f, map[string]any{"sub": "../x"}))
	f.Add("eyJ0eXAiOiJ2bmQuYmFja3N0YWdlLnBsdWdpbiJ9.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		principal, err := chain.Authenticate(t.Context(), auth.Credentials{Token: token, Plugin: "notifications"})
		switch code := signalbox.ErrorCode(err); {
		case err == nil:
			if !good[token] || principal == nil {
				t.Errorf("%q is %v", token, principal)
			}
		case principal != nil || (code != signalbox.CodeAuthentication && code != signalbox.CodeUnavailable):
			t.Errorf("%q: %v, %v", token, principal, err)
		case len(token) > 12 && strings.Contains(err.Error(), token):
			t.Errorf("the error holds the token: %v", err)
		}
	})
}
