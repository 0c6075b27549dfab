package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
	"github.com/signalbox/signalbox/web/auth/jwks"
)

// CallbackPath is where a provider sends browsers back to, below the public URL.
const CallbackPath = "/auth/callback"

// LoginConfig configures a [Login].
type LoginConfig struct {
	// Issuer is the provider. Required.
	Issuer string
	// ClientID is what the provider knows this server by. Required.
	ClientID string
	// ClientSecret is this server's password there. Defaults to none: a public client,
	// which PKCE protects.
	ClientSecret signalbox.Secret
	// Scopes are asked for besides openid. Defaults to profile and email.
	Scopes []string
	// PublicURL is where browsers reach this server, http:// or https://, with the path
	// that a proxy puts before it. Required.
	PublicURL string
	// Pages are whose requests count.
	Pages auth.Pages
	// User and Groups say whom an ID token is of.
	User   identity.UserRule
	Groups *identity.GroupRule
	// Ownership tells what users own things as if no rule for groups does.
	Ownership auth.Ownership
	// Sessions keeps who is signed in. Required.
	Sessions signalbox.SessionStore

	// IdleTimeout ends a session that is not used for so long. Defaults to 12h.
	IdleTimeout time.Duration
	// MaxAge ends every session so long after the login. Defaults to 7 days.
	MaxAge time.Duration

	// Client, Timeout, Now and Logger are as in [ProviderConfig].
	Client  *http.Client
	Timeout time.Duration
	Now     func() time.Time
	Logger  *slog.Logger
}

func (c LoginConfig) withDefaults() LoginConfig {
	for _, d := range []struct {
		value     *time.Duration
		byDefault time.Duration
	}{{&c.IdleTimeout, 12 * time.Hour}, {&c.MaxAge, 7 * 24 * time.Hour}, {&c.Timeout, 5 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.byDefault
		}
	}
	if c.Scopes == nil {
		c.Scopes = []string{"profile", "email"}
	}
	if !slices.Contains(c.Scopes, gooidc.ScopeOpenID) {
		c.Scopes = append([]string{gooidc.ScopeOpenID}, c.Scopes...)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	return c
}

func (c LoginConfig) validate() error {
	switch {
	case c.ClientID == "":
		return errors.New("oidc: the client ID is missing")
	case !webURL(c.PublicURL):
		return errors.New("oidc: the public URL must be an http:// or https:// URL without a password, query or fragment")
	case c.Sessions == nil:
		return errors.New("oidc: the sessions are missing")
	}
	return nil
}

// Login signs users in to the page at a provider (OpenID Connect Core 1.0,
// authorization code with PKCE), and knows them again by their sessions: it is an
// [auth.Authenticator].
type Login struct {
	config   LoginConfig
	provider *Provider
	verifier *jwks.Verifier
	mapper   *identity.Mapper
	client   *http.Client
}

var _ auth.Authenticator = (*Login)(nil)

// NewLogin checks the configuration. It fetches nothing. Call [Login.Close] when it is
// no longer used.
func NewLogin(config LoginConfig) (*Login, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	l := &Login{config: config}
	var err error
	if l.mapper, err = identity.NewMapper(identity.Config{
		User: &config.User, Groups: config.Groups, Ownership: config.Ownership, Logger: config.Logger,
	}); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	if l.provider, err = NewProvider(ProviderConfig{
		Issuer: config.Issuer, Client: config.Client, Timeout: config.Timeout, Now: config.Now, Logger: config.Logger,
	}); err != nil {
		return nil, err
	}
	if l.verifier, err = jwks.NewVerifier(jwks.Rules{
		Types: []string{"", "JWT", "jwt"}, Audiences: []string{config.ClientID}, Issuers: []string{config.Issuer},
		Required: []string{"sub", "iat"}, Leeway: leeway, Now: config.Now,
	}); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	l.client = l.provider.client
	return l, nil
}

// Close ends what is under way with the provider.
func (l *Login) Close() { l.provider.Close() }

// oauth is the conversation with a provider.
func (l *Login) oauth(at *description) *oauth2.Config {
	endpoint := at.Endpoint()
	// Left open, the library would try both ways, and use up a refresh token that may
	// be used once.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if l.config.ClientSecret.Reveal() == "" || at.SecretInBody {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: l.config.ClientID, ClientSecret: l.config.ClientSecret.Reveal(), Scopes: l.config.Scopes,
		RedirectURL: l.config.PublicURL + CallbackPath, Endpoint: endpoint,
	}
}

// random returns 256 bits as text.
func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it cannot fail
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Begin returns where to send a browser to sign in, and what to keep in its cookie,
// in which earlier logins may be that are still under way. returnTo is where it is to
// end up, a path of this server; another one is taken for "/".
//
// The error is CodeUnavailable if the provider cannot be reached.
func (l *Login) Begin(ctx context.Context, returnTo, cookie string) (location, keep string, err error) {
	at, err := l.provider.describe(ctx)
	if err != nil {
		return "", "", away(err)
	}
	if at.Endpoint().AuthURL == "" || at.Endpoint().TokenURL == "" {
		return "", "", away(errors.New("the provider's description has no endpoints for logins"))
	}
	a := attempt{
		State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), ReturnTo: SafePath(returnTo), Begun: l.config.Now().Unix(),
	}
	location = l.oauth(at).AuthCodeURL(a.State, gooidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier))
	return location, l.attempts(cookie).with(a).encode(), nil
}

