package oidc_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
	"github.com/signalbox/signalbox/web/auth/oidc"
	"github.com/signalbox/signalbox/web/auth/oidc/oidctest"
)

const publicURL = "https://signalbox.example.com"

// sessions is a store that can be watched and fail.
type sessions struct {
	signalbox.SessionStore
	mu  sync.Mutex
	err error
}

func (s *sessions) SessionByID(ctx context.Context, id string) (signalbox.Session, bool, error) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return signalbox.Session{}, false, err
	}
	return s.SessionStore.SessionByID(ctx, id)
}

// place is an instance, its provider and its clock.
type place struct {
	*oidc.Login
	provider *oidctest.Provider
	store    *sessions

	mu  sync.Mutex
	now time.Time
	log strings.Builder
}

func (p *place) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// instance is a login at a provider, with sessions in a database.
func instance(t *testing.T, provider *oidctest.Provider, database string, change ...func(*oidc.LoginConfig)) *place {
	t.Helper()
	db := storagetest.Open(t, database)
	q, err := queue.New(db, queue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := storage.New(db, q, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{provider: provider, store: &sessions{SessionStore: store}, now: time.Now()}
	pages, err := auth.NewPages(publicURL, []string{"https://backstage.example.com", "*"})
	if err != nil {
		t.Fatal(err)
	}
	config := oidc.LoginConfig{
		Issuer: provider.URL, ClientID: oidctest.ClientID, ClientSecret: signalbox.NewSecret(oidctest.ClientSecret), PublicURL: publicURL + "/",
		User: identity.UserRule{Claim: "preferred_username"}, Groups: &identity.GroupRule{Claim: "groups"},
		Pages: pages, Sessions: p.store, Client: provider.Client, Timeout: 500 * time.Millisecond, Now: p.clock,
		Logger: slog.New(slog.NewTextHandler(p, nil)),
	}
	for _, f := range change {
		f(&config)
	}
	if p.Login, err = oidc.NewLogin(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func start(t *testing.T, change ...func(*oidc.LoginConfig)) *place {
	t.Helper()
	return instance(t, oidctest.New(t), storagetest.SQLiteURL(t), change...)
}

// visit lets a browser go to the provider, and returns what it comes back with.
func (p *place) visit(t *testing.T, location string) oidc.Callback {
	t.Helper()
	client := *p.provider.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Get(location)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	back, err := answer.Location()
	if err != nil || !strings.HasPrefix(back.String(), publicURL+oidc.CallbackPath+"?") {
		t.Fatalf("%d: %v, back to %v", answer.StatusCode, err, back)
	}
	query := back.Query()
	return oidc.Callback{State: query.Get("state"), Code: query.Get("code"), Issuer: query.Get("iss"), Error: query.Get("error")}
}

// signIn is a whole login.
func (p *place) signIn(t *testing.T) oidc.SignedIn {
	t.Helper()
	signed, err := p.trySignIn(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// trySignIn is a login on whose way back something may change.
func (p *place) trySignIn(t *testing.T, change func(*oidc.Callback)) (oidc.SignedIn, error) {
	t.Helper()
	location, cookie, err := p.Begin(t.Context(), "/ui?tab=1", "")
	if err != nil {
		t.Fatal(err)
	}
	callback := p.visit(t, location)
	if change != nil {
		change(&callback)
	}
	signed, _, err := p.Finish(t.Context(), callback, cookie, "")
	return signed, err
}

// get is a request with a session that only reads.
func get(session string) auth.Credentials {
	return auth.Credentials{Session: session, Method: http.MethodGet}
}

// who returns the user of a session.
func (p *place) who(t *testing.T, session string) signalbox.UserPrincipal {
	t.Helper()
	principal, err := p.Authenticate(t.Context(), get(session))
	if err != nil {
		t.Fatal(err)
	}
	user, _ := principal.(signalbox.UserPrincipal)
	return user
}

// ended expects that a session is over.
func (p *place) ended(t *testing.T, session string) {
	t.Helper()
	if principal, err := p.Authenticate(t.Context(), get(session)); signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
		t.Errorf("got %v, %v, want the session to have ended", principal, err)
	}
}

func TestLogin(t *testing.T) {
	p := start(t)
	signed := p.signIn(t)
	if signed.User != "user:default/jane" || signed.ReturnTo != "/ui?tab=1" || len(signed.Session) != 43 ||
		!signed.Expires.Equal(p.clock().Add(7*24*time.Hour)) {
		t.Errorf("got %+v", signed)
	}
	got := p.who(t, signed.Session)
	want := signalbox.UserPrincipal{Ref: "user:default/jane", Ownership: []string{"user:default/jane", "group:default/team-a"}, Expires: signed.Expires}
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(time.Microsecond), cmpopts.IgnoreFields(want, "Session")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Session) != 64 || strings.Contains(got.Session, signed.Session) {
		t.Errorf("the session is known as %q", got.Session)
	}
	for _, session := range []string{"x", signed.Session + "A", signed.Session[1:], "", got.Session, strings.Repeat("A", 43)} {
		principal, err := p.Authenticate(t.Context(), get(session))
		if err == nil {
			t.Errorf("%q is %v", session, principal)
		}
	}
	if _, err := p.Authenticate(t.Context(), auth.Credentials{Session: signed.Session, Token: "x"}); !errors.Is(err, auth.ErrNotMine) {
		t.Errorf("a token besides: %v", err)
	}
	if again := p.signIn(t); again.Session == signed.Session {
		t.Error("two sessions are one")
	}
}

// What may go wrong with a login, and that none of it lets anybody in.
func TestLoginRefused(t *testing.T) {
	foreign, database := jwkstest.NewKey(t, "first", "RS256"), storagetest.SQLiteURL(t)
	for name, test := range map[string]struct {
		behave func(p *oidctest.Provider) oidctest.Behaviour
		change func(*oidc.Callback)
		user   map[string]any
		code   signalbox.Code
		want   string
	}{
		"another state":   {change: func(c *oidc.Callback) { c.State = strings.Repeat("x", 43) }, code: signalbox.CodeInput, want: "not begun in this browser"},
		"no state":        {change: func(c *oidc.Callback) { c.State = "" }, code: signalbox.CodeInput},
		"no code":         {change: func(c *oidc.Callback) { c.Code = "" }, code: signalbox.CodeInput},
		"another code":    {change: func(c *oidc.Callback) { c.Code = "secret" }, code: signalbox.CodeAuthentication, want: "invalid_grant"},
		"another issuer":  {change: func(c *oidc.Callback) { c.Issuer = "https://evil.example.com" }, code: signalbox.CodeAuthentication},
		"denied":          {behave: func(*oidctest.Provider) oidctest.Behaviour { return oidctest.Behaviour{Deny: "access_denied"} }, code: signalbox.CodeAuthentication, want: "access_denied"},
		"denied in words": {behave: func(*oidctest.Provider) oidctest.Behaviour { return oidctest.Behaviour{Deny: "<secret>"} }, code: signalbox.CodeAuthentication, want: "no reason given"},
		"another nonce": {
			behave: func(*oidctest.Provider) oidctest.Behaviour {
				return oidctest.Behaviour{Nonce: strings.Repeat("n", 43)}
			},
			code: signalbox.CodeAuthentication, want: "not of this login",
		},
		"alg none": {behave: signing(func(_ *oidctest.Provider, claims map[string]any) string {
			return jwkstest.Sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"kid": "first"}, claims)
		}), code: signalbox.CodeAuthentication, want: "Invalid ID token"},
		"HS256 with the public key": {behave: signing(func(p *oidctest.Provider, claims map[string]any) string {
			key, _ := p.Key().Private.Public().(*rsa.PublicKey)
			return jwkstest.Sign(t, jwt.SigningMethodHS256, key.N.Bytes(), map[string]any{"kid": "first"}, claims)
		}), code: signalbox.CodeAuthentication, want: "Invalid ID token"},
		"HS256 with the client's secret": {behave: signing(func(_ *oidctest.Provider, claims map[string]any) string {
			return jwkstest.Sign(t, jwt.SigningMethodHS256, []byte(oidctest.ClientSecret), map[string]any{"kid": "first"}, claims)
		}), code: signalbox.CodeAuthentication, want: "Invalid ID token"},
		"a foreign key":    {behave: signing(func(_ *oidctest.Provider, claims map[string]any) string { return foreign.Sign(t, nil, claims) }), code: signalbox.CodeAuthentication, want: "signature"},
		"another audience": {user: map[string]any{"sub": "1", "preferred_username": "jane", "aud": "other"}, code: signalbox.CodeAuthentication, want: "audience"},
		"another party":    {user: map[string]any{"sub": "1", "preferred_username": "jane", "aud": []string{"other", oidctest.ClientID}, "azp": "other"}, code: signalbox.CodeAuthentication, want: "another party"},
		"no party of two":  {user: map[string]any{"sub": "1", "preferred_username": "jane", "aud": []string{"other", oidctest.ClientID}}, code: signalbox.CodeAuthentication, want: "another party"},
		"expired":          {user: map[string]any{"sub": "1", "preferred_username": "jane", "exp": time.Now().Add(-time.Hour).Unix()}, code: signalbox.CodeAuthentication, want: "expired"},
		"no subject":       {user: map[string]any{"preferred_username": "jane"}, code: signalbox.CodeAuthentication, want: "no sub"},
		"no user":          {user: map[string]any{"sub": "1", "preferred_username": "secret name"}, code: signalbox.CodeAuthentication, want: "makes no user"},
		"the secret is wrong": {
			behave: func(*oidctest.Provider) oidctest.Behaviour { return oidctest.Behaviour{Refuse: "invalid_client"} },
			code:   signalbox.CodeAuthentication, want: "invalid_client",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := instance(t, oidctest.New(t), database)
			if test.behave != nil {
				p.provider.Behave(test.behave(p.provider))
			}
			if test.user != nil {
				p.provider.SignIn(test.user)
			}
			signed, err := p.trySignIn(t, test.change)
			if err == nil {
				t.Fatalf("signed in: %+v", signed)
			}
			if signalbox.ErrorCode(err) != test.code || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v (%s), want %q (%s)", err, signalbox.ErrorCode(err), test.want, test.code)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(p.log.String(), "secret") {
				t.Errorf("told too much: %v\n%s", err, p.log.String())
			}
		})
	}
}

