// Package apitoken owns the API tokens that people make in Signalbox: the form of
// their secrets, and who comes with one.
//
// It imports the root package, web/auth and golang.org/x/time.
package apitoken

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
)

// Store is what an [Authenticator] needs of a [signalbox.TokenStore].
type Store interface {
	TokenByHash(ctx context.Context, hash signalbox.TokenHash) (signalbox.APIToken, error)
	TouchToken(ctx context.Context, id string, used time.Time) error
}

// How long things last, and how many.
const (
	// Freshness is how long a token is believed to be as it was: by then, one that
	// was revoked is refused everywhere.
	Freshness = 5 * time.Second
	// UsedEvery is the least time between two records of a token's use.
	UsedEvery = 10 * time.Minute
	// ConnectionLife bounds how long a connection stays open with a token, which may
	// have been revoked meanwhile.
	ConnectionLife = 15 * time.Minute

	maxKnown         = 10_000
	ownershipTimeout = time.Second
	touchTimeout     = time.Second
)

// Config configures an [Authenticator].
type Config struct {
	// Ownership tells what users own things as. Defaults to nobody: a user owns
	// things as itself alone.
	Ownership auth.Ownership
	// Now defaults to [time.Now].
	Now func() time.Time
	// Logger gets what fails and, for the audit log, which tokens are used that ended.
	// Defaults to discarding it.
	Logger *slog.Logger
}

// Authenticator recognises users and services by their API tokens. It implements
// [auth.Authenticator]. While the storage is away, a token is refused with
// CodeUnavailable as soon as what is known of it is no longer fresh.
type Authenticator struct {
	store     Store
	ownership auth.Ownership
	now       func() time.Time
	log       *slog.Logger

	// These bound what is logged of tokens that ended, and of uses that could not be
	// recorded.
	ended, untold rate.Sometimes

	mu    sync.Mutex
	known map[signalbox.TokenHash]known
}

// known is what was found out about a token.
type known struct {
	token     signalbox.APIToken
	ownership []string
	asked     time.Time
}

// New returns an authenticator that asks store.
func New(store Store, config Config) (*Authenticator, error) {
	if store == nil {
		return nil, errors.New("apitoken: a store is required")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Authenticator{
		store: store, ownership: config.Ownership, now: config.Now, log: config.Logger,
		ended:  rate.Sometimes{Interval: time.Second},
		untold: rate.Sometimes{Interval: time.Second},
		known:  make(map[signalbox.TokenHash]known),
	}, nil
}

// Authenticate implements [auth.Authenticator].
func (a *Authenticator) Authenticate(ctx context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	if !isMine(credentials.Token) {
		return nil, auth.ErrNotMine
	}
	if !wellFormed(credentials.Token) {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid API token: it was not copied in full")
	}
	found, err := a.find(ctx, signalbox.HashToken(credentials.Token))
	if signalbox.ErrorCode(err) == signalbox.CodeNotFound {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid API token: it does not exist (any more)")
	}
	if err != nil {
		return nil, signalbox.Unavailable("API tokens cannot be checked now, try again later", time.Second, err)
	}
	if state := found.token.State(a.now()); state != "active" {
		a.recordEnded(ctx, &found.token, state, credentials)
		// The identifier is no secret, and tells which of many it was.
		how := "has expired"
		if state == "revoked" {
			how = "was revoked"
		}
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid API token: %s %s", found.token.ID, how)
	}
	return found.principal(), nil
}

// principal is who a token acts as.
func (k *known) principal() signalbox.Principal {
	t := &k.token
	use := signalbox.TokenUse{ID: t.ID, Admin: t.Has(signalbox.TokenAdmin)}
	if t.User == "" {
		return signalbox.ServicePrincipal{Name: t.Origin, Token: use}
	}
	ends := k.asked.Add(ConnectionLife)
	if t.Expires.Before(ends) {
		ends = t.Expires
	}
	return signalbox.UserPrincipal{
		Ref: t.User, Ownership: slices.Clone(k.ownership),
		ReadOnly: !t.Has(signalbox.TokenInbox), Expires: ends, Token: use,
	}
}

// find returns what is known of a token, and asks the storage if that is not fresh.
func (a *Authenticator) find(ctx context.Context, hash signalbox.TokenHash) (known, error) {
	now := a.now()
	a.mu.Lock()
	found, ok := a.known[hash]
	a.mu.Unlock()
	if age := now.Sub(found.asked); ok && 0 <= age && age < Freshness {
		return found, nil
	}
	token, err := a.store.TokenByHash(ctx, hash)
	if err != nil {
		return known{}, err
	}
	found = known{token: token, asked: now}
	if token.State(now) == "active" {
		found.ownership = a.owned(ctx, token.User)
		a.touch(ctx, &found.token, now)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		// They would be asked for again within seconds anyway.
		clear(a.known)
	}
	a.known[hash] = found
	return found, nil
}

// owned asks the directory what a user owns things as. A user whose groups cannot
// be told now is let in all the same, and is nobody's admin by a group.
func (a *Authenticator) owned(ctx context.Context, user string) []string {
	if user == "" || a.ownership == nil {
		return []string{user}
	}
	ctx, cancel := context.WithTimeout(ctx, ownershipTimeout)
	defer cancel()
	owned, err := a.ownership.Ownership(ctx, user)
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelDebug, "the groups of a token's user are not known now",
			slog.String("user", user), slog.Any("error", err))
		return []string{user}
	}
	return owned
}

// touch records that a token is used. That it cannot be recorded keeps nobody out.
func (a *Authenticator) touch(ctx context.Context, token *signalbox.APIToken, now time.Time) {
	if now.Sub(token.Used) < UsedEvery {
		return
	}
	token.Used = now
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	if err := a.store.TouchToken(ctx, token.ID, now); err != nil {
		a.untold.Do(func() {
			a.log.LogAttrs(ctx, slog.LevelWarn, "cannot record the use of an API token",
				slog.String("token", token.ID), slog.Any("error", err))
		})
	}
}

// recordEnded records, at most once per second, that somebody came with a token that
// ended: it may be a program that was forgotten, or a thief. Package web records where
// from.
func (a *Authenticator) recordEnded(ctx context.Context, token *signalbox.APIToken, state string, credentials auth.Credentials) {
	kind := "user"
	if token.User == "" {
		kind = "service"
	}
	a.ended.Do(func() {
		a.log.LogAttrs(ctx, slog.LevelInfo, "API token refused",
			slog.String("logger", "audit"), slog.String("kind", kind), slog.String("who", token.Subject()),
			slog.String("remote", credentials.Remote.String()), slog.String("what", "use "+state+" token"),
			slog.String("token", token.ID), slog.String("name", token.Name))
	})
}
