package backstage

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

func TestPlugin(t *testing.T) {
	h := start(t, nil)
	for range 2 {
		principal, err := h.authenticate(h.plugin(t, nil))
		if err != nil || principal != (signalbox.ServicePrincipal{Name: "plugin:scaffolder"}) {
			t.Fatalf("%v, %v", principal, err)
		}
	}
	if h.backstage.Requests(pluginKeys("scaffolder")) != 1 || h.backstage.Total() != 1 {
		t.Errorf("%d requests", h.backstage.Total())
	}
	// The plugin restarted, and has a new key.
	renewed := jwkstest.NewKey(t, "p2", "ES256")
	h.backstage.Answer(pluginKeys("scaffolder"), jwkstest.Behaviour{Body: jwkstest.Set(t, h.pluginKey, renewed)})
	token := renewed.Sign(t, typ(typePlugin), h.claims(map[string]any{"sub": "scaffolder", "aud": "signals"}, nil))
	if _, err := h.chain.Authenticate(t.Context(), auth.Credentials{Token: token, Plugin: "signals"}); err != nil {
		t.Error(err)
	}
}

func TestPluginRefused(t *testing.T) {
	h := start(t, nil)
	catalog := jwkstest.NewKey(t, "c", "ES256")
	h.backstage.Answer(pluginKeys("catalog"), jwkstest.Behaviour{Body: jwkstest.Set(t, catalog)})
	public := []byte(encode(t, h.pluginKey.JWK(t)))
	for name, c := range map[string]struct {
		token string
		// asks is set if keys have to be fetched for it.
		asks bool
	}{
		"for another":        {token: h.plugin(t, map[string]any{"aud": "catalog"})},
		"for signals":        {token: h.plugin(t, map[string]any{"aud": "signals"})},
		"for nobody":         {token: h.plugin(t, map[string]any{"aud": nil})},
		"expired":            {token: h.plugin(t, map[string]any{"exp": h.clock().Unix() - 1})},
		"no exp":             {token: h.plugin(t, map[string]any{"exp": nil})},
		"no iat":             {token: h.plugin(t, map[string]any{"iat": nil})},
		"no sub":             {token: h.plugin(t, map[string]any{"sub": nil})},
		"sub is a number":    {token: h.plugin(t, map[string]any{"sub": 7})},
		"sub leads away":     {token: h.plugin(t, map[string]any{"sub": "../scaffolder"})},
		"sub is a host":      {token: h.plugin(t, map[string]any{"sub": "x@evil.example.com/"})},
		"sub with a dot":     {token: h.plugin(t, map[string]any{"sub": "."})},
		"sub with newline":   {token: h.plugin(t, map[string]any{"sub": "scaffolder\n"})},
		"sub is escaped":     {token: h.plugin(t, map[string]any{"sub": "%2e%2e"})},
		"sub in capitals":    {token: h.plugin(t, map[string]any{"sub": "SCAFFOLDER"})},
		"sub is long":        {token: h.plugin(t, map[string]any{"sub": strings.Repeat("x", 129)})},
		"none":               {token: jwkstest.Sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, typ(typePlugin), h.claims(map[string]any{"sub": "scaffolder", "aud": "notifications"}, nil))},
		"HS256":              {token: jwkstest.Sign(t, jwt.SigningMethodHS256, public, typ(typePlugin), h.claims(map[string]any{"sub": "scaffolder", "aud": "notifications"}, nil))},
		"of another plugin":  {token: h.plugin(t, map[string]any{"sub": "catalog"}), asks: true},
		"a user's key":       {token: h.userKey.Sign(t, typ(typePlugin), h.claims(map[string]any{"sub": "scaffolder", "aud": "notifications"}, nil)), asks: true},
		"no such plugin":     {token: h.plugin(t, map[string]any{"sub": "nobody"}), asks: true},
		"obo is empty":       {token: h.plugin(t, map[string]any{"obo": ""}), asks: true},
		"obo is an object":   {token: h.plugin(t, map[string]any{"obo": map[string]any{}}), asks: true},
		"obo is garbage":     {token: h.plugin(t, map[string]any{"obo": "a.b.c"}), asks: true},
		"obo is of a plugin": {token: h.plugin(t, map[string]any{"obo": h.plugin(t, nil)}), asks: true},
		"obo has expired":    {token: h.plugin(t, map[string]any{"obo": h.limited(t, map[string]any{"exp": h.clock().Unix()})}), asks: true},
		"obo by the plugin":  {token: h.plugin(t, map[string]any{"obo": h.pluginKey.Sign(t, typ(typeLimitedUser), h.claims(map[string]any{"sub": jane}, nil))}), asks: true},
	} {
		t.Run(name, func(t *testing.T) {
			before := h.backstage.Total()
			_, err := h.authenticate(c.token)
			refused(t, err, signalbox.CodeAuthentication, c.token)
			if !c.asks && h.backstage.Total() != before {
				t.Error("keys were fetched for it")
			}
		})
	}
	if _, err := h.chain.Authenticate(t.Context(), auth.Credentials{Token: h.plugin(t, map[string]any{"aud": "catalog"}), Plugin: "catalog"}); signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
		t.Errorf("for a plugin that is not served here: %v", err)
	}
}