func signing(sign func(*oidctest.Provider, map[string]any) string) func(*oidctest.Provider) oidctest.Behaviour {
	return func(p *oidctest.Provider) oidctest.Behaviour {
		return oidctest.Behaviour{Sign: func(claims map[string]any) string { return sign(p, claims) }}
	}
}

// A login counts once, in the browser that began it, for ten minutes.
func TestLoginCountsOnce(t *testing.T) {
	p := start(t)
	location, cookie, err := p.Begin(t.Context(), "/", "")
	if err != nil {
		t.Fatal(err)
	}
	callback := p.visit(t, location)
	if _, _, err := p.Finish(t.Context(), callback, "", ""); signalbox.ErrorCode(err) != signalbox.CodeInput {
		t.Errorf("in another browser: %v", err)
	}
	_, keep, err := p.Finish(t.Context(), callback, cookie, "")
	if err != nil {
		t.Fatal(err)
	}
	if keep != "" {
		t.Errorf("%q is kept", keep)
	}
	if _, _, err := p.Finish(t.Context(), callback, keep, ""); signalbox.ErrorCode(err) != signalbox.CodeInput {
		t.Errorf("once more: %v", err)
	}
	// A browser that kept its cookie is refused by the provider.
	if _, _, err := p.Finish(t.Context(), callback, cookie, ""); signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
		t.Errorf("the code once more: %v", err)
	}
	if location, cookie, err = p.Begin(t.Context(), "/", ""); err != nil {
		t.Fatal(err)
	}
	callback = p.visit(t, location)
	p.pass(11 * time.Minute)
	if _, _, err := p.Finish(t.Context(), callback, cookie, ""); signalbox.ErrorCode(err) != signalbox.CodeInput {
		t.Errorf("too late: %v", err)
	}
}

