//go:build unix

package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// MinVersion is the oldest major version of PostgreSQL that is accepted.
const MinVersion = 13

// ErrNoBinaries is returned, wrapped, when no PostgreSQL server of
// [MinVersion] or newer is installed.
var ErrNoBinaries = errors.New("no PostgreSQL server binaries found")

// FindBinaries returns the directory that holds the server's postgres and
// initdb. It looks at PATH, at the Debian layout /usr/lib/postgresql/*/bin
// (newest first), and at what pg_config tells. The first server that is
// [MinVersion] or newer wins; if there is none the error wraps [ErrNoBinaries].
func FindBinaries(ctx context.Context) (string, error) {
	var old []string
	for _, dir := range candidates(ctx, "/usr/lib/postgresql") {
		major, err := serverVersion(ctx, dir)
		if err != nil {
			continue
		}
		if major >= MinVersion {
			return dir, nil
		}
		old = append(old, fmt.Sprintf("%s is version %d", dir, major))
	}
	if len(old) > 0 {
		return "", fmt.Errorf("%w: need version %d or newer, but %s", ErrNoBinaries, MinVersion, strings.Join(old, ", "))
	}
	return "", fmt.Errorf("%w in PATH, /usr/lib/postgresql/*/bin or where pg_config points", ErrNoBinaries)
}

// candidates lists the directories in which a server may be, best first.
func candidates(ctx context.Context, debianRoot string) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// Distributions link postgres into PATH, but the server finds its own
		// files beside the real executable.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	versions, best := map[int]string{}, 0
	entries, _ := os.ReadDir(debianRoot)
	for _, entry := range entries {
		if major, err := strconv.Atoi(entry.Name()); err == nil {
			versions[major] = filepath.Join(debianRoot, entry.Name(), "bin")
			best = max(best, major)
		}
	}
	for major := best; major >= MinVersion; major-- {
		if dir, ok := versions[major]; ok {
			dirs = append(dirs, dir)
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// serverVersion returns the major version of the server in dir, or an error if
// dir does not hold a complete one.
func serverVersion(ctx context.Context, dir string) (int, error) {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output() //nolint:gosec // the directory comes from the places above, not from input
	if err != nil {
		return 0, err
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("unknown answer of postgres --version: %q", out)
	}
	return strconv.Atoi(string(match[1]))
}
