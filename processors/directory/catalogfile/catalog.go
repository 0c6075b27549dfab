package catalogfile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/processors/directory"
)

// Config configures a [Catalog].
type Config struct {
	// Files are names of files or patterns as of [filepath.Match]. A pattern
	// passes over names that begin with a dot. At least one.
	Files []string
	// Interval is how often the files are looked at. A change counts once a file
	// stayed the same for one interval, so that one that is being written is not
	// read by halves. Defaults to 2s.
	Interval time.Duration
	// Registerer defaults to a registry of its own.
	Registerer prometheus.Registerer
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Catalog is what local files say. It is a [directory.Source].
//
// A file that cannot be read or understood keeps the state that it had before;
// that is logged once per change. As long as there is a file that never could be
// read, lookups fail: its part of the organisation is not known, and a
// notification must not miss those who are in it.
type Catalog struct {
	config  Config
	log     *slog.Logger
	metrics *metrics
	current atomic.Pointer[state]

	// scanning guards what only a scan uses.
	scanning sync.Mutex
	files    map[string]*file
	warned   map[string]bool // conflicts and patterns that were reported
}

// state is what lookups see.
type state struct {
	index    index
	problems []FileError
	// unread are the problems of files that never could be read.
	unread []FileError
}

var _ directory.Source = (*Catalog)(nil)

// New checks the configuration and reads the files for the first time. Files that
// are broken are no error here: see [Catalog.Problems].
func New(config Config) (*Catalog, error) {
	if len(config.Files) == 0 {
		return nil, errors.New("catalog files: none are named")
	}
	for _, pattern := range config.Files {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("catalog files: %q: %w", pattern, err)
		}
	}
	if config.Interval <= 0 {
		config.Interval = 2 * time.Second
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(config.Registerer)
	if err != nil {
		return nil, fmt.Errorf("catalog files: metrics: %w", err)
	}
	c := &Catalog{
		config: config, log: config.Logger, metrics: m,
		files: make(map[string]*file), warned: make(map[string]bool),
	}
	c.scan()
	return c, nil
}

// Run follows changes of the files until ctx is done.
func (c *Catalog) Run(ctx context.Context) {
	ticker := time.NewTicker(c.config.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.scan()
		}
	}
}

// Lookup implements [directory.Source].
func (c *Catalog) Lookup(_ context.Context, refs []string) (map[string]*directory.Record, error) {
	now := c.current.Load()
	if len(now.unread) > 0 {
		return nil, fmt.Errorf("a catalog file could not be read yet: %w", &now.unread[0])
	}
	return now.index.pick(refs), nil
}

// Users implements [directory.Lister].
func (c *Catalog) Users(_ context.Context, after string, limit int) (refs []string, next string, err error) {
	now := c.current.Load()
	if len(now.unread) > 0 {
		return nil, "", fmt.Errorf("a catalog file could not be read yet: %w", &now.unread[0])
	}
	return now.index.users(after, limit)
}

// Problems returns what is wrong with the files as they are now, sorted by name.
func (c *Catalog) Problems() []FileError {
	return append([]FileError(nil), c.current.Load().problems...)
}

// Entities counts the entities that are known.
func (c *Catalog) Entities() int { return len(c.current.Load().index) }