// A code that was obtained for one login is worth nothing in another: the verifier of
// PKCE is not its own.
func TestStolenCode(t *testing.T) {
	p := start(t)
	victim, _, err := p.Begin(t.Context(), "/", "")
	if err != nil {
		t.Fatal(err)
	}
	stolen := p.visit(t, victim)
	if _, err := p.trySignIn(t, func(c *oidc.Callback) { c.Code = stolen.Code }); signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
		t.Errorf("got %v", err)
	}
}

// Several tabs sign in at the same time, and the cookie stays small.
func TestLoginsInTabs(t *testing.T) {
	p := start(t)
	var cookie string
	var callbacks []oidc.Callback
	for i := range 6 {
		location, next, err := p.Begin(t.Context(), fmt.Sprintf("/%d?%s", i, strings.Repeat("x", 390)), cookie)
		if err != nil {
			t.Fatal(err)
		}
		if cookie = next; len(cookie) > 3800 {
			t.Errorf("a cookie of %d bytes", len(cookie))
		}
		callbacks = append(callbacks, p.visit(t, location))
	}
	for i, callback := range callbacks {
		signed, next, err := p.Finish(t.Context(), callback, cookie, "")
		cookie = next
		if i < 2 {
			if signalbox.ErrorCode(err) != signalbox.CodeInput {
				t.Errorf("tab %d: %v", i, err)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(signed.ReturnTo, fmt.Sprintf("/%d?", i)) {
			t.Errorf("tab %d: %v, %+v", i, err, signed)
		}
	}
	if cookie != "" {
		t.Errorf("%q is left", cookie)
	}
}

func TestReturnsOnlyHere(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/ui?a=b#c": "/ui?a=b#c", "/a//b": "/a//b", "/?u=https://x.example": "/?u=https://x.example",
		"": "/", "ui": "/", "//evil.example": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "https://evil.example": "/",
		"/\t/evil.example": "/", "/\n/evil.example": "/", " //evil.example": "/", "javascript:alert(1)": "/", "/\x00": "/", "/ü": "/", //nolint:gocritic // the space is the point
		"/%zz": "/", "/" + strings.Repeat("x", 400): "/", "///evil.example": "/",
	} {
		if got := oidc.SafePath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// A provider's outage stops logins, and nothing else.
func TestOutage(t *testing.T) {
	p := start(t)
	p.provider.Behave(oidctest.Behaviour{Hang: true})
	if _, _, err := p.Begin(t.Context(), "/", ""); signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
		t.Fatalf("got %v", err)
	}
	p.provider.Behave(oidctest.Behaviour{})
	p.pass(10 * time.Second)
	signed := p.signIn(t)
	location, cookie, err := p.Begin(t.Context(), "/", "")
	if err != nil {
		t.Fatal(err)
	}
	callback := p.visit(t, location)
	p.provider.Behave(oidctest.Behaviour{Down: true})
	if _, _, err := p.Finish(t.Context(), callback, cookie, ""); signalbox.ErrorCode(err) != signalbox.CodeUnavailable {
		t.Errorf("in the midst of a login: %v", err)
	}
	for range 20 {
		p.pass(6 * time.Hour) // access tokens live five minutes
		p.who(t, signed.Session)
	}
	if !strings.Contains(p.log.String(), "goes on as it is") {
		t.Error("nobody is told")
	}
	p.provider.Behave(oidctest.Behaviour{})
	p.pass(6 * time.Hour)
	p.who(t, signed.Session)
	if n := p.provider.Renewals(); n != 1 {
		t.Errorf("renewed %d times after the outage", n)
	}
	p.store.mu.Lock()
	p.store.err = errors.New("the database is away")
	p.store.mu.Unlock()
	if _, err := p.Authenticate(t.Context(), get(signed.Session)); err == nil || signalbox.ErrorCode(err) == signalbox.CodeAuthentication {
		t.Errorf("without a database: %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	t.Run("unused", func(t *testing.T) {
		p := start(t)
		p.provider.Behave(oidctest.Behaviour{NoRefresh: true})
		signed := p.signIn(t)
		for range 3 {
			p.pass(11 * time.Hour)
			p.who(t, signed.Session)
		}
		p.pass(12*time.Hour + time.Minute)
		p.ended(t, signed.Session)
	})
	t.Run("old", func(t *testing.T) {
		p := start(t, func(c *oidc.LoginConfig) { c.MaxAge = 24 * time.Hour })
		signed := p.signIn(t)
		for range 23 {
			p.pass(time.Hour)
			p.who(t, signed.Session)
		}
		id := p.who(t, signed.Session).Session
		p.pass(time.Hour)
		p.ended(t, signed.Session)
		if ended, err := p.Ended(t.Context(), []string{id}); err != nil || len(ended) != 1 {
			t.Errorf("connections: %v, %v", ended, err)
		}
	})
	t.Run("signed out", func(t *testing.T) {
		p := start(t)
		one, other := p.signIn(t), p.signIn(t)
		page := auth.Credentials{Session: one.Session, Method: http.MethodPost, Origin: publicURL}
		for name, foreign := range map[string]auth.Credentials{
			"another page": {Session: one.Session, Method: http.MethodPost, Origin: "https://evil.example.com"},
			"no page":      {Session: one.Session, Method: http.MethodPost},
		} {
			if _, _, err := p.End(t.Context(), foreign, true); signalbox.ErrorCode(err) != signalbox.CodeNotAllowed {
				t.Errorf("%s: %v", name, err)
			}
		}
		user, location, err := p.End(t.Context(), page, false)
		if err != nil || user != "user:default/jane" {
			t.Fatalf("%q, %v", user, err)
		}
		u, err := url.Parse(location)
		if err != nil || !strings.HasPrefix(location, p.provider.URL+"/logout?") || u.Query().Get("client_id") != oidctest.ClientID ||
			u.Query().Get("post_logout_redirect_uri") != publicURL+"/" || u.Query().Get("realm") != "x" || u.Query().Has("id_token_hint") {
			t.Errorf("to %s (%v)", location, err)
		}
		p.ended(t, one.Session)
		p.who(t, other.Session)
		if user, location, err := p.End(t.Context(), page, false); user+location != "" || err != nil {
			t.Errorf("once more: %q, %q, %v", user, location, err)
		}
		third := p.signIn(t)
		page.Session = third.Session
		if _, _, err := p.End(t.Context(), page, true); err != nil {
			t.Fatal(err)
		}
		p.ended(t, other.Session)
		p.ended(t, third.Session)
	})
	t.Run("signed in anew", func(t *testing.T) {
		p := start(t)
		first := p.signIn(t)
		location, cookie, err := p.Begin(t.Context(), "/", "")
		if err != nil {
			t.Fatal(err)
		}
		second, _, err := p.Finish(t.Context(), p.visit(t, location), cookie, first.Session)
		if err != nil {
			t.Fatal(err)
		}
		p.ended(t, first.Session)
		p.who(t, second.Session)
	})
	t.Run("by the provider", func(t *testing.T) {
		p := start(t)
		signed := p.signIn(t)
		p.provider.Behave(oidctest.Behaviour{Refuse: "invalid_client"})
		p.pass(10 * time.Minute)
		p.who(t, signed.Session) // a secret that was changed is not the user's fault
		p.provider.Behave(oidctest.Behaviour{Refuse: "invalid_grant"})
		p.pass(10 * time.Minute)
		p.ended(t, signed.Session)
		p.provider.Behave(oidctest.Behaviour{})
		p.ended(t, signed.Session)
	})
	t.Run("it is of somebody else", func(t *testing.T) {
		p := start(t)
		signed := p.signIn(t)
		p.provider.SignIn(map[string]any{"sub": "9", "preferred_username": "jane"})
		p.pass(10 * time.Minute)
		p.ended(t, signed.Session)
	})
}

func TestRenewal(t *testing.T) {
	p := start(t)
	signed := p.signIn(t)
	p.pass(3 * time.Minute)
	p.who(t, signed.Session)
	if n := p.provider.Renewals(); n != 0 {
		t.Errorf("renewed %d times before it was time", n)
	}
	p.provider.SignIn(map[string]any{"sub": "1234", "preferred_username": "jane", "groups": []string{"team-b"}})
	for i := range 4 {
		p.pass(5 * time.Minute)
		if got := p.who(t, signed.Session).Ownership; !cmp.Equal(got, []string{"user:default/jane", "group:default/team-b"}) {
			t.Errorf("the groups are %q", got)
		}
		if n := p.provider.Renewals(); n != i+1 {
			t.Errorf("renewed %d times", n)
		}
	}
	// Without an ID token everything stays as it is.
	p.provider.SignIn(map[string]any{"sub": "1234", "preferred_username": "jane"})
	p.provider.Behave(oidctest.Behaviour{NoIDToken: true})
	p.pass(5 * time.Minute)
	if got := p.who(t, signed.Session).Ownership; len(got) != 2 {
		t.Errorf("the groups are %q", got)
	}
	// One that cannot be checked costs the session nothing.
	p.provider.Behave(oidctest.Behaviour{Sign: func(map[string]any) string { return "x" }})
	p.pass(5 * time.Minute)
	p.who(t, signed.Session)
	p.provider.Behave(oidctest.Behaviour{Post: true})
	p.provider.SignIn(map[string]any{"sub": "1234", "preferred_username": "jane", "exp": p.clock().Add(5 * time.Hour).Unix()})
	p.pass(2 * time.Hour) // the description is old, too
	if got := p.who(t, signed.Session).Ownership; len(got) != 1 || p.provider.Renewals() != 7 {
		t.Errorf("the groups are %q after %d renewals", got, p.provider.Renewals())
	}
}

// Two instances share the sessions, and one of many requests renews.
func TestInstances(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, database string) {
		provider := oidctest.New(t)
		one, other := instance(t, provider, database), instance(t, provider, database)
		location, cookie, err := one.Begin(t.Context(), "/", "")
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := other.Finish(t.Context(), one.visit(t, location), cookie, "")
		if err != nil {
			t.Fatal(err)
		}
		one.who(t, signed.Session)
		one.pass(10 * time.Minute)
		other.pass(10 * time.Minute)
		var requests sync.WaitGroup
		for i := range 10 {
			requests.Go(func() {
				if _, err := []*place{one, other}[i%2].Authenticate(t.Context(), get(signed.Session)); err != nil {
					t.Error(err)
				}
			})
		}
		requests.Wait()
		if n := provider.Renewals(); n != 1 {
			t.Errorf("renewed %d times", n)
		}
		if _, _, err := one.End(t.Context(), auth.Credentials{Session: signed.Session, Method: "POST", Origin: publicURL}, false); err != nil {
			t.Fatal(err)
		}
		other.ended(t, signed.Session)
	})
}

