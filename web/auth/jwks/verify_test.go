package jwks_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth/jwks"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

// now is the time of all tests.
var now = time.Unix(1_800_000_000, 0)

func clock() time.Time { return now }

func parseSet(t testing.TB, document string) jwks.Set {
	t.Helper()
	set, err := jwks.ParseSet([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func verifier(t testing.TB, rules jwks.Rules) *jwks.Verifier {
	t.Helper()
	if rules.Now == nil {
		rules.Now = clock
	}
	v, err := jwks.NewVerifier(rules)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// claims are ones that pass, changed.
func claims(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": "https://issuer", "sub": "jane", "aud": "signalbox",
		"iat": now.Unix() - 10, "exp": now.Unix() + 60,
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, value any) bool { return value == nil })
	return c
}

func TestEveryAlgorithm(t *testing.T) {
	for _, algorithm := range jwks.Algorithms() {
		key := jwkstest.NewKey(t, "k", algorithm)
		other := jwkstest.NewKey(t, "k", algorithm)
		v := verifier(t, jwks.Rules{})
		token := key.Sign(t, nil, claims(nil))
		read, err := v.Verify(t.Context(), token, parseSet(t, jwkstest.Set(t, key)))
		if err != nil || read.Subject() != "jane" || read.Issuer() != "https://issuer" || !read.Expires().Equal(now.Add(time.Minute)) {
			t.Errorf("%s: %v, %v", algorithm, read, err)
		}
		if _, err := v.Verify(t.Context(), token, parseSet(t, jwkstest.Set(t, other))); !errors.Is(err, jwks.ErrInvalid) {
			t.Errorf("%s: another's key passed: %v", algorithm, err)
		}
		// Both keys have the same identifier, as after a careless rotation.
		if _, err := v.Verify(t.Context(), token, parseSet(t, jwkstest.Set(t, other, key))); err != nil {
			t.Errorf("%s: the second of two keys: %v", algorithm, err)
		}
	}
}

// counted counts how often keys are asked for.
type counted struct {
	jwks.Keys
	n *int
}

func (c counted) Find(ctx context.Context, id, algorithm string) ([]crypto.PublicKey, error) {
	*c.n++
	return c.Keys.Find(ctx, id, algorithm)
}

func TestRefused(t *testing.T) {
	es := jwkstest.NewKey(t, "es", "ES256")
	rs := jwkstest.NewKey(t, "rs", "RS256")
	// It does not say its algorithm, which its curve alone gives away.
	es384 := jwkstest.NewKey(t, "es384", "ES384")
	es384.Algorithm = ""
	set := parseSet(t, jwkstest.Set(t, es, rs, es384))
	rules := jwks.Rules{
		Types: []string{"at+jwt"}, Audiences: []string{"signalbox", "other"}, Issuers: []string{"https://issuer", "https://two"},
		Required: []string{"iat", "sub"},
	}
	v := verifier(t, rules)
	typ := map[string]any{"typ": "at+jwt"}
	headers := func(change map[string]any) map[string]any {
		h := maps.Clone(typ)
		maps.Copy(h, change)
		return h
	}
	good := es.Sign(t, typ, claims(nil))
	// The public key as text is what a confused verifier would take for a secret.
	der, err := x509.MarshalPKIXPublicKey(rs.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	parts := strings.Split(good, ".")
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	hs := func(secret []byte, kid string) string {
		return jwkstest.Sign(t, jwt.SigningMethodHS256, secret, headers(map[string]any{"kid": kid}), claims(nil))
	}
	for name, c := range map[string]struct {
		token  string
		reason string
		// looked is set if the keys have to be asked.
		looked bool
	}{
		"empty":               {token: "", reason: "not a signed"},
		"no JWT":              {token: "abc", reason: "not a signed"},
		"two parts":           {token: parts[0] + "." + parts[1], reason: "not a signed"},
		"four parts":          {token: good + ".x", reason: "not a signed"},
		"line break":          {token: good[:10] + "\n" + good[10:], reason: "not a signed"},
		"line break at end":   {token: good + "\n", reason: "not a signed"},
		"padding":             {token: good + "=", reason: "not a signed"},
		"huge":                {token: es.Sign(t, typ, claims(map[string]any{"x": strings.Repeat("x", jwks.MaxToken)})), reason: "not a signed"},
		"header is no object": {token: raw(`[]`) + "." + parts[1] + "." + parts[2], reason: "not a signed"},
		"claims are null":     {token: parts[0] + "." + raw(`null`) + "." + parts[2], reason: "no iat"},
		"claims are no JSON":  {token: parts[0] + "." + raw(`{"secret`) + "." + parts[2], reason: "not a signed"},
		"none":                {token: jwkstest.Sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, typ, claims(nil)), reason: "algorithm"},
		"None":                {token: raw(`{"alg":"None","typ":"at+jwt"}`) + "." + parts[1] + ".", reason: "not a signed"},
		"no alg":              {token: raw(`{"typ":"at+jwt"}`) + "." + parts[1] + ".", reason: "not a signed"},
		"HS256, public PEM":   {token: hs(public, "rs"), reason: "algorithm"},
		"HS256, public DER":   {token: hs(der, "rs"), reason: "algorithm"},
		"HS256, empty":        {token: hs(nil, "rs"), reason: "algorithm"},
		"alg of another key":  {token: rs.Sign(t, headers(map[string]any{"kid": "es"}), claims(nil)), reason: "no key", looked: true},
		"alg of the kind":     {token: jwkstest.Sign(t, jwt.SigningMethodPS256, rs.Private, headers(map[string]any{"kid": "rs"}), claims(nil)), reason: "no key", looked: true},
		"another curve":       {token: raw(`{"alg":"ES256","kid":"es384","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2], reason: "no key", looked: true},
		"unknown key":         {token: es.Sign(t, headers(map[string]any{"kid": "x"}), claims(nil)), reason: "no key", looked: true},
		"kid is no text":      {token: es.Sign(t, headers(map[string]any{"kid": 7}), claims(nil)), reason: "identifier"},
		"critical extension":  {token: es.Sign(t, headers(map[string]any{"crit": []string{"b64"}, "b64": true}), claims(nil)), reason: "critical"},
		"other type":          {token: es.Sign(t, map[string]any{"typ": "JWT"}, claims(nil)), reason: "type"},
		"no type":             {token: es.Sign(t, nil, claims(nil)), reason: "type"},
		"type is no text":     {token: es.Sign(t, map[string]any{"typ": 1}, claims(nil)), reason: "type"},
		"type in capitals":    {token: es.Sign(t, map[string]any{"typ": "AT+JWT"}, claims(nil)), reason: "type"},
		"expired":             {token: es.Sign(t, typ, claims(map[string]any{"exp": now.Unix()})), reason: "expired"},
		"no exp":              {token: es.Sign(t, typ, claims(map[string]any{"exp": nil})), reason: "no expiry"},
		"exp is zero":         {token: es.Sign(t, typ, claims(map[string]any{"exp": 0})), reason: "no expiry"},
		"exp is text":         {token: es.Sign(t, typ, claims(map[string]any{"exp": "1900000000"})), reason: "exp is not a time"},
		"exp overflows":       {token: es.Sign(t, typ, claims(map[string]any{"exp": 1e300})), reason: "exp is not a time"},
		"exp before 1970":     {token: es.Sign(t, typ, claims(map[string]any{"exp": -1})), reason: "exp is not a time"},
		"nbf ahead":           {token: es.Sign(t, typ, claims(map[string]any{"nbf": now.Unix() + 1})), reason: "not valid yet"},
		"nbf overflows":       {token: es.Sign(t, typ, claims(map[string]any{"nbf": 1e300})), reason: "nbf is not a time"},
		"no iat":              {token: es.Sign(t, typ, claims(map[string]any{"iat": nil})), reason: "no iat"},
		"no sub":              {token: es.Sign(t, typ, claims(map[string]any{"sub": nil})), reason: "no sub"},
		"empty sub":           {token: es.Sign(t, typ, claims(map[string]any{"sub": ""})), reason: "no sub"},
		"foreign audience":    {token: es.Sign(t, typ, claims(map[string]any{"aud": "grafana"})), reason: "another audience"},
		"foreign audiences":   {token: es.Sign(t, typ, claims(map[string]any{"aud": []string{"grafana", "x"}})), reason: "another audience"},
		"no audience":         {token: es.Sign(t, typ, claims(map[string]any{"aud": nil})), reason: "no audience"},
		"audience is object":  {token: es.Sign(t, typ, claims(map[string]any{"aud": map[string]any{"signalbox": 1}})), reason: "audience"},
		"foreign issuer":      {token: es.Sign(t, typ, claims(map[string]any{"iss": "https://issuer/"})), reason: "another issuer"},
		"no issuer":           {token: es.Sign(t, typ, claims(map[string]any{"iss": nil})), reason: "another issuer"},
		"changed claims":      {token: parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root","iss":"https://two","aud":"signalbox","iat":1,"exp":1900000000}`)) + "." + parts[2], reason: "signature", looked: true},
		"no signature":        {token: parts[0] + "." + parts[1] + ".", reason: "signature", looked: true},
	} {
		t.Run(name, func(t *testing.T) {
			looked := 0
			_, err := v.Verify(t.Context(), c.token, counted{set, &looked})
			if !errors.Is(err, jwks.ErrInvalid) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("error %v, want %q", err, c.reason)
			}
			if (looked > 0) != c.looked {
				t.Errorf("keys asked for %d times, want %t", looked, c.looked)
			}
			for _, part := range strings.Split(c.token, ".") {
				if len(part) > 3 && strings.Contains(err.Error(), part) {
					t.Errorf("the error holds a part of the token: %v", err)
				}
			}
			for _, private := range []string{"jane", "grafana", "root", "secret", "es384"} {
				if strings.Contains(err.Error(), private) {
					t.Errorf("the error holds a claim: %v", err)
				}
			}
			if coded := jwks.Coded(err, "Failed"); signalbox.ErrorCode(coded) != signalbox.CodeAuthentication || !errors.Is(coded, jwks.ErrInvalid) {
				t.Errorf("coded %v", coded)
			}
		})
	}
	for name, token := range map[string]string{
		"as is":             good,
		"several audiences": es.Sign(t, typ, claims(map[string]any{"aud": []string{"x", "other"}})),
		"second issuer":     rs.Sign(t, typ, claims(map[string]any{"iss": "https://two"})),
		"nbf now":           es.Sign(t, typ, claims(map[string]any{"nbf": now.Unix()})),
		"no kid, one fits":  es.Sign(t, headers(map[string]any{"kid": nil}), claims(nil)),
	} {
		if _, err := v.Verify(t.Context(), token, set); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	two := parseSet(t, jwkstest.Set(t, es, jwkstest.NewKey(t, "other", "ES256")))
	if _, err := v.Verify(t.Context(), es.Sign(t, headers(map[string]any{"kid": nil}), claims(nil)), two); !errors.Is(err, jwks.ErrUnknownKey) {
		t.Errorf("no kid, two fit: %v", err)
	}
}

func TestLeeway(t *testing.T) {
	key := jwkstest.NewKey(t, "k", "EdDSA")
	set := parseSet(t, jwkstest.Set(t, key))
	v := verifier(t, jwks.Rules{Leeway: 30 * time.Second})
	for _, c := range []struct {
		exp, nbf int64
		ok       bool
	}{{-29, 0, true}, {-30, 0, false}, {60, 30, true}, {60, 31, false}} {
		token := key.Sign(t, nil, claims(map[string]any{"exp": now.Unix() + c.exp, "nbf": now.Unix() + c.nbf}))
		if _, err := v.Verify(t.Context(), token, set); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestNewVerifier(t *testing.T) {
	for name, rules := range map[string]jwks.Rules{
		"HS256":           {Algorithms: []string{"ES256", "HS256"}},
		"none":            {Algorithms: []string{"none"}},
		"no algorithm":    {Algorithms: []string{}},
		"empty audience":  {Audiences: []string{"a", ""}},
		"empty issuer":    {Issuers: []string{""}},
		"negative leeway": {Leeway: -1},
	} {
		if _, err := jwks.NewVerifier(rules); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	v := verifier(t, jwks.Rules{Algorithms: []string{"RS256"}})
	key := jwkstest.NewKey(t, "k", "ES256")
	if _, err := v.Verify(t.Context(), key.Sign(t, nil, claims(nil)), parseSet(t, jwkstest.Set(t, key))); err == nil {
		t.Error("an algorithm that the rules leave out passed")
	}
}

func TestSecretVerifier(t *testing.T) {
	secret := []byte("0123456789abcdef")
	v, err := jwks.NewSecretVerifier(secret, jwks.Rules{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(method jwt.SigningMethod, key any, c map[string]any) string {
		return jwkstest.Sign(t, method, key, nil, c)
	}
	if read, err := v.Verify(sign(jwt.SigningMethodHS256, secret, claims(nil))); err != nil || read.Subject() != "jane" {
		t.Errorf("%v, %v", read, err)
	}
	for name, token := range map[string]string{
		"other secret": sign(jwt.SigningMethodHS256, []byte("0123456789abcdeg"), claims(nil)),
		"HS384":        sign(jwt.SigningMethodHS384, secret, claims(nil)),
		"none":         sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"expired":      sign(jwt.SigningMethodHS256, secret, claims(map[string]any{"exp": now.Unix() - 1})),
		"no exp":       sign(jwt.SigningMethodHS256, secret, claims(map[string]any{"exp": nil})),
	} {
		if _, err := v.Verify(token); !errors.Is(err, jwks.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := jwks.NewSecretVerifier(secret[:15], jwks.Rules{}); err == nil {
		t.Error("a short secret passed")
	}
	if _, err := jwks.NewSecretVerifier(secret, jwks.Rules{Algorithms: []string{"ES256"}}); err == nil {
		t.Error("a secret for a public key's algorithm passed")
	}
}

func TestParseSet(t *testing.T) {
	es := jwkstest.NewKey(t, "es", "ES256")
	key := func(change map[string]any) map[string]any {
		k := es.JWK(t)
		maps.Copy(k, change)
		maps.DeleteFunc(k, func(_ string, value any) bool { return value == nil })
		return k
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	d, err := es.Private.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key    map[string]any
		usable bool
	}{
		"as is":           {key(nil), true},
		"no alg":          {key(map[string]any{"alg": nil}), true},
		"for signatures":  {key(map[string]any{"use": "sig", "key_ops": []string{"verify"}}), true},
		"bad certificate": {key(map[string]any{"x5c": []string{"garbage"}, "x5u": "http://127.0.0.1:1/", "x5t": "%"}), true},
		"for encryption":  {key(map[string]any{"use": "enc"}), false},
		"to sign":         {key(map[string]any{"key_ops": []string{"sign"}}), false},
		"private":         {key(map[string]any{"d": base64.RawURLEncoding.EncodeToString(d)}), false},
		"other alg":       {key(map[string]any{"alg": "ES384"}), false},
		"HMAC alg":        {key(map[string]any{"alg": "HS256"}), false},
		"off the curve":   {key(map[string]any{"x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}), false},
		"other curve":     {key(map[string]any{"crv": "secp256k1"}), false},
		"no kty":          {key(map[string]any{"kty": nil}), false},
		"unknown kty":     {key(map[string]any{"kty": "X"}), false},
		"kid is a number": {key(map[string]any{"kid": 1}), false},
		"symmetric":       {map[string]any{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA", "kid": "es", "alg": "HS256"}, false},
		"symmetric, lies": {map[string]any{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA", "kid": "es", "alg": "ES256"}, false},
		"weak RSA":        {jwkstest.Key{ID: "rs", Algorithm: "RS256", Private: weak}.JWK(t), false},
		"RSA exponent 1":  {func() map[string]any { k := jwkstest.NewKey(t, "r", "RS256").JWK(t); k["e"] = "AQ"; return k }(), false},
		"Ed448":           {map[string]any{"kty": "OKP", "crv": "Ed448", "x": "AAAA", "alg": "EdDSA"}, false},
	} {
		document := string(mustJSON(t, map[string]any{"keys": []any{c.key, "not a key"}}))
		want := 0
		if c.usable {
			want = 1
		}
		if set := parseSet(t, document); set.Len() != want {
			t.Errorf("%s: %d keys, want %d", name, set.Len(), want)
		}
	}
	for name, document := range map[string]string{
		"empty": "", "HTML": "<html>", "a list": "[]", "no keys": "{}", "null": "null", "keys is text": `{"keys":"x"}`,
		"too many": `{"keys":[` + strings.Repeat(`{},`, 1000) + `{}]}`,
	} {
		if _, err := jwks.ParseSet([]byte(document)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if set, err := jwks.ParseSet([]byte(`{"keys":[]}`)); err != nil || set.Len() != 0 {
		t.Errorf("an empty set: %v", err)
	}
}

func TestPeek(t *testing.T) {
	token := jwkstest.NewKey(t, "k", "ES256").Sign(t, map[string]any{"typ": "x"}, claims(map[string]any{"aud": []string{"a", "b"}, "mixed": []any{"a", 1}}))
	read, err := jwks.Peek(token)
	if err != nil || read.Type != "x" || read.Algorithm != "ES256" || read.Subject() != "jane" {
		t.Errorf("%+v, %v", read, err)
	}
	if audiences, ok := read.Texts("aud"); !ok || len(audiences) != 2 {
		t.Errorf("audiences %v", audiences)
	}
	if one, ok := read.Texts("sub"); !ok || len(one) != 1 {
		t.Errorf("text as a list: %v", one)
	}
	for _, claim := range []string{"mixed", "iat", "missing"} {
		if texts, ok := read.Texts(claim); ok {
			t.Errorf("%s: %v", claim, texts)
		}
	}
	if _, err := jwks.Peek(strings.Repeat("a", jwks.MaxToken+1)); err == nil {
		t.Error("a huge token was read")
	}
}
