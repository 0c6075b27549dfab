package backstage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/signalbox/signalbox/web/auth/jwks"
)

// How many plugins' keys are held, and how many plugins that were not heard of
// may be asked for theirs. Backstage bounds the first alike.
const (
	maxKeySets     = 100
	newSetsPerTime = 30
	newSetsTime    = time.Minute
)

// errNoKeys is that a plugin publishes no keys: tokens cannot be its.
var errNoKeys = errors.New("the plugin publishes no keys")

// keySets are the key sets of plugins. Any token names a plugin whose keys are to
// be fetched, so that strangers decide what is asked for: only so many plugins
// are asked anew, and one that never answered gives way to others first.
type keySets struct {
	discovery *Discovery
	config    jwks.RemoteConfig
	limiter   *rate.Limiter

	mu     sync.Mutex
	closed bool
	sets   *lru[*jwks.Remote]
	// leaving are sets that gave way and are being closed.
	leaving sync.WaitGroup
}

func newKeySets(discovery *Discovery, config jwks.RemoteConfig) *keySets {
	return &keySets{
		discovery: discovery, config: config,
		limiter: rate.NewLimiter(rate.Every(newSetsTime/newSetsPerTime), newSetsPerTime),
		sets:    newLRU(maxKeySets, func(r *jwks.Remote) bool { return !r.Fetched() }),
	}
}

// of returns the key set of a plugin.
func (k *keySets) of(plugin string) (*jwks.Remote, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, fmt.Errorf("%w: closed", jwks.ErrUnavailable)
	}
	if set, ok := k.sets.get(plugin); ok {
		return set, nil
	}
	if !k.limiter.AllowN(k.config.Now(), 1) {
		return nil, fmt.Errorf("%w: too many plugins that were not heard of before", jwks.ErrUnavailable)
	}
	config := k.config
	config.URL = k.discovery.Base(plugin) + "/.backstage/auth/v1/jwks.json"
	set, err := jwks.NewRemote(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", jwks.ErrUnavailable, err)
	}
	if gone, some := k.sets.add(plugin, set); some {
		k.leaving.Go(gone.Close)
	}
	return set, nil
}

// verify checks a token with the keys of a plugin.
func (k *keySets) verify(ctx context.Context, verifier *jwks.Verifier, token, plugin string) (jwks.Token, error) {
	keys, err := k.of(plugin)
	if err != nil {
		return jwks.Token{}, err
	}
	read, err := verifier.Verify(ctx, token, keys)
	if jwks.IsNotFound(err) {
		return jwks.Token{}, fmt.Errorf("%w: %w", jwks.ErrInvalid, errNoKeys)
	}
	return read, err
}

func (k *keySets) close() {
	k.mu.Lock()
	k.closed = true
	k.sets.each((*jwks.Remote).Close)
	k.mu.Unlock()
	k.leaving.Wait()
}
