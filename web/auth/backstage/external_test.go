package backstage

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

func TestJWKSTokens(t *testing.T) {
	h := start(t, nil)
	one, two := jwkstest.NewKey(t, "one", "RS256"), jwkstest.NewKey(t, "two", "EdDSA")
	h.backstage.Answer("/one", jwkstest.Behaviour{Body: jwkstest.Set(t, one)})
	h.backstage.Answer("/two", jwkstest.Behaviour{Body: jwkstest.Set(t, two)})
	tokens, err := NewJWKSTokens(Config{Client: h.backstage.Client, Now: h.clock}, []JWKSAccess{
		{URL: h.backstage.URL + "/one", Issuers: []string{"https://one"}, Audiences: []string{"signalbox", "x"}, Algorithms: []string{"RS256"}},
		{URL: h.backstage.URL + "/two", Issuers: []string{"https://two"}, SubjectPrefix: "ci", Plugins: []string{"signals", "catalog"}},
		{URL: h.backstage.URL + "/away", Issuers: []string{"https://away"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	first := map[string]any{"iss": "https://one", "aud": "signalbox", "sub": "robot"}
	change := func(c map[string]any) map[string]any {
		return h.claims(map[string]any{"iss": "https://one", "aud": "signalbox", "sub": "robot"}, c)
	}
	for name, c := range map[string]struct {
		token, plugin, origin string
		code                  signalbox.Code
	}{
		"first":               {token: one.Sign(t, nil, h.claims(first, nil)), plugin: "notifications", origin: "external:robot"},
		"a list of audiences": {token: one.Sign(t, typ("JWT"), change(map[string]any{"aud": []string{"y", "x"}})), plugin: "notifications", origin: "external:robot"},
		"prefix":              {token: two.Sign(t, nil, change(map[string]any{"iss": "https://two", "aud": nil})), plugin: "signals", origin: "external:ci:robot"},
		"restricted":          {token: two.Sign(t, nil, change(map[string]any{"iss": "https://two"})), plugin: "notifications", code: signalbox.CodeNotAllowed},
		"other algorithm":     {token: jwkstest.Sign(t, jwt.SigningMethodRS512, one.Private, map[string]any{"kid": "one"}, change(nil)), plugin: "notifications", code: signalbox.CodeAuthentication},
		"expired":             {token: one.Sign(t, nil, change(map[string]any{"exp": h.clock().Unix()})), plugin: "notifications", code: signalbox.CodeAuthentication},
		"no sub":              {token: one.Sign(t, nil, change(map[string]any{"sub": nil})), plugin: "notifications", code: signalbox.CodeAuthentication},
		"sub with newline":    {token: one.Sign(t, nil, change(map[string]any{"sub": "a\nb"})), plugin: "notifications", code: signalbox.CodeAuthentication},
		"sub is long":         {token: one.Sign(t, nil, change(map[string]any{"sub": strings.Repeat("x", signalbox.MaxOrigin)})), plugin: "notifications", code: signalbox.CodeAuthentication},
		"another's key":       {token: two.Sign(t, nil, change(nil)), plugin: "notifications", code: signalbox.CodeAuthentication},
		"keys are away":       {token: one.Sign(t, nil, change(map[string]any{"iss": "https://away"})), plugin: "notifications", code: signalbox.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			principal, err := auth.Chain{tokens}.Authenticate(t.Context(), auth.Credentials{Token: c.token, Plugin: c.plugin})
			if c.code != "" {
				refused(t, err, c.code, c.token)
			} else if err != nil || principal != (signalbox.ServicePrincipal{Name: c.origin}) {
				t.Errorf("%v, %v", principal, err)
			}
			if c.code == signalbox.CodeNotAllowed && err.Error() != "This token's access is restricted to plugin(s) 'signals', 'catalog'" {
				t.Errorf("the words are %q", err)
			}
		})
	}

	before := h.backstage.Total()
	for name, token := range map[string]string{
		"static": "a-static-token", "foreign issuer": one.Sign(t, nil, change(map[string]any{"iss": "https://three"})),
		"foreign audience": one.Sign(t, nil, change(map[string]any{"aud": "y"})), "no issuer": one.Sign(t, nil, change(map[string]any{"iss": nil})),
		"of Backstage": one.Sign(t, typ(typeUser), change(nil)),
	} {
		if _, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: token, Plugin: "notifications"}); !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.backstage.Total() != before {
		t.Error("keys were fetched for tokens of others")
	}
}

func TestNewJWKSTokens(t *testing.T) {
	for name, access := range map[string]JWKSAccess{
		"no URL": {}, "symmetric": {URL: "http://x", Algorithms: []string{"HS256"}}, "none": {URL: "http://x", Algorithms: []string{"none"}},
		"prefix": {URL: "http://x", SubjectPrefix: "a b"}, "empty audience": {URL: "http://x", Audiences: []string{""}},
	} {
		if _, err := NewJWKSTokens(Config{}, []JWKSAccess{{URL: "http://x"}, access}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLegacyTokens(t *testing.T) {
	h := start(t, nil)
	secrets := [][]byte{[]byte("\xff\xfe0123456789abcdefghijkl"), []byte("another secret, also long"), []byte("a third secret, for plugins")}
	tokens, err := NewLegacyTokens(Config{Now: h.clock}, []LegacyAccess{
		{Secret: base64.StdEncoding.EncodeToString(secrets[0])},
		{Secret: base64.StdEncoding.EncodeToString(secrets[1]), Subject: "ci"},
		{Secret: base64.StdEncoding.EncodeToString(secrets[2]), Subject: "catalog-only", Plugins: []string{"catalog"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(secret []byte, change map[string]any) string {
		return jwkstest.Sign(t, jwt.SigningMethodHS256, secret, nil, h.claims(map[string]any{"sub": legacySubject, "iat": nil}, change))
	}
	for name, c := range map[string]struct {
		token, origin string
		code          signalbox.Code
	}{
		"first":          {token: sign(secrets[0], nil), origin: "external:backstage-plugin"},
		"second":         {token: sign(secrets[1], nil), origin: "ci"},
		"restricted":     {token: sign(secrets[2], nil), code: signalbox.CodeNotAllowed},
		"unknown secret": {token: sign([]byte("somebody else's secret"), nil), code: signalbox.CodeAuthentication},
		"expired":        {token: sign(secrets[0], map[string]any{"exp": h.clock().Unix()}), code: signalbox.CodeAuthentication},
		"no exp":         {token: sign(secrets[0], map[string]any{"exp": nil}), code: signalbox.CodeAuthentication},
		"other subject":  {token: sign(secrets[0], map[string]any{"sub": "root"}), code: signalbox.CodeAuthentication},
		"has audience":   {token: sign(secrets[0], map[string]any{"aud": "notifications"}), code: signalbox.CodeAuthentication},
		"HS512":          {token: jwkstest.Sign(t, jwt.SigningMethodHS512, secrets[0], nil, h.claims(map[string]any{"sub": legacySubject}, nil)), code: signalbox.CodeAuthentication},
		"none":           {token: jwkstest.Sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, h.claims(map[string]any{"sub": legacySubject}, nil)), code: signalbox.CodeAuthentication},
	} {
		t.Run(name, func(t *testing.T) {
			principal, err := auth.Chain{tokens}.Authenticate(t.Context(), auth.Credentials{Token: c.token, Plugin: "notifications"})
			if c.code != "" {
				refused(t, err, c.code, c.token)
			} else if err != nil || principal != (signalbox.ServicePrincipal{Name: c.origin}) {
				t.Errorf("%v, %v", principal, err)
			}
		})
	}
}

func TestNewLegacyTokens(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 24))
	for name, access := range map[string]LegacyAccess{
		"no secret": {}, "short": {Secret: base64.StdEncoding.EncodeToString(make([]byte, 15))}, "no base64": {Secret: "hunter2 hunter2 hunter2 hunter2"},
		"subject with space": {Secret: good, Subject: "a b"},
		"long subject":       {Secret: good, Subject: strings.Repeat("x", 256)},
	} {
		if _, err := NewLegacyTokens(Config{}, []LegacyAccess{access}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", LegacyAccess{Secret: good}, []LegacyAccess{{Secret: good}}, LegacyAccess{Secret: good}, LegacyAccess{Secret: good}); strings.Contains(shown, good) {
		t.Errorf("a secret shows: %s", shown)
	}
}
