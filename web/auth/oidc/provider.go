// Package oidc recognises callers by what identity providers that speak OpenID
// Connect say about them: by bearer tokens ([Tokens]), and by sessions of the page
// that began with a login at a provider ([Login]). A provider is looked up when it is
// first needed, so that its outage keeps nobody from starting.
//
// It may import the root package, the packages auth, identity and jwks, and the
// libraries for OpenID Connect and OAuth. It knows nothing of HTTP servers or
// databases.
package oidc

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/signalbox/signalbox/web/auth/jwks"
)

// ProviderConfig configures a [Provider].
type ProviderConfig struct {
	// Issuer is the identifier of the provider, an http:// or https:// URL: tokens have
	// it, verbatim, and its description is below it. Required.
	Issuer string
	// JWKSURL is where its keys are. Defaults to where its description says.
	JWKSURL string
	// Client does the requests; of it, only the transport is used. Defaults to the
	// transport of http.DefaultClient.
	Client *http.Client

	// Timeout bounds one request. Defaults to 5s.
	Timeout time.Duration
	// MaxAge is how long the description is used before it is fetched again, and, while
	// it cannot be, how long afterwards. Defaults to 1h.
	MaxAge time.Duration
	// RetryAfter is how long a fetch that failed is not tried again. Defaults to 5s.
	RetryAfter time.Duration

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Bounds of talking to a provider.
const (
	maxAnswer    = 1 << 20
	maxRedirects = 3
)

// Provider is an identity provider, whose description is fetched when it is first
// needed (OpenID Connect Discovery 1.0). It is a [jwks.Keys].
type Provider struct {
	config ProviderConfig
	client *http.Client
	// turn lets one at a time fetch the description.
	turn chan struct{}

	mu     sync.Mutex
	closed bool
	known  *description
	// due is when the description is to be fetched again.
	due    time.Time
	failed error
	keys   *jwks.Remote
	// keysAt is where the keys are.
	keysAt string
}

// description is what a provider says of itself.
type description struct {
	*gooidc.Provider
	// EndSession is where a browser ends the session at the provider (OpenID Connect
	// RP-Initiated Logout 1.0); empty if that cannot be.
	EndSession string
	// SecretInBody is set if clients send their secret in the body
	// (client_secret_post), not in a header (client_secret_basic), which is the default.
	SecretInBody bool
}

// NewProvider checks the configuration. It fetches nothing. Call [Provider.Close]
// when the provider is no longer used.
func NewProvider(config ProviderConfig) (*Provider, error) {
	for _, d := range []struct {
		value     *time.Duration
		byDefault time.Duration
	}{{&config.Timeout, 5 * time.Second}, {&config.MaxAge, time.Hour}, {&config.RetryAfter, 5 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.byDefault
		}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if !webURL(config.Issuer) {
		return nil, errors.New("oidc: the issuer must be an http:// or https:// URL without a password, query or fragment")
	}
	client := jwks.BoundedClient(config.Client, maxRedirects)
	client.Transport = bounded{client.Transport}
	p := &Provider{config: config, client: client, turn: make(chan struct{}, 1)}
	if config.JWKSURL != "" {
		if err := p.useKeys(config.JWKSURL); err != nil {
			return nil, fmt.Errorf("oidc: %w", err)
		}
	}
	return p, nil
}

func webURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// Close ends what is under way.
func (p *Provider) Close() {
	p.mu.Lock()
	p.closed = true
	keys := p.keys
	p.mu.Unlock()
	if keys != nil {
		keys.Close()
	}
}

// Issuer is the identifier of the provider.
func (p *Provider) Issuer() string { return p.config.Issuer }

// Find implements [jwks.Keys].
func (p *Provider) Find(ctx context.Context, id, algorithm string) ([]crypto.PublicKey, error) {
	if p.config.JWKSURL == "" {
		if _, err := p.describe(ctx); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	keys := p.keys
	p.mu.Unlock()
	if keys == nil {
		return nil, errClosed
	}
	return keys.Find(ctx, id, algorithm)
}

// describe returns the description, which it may have to fetch. An error wraps
// [jwks.ErrUnavailable].
func (p *Provider) describe(ctx context.Context) (*description, error) {
	known, wanted, err := p.look()
	if !wanted {
		return known, err
	}
	if known != nil {
		// An old one will do for everybody but who fetches the new one.
		select {
		case p.turn <- struct{}{}:
		default:
			return known, nil
		}
	} else {
		select {
		case p.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", jwks.ErrUnavailable, ctx.Err())
		}
	}
	defer func() { <-p.turn }()
	// Somebody else may have fetched it meanwhile.
	if known, wanted, err := p.look(); !wanted {
		return known, err
	}
	p.learn(p.fetch(ctx))
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, errClosed
	case p.known == nil:
		return nil, fmt.Errorf("%w: %w", jwks.ErrUnavailable, p.failed)
	}
	return p.known, nil
}

var errClosed = fmt.Errorf("%w: the provider is closed", jwks.ErrUnavailable)

// look returns what is known, and whether it should be fetched.
func (p *Provider) look() (known *description, wanted bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, false, errClosed
	case p.config.Now().Before(p.due):
		if p.known == nil {
			return nil, false, fmt.Errorf("%w: %w", jwks.ErrUnavailable, p.failed)
		}
		return p.known, false, nil
	}
	return p.known, true, nil
}

func (p *Provider) learn(found *description, keysAt string, err error) {
	if err == nil && p.config.JWKSURL == "" {
		err = p.useKeys(keysAt)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.config.Now()
	wasFailing := p.failed != nil
	p.failed = err
	if err != nil {
		p.due = now.Add(p.config.RetryAfter)
		if p.known != nil {
			p.due = now.Add(max(p.config.RetryAfter, p.config.MaxAge/60))
		}
		if !wasFailing {
			p.config.Logger.Warn("an identity provider cannot be reached", slog.String("issuer", p.config.Issuer), slog.Any("error", err))
		}
		return
	}
	if wasFailing {
		p.config.Logger.Info("an identity provider can be reached again", slog.String("issuer", p.config.Issuer))
	}
	p.known, p.due = found, now.Add(p.config.MaxAge)
}

// useKeys makes the key set at an address the provider's.
func (p *Provider) useKeys(address string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keysAt == address {
		return nil
	}
	keys, err := jwks.NewRemote(jwks.RemoteConfig{
		URL: address, Client: p.config.Client, Timeout: p.config.Timeout, RetryAfter: p.config.RetryAfter,
		Now: p.config.Now, Logger: p.config.Logger,
	})
	if err != nil {
		return err
	}
	if p.closed {
		keys.Close()
		return nil
	}
	if p.keys != nil {
		p.keys.Close()
	}
	p.keys, p.keysAt = keys, address
	return nil
}

// fetch returns the description and where the keys are. What others said is in no
// error.
func (p *Provider) fetch(ctx context.Context) (*description, string, error) {
	// Who asks may go away; the answer serves all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.config.Timeout)
	defer cancel()
	provider, err := gooidc.NewProvider(gooidc.ClientContext(ctx, p.client), p.config.Issuer)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			return nil, "", fmt.Errorf("its description cannot be fetched: %w", failed.Err)
		}
		return nil, "", errors.New("its description is not there, or not of this issuer: the issuer must be written as the provider does")
	}
	var more struct {
		EndSession string   `json:"end_session_endpoint"`
		Keys       string   `json:"jwks_uri"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, "", errors.New("its description cannot be read")
	}
	endpoint := provider.Endpoint()
	secure := isHTTPS(p.config.Issuer)
	for name, address := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": more.Keys, "end_session_endpoint": more.EndSession,
	} {
		u, err := url.Parse(address)
		switch {
		case address == "" && name != "jwks_uri":
			continue // who needs it says so
		case err != nil || (u.Scheme != "https" && (u.Scheme != "http" || secure)) || u.Hostname() == "":
			return nil, "", fmt.Errorf("the %s in its description is not a URL as safe as the issuer's", name)
		}
	}
	inBody := len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") && slices.Contains(more.Methods, "client_secret_post")
	return &description{Provider: provider, EndSession: more.EndSession, SecretInBody: inBody}, more.Keys, nil
}

func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https"
}

// bounded is a transport whose answers end early rather than be endless.
type bounded struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	next := b.RoundTripper
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(request)
	if err == nil {
		response.Body = &limitedBody{Reader: io.LimitReader(response.Body, maxAnswer), Closer: response.Body}
	}
	return response, err
}

type limitedBody struct {
	io.Reader
	io.Closer
}