// Callback is what a provider sends a browser back with.
type Callback struct {
	State, Code string
	// Issuer is the iss parameter (RFC 9207); most providers send none.
	Issuer string
	// Error is why there is no code.
	Error string
}

// SignedIn is a login that ended well.
type SignedIn struct {
	// Session is what the browser is to have, which nobody else may see, until
	// Expires.
	Session string
	Expires time.Time
	// User is who signed in.
	User string
	// ReturnTo is where to go on, a path of this server.
	ReturnTo string
}

var (
	errNotBegun = signalbox.Errorf(signalbox.CodeInput, "This login was not begun in this browser, or too long ago: sign in again")
	errorCode   = regexp.MustCompile(`^[a-z_]{1,64}$`)
)

// Finish ends a login. cookie is what [Login.Begin] kept, keep what is left of it,
// also with an error. previous is the session that the browser had, which ends.
//
// The error is CodeInput if the browser did not begin this login, CodeAuthentication
// if the provider does not vouch for anybody that rules make a user of, and
// CodeUnavailable if it cannot be reached.
func (l *Login) Finish(ctx context.Context, callback Callback, cookie, previous string) (signed SignedIn, keep string, err error) {
	a, rest, ok := l.attempts(cookie).take(callback.State)
	keep = rest.encode()
	if !ok {
		return SignedIn{}, keep, errNotBegun
	}
	switch {
	case callback.Issuer != "" && callback.Issuer != l.config.Issuer:
		return SignedIn{}, keep, signalbox.Errorf(signalbox.CodeAuthentication, "The answer is of another identity provider")
	case callback.Error != "":
		l.config.Logger.LogAttrs(ctx, slog.LevelInfo, "an identity provider refused a login", slog.String("reason", safeCode(callback.Error)))
		return SignedIn{}, keep, signalbox.Errorf(signalbox.CodeAuthentication, "The identity provider refused the login: %s", safeCode(callback.Error))
	case callback.Code == "":
		return SignedIn{}, keep, signalbox.Errorf(signalbox.CodeInput, "The answer of the identity provider has no code")
	}
	at, err := l.provider.describe(ctx)
	if err != nil {
		return SignedIn{}, keep, away(err)
	}
	tokens, err := l.oauth(at).Exchange(l.context(ctx), callback.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return SignedIn{}, keep, l.exchangeFailed(ctx, err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return SignedIn{}, keep, signalbox.Errorf(signalbox.CodeAuthentication, "The identity provider sent no ID token")
	}
	token, err := l.idToken(ctx, raw)
	if err != nil {
		return SignedIn{}, keep, err
	}
	if subtle.ConstantTimeCompare([]byte(token.Text("nonce")), []byte(a.Nonce)) != 1 {
		return SignedIn{}, keep, signalbox.Errorf(signalbox.CodeAuthentication, "The ID token is not of this login")
	}
	user, err := l.mapper.User(token.Claims)
	if err != nil {
		return SignedIn{}, keep, err
	}
	signed, err = l.open(ctx, user, token.Subject(), tokens)
	if err != nil {
		return SignedIn{}, keep, err
	}
	signed.ReturnTo = a.ReturnTo
	if previous != "" {
		// It would go on unseen. That the new one is there matters more.
		if _, err := l.end(ctx, previous, false); err != nil {
			l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "a session cannot be ended now", slog.Any("error", err))
		}
	}
	return signed, keep, nil
}

// idToken checks an ID token (OpenID Connect Core 1.0, 3.1.3.7), but for its nonce.
func (l *Login) idToken(ctx context.Context, raw string) (jwks.Token, error) {
	token, err := l.verifier.Verify(ctx, raw, l.provider)
	if err != nil {
		return jwks.Token{}, refused("Invalid ID token", err)
	}
	audiences, _ := token.Texts("aud")
	if party := token.Text("azp"); party != l.config.ClientID && (party != "" || len(audiences) > 1) {
		return jwks.Token{}, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid ID token: it was issued to another party")
	}
	return token, nil
}

// context has the client that the OAuth library is to use.
func (l *Login) context(ctx context.Context) context.Context {
	client := *l.client
	client.Timeout = l.config.Timeout
	return gooidc.ClientContext(ctx, &client)
}

// exchangeFailed is the error of an answer other than tokens. The library's own has
// all that was answered.
func (l *Login) exchangeFailed(ctx context.Context, err error) error {
	code, final := refusal(err)
	if !final {
		return away(plain(err))
	}
	l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "an identity provider gives no tokens", slog.String("reason", code))
	return signalbox.Errorf(signalbox.CodeAuthentication, "The identity provider refused the login: %s", code)
}

// refusal returns the code of an answer that trying again would not change.
func refusal(err error) (code string, final bool) {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response == nil {
		return "", false
	}
	status := answer.Response.StatusCode
	return safeCode(answer.ErrorCode), status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

// plain is the error without what was asked and answered.
func plain(err error) error {
	var (
		answer *oauth2.RetrieveError
		failed *url.Error
	)
	switch {
	case errors.As(err, &answer) && answer.Response != nil:
		return &jwks.StatusError{Status: answer.Response.StatusCode}
	case errors.As(err, &failed):
		return failed.Err
	}
	return errors.New("the answer is no tokens")
}

// safeCode is an error code as OAuth has them (RFC 6749).
func safeCode(code string) string {
	if !errorCode.MatchString(code) {
		return "no reason given"
	}
	return code
}

// away says that the provider cannot be reached.
func away(err error) error {
	return signalbox.Unavailable("The identity provider cannot be reached now: try again later", 5*time.Second, err)
}
