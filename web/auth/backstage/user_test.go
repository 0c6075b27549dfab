package backstage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

func TestUser(t *testing.T) {
	h := start(t, nil)
	want := signalbox.UserPrincipal{Ref: jane, Ownership: []string{jane, "group:default/a"}, Expires: h.clock().Add(time.Hour).UTC()}
	for name, token := range map[string]string{
		"as issued":      h.user(t, nil),
		"in capitals":    h.user(t, map[string]any{"sub": "User:Default/Jane"}),
		"no namespace":   h.user(t, map[string]any{"sub": "user:jane", "ent": []string{"group:a", "user:jane", "group:default/A"}}),
		"odd groups":     h.user(t, map[string]any{"ent": []string{"group:default/a", "not a ref", "group:a"}}),
		"without a type": h.userKey.Sign(t, nil, h.claims(map[string]any{"sub": jane, "aud": "backstage", "ent": []string{"group:a"}}, nil)),
		"of type JWT":    h.userKey.Sign(t, typ("JWT"), h.claims(map[string]any{"sub": jane, "aud": "backstage", "ent": []string{"group:a"}}, map[string]any{"iat": nil})),
	} {
		principal, err := h.authenticate(token)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, principal); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if h.backstage.Requests(userInfo) != 0 {
		t.Error("the auth backend was asked for what the token says")
	}
}

func TestUserRefused(t *testing.T) {
	h := start(t, nil)
	stranger := jwkstest.NewKey(t, "u", "ES256")
	for name, token := range map[string]string{
		"limited":             h.limited(t, nil),
		"expired":             h.user(t, map[string]any{"exp": h.clock().Unix()}),
		"no exp":              h.user(t, map[string]any{"exp": nil}),
		"no iat":              h.user(t, map[string]any{"iat": nil}),
		"no sub":              h.user(t, map[string]any{"sub": nil}),
		"sub is no reference": h.user(t, map[string]any{"sub": "jane"}),
		"sub is a group":      h.user(t, map[string]any{"sub": "group:default/a"}),
		"sub with newline":    h.user(t, map[string]any{"sub": jane + "\nx"}),
		"sub is a list":       h.user(t, map[string]any{"sub": []string{jane}}),
		"foreign audience":    h.user(t, map[string]any{"aud": "grafana"}),
		"nbf ahead":           h.user(t, map[string]any{"nbf": h.clock().Unix() + 60}),
		"another's key":       stranger.Sign(t, typ(typeUser), h.claims(map[string]any{"sub": jane, "aud": "backstage"}, nil)),
		"a plugin's key":      h.pluginKey.Sign(t, typ(typeUser), h.claims(map[string]any{"sub": jane, "aud": "backstage"}, nil)),
		"none":                jwkstest.Sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, typ(typeUser), h.claims(map[string]any{"sub": jane, "aud": "backstage"}, nil)),
		"other type":          h.userKey.Sign(t, typ("at+jwt"), h.claims(map[string]any{"sub": jane, "aud": "backstage"}, nil)),
		"no type, foreign":    h.userKey.Sign(t, nil, h.claims(map[string]any{"sub": jane, "aud": "other"}, nil)),
		"no type, no exp":     h.userKey.Sign(t, nil, h.claims(map[string]any{"sub": jane, "aud": "backstage"}, map[string]any{"exp": nil})),
		"huge":                h.user(t, map[string]any{"x": strings.Repeat("x", jwks.MaxToken)}),
		"garbage":             "a.b.c",
	} {
		_, err := h.authenticate(token)
		if err == nil {
			t.Errorf("%s: passed", name)
			continue
		}
		t.Run(name, func(t *testing.T) { refused(t, err, signalbox.CodeAuthentication, token) })
	}
}

