//go:build unix

package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Superuser is the database role that owns a cluster. It needs no password.
const Superuser = "postgres"

// readyTimeout bounds how long a server may take until it answers, crash
// recovery included.
const readyTimeout = 60 * time.Second

// Options say how to start a cluster. The zero value is a cluster with durable
// settings, of whatever server [FindBinaries] finds.
type Options struct {
	// Binaries is the directory with postgres and initdb.
	// Defaults to what [FindBinaries] returns.
	Binaries string
	// Settings are server parameters, such as {"log_statement": "all"}. They are
	// added to PostgreSQL's own defaults, which are durable (fsync, full_page_writes
	// and synchronous_commit are on), but for max_connections, which is 200.
	Settings map[string]string
	// Dir is the parent of the cluster's directory.
	// Defaults to the system's directory for temporary files.
	Dir string
}

// Mode is a way to take a server down.
type Mode int

// The ways to take a server down.
const (
	// Fast disconnects clients, rolls their transactions back and writes a
	// checkpoint: a clean restart, as an administrator does it.
	Fast Mode = iota
	// Immediate quits without a checkpoint: the next start recovers.
	Immediate
	// Crash kills every process of the server with SIGKILL, as the kernel or a
	// power cut would.
	Crash
)

// Cluster is a running PostgreSQL server of its own. Its methods may be called
// from any goroutine; those that change its state wait for each other.
type Cluster struct {
	binaries string
	dir      string
	port     int
	settings map[string]string
	account  *account

	mu      sync.Mutex
	server  *server
	stopped bool
}

// Start makes a new cluster in a fresh temporary directory and returns when it
// answers. The caller must [Cluster.Stop] it, which removes the directory. On
// Linux the server also stops when this process dies, whatever kills it.
//
// The error wraps [ErrNoBinaries] if there is no server to start.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	if options.Binaries == "" {
		binaries, err := FindBinaries(ctx)
		if err != nil {
			return nil, err
		}
		options.Binaries = binaries
	}
	runAs, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(options.Dir, runAs)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		binaries: options.Binaries,
		dir:      dir,
		account:  runAs,
		settings: map[string]string{
			"listen_addresses":        "127.0.0.1",
			"unix_socket_directories": socketDir(dir),
			// Test binaries of several packages share one cluster.
			"max_connections": "200",
		},
	}
	maps.Copy(c.settings, options.Settings)
	if err := c.initdb(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	if err := c.firstStart(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// firstStart picks a port and starts the server, with another port if the first
// was taken between picking and binding it.
func (c *Cluster) firstStart(ctx context.Context) error {
	const attempts = 5
	var failures []error
	for range attempts {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		c.port = port
		err = c.Resume(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		failures = append(failures, err)
		if !strings.Contains(err.Error(), "could not create any TCP/IP sockets") {
			break
		}
	}
	return errors.Join(failures...)
}

// URL returns the connection URL of a database in the cluster, for the
// superuser; "" means the database "postgres", which always exists. It stays
// the same when the server is restarted.
func (c *Cluster) URL(database string) string {
	if database == "" {
		database = "postgres"
	}
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(Superuser),
		Host:     "127.0.0.1:" + strconv.Itoa(c.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Dir returns the directory that holds the cluster's data, its sockets and the
// server's log.
func (c *Cluster) Dir() string { return c.dir }

// Halt takes the server down and keeps its data; [Cluster.Resume] brings it back
// on the same URL. It returns when no process of the server is left. Halting a
// server that is down does nothing.
func (c *Cluster) Halt(ctx context.Context, mode Mode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.halt(ctx, mode)
}

func (c *Cluster) halt(ctx context.Context, mode Mode) error {
	if c.server == nil {
		return nil
	}
	if err := c.server.terminate(ctx, mode); err != nil {
		return fmt.Errorf("halting PostgreSQL: %w", err)
	}
	c.server = nil
	return nil
}

// Resume starts the server again after [Cluster.Halt] or a crash, and returns
// when it answers. Resuming a running server is an error.
func (c *Cluster) Resume(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errors.New("the PostgreSQL cluster was stopped for good")
	}
	if c.server != nil && !c.server.exited() {
		return errors.New("the PostgreSQL server is already running")
	}
	started, err := c.launch()
	if err != nil {
		return err
	}
	c.server = started
	if err := c.awaitReady(ctx); err != nil {
		return errors.Join(
			fmt.Errorf("starting PostgreSQL: %w\n%s", err, c.logTail()),
			c.halt(context.WithoutCancel(ctx), Immediate),
		)
	}
	return nil
}

// Restart takes the server down in the given mode and brings it back.
func (c *Cluster) Restart(ctx context.Context, mode Mode) error {
	if err := c.Halt(ctx, mode); err != nil {
		return err
	}
	return c.Resume(ctx)
}

// Kill crashes the server: SIGKILL to all its processes. The data stays;
// [Cluster.Resume] recovers it.
func (c *Cluster) Kill(ctx context.Context) error { return c.Halt(ctx, Crash) }

// Stop takes the server down for good and removes its directory. It needs no
// context: it is bounded by itself. Further calls do nothing.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// The data goes away, so a checkpoint would only cost time.
	halted := c.halt(ctx, Immediate)
	if err := os.RemoveAll(c.dir); err != nil {
		return errors.Join(halted, fmt.Errorf("removing the PostgreSQL cluster: %w", err))
	}
	return halted
}

// awaitReady returns when the server answers a query, and fails when it exits
// or takes too long.
func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := c.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.server.done:
			return errors.New("the server exited")
		case <-ctx.Done():
			return fmt.Errorf("no answer (%w): %w", ctx.Err(), err)
		case <-poll.C:
		}
	}
}

func (c *Cluster) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.URL(""))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the answer below is what counts
	// The port may have gone to somebody else's server: ask whose it is.
	var dir string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir); err != nil {
		return err
	}
	if dir != c.dataDir() {
		return fmt.Errorf("port %d belongs to another PostgreSQL server", c.port)
	}
	return nil
}

func (c *Cluster) dataDir() string { return filepath.Join(c.dir, "data") }
func (c *Cluster) logFile() string { return filepath.Join(c.dir, "server.log") }

// logTail returns the last lines that the server wrote, for error messages.
func (c *Cluster) logTail() string {
	const lines = 15
	content, err := os.ReadFile(c.logFile())
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// arguments returns the server's command line.
func (c *Cluster) arguments() []string {
	args := []string{"-D", c.dataDir(), "-p", strconv.Itoa(c.port)}
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		args = append(args, "-c", name+"="+c.settings[name])
	}
	return args
}
