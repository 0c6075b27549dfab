package jwks

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// RemoteConfig configures a [Remote].
type RemoteConfig struct {
	// URL is where the key set is, http:// or https://. Required.
	URL string
	// Client does the requests; of it, only the transport is used. Defaults to the
	// transport of http.DefaultClient.
	Client *http.Client

	// Timeout bounds one fetch with its redirects. Defaults to 5s.
	Timeout time.Duration
	// MaxBody bounds the document, in bytes. Defaults to 1 MiB.
	MaxBody int64
	// MaxAge is how long keys are used before they are fetched again. Defaults to
	// 10m: so long may a key that the issuer withdrew be accepted.
	MaxAge time.Duration
	// MaxStale is how long keys are used while they cannot be fetched, counted from
	// when they last could. Defaults to 24h, and is at least MaxAge.
	MaxStale time.Duration
	// RetryAfter is how long a fetch that failed is not tried again. Defaults to
	// 5s.
	RetryAfter time.Duration
	// Reloads bounds the fetches within a minute that tokens with unknown keys
	// cause. Defaults to 10, as in Backstage.
	Reloads int

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Logger defaults to discarding.
	Logger *slog.Logger
}

func (c RemoteConfig) withDefaults() RemoteConfig {
	for _, d := range []struct {
		value     *time.Duration
		byDefault time.Duration
	}{
		{&c.Timeout, 5 * time.Second},
		{&c.MaxAge, 10 * time.Minute},
		{&c.MaxStale, 24 * time.Hour},
		{&c.RetryAfter, 5 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.byDefault
		}
	}
	c.MaxStale = max(c.MaxStale, c.MaxAge)
	if c.MaxBody <= 0 {
		c.MaxBody = 1 << 20
	}
	if c.Reloads <= 0 {
		c.Reloads = 10
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// reloadWindow is what Reloads counts in.
const reloadWindow = time.Minute

// Remote is a key set that somebody else publishes and changes. It is a [Keys].
// Nothing is fetched before a key is wanted; whoever wants one while a fetch is
// under way waits for that one.
//
// An outage of the issuer does not keep its users out: keys that were fetched
// once are used until MaxStale has passed, and nobody waits for a fetch that
// failed the last time.
type Remote struct {
	config RemoteConfig
	client *http.Client
	// what names the set in the log, without what a URL may hide.
	what string

	// life is the parent of every fetch's context: a fetch serves everybody who
	// waits for it and not only its first caller.
	life    context.Context
	end     context.CancelFunc
	fetches sync.WaitGroup

	mu     sync.Mutex
	closed bool
	set    Set
	// fetched is when the set was fetched; zero if never.
	fetched time.Time
	// tried is when the last fetch ended, and failed is why it failed, if it did.
	tried  time.Time
	failed error
	// reloads are the times of the fetches that unknown keys caused.
	reloads []time.Time
	// under is closed when the fetch that is under way ends; nil if none is.
	under chan struct{}
}

// NewRemote checks the configuration. It fetches nothing yet. Call
// [Remote.Close] when the set is no longer used.
func NewRemote(config RemoteConfig) (*Remote, error) {
	config = config.withDefaults()
	parsed, err := url.Parse(config.URL)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Hostname() == "" ||
		parsed.User != nil || parsed.Fragment != "" {
		// The URL could hold a password.
		return nil, errors.New("the URL of a key set must be an http:// or https:// URL without a password")
	}
	r := &Remote{
		config: config, client: BoundedClient(config.Client, maxRedirects),
		what: parsed.Scheme + "://" + parsed.Host + parsed.Path,
	}
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Close ends a fetch under way and waits for it. No key is found from then on.
func (r *Remote) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.fetches.Wait()
}

// Fetched reports whether the set was ever fetched.
func (r *Remote) Fetched() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.fetched.IsZero()
}

// Find implements [Keys]. It waits for at most two fetches: one that was under
// way, which may have begun before the key was published, and one of its own.
func (r *Remote) Find(ctx context.Context, id, algorithm string) ([]crypto.PublicKey, error) {
	mayFetch := true
	for round := 1; ; round++ {
		found, wait, err := r.look(id, algorithm, mayFetch)
		if wait == nil {
			return found, err
		}
		mayFetch = round < 2 && !wait.mine
		select {
		case <-wait.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
}

// fetch is one that a caller waits for.
type fetch struct {
	done <-chan struct{}
	// mine is set for the caller that began it: it shall not begin another.
	mine bool
}

// look returns keys, an error, or the fetch to wait for before looking again.
func (r *Remote) look(id, algorithm string, mayFetch bool) ([]crypto.PublicKey, *fetch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, fmt.Errorf("%w: the key set is closed", ErrUnavailable)
	}
	now := r.config.Now()
	usable := !r.fetched.IsZero() && now.Sub(r.fetched) <= r.config.MaxStale
	old := !usable || now.Sub(r.fetched) > r.config.MaxAge
	resting := r.failed != nil && now.Sub(r.tried) < r.config.RetryAfter

	var found []crypto.PublicKey
	unknown := ErrUnknownKey
	if usable {
		found, unknown = r.set.Find(r.life, id, algorithm)
	}
	if unknown == nil {
		if !old || !mayFetch {
			return found, nil, nil
		}
		if r.failed != nil {
			// The issuer is away: try again beside the callers.
			if !resting && r.under == nil {
				r.begin()
			}
			return found, nil, nil
		}
		return nil, r.join(), nil
	}
	switch {
	case r.under != nil && mayFetch:
		return nil, r.join(), nil
	case r.failed != nil && (resting || !mayFetch):
		return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, r.failed)
	case !mayFetch:
		return nil, nil, unknown
	case old || r.mayReload(now):
		return nil, r.join(), nil
	}
	return nil, nil, fmt.Errorf("%w, and its keys were reloaded %d times within a minute", unknown, r.config.Reloads)
}

// join returns the fetch that is under way, or begins one. The caller holds the
// lock.
func (r *Remote) join() *fetch {
	if r.under != nil {
		return &fetch{done: r.under}
	}
	r.begin()
	return &fetch{done: r.under, mine: true}
}

// mayReload reports whether an unknown key may cause a fetch, and counts it.
func (r *Remote) mayReload(now time.Time) bool {
	recent := r.reloads[:0]
	for _, at := range r.reloads {
		if now.Sub(at) < reloadWindow {
			recent = append(recent, at)
		}
	}
	r.reloads = recent
	if len(r.reloads) >= r.config.Reloads {
		return false
	}
	r.reloads = append(r.reloads, now)
	return true
}

// begin fetches the set beside the caller, who holds the lock.
func (r *Remote) begin() {
	done := make(chan struct{})
	r.under = done
	r.fetches.Go(func() {
		set, err := r.fetch()
		r.mu.Lock()
		defer r.mu.Unlock()
		defer close(done)
		r.under = nil
		now := r.config.Now()
		wasFailing := r.failed != nil
		r.tried, r.failed = now, err
		switch {
		case err == nil:
			r.set, r.fetched = set, now
			if wasFailing {
				r.config.Logger.Info("the keys of an issuer can be fetched again", slog.String("url", r.what))
			}
		case !wasFailing && !r.closed:
			r.config.Logger.Warn("the keys of an issuer cannot be fetched: those fetched before are used",
				slog.String("url", r.what), slog.Any("error", err), slog.Time("fetched", r.fetched))
		}
	})
}

func (r *Remote) fetch() (Set, error) {
	ctx, cancel := context.WithTimeout(r.life, r.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.config.URL, nil)
	if err != nil {
		return Set{}, err
	}
	body, err := Get(r.client, request, r.config.MaxBody)
	if err != nil {
		return Set{}, err
	}
	set, err := ParseSet(body)
	if err != nil {
		return Set{}, fmt.Errorf("the answer is no key set: %w", err)
	}
	return set, nil
}
