package backstage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	userKeys = "/api/auth/.well-known/jwks.json"
	userInfo = "/api/auth/v1/userinfo"
	jane     = "user:default/jane"
)

func pluginKeys(plugin string) string { return "/api/" + plugin + "/.backstage/auth/v1/jwks.json" }

// harness is a Backstage installation with the authenticators that ask it.
type harness struct {
	backstage *jwkstest.Issuer
	users     *UserTokens
	plugins   *PluginTokens
	chain     auth.Chain
	// userKey signs users' tokens, pluginKey those of "scaffolder".
	userKey, pluginKey jwkstest.Key

	mu   sync.Mutex
	time time.Time
	log  bytes.Buffer
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.time
}

func (h *harness) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.time = h.time.Add(d)
}

// Write collects the log.
func (h *harness) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *harness) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func start(t testing.TB, change func(*Config)) *harness {
	t.Helper()
	h := &harness{
		backstage: jwkstest.NewIssuer(t), time: time.Unix(1_800_000_000, 0),
		userKey: jwkstest.NewKey(t, "u", "ES256"), pluginKey: jwkstest.NewKey(t, "p", "ES256"),
	}
	h.backstage.Answer(userKeys, jwkstest.Behaviour{Body: jwkstest.Set(t, h.userKey)})
	h.backstage.Answer(pluginKeys("scaffolder"), jwkstest.Behaviour{Body: jwkstest.Set(t, h.pluginKey)})
	discovery, err := NewDiscovery(DiscoveryConfig{BaseURL: h.backstage.URL})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Discovery: discovery, Client: h.backstage.Client, Now: h.clock, Timeout: 10 * time.Second,
		Logger: slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	if h.users, err = NewUserTokens(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.users.Close)
	if h.plugins, err = NewPluginTokens(config, []string{"notifications", "signals"}, h.users); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.plugins.Close)
	h.chain = auth.Chain{h.plugins, h.users}
	t.Cleanup(func() {
		// Every part of a token that is JSON begins like this.
		if log := h.logged(); strings.Contains(log, "eyJ") {
			t.Errorf("the log holds a token:\n%s", log)
		}
	})
	return h
}

func (h *harness) authenticate(token string) (signalbox.Principal, error) {
	return h.chain.Authenticate(context.Background(), auth.Credentials{Token: token, Plugin: "notifications"})
}

// claims are changed ones; nil takes one out.
func (h *harness) claims(claims, change map[string]any) map[string]any {
	claims["iat"], claims["exp"] = h.clock().Unix(), h.clock().Add(time.Hour).Unix()
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

func typ(typ string) map[string]any { return map[string]any{"typ": typ} }

func (h *harness) user(t testing.TB, change map[string]any) string {
	t.Helper()
	return h.userKey.Sign(t, typ(typeUser), h.claims(map[string]any{"sub": jane, "aud": "backstage", "ent": []string{jane, "group:default/a"}}, change))
}

// slim is a user's token without ownership, as Backstage makes them.
func (h *harness) slim(t testing.TB) string {
	t.Helper()
	return h.user(t, map[string]any{"ent": nil})
}

func (h *harness) limited(t testing.TB, change map[string]any) string {
	t.Helper()
	return h.userKey.Sign(t, typ(typeLimitedUser), h.claims(map[string]any{"sub": jane}, change))
}

func (h *harness) plugin(t testing.TB, change map[string]any) string {
	t.Helper()
	return h.pluginKey.Sign(t, typ(typePlugin), h.claims(map[string]any{"sub": "scaffolder", "aud": "notifications"}, change))
}

// refused checks an error: its code, and that it tells nothing of the token.
func refused(t *testing.T, err error, code signalbox.Code, token string) {
	t.Helper()
	if signalbox.ErrorCode(err) != code {
		t.Errorf("error %v, want code %q", err, code)
		return
	}
	for _, part := range strings.Split(token, ".") {
		if len(part) > 3 && strings.Contains(err.Error(), part) {
			t.Errorf("the error holds a part of the token: %v", err)
		}
	}
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10s", what)
		}
	}
}

func encode(t testing.TB, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// directory knows the groups of everybody, or is away.
type directory struct{ away bool }

func (d directory) Ownership(_ context.Context, user string) ([]string, error) {
	if d.away {
		return nil, signalbox.Transient(errors.New("away"))
	}
	return []string{user, "group:default/from-directory"}, nil
}