// TestLimitedUser: a page's cookie is known for what it is, and goes no further.
func TestLimitedUser(t *testing.T) {
	h := start(t, nil)
	_, err := h.users.Authenticate(t.Context(), auth.Credentials{Token: h.limited(t, nil), Plugin: "signals"})
	if signalbox.ErrorCode(err) != signalbox.CodeAuthentication || err.Error() != "Illegal limited user token" || h.backstage.Total() != 0 {
		t.Errorf("%v after %d requests", err, h.backstage.Total())
	}
}

// TestNotMine: whose a token is, is decided without asking anybody.
func TestNotMine(t *testing.T) {
	h := start(t, nil)
	other := jwkstest.NewKey(t, "o", "ES256")
	for name, token := range map[string]string{
		"no token": "", "static": "a-static-token", "JWT of others": other.Sign(t, typ("JWT"), h.claims(map[string]any{"sub": "x", "aud": "signalbox"}, nil)),
		"several audiences": other.Sign(t, nil, h.claims(map[string]any{"sub": "x", "aud": []string{"backstage", "x"}}, nil)),
		"HS256":             jwkstest.Sign(t, jwt.SigningMethodHS256, []byte("x"), nil, h.claims(map[string]any{"sub": legacySubject}, nil)),
	} {
		for _, authenticator := range []auth.Authenticator{h.plugins, h.users} {
			if _, err := authenticator.Authenticate(t.Context(), auth.Credentials{Token: token, Plugin: "notifications"}); !errors.Is(err, auth.ErrNotMine) {
				t.Errorf("%s, %T: %v", name, authenticator, err)
			}
		}
	}
	if _, err := h.users.Authenticate(t.Context(), auth.Credentials{Token: h.plugin(t, nil)}); !errors.Is(err, auth.ErrNotMine) {
		t.Errorf("a plugin's token: %v", err)
	}
	if _, err := h.plugins.Authenticate(t.Context(), auth.Credentials{Token: h.user(t, nil)}); !errors.Is(err, auth.ErrNotMine) {
		t.Errorf("a user's token: %v", err)
	}
	if h.backstage.Total() != 0 {
		t.Errorf("%d requests", h.backstage.Total())
	}
}

func TestUserUnavailable(t *testing.T) {
	h := start(t, nil)
	h.backstage.Answer(userKeys, jwkstest.Behaviour{Status: 500})
	token := h.user(t, nil)
	_, err := h.authenticate(token)
	refused(t, err, signalbox.CodeUnavailable, token)
}

// info is an answer about jane.
func info(t testing.TB, refs ...string) string {
	t.Helper()
	return encode(t, map[string]any{"claims": map[string]any{"sub": jane, "ent": refs}})
}

func (h *harness) owned(t *testing.T) []string {
	t.Helper()
	principal, err := h.authenticate(h.slim(t))
	if err != nil {
		t.Fatal(err)
	}
	return principal.(signalbox.UserPrincipal).Ownership
}

func TestUserInfo(t *testing.T) {
	h := start(t, func(c *Config) { c.Directory = directory{} })
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Body: info(t, jane, "group:default/a"), Bearer: h.slim(t)})
	// The signature is another each time: the token that is sent must be its own.
	token := h.slim(t)
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Body: info(t, jane, "group:default/a"), Bearer: token})
	for range 3 {
		principal, err := h.authenticate(token)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{jane, "group:default/a"}, principal.(signalbox.UserPrincipal).Ownership); diff != "" {
			t.Error(diff)
		}
	}
	if n := h.backstage.Requests(userInfo); n != 1 {
		t.Errorf("%d requests for three", n)
	}
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Body: info(t, jane, "group:default/b")})
	h.pass(61 * time.Second)
	if diff := cmp.Diff([]string{jane, "group:default/b"}, h.owned(t)); diff != "" {
		t.Error(diff)
	}
	// Others get no part in what was handed out.
	h.owned(t)[0] = "user:default/mallory"
	if got := h.owned(t)[0]; got != jane {
		t.Errorf("the answer that is kept was changed to %s", got)
	}
}

