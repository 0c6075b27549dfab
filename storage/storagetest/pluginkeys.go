package storagetest

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// PluginKeys is the contract of [signalbox.KeyStore].
func PluginKeys(t *testing.T, open func(*testing.T) Fixture) {
	f := open(t)
	ctx, now := t.Context(), f.Clock.Now()
	add := func(id string, expires time.Time) signalbox.PublicKey {
		t.Helper()
		key := signalbox.PublicKey{ID: id, JWK: []byte(`{"kty":"EC"}`), Expires: expires.UTC().Truncate(time.Microsecond)}
		for range 2 {
			if err := f.Store.AddKey(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		return key
	}
	keys := func(now time.Time) []signalbox.PublicKey {
		t.Helper()
		keys, err := f.Other.Keys(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	equal(t, "none", len(keys(now)), 0)
	short, long := add("a", now.Add(time.Hour)), add("b", now.Add(2*time.Hour))
	equal(t, "both", keys(now), []signalbox.PublicKey{short, long})
	equal(t, "one has expired", keys(now.Add(time.Hour)), []signalbox.PublicKey{long})
	f.Clock.Advance(90 * time.Minute)
	third := add("c", now.Add(3*time.Hour))
	equal(t, "what has expired is deleted", keys(now), []signalbox.PublicKey{long, third})
}
