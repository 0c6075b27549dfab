// Package oidctest is an identity provider for tests: a real server on loopback that
// speaks OpenID Connect, demands what the standard demands of clients, and misbehaves
// on demand.
package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

// The client that the provider knows.
const (
	ClientID     = "signalbox"
	ClientSecret = "secret of the client"
)

// Behaviour is how the provider behaves. The zero value is good.
type Behaviour struct {
	// Hang keeps requests waiting until they are given up, Down answers them 503.
	Hang, Down bool
	// Sign makes the ID token in place of the provider.
	Sign func(claims map[string]any) string
	// Nonce replaces the login's.
	Nonce string
	// Life is how long access tokens live, in seconds. Defaults to 300.
	Life int
	// NoRefresh leaves refresh tokens out, and NoIDToken the ID tokens of renewals.
	NoRefresh, NoIDToken bool
	// Refuse is the error that the token endpoint answers, with 400.
	Refuse string
	// Deny is the error that users come back with.
	Deny string
	// NoEndSession leaves the end_session_endpoint out, Post wants the secret in the
	// body.
	NoEndSession, Post bool
	// Issuer replaces the issuer in the description.
	Issuer string
}

// Provider is an identity provider.
type Provider struct {
	// URL is the issuer. Client reaches it.
	URL    string
	Client *http.Client

	t      testing.TB
	server *httptest.Server

	mu        sync.Mutex
	behaviour Behaviour
	user      map[string]any
	keys      []jwkstest.Key
	codes     map[string]grant
	refreshes map[string]grant
	requests  []string
	renewals  int
}

// grant is what a code or a refresh token stands for.
type grant struct {
	claims      map[string]any
	redirectURI string
	challenge   string
	nonce       string
	used        bool
}

// firstKey is the same for all providers, because making one takes long.
func firstKey(t testing.TB) jwkstest.Key {
	t.Helper()
	first.once.Do(func() { first.key = jwkstest.NewKey(t, "first", "RS256") })
	return first.key
}

var first struct {
	once sync.Once
	key  jwkstest.Key
}

// New starts a provider that ends with the test. It signs in a user with the subject
// and name "jane" and no questions.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t, codes: map[string]grant{}, refreshes: map[string]grant{}, keys: []jwkstest.Key{firstKey(t)}}
	p.SignIn(map[string]any{"sub": "1234", "preferred_username": "jane", "groups": []string{"team-a"}})
	p.server = httptest.NewServer(p)
	p.URL, p.Client = p.server.URL, p.server.Client()
	t.Cleanup(p.Stop)
	return p
}

// Stop makes the provider unreachable.
func (p *Provider) Stop() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// Behave says how the provider behaves from now on.
func (p *Provider) Behave(behaviour Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = behaviour
}

// SignIn says what the provider says about who signs in from now on, and about those
// whose sessions are renewed.
func (p *Provider) SignIn(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user = maps.Clone(claims)
}

// Rotate makes a new key and forgets the old one.
func (p *Provider) Rotate() {
	key := jwkstest.NewKey(p.t, rand.Text(), "ES256")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = []jwkstest.Key{key}
}

// Key is the key that the provider signs with.
func (p *Provider) Key() jwkstest.Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0]
}

// Token makes a token of the provider: the claims, and iss, iat and exp where they do
// not say.
func (p *Provider) Token(claims map[string]any) string {
	return p.Key().Sign(p.t, nil, p.Claims(claims))
}

// Claims completes the claims of a token.
func (p *Provider) Claims(claims map[string]any) map[string]any {
	all := map[string]any{"iss": p.URL, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	return all
}

// Requests are how often a path was asked for.
func (p *Provider) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, request := range p.requests {
		if request == path {
			n++
		}
	}
	return n
}

// Renewals are how many refresh tokens were accepted.
func (p *Provider) Renewals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewals
}

// ServeHTTP implements [http.Handler].
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r.URL.Path)
	behaviour, keys := p.behaviour, slices.Clone(p.keys)
	p.mu.Unlock()
	switch {
	case behaviour.Hang:
		<-r.Context().Done()
		return
	case behaviour.Down:
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		p.describe(w, behaviour)
	case "/keys":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(jwkstest.Set(p.t, keys...))) // a client that went away is no concern
	case "/authorize":
		p.authorize(w, r, behaviour)
	case "/token":
		p.token(w, r, behaviour)
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away is no concern
}