func TestUserInfoOutage(t *testing.T) {
	fromDirectory := []string{jane, "group:default/from-directory"}
	for name, c := range map[string]struct {
		behaviour jwkstest.Behaviour
		directory auth.Ownership
		want      []string
	}{
		"hangs":             {jwkstest.Behaviour{Hang: true}, directory{}, fromDirectory},
		"fails":             {jwkstest.Behaviour{Status: 500}, directory{}, fromDirectory},
		"unknown user":      {jwkstest.Behaviour{Status: 404}, directory{}, fromDirectory},
		"garbage":           {jwkstest.Behaviour{Body: "<html>"}, directory{}, fromDirectory},
		"huge":              {jwkstest.Behaviour{Body: `{"claims":{"sub":"` + jane + `"},"x":"` + strings.Repeat("x", 1<<20) + `"}`}, directory{}, fromDirectory},
		"somebody else":     {jwkstest.Behaviour{Body: `{"claims":{"sub":"user:default/root","ent":["group:default/admins"]}}`}, directory{}, fromDirectory},
		"redirect":          {jwkstest.Behaviour{Redirect: "/elsewhere"}, directory{}, fromDirectory},
		"no directory":      {jwkstest.Behaviour{Status: 500}, nil, []string{jane}},
		"directory is away": {jwkstest.Behaviour{Status: 500}, directory{away: true}, []string{jane}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, func(config *Config) {
				config.Directory = c.directory
				if c.behaviour.Hang {
					config.Timeout = 500 * time.Millisecond
				}
			})
			h.backstage.Answer(userInfo, c.behaviour)
			h.backstage.Answer("/elsewhere", jwkstest.Behaviour{Body: info(t, "group:default/admins")})
			if diff := cmp.Diff(c.want, h.owned(t)); diff != "" {
				t.Errorf("at first: %s", diff)
			}
			h.owned(t)
			h.users.ownership.asked.Wait()
			if n := h.backstage.Requests(userInfo); n != 1 {
				t.Errorf("%d requests, want a rest after the first", n)
			}
			h.backstage.Answer(userInfo, jwkstest.Behaviour{Body: info(t, jane, "group:default/a")})
			h.pass(11 * time.Second)
			until(t, "the answer", func() bool { return cmp.Equal([]string{jane, "group:default/a"}, h.owned(t)) })

			// The last answer stands in, for an hour.
			h.backstage.Answer(userInfo, c.behaviour)
			for range 3 {
				h.pass(19 * time.Minute)
				if diff := cmp.Diff([]string{jane, "group:default/a"}, h.owned(t)); diff != "" {
					t.Errorf("in an outage: %s", diff)
				}
				h.users.ownership.asked.Wait() // or its failure would be of the next time
			}
			h.pass(19 * time.Minute)
			until(t, "the answer is too old", func() bool { return cmp.Equal(c.want, h.owned(t)) })
			if n := strings.Count(h.logged(), "does not tell the groups"); n != 2 && c.behaviour.Status != 404 {
				t.Errorf("two outages were told %d times:\n%s", n, h.logged())
			}
		})
	}
}

func TestUserInfoIsSharedAndBounded(t *testing.T) {
	h := start(t, func(c *Config) { c.Timeout = time.Minute })
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Hang: true})
	if _, err := h.authenticate(h.user(t, nil)); err != nil { // so that the keys are there
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			token := h.user(t, map[string]any{"ent": nil, "sub": fmt.Sprintf("user:default/u%d", i%100)})
			principal, err := h.chain.Authenticate(ctx, auth.Credentials{Token: token, Plugin: "signals"})
			if err != nil || len(principal.(signalbox.UserPrincipal).Ownership) != 1 {
				t.Errorf("a user who gave up waiting: %v, %v", principal, err)
			}
		})
	}
	until(t, "the requests", func() bool { return h.backstage.Requests(userInfo) == maxAsking })
	cancel()
	wait.Wait()
	if n := h.backstage.Requests(userInfo); n != maxAsking {
		t.Errorf("%d requests at a time, want %d", n, maxAsking)
	}
}

