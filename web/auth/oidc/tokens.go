package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
	"github.com/signalbox/signalbox/web/auth/jwks"
)

// leeway is by how much the clocks of a provider and of this server may differ.
const leeway = 30 * time.Second

// Issuer is whose bearer tokens are accepted, and for whom they speak.
type Issuer struct {
	// URL is the issuer (iss), verbatim. Several entries may have the same, with
	// different audiences. Required.
	URL string
	// JWKSURL is where its keys are. Defaults to where the issuer's description says
	// (OpenID Connect Discovery).
	JWKSURL string
	// Audiences are whom tokens must be meant for (aud), one of them at least.
	// Required: without, a token for any other application would open this one.
	Audiences []string
	// Algorithms are the accepted ones, out of [jwks.Algorithms]. Defaults to all.
	Algorithms []string
	// User, Groups and Service say for whom a token speaks, see [identity.Mapper].
	User    *identity.UserRule
	Groups  *identity.GroupRule
	Service *identity.ServiceRule
}

// TokensConfig configures [Tokens].
type TokensConfig struct {
	// Issuers are whose tokens are accepted. At least one.
	Issuers []Issuer
	// Ownership tells what users own things as where no rule for groups does.
	Ownership auth.Ownership
	// Client, Now and Logger are as in [ProviderConfig].
	Client *http.Client
	Now    func() time.Time
	Logger *slog.Logger
}

// Tokens recognises users and services by bearer tokens of configured issuers. It is
// an [auth.Authenticator]. Tokens of other issuers are not its kind.
type Tokens struct {
	entries []*entry
	// providers are closed at the end.
	providers []*Provider
}

type entry struct {
	issuer    string
	audiences []string
	verifier  *jwks.Verifier
	mapper    *identity.Mapper
	provider  *Provider
}

var _ auth.Authenticator = (*Tokens)(nil)

// tokenTypes are those of ID and access tokens (RFC 9068). Others are for something
// else, such as logout tokens.
var tokenTypes = []string{"", "JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"}

// NewTokens checks the configuration. It fetches nothing. Call [Tokens.Close] when it
// is no longer used.
func NewTokens(config TokensConfig) (*Tokens, error) {
	if len(config.Issuers) == 0 {
		return nil, errors.New("oidc: there are no issuers")
	}
	t := &Tokens{}
	type source struct{ issuer, keys string }
	shared := map[source]*Provider{}
	for i, one := range config.Issuers {
		e, err := newEntry(one, config)
		if err == nil {
			from := source{one.URL, one.JWKSURL}
			if shared[from] == nil {
				shared[from], err = NewProvider(ProviderConfig{
					Issuer: one.URL, JWKSURL: one.JWKSURL, Client: config.Client, Now: config.Now, Logger: config.Logger,
				})
			}
			if err == nil {
				e.provider = shared[from]
				t.entries = append(t.entries, e)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("issuer %d: %w", i, err)
		}
	}
	t.providers = slices.Collect(maps.Values(shared))
	return t, nil
}

func newEntry(one Issuer, config TokensConfig) (*entry, error) {
	if len(one.Audiences) == 0 {
		return nil, errors.New("oidc: it has no audiences")
	}
	verifier, err := jwks.NewVerifier(jwks.Rules{
		Algorithms: one.Algorithms, Types: tokenTypes, Audiences: one.Audiences, Issuers: []string{one.URL},
		Leeway: leeway, Now: config.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	mapper, err := identity.NewMapper(identity.Config{
		User: one.User, Groups: one.Groups, Service: one.Service, Ownership: config.Ownership, Logger: config.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	return &entry{issuer: one.URL, audiences: slices.Clone(one.Audiences), verifier: verifier, mapper: mapper}, nil
}

// Close ends what is under way. Tokens cannot be checked from then on.
func (t *Tokens) Close() {
	for _, provider := range t.providers {
		provider.Close()
	}
}

// Authenticate implements [auth.Authenticator].
func (t *Tokens) Authenticate(ctx context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	if credentials.Token == "" {
		return nil, auth.ErrNotMine
	}
	unverified, err := jwks.Peek(credentials.Token)
	if err != nil {
		return nil, auth.ErrNotMine
	}
	e := t.entryFor(unverified)
	if e == nil {
		return nil, auth.ErrNotMine
	}
	token, err := e.verifier.Verify(ctx, credentials.Token, e.provider)
	if err != nil {
		return nil, refused("Invalid token", err)
	}
	if _, bound := token.Claims["cnf"]; bound {
		// Such a token is worth nothing without a key, which nobody showed (RFC 9449,
		// RFC 8705).
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid token: it is bound to a key of its holder, which cannot be checked here")
	}
	return e.mapper.Principal(ctx, token.Claims, token.Expires())
}

// entryFor returns the entry that a token claims to be of: the first of its issuer
// that it is meant for, else the first of its issuer, which then refuses it.
func (t *Tokens) entryFor(token jwks.Token) *entry {
	var first *entry
	audiences, _ := token.Texts("aud")
	for _, e := range t.entries {
		if e.issuer != token.Issuer() {
			continue
		}
		if slices.ContainsFunc(audiences, func(one string) bool { return slices.Contains(e.audiences, one) }) {
			return e
		}
		if first == nil {
			first = e
		}
	}
	return first
}

// refused is the error that callers see. Of a token that is not valid they are told
// why, in words that hold nothing of it.
func refused(message string, err error) error {
	if errors.Is(err, jwks.ErrInvalid) {
		message += strings.TrimPrefix(err.Error(), jwks.ErrInvalid.Error())
	}
	return jwks.Coded(err, message)
}
