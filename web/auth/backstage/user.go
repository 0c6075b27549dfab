package backstage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks"
)

// Config configures [UserTokens] and [PluginTokens].
type Config struct {
	// Discovery knows where the plugins are. Required.
	Discovery *Discovery
	// Client does the requests; of it, only the transport is used. Defaults to the
	// transport of http.DefaultClient.
	Client *http.Client
	// Directory tells what users own things as while the auth backend cannot.
	// Defaults to nobody: a user owns things as itself alone then.
	Directory auth.Ownership

	// Timeout bounds one request. Defaults to 5s.
	Timeout time.Duration
	// MaxStale is how long keys, and ownership, are used while new ones cannot be
	// had. Defaults to 24h for keys and, at most, 1h for ownership.
	MaxStale time.Duration
	// UserInfoTTL is how long the ownership of a user is used before it is asked
	// for again. Defaults to 1m.
	UserInfoTTL time.Duration
	// Leeway is by how much clocks may differ. Defaults to nothing, as in
	// Backstage.
	Leeway time.Duration

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Logger defaults to discarding.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.MaxStale <= 0 {
		c.MaxStale = 24 * time.Hour
	}
	if c.UserInfoTTL <= 0 {
		c.UserInfoTTL = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// standInLife bounds how long a connection stays open with groups that stand in for
// others: it keeps those that it was opened with.
const standInLife = 5 * time.Minute

// remote is the configuration of a key set at any address.
func (c Config) remote() jwks.RemoteConfig {
	return jwks.RemoteConfig{
		Client: c.Client, Timeout: c.Timeout, MaxStale: c.MaxStale, Now: c.Now, Logger: c.Logger,
	}
}

// What is shown of a token that is refused, in Backstage's words.
const (
	failedUser      = "Failed user token verification"
	failedPlugin    = "Failed plugin token verification"
	illegalOnBehalf = "Invalid user token in plugin token obo claim"
	illegalUser     = "Illegal limited user token"
)

// UserTokens recognises the users of Backstage by the tokens that its auth
// backend issues: of the type vnd.backstage.user, and older ones without a type,
// both for the audience "backstage". Limited user tokens, which pages carry in
// cookies, are refused.
type UserTokens struct {
	// user is for those of the type, plain for those without one, and limited for
	// the ones in other tokens.
	user, plain, limited *jwks.Verifier
	keys                 *jwks.Remote
	ownership            *ownership
}

var _ auth.Authenticator = (*UserTokens)(nil)

// NewUserTokens checks the configuration. It asks nothing yet. Call
// [UserTokens.Close] when it is no longer used.
func NewUserTokens(config Config) (*UserTokens, error) {
	if config.Discovery == nil {
		return nil, errors.New("backstage: user tokens need discovery")
	}
	config = config.withDefaults()
	base := config.Discovery.Base("auth")
	u := &UserTokens{}
	for _, v := range []struct {
		into  **jwks.Verifier
		rules jwks.Rules
	}{
		{&u.user, jwks.Rules{Types: []string{typeUser}, Audiences: []string{userAudience}, Required: []string{"iat", "sub"}}},
		{&u.plain, jwks.Rules{Types: []string{"", "JWT"}, Audiences: []string{userAudience}, Required: []string{"sub"}}},
		{&u.limited, jwks.Rules{Types: []string{typeLimitedUser}, Required: []string{"iat", "sub"}}},
	} {
		v.rules.Leeway, v.rules.Now = config.Leeway, config.Now
		verifier, err := jwks.NewVerifier(v.rules)
		if err != nil {
			return nil, fmt.Errorf("backstage: user tokens: %w", err)
		}
		*v.into = verifier
	}
	remote := config.remote()
	remote.URL = base + "/.well-known/jwks.json"
	keys, err := jwks.NewRemote(remote)
	if err != nil {
		return nil, fmt.Errorf("backstage: user tokens: %w", err)
	}
	u.keys = keys
	u.ownership = &ownership{
		url: base + "/v1/userinfo",
		// The bearer is for this address, which has no reason to redirect.
		client:    jwks.BoundedClient(config.Client, 0),
		directory: config.Directory,
		timeout:   config.Timeout, ttl: config.UserInfoTTL, maxStale: min(config.MaxStale, time.Hour),
		now: config.Now, log: config.Logger,
		asking: make(chan struct{}, maxAsking),
		users:  newLRU[*owner](maxUsers, nil),
	}
	u.ownership.life, u.ownership.end = context.WithCancel(context.Background())
	return u, nil
}

// Close ends requests under way and waits for them.
func (u *UserTokens) Close() {
	u.keys.Close()
	u.ownership.close()
}

// Authenticate implements [auth.Authenticator].
func (u *UserTokens) Authenticate(ctx context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	unverified, err := jwks.Peek(credentials.Token)
	if err != nil {
		return nil, auth.ErrNotMine
	}
	if unverified.Type == typeLimitedUser {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, illegalUser)
	}
	verifier := u.verifier(unverified)
	if verifier == nil {
		return nil, auth.ErrNotMine
	}
	user, err := u.principal(ctx, verifier, credentials.Token, failedUser)
	if err != nil {
		return nil, err
	}
	return user, nil
}

// verifier returns who checks a token, nil if it is none of a user. Backstage
// checks those of any type that have the audience: here an explicit type that is
// not known stays unknown.
func (u *UserTokens) verifier(unverified jwks.Token) *jwks.Verifier {
	switch unverified.Type {
	case typeUser:
		return u.user
	case "", "JWT":
		if unverified.Text("aud") == userAudience {
			return u.plain
		}
	}
	return nil
}

// onBehalfOf checks the user token that a plugin token holds.
func (u *UserTokens) onBehalfOf(ctx context.Context, token string) (signalbox.UserPrincipal, error) {
	refused := signalbox.Errorf(signalbox.CodeAuthentication, illegalOnBehalf)
	unverified, err := jwks.Peek(token)
	if err != nil {
		return signalbox.UserPrincipal{}, refused
	}
	verifier := u.verifier(unverified)
	if unverified.Type == typeLimitedUser {
		verifier = u.limited
	}
	if verifier == nil {
		return signalbox.UserPrincipal{}, refused
	}
	return u.principal(ctx, verifier, token, illegalOnBehalf)
}

func (u *UserTokens) principal(ctx context.Context, verifier *jwks.Verifier, token, refused string) (signalbox.UserPrincipal, error) {
	read, err := verifier.Verify(ctx, token, u.keys)
	if err != nil {
		return signalbox.UserPrincipal{}, jwks.Coded(err, refused)
	}
	ref, err := signalbox.ParseEntityRef(read.Subject())
	if err != nil || !ref.IsUser() {
		return signalbox.UserPrincipal{}, signalbox.Errorf(signalbox.CodeAuthentication, "%s: the subject is not a user", refused)
	}
	user, expires := ref.String(), read.Expires()
	owned, standIn := u.ownership.of(ctx, user, token, read)
	if soon := u.ownership.now().Add(standInLife); standIn && (expires.IsZero() || soon.Before(expires)) {
		expires = soon
	}
	return signalbox.UserPrincipal{Ref: user, Ownership: owned, Expires: expires}, nil
}
