package backstage

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/signalbox/signalbox"
)

// How long keys and tokens live, as in Backstage: a key signs for an hour, each
// token is good for an hour, and the public key is published for three.
const (
	tokenLife   = time.Hour
	signingLife = time.Hour
	publicLife  = 3 * time.Hour
	// storeTimeout bounds a conversation with the key store.
	storeTimeout = 5 * time.Second
	// rotateAgain is when a rotation that failed is tried again, while the old key
	// can still serve.
	rotateAgain = 30 * time.Second
)

// IssuerConfig configures an [Issuer].
type IssuerConfig struct {
	// Store holds the public keys. Required.
	Store signalbox.KeyStore
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Issuer signs the tokens with which the plugins that Signalbox stands in for
// call other plugins of Backstage, so that no secret has to be shared. The plugin
// that is called fetches the keys from the caller's address.
type Issuer struct {
	store signalbox.KeyStore
	now   func() time.Time
	log   *slog.Logger

	// rotating is held by the one that makes a new key.
	rotating sync.Mutex

	mu  sync.Mutex
	key *signingKey
	// rest is until when no rotation is tried after one failed.
	rest time.Time
}

type signingKey struct {
	id      string
	private *ecdsa.PrivateKey
	made    time.Time
}

// NewIssuer checks the configuration. The first token makes the first key.
func NewIssuer(config IssuerConfig) (*Issuer, error) {
	if config.Store == nil {
		return nil, errors.New("backstage: an issuer needs a key store")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Issuer{store: config.Store, now: config.Now, log: config.Logger}, nil
}

// Token returns a token with which a plugin ("notifications") may call another
// ("catalog") for an hour. It makes and publishes a key if there is none or it is
// an hour old; the error is that of the store.
func (i *Issuer) Token(ctx context.Context, plugin, target string) (string, error) {
	if !IsPluginID(plugin) || !IsPluginID(target) {
		return "", errors.New("backstage: a token is of a plugin and for a plugin")
	}
	key, err := i.signing(ctx)
	if err != nil {
		return "", err
	}
	now := i.now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": plugin, "aud": target, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	token.Header = map[string]any{"typ": typePlugin, "alg": jwt.SigningMethodES256.Alg(), "kid": key.id}
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("backstage: sign a token: %w", err)
	}
	return signed, nil
}

// TokenSource returns a function that returns a token for every call; it is what
// the client of the catalog wants.
func (i *Issuer) TokenSource(plugin, target string) func() (string, error) {
	return func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		return i.Token(ctx, plugin, target)
	}
}

// current returns the key, and whether it may sign without a new one being tried
// first.
func (i *Issuer) current() (*signingKey, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.key == nil {
		return nil, false
	}
	now := i.now()
	age := now.Sub(i.key.made)
	// What it signs now must not outlive what is published of it.
	if age > publicLife-tokenLife {
		return nil, false
	}
	return i.key, age < signingLife || now.Before(i.rest)
}

// signing returns the key to sign with.
func (i *Issuer) signing(ctx context.Context) (*signingKey, error) {
	if key, ok := i.current(); ok {
		return key, nil
	}
	i.rotating.Lock()
	defer i.rotating.Unlock()
	old, ok := i.current()
	if ok {
		return old, nil
	}
	key, err := i.rotate(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		i.key = key
		return key, nil
	}
	if old == nil {
		return nil, err
	}
	i.rest = i.now().Add(rotateAgain)
	i.log.Warn("the key that signs plugin tokens cannot be replaced: the old one is used", slog.Any("error", err))
	return old, nil
}

// rotate makes a key and publishes it: it must not sign before it is published.
func (i *Issuer) rotate(ctx context.Context) (*signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("backstage: make a key: %w", err)
	}
	// By the wall clock, as what is published of it expires: the other one stands still
	// while a machine sleeps, and does not notice that the clock was set.
	key := &signingKey{id: uuid.NewString(), private: private, made: i.now().Round(0)}
	public, err := jose.JSONWebKey{
		Key: private.Public(), KeyID: key.id, Algorithm: jwt.SigningMethodES256.Alg(), Use: "sig",
	}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("backstage: make a key: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := i.store.AddKey(ctx, signalbox.PublicKey{ID: key.id, JWK: public, Expires: key.made.Add(publicLife)}); err != nil {
		return nil, fmt.Errorf("backstage: publish a key: %w", err)
	}
	i.log.Info("a new key signs plugin tokens", slog.String("kid", key.id))
	return key, nil
}

// JWKS returns the key set document with the keys of all instances, to be served
// as JSON without authentication at /.backstage/auth/v1/jwks.json below each of
// the plugins' addresses. It is read anew for every call: who asks has met a key
// that it does not know. The error is CodeUnavailable.
func (i *Issuer) JWKS(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	keys, err := i.store.Keys(ctx, i.now())
	if err != nil {
		return nil, signalbox.Unavailable("The keys cannot be read now", storeTimeout, fmt.Errorf("backstage: published keys: %w", err))
	}
	published := make([]json.RawMessage, 0, len(keys))
	for _, key := range keys {
		published = append(published, key.JWK)
	}
	document, err := json.Marshal(map[string]any{"keys": published})
	if err != nil {
		return nil, fmt.Errorf("backstage: published keys: %w", err)
	}
	return document, nil
}