func TestUserInfoIsAskedOnce(t *testing.T) {
	h := start(t, func(c *Config) { c.Timeout = time.Minute })
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Hang: true})
	if _, err := h.authenticate(h.user(t, nil)); err != nil { // so that the keys are there
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wait, begun sync.WaitGroup
	for range 20 {
		begun.Add(1)
		wait.Go(func() {
			token := h.slim(t)
			begun.Done()
			if _, err := h.chain.Authenticate(ctx, auth.Credentials{Token: token, Plugin: "signals"}); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	until(t, "the request", func() bool { return h.backstage.Requests(userInfo) == 1 })
	cancel()
	wait.Wait()
	if n := h.backstage.Requests(userInfo); n != 1 {
		t.Errorf("%d requests for the same user", n)
	}
}

// TestIssuedByBackstage checks tokens that Backstage's own code made; which of it,
// the file says.
func TestIssuedByBackstage(t *testing.T) {
	content, err := os.ReadFile("testdata/backstage.json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Issued                                                      int64
		UserKeys, PluginKeys                                        json.RawMessage
		User, UserWithoutOwnership, LimitedUser, Plugin, OnBehalfOf string
	}
	if err := json.Unmarshal(content, &made); err != nil {
		t.Fatal(err)
	}
	h := start(t, nil)
	h.time = time.Unix(made.Issued, 0)
	const ref = "user:default/jane.doe"
	h.backstage.Answer(userKeys, jwkstest.Behaviour{Body: string(made.UserKeys)})
	h.backstage.Answer(pluginKeys("scaffolder"), jwkstest.Behaviour{Body: string(made.PluginKeys)})
	h.backstage.Answer(userInfo, jwkstest.Behaviour{Body: `{"claims":{"sub":"` + ref + `","ent":["` + ref + `","group:default/team-a"]}}`})
	for name, c := range map[string]struct {
		token, plugin string
		want          signalbox.Principal
		code          signalbox.Code
	}{
		"user":              {token: made.User, plugin: "signals", want: signalbox.UserPrincipal{Ref: ref, Ownership: []string{ref, "group:default/team-a"}}},
		"without ownership": {token: made.UserWithoutOwnership, plugin: "signals", want: signalbox.UserPrincipal{Ref: ref, Ownership: []string{ref, "group:default/team-a"}}},
		"limited":           {token: made.LimitedUser, plugin: "signals", code: signalbox.CodeAuthentication},
		"plugin":            {token: made.Plugin, plugin: "notifications", want: signalbox.ServicePrincipal{Name: "plugin:scaffolder"}},
		"plugin for other":  {token: made.Plugin, plugin: "signals", code: signalbox.CodeAuthentication},
		"on behalf of":      {token: made.OnBehalfOf, plugin: "notifications", want: signalbox.UserPrincipal{Ref: ref, Ownership: []string{ref, "group:default/team-a"}}},
	} {
		principal, err := h.chain.Authenticate(t.Context(), auth.Credentials{Token: c.token, Plugin: c.plugin})
		if signalbox.ErrorCode(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if user, ok := principal.(signalbox.UserPrincipal); ok {
			if ends := user.Expires.Unix() - made.Issued; ends < 3590 || ends > 3600 {
				t.Errorf("%s: ends after %d seconds", name, ends)
			}
			user.Expires = time.Time{}
			principal = user
		}
		if diff := cmp.Diff(c.want, principal); err == nil && diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	h.pass(time.Hour + time.Second)
	if _, err := h.authenticate(made.User); signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
		t.Errorf("after an hour: %v", err)
	}
}

func TestNewUserTokens(t *testing.T) {
	if _, err := NewUserTokens(Config{}); err == nil {
		t.Error("without discovery: no error")
	}
	if _, err := NewPluginTokens(Config{}, nil, nil); err == nil {
		t.Error("without anything: no error")
	}
}
