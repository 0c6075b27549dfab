//go:build unix

package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the operating system user that the server runs as.
type account struct {
	uid, gid uint32
}

// unprivileged returns the account to drop to, or nil if this process is not
// root and needs none.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no account is an answer: run as who we are
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &account{uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user \"postgres\" or \"nobody\" to run it as")
}

// credential is nil-safe: no account means the process keeps its own.
func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// makeDir makes the cluster's directory below parent and gives it to a.
func makeDir(parent string, a *account) (string, error) {
	dir, err := os.MkdirTemp(parent, "pgcluster-")
	if err != nil {
		return "", fmt.Errorf("making a directory for PostgreSQL: %w", err)
	}
	// The server compares and prints the resolved name.
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	if a == nil {
		return dir, nil
	}
	if err := reachable(dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.Chown(dir, int(a.uid), int(a.gid)); err != nil {
		return "", errors.Join(fmt.Errorf("giving the directory to PostgreSQL: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// reachable fails if another user could not enter a parent of dir, which the
// server would report as a riddle.
func reachable(dir string) error {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", parent, err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("PostgreSQL cannot run as root, and an unprivileged user cannot enter %s (mode %v): set TMPDIR to a directory that everyone may enter", parent, info.Mode().Perm())
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// socketDir returns where the server puts its sockets: in dir, or nowhere when
// the name would be too long for a socket address.
func socketDir(dir string) string {
	const longestOnAnySystem = 103
	if len(filepath.Join(dir, ".s.PGSQL.00000.lock")) > longestOnAnySystem {
		return ""
	}
	return dir
}

// initdb makes the cluster's data directory.
func (c *Cluster) initdb(ctx context.Context) error {
	// A UTF-8 locale makes lower() and ILIKE fold what production folds; the
	// other is for systems that do not have it.
	var failures []error
	for _, locale := range []string{"C.UTF-8", "C"} {
		cmd := exec.CommandContext(ctx, filepath.Join(c.binaries, "initdb"), //nolint:gosec // the directory is the caller's choice, by contract
			"-D", c.dataDir(), "-U", Superuser, "-A", "trust", "-E", "UTF8", "--locale="+locale,
			// Only saves the sync of files that no test has written to yet.
			"--no-sync")
		cmd.Dir = c.dir
		cmd.Env = environment()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.account.credential()}
		output, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("initdb: %w\n%s", err, strings.TrimSpace(string(output))))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

// environment is this process's without PostgreSQL's own variables, which would
// redirect the server and its tools.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PG") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// freePort returns a loopback port that is free now. It lies below the range
// that systems give to outgoing connections: else a client that dials while the
// server is down could be given the server's port as its own, and keep it from
// coming back.
func freePort(ctx context.Context) (int, error) {
	const first, count, attempts = 20000, 12000, 100
	var lastErr error
	for range attempts {
		port := first + rand.IntN(count) //nolint:gosec // a port is no secret
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			lastErr = err
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("finding a free port: %w", lastErr)
}