func TestOnBehalfOf(t *testing.T) {
	h := start(t, nil)
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Body: info(t, jane, "group:default/a")})
	soon := h.clock().Add(10 * time.Minute)
	for name, c := range map[string]struct {
		obo     string
		expires time.Time
	}{
		"limited":              {h.limited(t, nil), h.clock().Add(time.Hour)},
		"the user's ends soon": {h.limited(t, map[string]any{"exp": soon.Unix()}), soon},
		"full":                 {h.user(t, nil), h.clock().Add(time.Hour)},
		"old":                  {h.userKey.Sign(t, nil, h.claims(map[string]any{"sub": jane, "aud": "backstage"}, nil)), h.clock().Add(time.Hour)},
	} {
		principal, err := h.authenticate(h.plugin(t, map[string]any{"obo": c.obo}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := signalbox.UserPrincipal{Ref: jane, Ownership: []string{jane, "group:default/a"}, Expires: c.expires.UTC()}
		if diff := cmp.Diff(want, principal); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	principal, err := h.authenticate(h.plugin(t, map[string]any{"obo": h.limited(t, nil), "exp": soon.Unix()}))
	if err != nil || !principal.(signalbox.UserPrincipal).Expires.Equal(soon) {
		t.Errorf("the plugin's token ends first: %v, %v", principal, err)
	}
}

func TestPluginUnavailable(t *testing.T) {
	h := start(t, nil)
	token := h.plugin(t, nil)
	h.backstage.Answer(pluginKeys("scaffolder"), jwkstest.Behaviour{Status: 503})
	_, err := h.authenticate(token)
	refused(t, err, signalbox.CodeUnavailable, token)

	h.backstage.Answer(pluginKeys("scaffolder"), jwkstest.Behaviour{Body: jwkstest.Set(t, h.pluginKey)})
	h.pass(6 * time.Second)
	if _, err := h.authenticate(token); err != nil {
		t.Fatal(err)
	}
	h.backstage.Stop()
	h.pass(23 * time.Hour)
	if _, err := h.authenticate(h.plugin(t, nil)); err != nil {
		t.Errorf("a day later, without Backstage: %v", err)
	}
}

// TestStrangersCannotCrowdOut: names that are made up neither push known plugins
// out nor make Backstage answer without limit.
func TestStrangersCannotCrowdOut(t *testing.T) {
	h := start(t, nil)
	if _, err := h.authenticate(h.plugin(t, nil)); err != nil {
		t.Fatal(err)
	}
	unavailable := 0
	for i := range 50 {
		switch _, err := h.authenticate(h.plugin(t, map[string]any{"sub": fmt.Sprintf("x%d", i)})); signalbox.ErrorCode(err) {
		case signalbox.CodeUnavailable:
			unavailable++
		case signalbox.CodeAuthentication:
		default:
			t.Fatal(err)
		}
	}
	if asked := h.backstage.Total(); asked != newSetsPerTime || unavailable != 50-newSetsPerTime+1 {
		t.Errorf("%d requests, %d put off", asked, unavailable)
	}
	for i := range 500 {
		h.pass(2 * time.Second)
		_, _ = h.authenticate(h.plugin(t, map[string]any{"sub": fmt.Sprintf("y%d", i)}))
	}
	h.plugins.keys.mu.Lock()
	held := h.plugins.keys.sets.order.Len()
	h.plugins.keys.mu.Unlock()
	if held != maxKeySets {
		t.Errorf("%d key sets are held, want %d", held, maxKeySets)
	}
	before := h.backstage.Requests(pluginKeys("scaffolder"))
	h.backstage.Answer(pluginKeys("scaffolder"), jwkstest.Behaviour{Status: 500})
	if _, err := h.authenticate(h.plugin(t, nil)); err != nil {
		t.Errorf("a plugin that was known lost its keys: %v after %d requests", err, before)
	}
}

func TestPluginsAtOnce(t *testing.T) {
	h := start(t, nil)
	var wait sync.WaitGroup
	for i := range 60 {
		wait.Go(func() {
			if i%3 == 0 {
				_, _ = h.authenticate(h.plugin(t, map[string]any{"sub": fmt.Sprintf("x%d", i%20)}))
				return
			}
			if _, err := h.authenticate(h.plugin(t, nil)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := h.backstage.Requests(pluginKeys("scaffolder")); n != 1 {
		t.Errorf("%d requests for the same keys", n)
	}
}

func TestDiscovery(t *testing.T) {
	d, err := NewDiscovery(DiscoveryConfig{
		BaseURL: "https://backstage.example.com/",
		Endpoints: []Endpoint{
			{Internal: "http://a.internal/api/{{pluginId}}", External: "https://a.example.com/api/{{ pluginId }}", Plugins: []string{"catalog", "search"}},
			{External: "https://b.example.com/{{pluginId}}/", Plugins: []string{"scaffolder"}},
			{Internal: "http://later.internal/{{pluginId}}", Plugins: []string{"search"}},
			{Internal: "http://fixed.internal:7007", External: "http://fixed.internal:7007", Plugins: []string{"techdocs"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for plugin, want := range map[string]string{
		"catalog": "http://a.internal/api/catalog", "search": "http://later.internal/search",
		"scaffolder": "https://b.example.com/scaffolder", "techdocs": "http://fixed.internal:7007",
		"auth": "https://backstage.example.com/api/auth",
	} {
		if got := d.Base(plugin); got != want {
			t.Errorf("%s: %s, want %s", plugin, got, want)
		}
	}
	d, err = NewDiscovery(DiscoveryConfig{BaseURL: "http://x", Endpoints: []Endpoint{{Internal: "http://all/{{pluginId}}", Plugins: []string{"*"}}}})
	if err != nil || d.Base("auth") != "http://all/auth" {
		t.Errorf("all plugins: %v", err)
	}
	for name, config := range map[string]DiscoveryConfig{
		"no base": {}, "a path": {BaseURL: "/x"}, "other scheme": {BaseURL: "ftp://x"}, "password": {BaseURL: "http://u:hunter2@x"},
		"query":      {BaseURL: "http://x?y"},
		"SRV":        {BaseURL: "http://x", Endpoints: []Endpoint{{Internal: "http+srv://x/{{pluginId}}", Plugins: []string{"a"}}}},
		"bad plugin": {BaseURL: "http://x", Endpoints: []Endpoint{{Internal: "http://x", Plugins: []string{"../a"}}}},
	} {
		if _, err := NewDiscovery(config); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