// The database has neither what the browser has nor what the provider gave.
func TestDatabaseIsWorthNothing(t *testing.T) {
	p := start(t)
	signed := p.signIn(t)
	kept, found, err := p.store.SessionByID(t.Context(), p.who(t, signed.Session).Session)
	if err != nil || !found || len(kept.Sealed) < 40 {
		t.Fatalf("%+v, %v, %v", kept, found, err)
	}
	if strings.Contains(fmt.Sprintf("%+v %s", kept, kept.Sealed), signed.Session) {
		t.Error("it has what the browser has")
	}
	p.ended(t, kept.ID)
	// Sealed for another session, it opens nothing.
	second := p.signIn(t)
	swapped, _, err := p.store.SessionByID(t.Context(), p.who(t, second.Session).Session)
	if err != nil {
		t.Fatal(err)
	}
	swapped.Sealed = kept.Sealed
	if err := p.store.RenewSession(t.Context(), swapped); err != nil {
		t.Fatal(err)
	}
	p.pass(10 * time.Minute)
	if _, err := p.Authenticate(t.Context(), get(second.Session)); err == nil || p.provider.Renewals() != 0 {
		t.Errorf("got %v, and %d renewals", err, p.provider.Renewals())
	}
	if strings.Contains(p.log.String(), signed.Session) {
		t.Error("the log has it")
	}
}

