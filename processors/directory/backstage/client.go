package backstage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors/directory"
)

// Config configures a [Client].
type Config struct {
	// BaseURL is where Backstage's backend is, such as
	// https://backstage.example.com; the catalog is below it at /api/catalog.
	// Required, unless API is there.
	BaseURL string
	// API is where the catalog's API is, should it not be below BaseURL:
	// Backstage's discovery can tell of another place.
	API string
	// Token returns the bearer token of a request. It is asked for every request,
	// so that tokens may expire, and must be safe for concurrent use. Its error
	// must not hold the token. Nil sends none.
	Token func() (string, error)
	// Transport does the requests. Defaults to one of its own.
	Transport http.RoundTripper

	// Timeout bounds one request with its answer. Defaults to 5s.
	Timeout time.Duration
	// Attempts is how often a request is tried in all. Defaults to 3.
	Attempts int
	// MinBackoff and MaxBackoff bound the delay before the next attempt, which
	// doubles, with jitter; a Retry-After counts up to MaxBackoff. Default to
	// 200ms and 3s.
	MinBackoff, MaxBackoff time.Duration

	// TTL is how long an answer is taken as it is. Defaults to 1m.
	TTL time.Duration
	// NegativeTTL is the same for "there is no such entity". Defaults to 15s, and
	// is at most TTL.
	NegativeTTL time.Duration
	// Revalidate is for how long after TTL an answer is still given at once, while
	// a new one is fetched for the next who asks. Defaults to 5m.
	Revalidate time.Duration
	// StaleIfError is how old an answer may be that stands in while the catalog
	// fails. Defaults to 1h.
	StaleIfError time.Duration
	// MaxCached bounds the references that the cache holds: one for each entity,
	// and one for each of its members, children, parents and groups. Defaults to
	// 500,000.
	MaxCached int

	// MaxBatch bounds the references of one request. Defaults to 500.
	MaxBatch int
	// Concurrency is how many requests are under way at a time. Defaults to 4.
	Concurrency int
	// MaxWaiting bounds the references that wait for a request. Defaults to
	// 200,000.
	MaxWaiting int
	// MaxResponse bounds the body of an answer in bytes. What is larger is asked
	// for in smaller parts, down to pages of the members of one group. Defaults to
	// 16 MiB.
	MaxResponse int64
	// PageSize is how many members of such a group are asked for at a time.
	// Defaults to 1,000.
	PageSize int

	// Registerer defaults to a registry of its own.
	Registerer prometheus.Registerer
	// Logger defaults to discarding.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value     *time.Duration
		byDefault time.Duration
	}{
		{&c.Timeout, 5 * time.Second},
		{&c.MinBackoff, 200 * time.Millisecond},
		{&c.MaxBackoff, 3 * time.Second},
		{&c.TTL, time.Minute},
		{&c.NegativeTTL, 15 * time.Second},
		{&c.Revalidate, 5 * time.Minute},
		{&c.StaleIfError, time.Hour},
	} {
		if *d.value <= 0 {
			*d.value = d.byDefault
		}
	}
	c.NegativeTTL = min(c.NegativeTTL, c.TTL)
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	for _, d := range []struct {
		value     *int
		byDefault int
	}{
		{&c.Attempts, 3},
		{&c.MaxCached, 500_000},
		{&c.MaxBatch, 500},
		{&c.Concurrency, 4},
		{&c.MaxWaiting, 200_000},
		{&c.PageSize, 1_000},
	} {
		if *d.value <= 0 {
			*d.value = d.byDefault
		}
	}
	if c.MaxResponse <= 0 {
		c.MaxResponse = 16 << 20
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Client asks a Backstage catalog. It is a [directory.Source].
type Client struct {
	config  Config
	api     string
	http    *http.Client
	log     *slog.Logger
	metrics *metrics
	cache   *cache
	loader  *loader
	now     func() time.Time
	// away is set while requests fail.
	away atomic.Bool

	// life is the parent of every request's context.
	life context.Context
	end  context.CancelFunc
}

var _ directory.Source = (*Client)(nil)

// New checks the configuration. It asks nothing yet. Call [Client.Close] when it
// is no longer used.
func New(config Config) (*Client, error) {
	config = config.withDefaults()
	api := cmp.Or(config.API, strings.TrimRight(config.BaseURL, "/")+"/api/catalog")
	base, err := url.Parse(api)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" ||
		base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		// The URL could hold a password.
		return nil, errors.New("backstage catalog: the base URL must be an http:// or https:// URL of a host and a path")
	}
	m, err := newMetrics(config.Registerer)
	if err != nil {
		return nil, fmt.Errorf("backstage catalog: metrics: %w", err)
	}
	transport := config.Transport
	if transport == nil {
		transport = newTransport(config)
	}
	c := &Client{
		config: config, log: config.Logger, metrics: m, now: time.Now,
		api: strings.TrimRight(api, "/"),
		http: &http.Client{
			Transport: transport,
			// The token is for this host, and a catalog has no reason to redirect.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		cache: newCache(config.MaxCached),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.loader = newLoader(config, c.fetch)
	return c, nil
}

func newTransport(config Config) http.RoundTripper {
	return signalbox.GiveUpLost(&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   config.Concurrency,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   config.Timeout,
		ExpectContinueTimeout: time.Second,
	}, config.Timeout)
}

// Close ends requests under way and waits for them. Lookups fail from then on.
func (c *Client) Close() {
	c.end()
	c.loader.close()
	c.http.CloseIdleConnections()
}

// Lookup implements [directory.Source].
func (c *Client) Lookup(ctx context.Context, refs []string) (map[string]*directory.Record, error) {
	now := c.now()
	found := make(map[string]*directory.Record, len(refs))
	fallback := make(map[string]*directory.Record)
	var missing, renew []string
	for _, ref := range refs {
		record, age, ok := c.cache.get(ref, now)
		switch {
		case ok && record == nil && age <= c.config.NegativeTTL:
			// Known not to be there.
		case ok && record != nil && age <= c.config.TTL:
			found[ref] = record
		case ok && record != nil && age <= c.config.TTL+c.config.Revalidate:
			found[ref] = record
			renew = append(renew, ref)
		default:
			missing = append(missing, ref)
			if ok && record != nil && age <= c.config.StaleIfError {
				fallback[ref] = record
			}
		}
	}
	c.metrics.hits.Add(float64(len(refs) - len(missing)))
	c.metrics.misses.Add(float64(len(missing)))
	if len(renew) > 0 {
		c.loader.renew(renew)
	}
	if len(missing) == 0 {
		return found, nil
	}
	loaded, failed, err := c.loader.load(ctx, missing)
	for ref, record := range loaded {
		if record != nil {
			found[ref] = record
		}
	}
	for _, ref := range failed {
		record, ok := fallback[ref]
		if !ok {
			return nil, err
		}
		c.metrics.stale.Inc()
		found[ref] = record
	}
	return found, nil
}
