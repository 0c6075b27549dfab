package backstage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

// keys is a key store that can be away.
type keys struct {
	mu    sync.Mutex
	away  error
	added []signalbox.PublicKey
}

func (k *keys) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away = err
}

func (k *keys) AddKey(ctx context.Context, key signalbox.PublicKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("a store that hangs would keep callers waiting for ever")
	}
	if k.away != nil {
		return k.away
	}
	k.added = append(k.added, key)
	return nil
}

func (k *keys) Keys(_ context.Context, now time.Time) ([]signalbox.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away != nil {
		return nil, k.away
	}
	return slices.DeleteFunc(slices.Clone(k.added), func(key signalbox.PublicKey) bool { return !key.Expires.After(now) }), nil
}

// TestIssuerIsUnderstood: what one instance signs, another publishes, and a plugin
// that fetches the keys accepts.
func TestIssuerIsUnderstood(t *testing.T) {
	h := start(t, nil)
	store := &keys{}
	var instances []*Issuer
	for range 2 {
		issuer, err := NewIssuer(IssuerConfig{Store: store, Now: h.clock})
		if err != nil {
			t.Fatal(err)
		}
		instances = append(instances, issuer)
	}
	catalog, err := NewPluginTokens(Config{Discovery: h.plugins.keys.discovery, Client: h.backstage.Client, Now: h.clock}, []string{"catalog"}, h.users)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(catalog.Close)
	accepts := func(token string) error {
		t.Helper()
		document, err := instances[1].JWKS(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.backstage.Answer(pluginKeys("notifications"), jwkstest.Behaviour{Body: string(document)})
		principal, err := catalog.Authenticate(t.Context(), auth.Credentials{Token: token, Plugin: "catalog"})
		if err == nil && principal != (signalbox.ServicePrincipal{Name: "plugin:notifications"}) {
			t.Errorf("it speaks for %v", principal)
		}
		return err
	}
	first, err := instances[0].Token(t.Context(), "notifications", "catalog")
	if err != nil {
		t.Fatal(err)
	}
	if err := accepts(first); err != nil {
		t.Errorf("the other instance does not publish the key: %v", err)
	}
	for range 5 {
		token, err := instances[1].TokenSource("notifications", "catalog")()
		if err != nil {
			t.Fatal(err)
		}
		if err := accepts(token); err != nil {
			t.Error(err)
		}
	}
	if len(store.added) != 2 {
		t.Errorf("%d keys of two instances", len(store.added))
	}

	h.pass(time.Hour + time.Second)
	renewed, err := instances[0].Token(t.Context(), "notifications", "catalog")
	if err != nil || len(store.added) != 3 {
		t.Fatalf("after an hour: %v, %d keys", err, len(store.added))
	}
	if err := accepts(renewed); err != nil {
		t.Error(err)
	}
	if err := accepts(first); err == nil {
		t.Error("a token lives for more than an hour")
	}
	h.pass(2 * time.Hour)
	document, err := instances[0].JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if set, err := jwks.ParseSet(document); err != nil || set.Len() != 1 {
		t.Errorf("after three hours %d keys are published, %v", set.Len(), err)
	}
	for _, bad := range []string{"", "a/b", "A"} {
		if _, err := instances[0].Token(t.Context(), bad, "catalog"); err == nil {
			t.Errorf("a token of %q", bad)
		}
		if _, err := instances[0].Token(t.Context(), "signals", bad); err == nil {
			t.Errorf("a token for %q", bad)
		}
	}
}

func TestIssuedToken(t *testing.T) {
	h := start(t, nil)
	store := &keys{}
	issuer, err := NewIssuer(IssuerConfig{Store: store, Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	token, err := issuer.Token(t.Context(), "signals", "catalog")
	if err != nil {
		t.Fatal(err)
	}
	read, err := jwks.Peek(token)
	if err != nil || read.Type != typePlugin || read.Algorithm != "ES256" {
		t.Errorf("%+v, %v", read, err)
	}
	now := float64(h.clock().Unix())
	if diff := cmp.Diff(map[string]any{"sub": "signals", "aud": "catalog", "iat": now, "exp": now + 3600}, read.Claims); diff != "" {
		t.Error(diff)
	}
	var public map[string]any
	if err := json.Unmarshal(store.added[0].JWK, &public); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"kty", "crv", "x", "y", "kid", "alg", "use"} {
		if public[member] == nil {
			t.Errorf("the public key has no %s", member)
		}
	}
	if public["d"] != nil || public["kid"] != store.added[0].ID || len(store.added[0].JWK) > 1000 {
		t.Errorf("the public key is %v", public)
	}
	if !store.added[0].Expires.Equal(h.clock().Add(3 * time.Hour)) {
		t.Errorf("it is published until %s", store.added[0].Expires)
	}
}

func TestIssuerWithoutStore(t *testing.T) {
	if _, err := NewIssuer(IssuerConfig{}); err == nil {
		t.Error("no store: no error")
	}
	h := start(t, nil)
	away := errors.New("away")
	store := &keys{away: away}
	issuer, err := NewIssuer(IssuerConfig{Store: store, Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Token(t.Context(), "signals", "catalog"); !errors.Is(err, away) {
		t.Errorf("a key that nobody knows signs: %v", err)
	}
	if _, err := issuer.JWKS(t.Context()); signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
		t.Errorf("published keys: %v", err)
	}
	store.fail(nil)
	if _, err := issuer.Token(t.Context(), "signals", "catalog"); err != nil {
		t.Fatal(err)
	}
	// The old key serves for as long as it is published longer than a token lives.
	store.fail(away)
	h.pass(2 * time.Hour)
	if _, err := issuer.Token(t.Context(), "signals", "catalog"); err != nil {
		t.Errorf("the old key does not serve: %v", err)
	}
	h.pass(time.Second)
	if _, err := issuer.Token(t.Context(), "signals", "catalog"); !errors.Is(err, away) {
		t.Errorf("a token outlives its key: %v", err)
	}
}

func TestOneKeyForAll(t *testing.T) {
	store := &keys{}
	issuer, err := NewIssuer(IssuerConfig{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := issuer.Token(t.Context(), "signals", "catalog"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(store.added) != 1 {
		t.Errorf("%d keys for tokens made at once", len(store.added))
	}
}

// Example shows how Signalbox calls the catalog of a Backstage without a secret.
func Example() {
	issuer, err := NewIssuer(IssuerConfig{Store: &keys{}})
	if err != nil {
		panic(err)
	}
	token := issuer.TokenSource("notifications", "catalog")
	signed, err := token()
	if err != nil {
		panic(err)
	}
	// Backstage fetches this from /api/notifications/.backstage/auth/v1/jwks.json.
	document, err := issuer.JWKS(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.Count(signed, "."), strings.Count(string(document), `"kid"`))
	// Output: 2 1
}