func TestForgedRequests(t *testing.T) {
	p := start(t)
	signed := p.signIn(t)
	for name, test := range map[string]struct {
		method, origin string
		header         map[string]string
		allowed        bool
	}{
		"reading":                   {"GET", "", nil, true},
		"reading, foreign":          {"GET", "https://evil.example.com", nil, true}, // it cannot see the answer
		"JSON":                      {"POST", publicURL, map[string]string{"Content-Type": "application/json; charset=utf-8"}, true},
		"JSON of an allowed page":   {"POST", "https://backstage.example.com", map[string]string{"Content-Type": "application/json"}, true},
		"a script without a body":   {"DELETE", publicURL, map[string]string{"X-Requested-With": "x"}, true},
		"no origin, same-origin":    {"POST", "", map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}, true},
		"foreign JSON":              {"POST", "https://evil.example.com", map[string]string{"Content-Type": "application/json"}, false},
		"foreign, same-origin":      {"POST", "https://evil.example.com", map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}, false},
		"a neighbour":               {"POST", "https://evil.signalbox.example.com", map[string]string{"Content-Type": "application/json"}, false},
		"without TLS":               {"POST", "http://signalbox.example.com", map[string]string{"Content-Type": "application/json"}, false},
		"another port":              {"POST", publicURL + ":8443", map[string]string{"Content-Type": "application/json"}, false},
		"nowhere":                   {"POST", "null", map[string]string{"Content-Type": "application/json"}, false},
		"no origin":                 {"POST", "", map[string]string{"Content-Type": "application/json"}, false},
		"no origin, same site":      {"POST", "", map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "same-site"}, false},
		"a form":                    {"POST", publicURL, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, false},
		"text":                      {"POST", publicURL, map[string]string{"Content-Type": "text/plain"}, false},
		"nothing":                   {"DELETE", publicURL, nil, false},
		"a socket":                  {"GET", publicURL, map[string]string{"Upgrade": "websocket"}, true},
		"a foreign socket":          {"GET", "https://evil.example.com", map[string]string{"Upgrade": "WebSocket"}, false},
		"a socket without a page":   {"GET", "", map[string]string{"Upgrade": "websocket", "Sec-Fetch-Site": "same-origin"}, false},
		"a socket of an other page": {"GET", "https://backstage.example.com", map[string]string{"Upgrade": "websocket"}, true},
	} {
		_, err := p.Authenticate(t.Context(), auth.Credentials{
			Session: signed.Session, Method: test.method, Origin: test.origin, Host: "signalbox.example.com",
			Header: func(name string) string { return test.header[name] },
		})
		if test.allowed && err != nil || !test.allowed && signalbox.ErrorCode(err) != signalbox.CodeNotAllowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoginConfigIsChecked(t *testing.T) {
	good := oidc.LoginConfig{Issuer: "https://id.example.com", ClientID: "x", PublicURL: publicURL, Sessions: &sessions{}, User: identity.UserRule{Claim: "sub"}}
	for name, change := range map[string]func(*oidc.LoginConfig){
		"no issuer":            func(c *oidc.LoginConfig) { c.Issuer = "" },
		"an issuer's password": func(c *oidc.LoginConfig) { c.Issuer = "https://a:b@id.example.com" },
		"no client":            func(c *oidc.LoginConfig) { c.ClientID = "" },
		"nowhere":              func(c *oidc.LoginConfig) { c.PublicURL = "" },
		"no sessions":          func(c *oidc.LoginConfig) { c.Sessions = nil },
		"no user":              func(c *oidc.LoginConfig) { c.User.Claim = "" },
	} {
		config := good
		change(&config)
		if _, err := oidc.NewLogin(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := oidc.NewLogin(good); err != nil {
		t.Error(err)
	}
}
