package oidc_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
	"github.com/signalbox/signalbox/web/auth/oidc"
	"github.com/signalbox/signalbox/web/auth/oidc/oidctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const audience = "signalbox-api"

// issuer is the usual configuration of a provider: people by name, programs by azp.
func issuer(url string) oidc.Issuer {
	return oidc.Issuer{
		URL: url, Audiences: []string{audience},
		User:    &identity.UserRule{Claim: "preferred_username"},
		Groups:  &identity.GroupRule{Claim: "groups"},
		Service: &identity.ServiceRule{Claim: "azp", When: &identity.Condition{Claim: "gty", Value: "client-credentials"}},
	}
}

func newTokens(t *testing.T, p *oidctest.Provider, issuers ...oidc.Issuer) *oidc.Tokens {
	t.Helper()
	tokens, err := oidc.NewTokens(oidc.TokensConfig{Issuers: issuers, Client: p.Client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return tokens
}

func TestTokens(t *testing.T) {
	p := oidctest.New(t)
	tokens := newTokens(t, p, issuer(p.URL))
	if p.Requests("/.well-known/openid-configuration") != 0 {
		t.Error("the provider is asked before anybody comes")
	}
	expires := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for name, test := range map[string]struct {
		claims map[string]any
		want   signalbox.Principal
	}{
		"user": {
			map[string]any{"aud": audience, "preferred_username": "Jane", "groups": []string{"Team-A", "Domain Users", "user:default/root"}, "exp": expires.Unix()},
			signalbox.UserPrincipal{Ref: "user:default/jane", Ownership: []string{"user:default/jane", "group:default/team-a"}, Expires: expires},
		},
		"user of several audiences": {
			map[string]any{"aud": []string{"other", audience}, "preferred_username": "jane", "exp": expires.Unix()},
			signalbox.UserPrincipal{Ref: "user:default/jane", Ownership: []string{"user:default/jane"}, Expires: expires},
		},
		// What makes a user of others makes none of a service.
		"service": {
			map[string]any{"aud": audience, "gty": "client-credentials", "azp": "ci", "preferred_username": "jane"},
			signalbox.ServicePrincipal{Name: "external:ci"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: p.Token(test.claims)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Everything that is wrong with a token, and nobody learns any of it by the error.
func TestTokensRefused(t *testing.T) {
	p := oidctest.New(t)
	tokens := newTokens(t, p, issuer(p.URL))
	good := map[string]any{"aud": audience, "preferred_username": "secretname"}
	with := func(name string, value any) map[string]any {
		claims := map[string]any{"aud": audience, "preferred_username": "secretname", name: value}
		return p.Claims(claims)
	}
	first := p.Key()
	public, err := x509.MarshalPKIXPublicKey(first.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	header := map[string]any{"kid": first.ID}
	stranger := jwkstest.NewKey(t, first.ID, "RS256")
	for name, test := range map[string]struct{ token, want string }{
		"none":                  {jwkstest.Sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, header, p.Claims(good)), "Invalid token"},
		"HS256, the public key": {jwkstest.Sign(t, jwt.SigningMethodHS256, asPEM, header, p.Claims(good)), "Invalid token"},
		"HS256, the other form": {jwkstest.Sign(t, jwt.SigningMethodHS256, public, header, p.Claims(good)), "Invalid token"},
		"another key":           {stranger.Sign(t, nil, p.Claims(good)), "signature"},
		"another type":          {first.Sign(t, map[string]any{"typ": "logout+jwt"}, p.Claims(good)), "another type"},
		"another audience":      {p.Token(with("aud", "other-secret")), "meant for another audience"},
		"no audience":           {p.Token(with("aud", nil)), "audience"},
		"expired":               {p.Token(with("exp", time.Now().Add(-time.Minute).Unix())), "has expired"},
		"no expiry":             {p.Token(with("exp", nil)), "exp is not a time"},
		"not yet":               {p.Token(with("nbf", time.Now().Add(time.Hour).Unix())), "not valid yet"},
		"bound":                 {p.Token(with("cnf", map[string]any{"jkt": "x"})), "bound to a key"},
		"no user":               {p.Token(with("preferred_username", nil)), `The claim "preferred_username" is missing`},
		"a user that is none":   {p.Token(with("preferred_username", "secret name")), `The claim "preferred_username" makes no user`},
		"a list as user":        {p.Token(with("preferred_username", []string{"secretname"})), `The claim "preferred_username" is not a text`},
		"groups that are none":  {p.Token(with("groups", map[string]any{"a": 1})), `The claim "groups" makes no groups`},
		"a service without":     {p.Token(with("gty", "client-credentials")), `The claim "azp" is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: test.token})
			if signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
				t.Fatalf("got %v", err)
			}
			var coded *signalbox.Error
			if !errors.As(err, &coded) || !strings.Contains(coded.Message, test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error has parts of the token: %v", err)
			}
		})
	}
	for name, token := range map[string]string{
		"none": "", "opaque": "opaque-token", "another issuer": p.Token(with("iss", "https://other.example.com")),
		"no issuer": p.Token(with("iss", nil)), "nearly": p.Token(with("iss", p.URL+"/")),
	} {
		if _, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: token}); !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("%s: %v, want it to be left to others", name, err)
		}
	}
}

func TestTokensOutliveOutages(t *testing.T) {
	p := oidctest.New(t)
	p.Behave(oidctest.Behaviour{Down: true})
	now := time.Now()
	clock := &now
	tokens, err := oidc.NewTokens(oidc.TokensConfig{Issuers: []oidc.Issuer{issuer(p.URL)}, Client: p.Client, Now: func() time.Time { return *clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	ask := func() error {
		token := p.Key().Sign(t, nil, p.Claims(map[string]any{"aud": audience, "preferred_username": "jane", "exp": clock.Add(time.Hour).Unix()}))
		_, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: token})
		return err
	}
	for range 3 {
		if err := ask(); signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
			t.Fatalf("while it is down: %v", err)
		}
	}
	if n := p.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times while it is down", n)
	}
	p.Behave(oidctest.Behaviour{Issuer: "https://evil.example.com"})
	now = now.Add(6 * time.Second)
	if err := ask(); signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
		t.Fatalf("the description of another issuer: %v", err)
	}
	p.Behave(oidctest.Behaviour{})
	now = now.Add(6 * time.Second)
	if err := ask(); err != nil {
		t.Fatalf("when it is back: %v", err)
	}
	p.Rotate()
	if err := ask(); err != nil {
		t.Fatalf("a new key: %v", err)
	}
	p.Behave(oidctest.Behaviour{Down: true})
	now = now.Add(2 * time.Hour) // the description is old, and the keys as well
	if err := ask(); err != nil {
		t.Fatalf("down again: %v", err)
	}
}

func TestTokensDoNotHang(t *testing.T) {
	p := oidctest.New(t)
	p.Behave(oidctest.Behaviour{Hang: true})
	provider, err := oidc.NewProvider(oidc.ProviderConfig{Issuer: p.URL, Client: p.Client, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	if _, err := provider.Find(t.Context(), "x", "RS256"); err == nil || strings.Contains(err.Error(), p.URL) {
		t.Errorf("got %v", err)
	}
}

// Two audiences of one issuer, for whom different rules hold.
func TestAudiencesOfOneIssuer(t *testing.T) {
	p := oidctest.New(t)
	programs := oidc.Issuer{URL: p.URL, Audiences: []string{"programs"}, Service: &identity.ServiceRule{Claim: "realm.client", Prefix: "idp"}}
	people := oidc.Issuer{URL: p.URL, JWKSURL: p.URL + "/keys", Audiences: []string{"people"}, User: &identity.UserRule{Claim: "email", Domains: []string{"Example.com"}, Namespace: "staff"}}
	tokens := newTokens(t, p, programs, people)
	for _, test := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"aud": "people", "email": "Jane@EXAMPLE.com"}, "user:staff/jane"},
		{map[string]any{"aud": "people", "email": "jane@example.com", "email_verified": true}, "user:staff/jane"},
		{map[string]any{"aud": "programs", "realm": map[string]any{"client": "ci"}}, "idp:ci"},
		{map[string]any{"aud": "people", "email": "jane@evil.example"}, ""},
		{map[string]any{"aud": "people", "email": "jane@sub.example.com"}, ""},
		{map[string]any{"aud": "people", "email": "jane@example.com", "email_verified": false}, ""},
		{map[string]any{"aud": "people", "email": "jane@example.com", "email_verified": "false"}, ""},
		{map[string]any{"aud": "programs", "realm": map[string]any{"client": "c i"}}, ""},
		{map[string]any{"aud": "programs", "realm": "x"}, ""},
		{map[string]any{"aud": "neither", "email": "jane@example.com"}, ""},
	} {
		got, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: p.Token(test.claims)})
		switch {
		case test.want == "" && signalbox.ErrorCode(err) != signalbox.CodeAuthentication:
			t.Errorf("%v: got %v, %v", test.claims, got, err)
		case test.want != "" && (err != nil || got.Subject() != test.want):
			t.Errorf("%v: got %v, %v", test.claims, got, err)
		}
	}
}

func TestTokensConfigIsChecked(t *testing.T) {
	good := issuer("https://id.example.com")
	for name, change := range map[string]func(*oidc.Issuer){
		"no audience":         func(i *oidc.Issuer) { i.Audiences = nil },
		"a symmetric one":     func(i *oidc.Issuer) { i.Algorithms = []string{"HS256"} },
		"none":                func(i *oidc.Issuer) { i.Algorithms = []string{"none"} },
		"no rules":            func(i *oidc.Issuer) { i.User, i.Service = nil, nil },
		"no way to tell":      func(i *oidc.Issuer) { i.Service = &identity.ServiceRule{Claim: "sub"} },
		"an issuer of files":  func(i *oidc.Issuer) { i.URL = "file:///etc/passwd" },
		"emails of the world": func(i *oidc.Issuer) { i.User = &identity.UserRule{Claim: "email"} },
		"keys with password":  func(i *oidc.Issuer) { i.JWKSURL = "https://a:b@id.example.com/keys" },
	} {
		one := good
		change(&one)
		if tokens, err := oidc.NewTokens(oidc.TokensConfig{Issuers: []oidc.Issuer{one}}); err == nil {
			tokens.Close()
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := oidc.NewTokens(oidc.TokensConfig{}); err == nil {
		t.Error("no issuers: no error")
	}
}

// Whatever a token is, the answer is an error and no panic, and holds nothing of it.
func FuzzTokens(f *testing.F) {
	tokens, err := oidc.NewTokens(oidc.TokensConfig{Issuers: []oidc.Issuer{issuer("http://127.0.0.1:1")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(tokens.Close)
	claims, _ := json.Marshal(map[string]any{"iss": "http://127.0.0.1:1", "aud": audience})
	f.Add("eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(claims) + ".")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if principal, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: token}); err == nil {
			t.Errorf("%q is %v", token, principal)
		}
	})
}
