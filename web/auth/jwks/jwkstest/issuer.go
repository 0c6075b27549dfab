// Package jwkstest is an issuer of tokens for tests: a real server that publishes
// a key set, and misbehaves on demand.
package jwkstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// Key is a key pair of an issuer.
type Key struct {
	ID, Algorithm string
	Private       crypto.Signer
}

// NewKey makes a key for one of the asymmetric algorithms.
func NewKey(t testing.TB, id, algorithm string) Key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{ID: id, Algorithm: algorithm, Private: private}
}

// JWK is the public part of the key as a JSON Web Key.
func (k Key) JWK(t testing.TB) map[string]any {
	t.Helper()
	raw, err := jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: k.Algorithm}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// Sign makes a token. The header has the key's alg and kid unless it says
// otherwise; a header that is nil there is left out.
func (k Key) Sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	return Sign(t, jwt.GetSigningMethod(k.Algorithm), k.Private, with(map[string]any{"kid": k.ID}, header), claims)
}

// Sign makes a token by a method and a key that need not fit each other.
func Sign(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	token.Header = with(map[string]any{"alg": method.Alg()}, header)
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func with(members, others map[string]any) map[string]any {
	maps.Copy(members, others)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	return members
}

// Set is the key set document of some keys.
func Set(t testing.TB, keys ...Key) string {
	t.Helper()
	published := make([]map[string]any, 0, len(keys))
	for _, key := range keys {
		published = append(published, key.JWK(t))
	}
	document, err := json.Marshal(map[string]any{"keys": published})
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

// Behaviour is how a path answers.
type Behaviour struct {
	// Body is the answer, Status its status; 0 is 200.
	Body   string
	Status int
	// Hang keeps requests waiting until they are given up.
	Hang bool
	// Redirect is where to, instead of an answer.
	Redirect string
	// Bearer is the token that must come with the request; else it is answered 401.
	Bearer string
}

// Issuer is a server on loopback. What it was not told to answer, it answers 404.
type Issuer struct {
	// URL is where it is, without a slash at the end; Client reaches it.
	URL    string
	Client *http.Client

	server *httptest.Server

	mu       sync.Mutex
	paths    map[string]Behaviour
	requests []string
}

// NewIssuer starts a server that ends with the test.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{paths: make(map[string]Behaviour)}
	i.server = httptest.NewServer(i)
	i.URL, i.Client = i.server.URL, i.server.Client()
	t.Cleanup(i.Stop)
	return i
}

// Stop makes the issuer unreachable.
func (i *Issuer) Stop() {
	i.server.CloseClientConnections()
	i.server.Close()
}

// Answer says how a path answers from now on.
func (i *Issuer) Answer(path string, behaviour Behaviour) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paths[path] = behaviour
}

// Requests are how often a path was asked for.
func (i *Issuer) Requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, request := range i.requests {
		if request == path {
			n++
		}
	}
	return n
}

// Total is how often anything was asked for.
func (i *Issuer) Total() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.requests)
}

// ServeHTTP implements [http.Handler].
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests = append(i.requests, r.URL.Path)
	behaviour, ok := i.paths[r.URL.Path]
	i.mu.Unlock()
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		http.NotFound(w, r)
	case behaviour.Hang:
		<-r.Context().Done()
	case behaviour.Redirect != "":
		http.Redirect(w, r, behaviour.Redirect, http.StatusFound)
	case behaviour.Bearer != "" && behaviour.Bearer != bearer:
		http.Error(w, "no", http.StatusUnauthorized)
	default:
		w.Header().Set("Content-Type", "application/json")
		if behaviour.Status != 0 {
			w.WriteHeader(behaviour.Status)
		}
		_, _ = fmt.Fprint(w, behaviour.Body) // a client that went away is no concern
	}
}
