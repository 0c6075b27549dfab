package jwks_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/web/auth/jwks"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

// FuzzToken: whatever comes, reading it neither fails badly nor tells what it
// was, and only what the key signed passes.
func FuzzToken(f *testing.F) {
	key := jwkstest.NewKey(f, "k", "EdDSA")
	set := parseSet(f, jwkstest.Set(f, key))
	v := verifier(f, jwks.Rules{Audiences: []string{"signalbox"}})
	good := key.Sign(f, map[string]any{"typ": "JWT"}, claims(nil))
	for _, seed := range []string{
		good, "", ".", "..", good + ".", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AA",
		"eyJhbGciOiJFZERTQSIsImNyaXQiOltdfQ.e30.AA", strings.Repeat("e30.", 3), good[:len(good)-1],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		read, peeked := jwks.Peek(token)
		if peeked == nil {
			_, _ = read.Texts("aud")
			_, _, _ = read.Subject(), read.Issuer(), read.Expires()
		} else if len(token) > 8 && strings.Contains(peeked.Error(), token) {
			t.Errorf("the error holds the token: %v", peeked)
		}
		if _, err := v.Verify(t.Context(), token, set); err == nil && token != good {
			t.Errorf("%q passed", token)
		} else if err != nil && !errors.Is(err, jwks.ErrInvalid) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

// FuzzParseSet: a document that an issuer made up never does harm.
func FuzzParseSet(f *testing.F) {
	f.Add(jwkstest.Set(f, jwkstest.NewKey(f, "a", "ES256"), jwkstest.NewKey(f, "b", "RS256"), jwkstest.NewKey(f, "c", "EdDSA")))
	f.Add(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`)
	f.Fuzz(func(t *testing.T, document string) {
		set, err := jwks.ParseSet([]byte(document))
		if err != nil {
			return
		}
		for _, algorithm := range append(jwks.Algorithms(), "HS256", "none", "") {
			found, err := set.Find(t.Context(), "", algorithm)
			if err == nil && (len(found) != 1 || algorithm == "HS256" || algorithm == "none" || algorithm == "") {
				t.Errorf("%q: %d keys", algorithm, len(found))
			}
		}
	})
}