func (p *Provider) describe(w http.ResponseWriter, behaviour Behaviour) {
	document := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/keys", "end_session_endpoint": p.URL + "/logout?realm=x",
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	}
	if behaviour.NoEndSession {
		delete(document, "end_session_endpoint")
	}
	if behaviour.Post {
		document["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	}
	if behaviour.Issuer != "" {
		document["issuer"] = behaviour.Issuer
	}
	answer(w, http.StatusOK, document)
}

// authorize signs the user in at once and sends the browser back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request, behaviour Behaviour) {
	query := r.URL.Query()
	back, err := url.Parse(query.Get("redirect_uri"))
	switch {
	case err != nil || query.Get("client_id") != ClientID || query.Get("response_type") != "code":
		http.Error(w, "not a request of the client", http.StatusBadRequest)
		return
	case query.Get("code_challenge_method") != "S256" || len(query.Get("code_challenge")) != 43 ||
		len(query.Get("state")) < 43 || len(query.Get("nonce")) < 43:
		http.Error(w, "state, nonce and an S256 challenge are demanded", http.StatusBadRequest)
		return
	}
	answered := url.Values{"state": {query.Get("state")}, "iss": {p.URL}}
	if behaviour.Deny != "" {
		answered.Set("error", behaviour.Deny)
	} else {
		code := rand.Text()
		answered.Set("code", code)
		p.mu.Lock()
		p.codes[code] = grant{claims: p.user, redirectURI: query.Get("redirect_uri"), challenge: query.Get("code_challenge"), nonce: query.Get("nonce")}
		p.mu.Unlock()
	}
	back.RawQuery = answered.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound) //nolint:gosec // G710: for tests, which look where it leads
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request, behaviour Behaviour) {
	id, secret, basic := r.BasicAuth()
	if behaviour.Post {
		id, secret, basic = r.PostFormValue("client_id"), r.PostFormValue("client_secret"), !basic
	}
	id, _ = url.QueryUnescape(id)
	if !behaviour.Post {
		secret, _ = url.QueryUnescape(secret)
	}
	var g grant
	ok := false
	p.mu.Lock()
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		code := r.PostFormValue("code")
		g = p.codes[code]
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		ok = g.challenge != "" && !g.used && g.redirectURI == r.PostFormValue("redirect_uri") &&
			g.challenge == base64.RawURLEncoding.EncodeToString(sum[:])
		g.used = true
		p.codes[code] = g
	case "refresh_token":
		// Once, as providers that rotate have it.
		token := r.PostFormValue("refresh_token")
		_, ok = p.refreshes[token]
		g = grant{claims: p.user}
		if behaviour.Refuse == "" {
			delete(p.refreshes, token)
			if ok {
				p.renewals++
			}
		}
	}
	p.mu.Unlock()
	switch {
	case !basic || id != ClientID || secret != ClientSecret:
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	case behaviour.Refuse != "":
		answer(w, http.StatusBadRequest, map[string]any{"error": behaviour.Refuse, "error_description": "words of the provider"})
	case !ok:
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
	default:
		answer(w, http.StatusOK, p.tokens(g, behaviour))
	}
}

func (p *Provider) tokens(g grant, behaviour Behaviour) map[string]any {
	claims := p.Claims(map[string]any{"aud": ClientID})
	maps.Copy(claims, g.claims)
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if behaviour.Nonce != "" {
		claims["nonce"] = behaviour.Nonce
	}
	life := behaviour.Life
	if life == 0 {
		life = 300
	}
	body := map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": life}
	if !behaviour.NoIDToken || g.nonce != "" {
		sign := behaviour.Sign
		if sign == nil {
			sign = func(claims map[string]any) string { return p.Key().Sign(p.t, nil, claims) }
		}
		body["id_token"] = sign(claims)
	}
	if !behaviour.NoRefresh {
		refresh := rand.Text()
		p.mu.Lock()
		p.refreshes[refresh] = g
		p.mu.Unlock()
		body["refresh_token"] = refresh
	}
	return body
}
