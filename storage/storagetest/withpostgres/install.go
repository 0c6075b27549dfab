//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// clusterConfig is where Debian's packages look whether to set up a system-wide
// cluster on installation.
const clusterConfig = "/etc/postgresql-common/createcluster.conf"

const clusterConfigText = `# Written by Signalbox's "make test" before it installed PostgreSQL: the tests
# start clusters of their own and need no system-wide one. Delete this file, or
# set this to true, to have packages set one up.
create_main_cluster = false
`

// installer installs a PostgreSQL server from the distribution's packages.
type installer struct {
	root       bool
	aptGet     string // empty if there is none
	configFile string
	run        func(ctx context.Context, name string, args ...string) error
	stderr     io.Writer
}

func newInstaller(stderr io.Writer) installer {
	aptGet, err := exec.LookPath("apt-get")
	if err != nil {
		aptGet = ""
	}
	return installer{
		root:       os.Geteuid() == 0,
		aptGet:     aptGet,
		configFile: clusterConfig,
		stderr:     stderr,
		run: func(ctx context.Context, name string, args ...string) error {
			cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the name is apt-get's path
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			// Its output is progress; standard output belongs to the command.
			cmd.Stdout, cmd.Stderr = stderr, stderr
			return cmd.Run()
		},
	}
}

const advice = `
The tests need a PostgreSQL server of version 13 or newer. Do one of these and run again:
  - install it:       apt-get install postgresql      (Debian, Ubuntu)
                      dnf install postgresql-server   (Fedora, RHEL)
                      brew install postgresql@17      (macOS; put its bin directory into PATH)
    The tests start a private server from these binaries; none needs to be running.
  - or name a server: export SIGNALBOX_TEST_POSTGRES_URL=postgres://user:password@host:5432/database
    The user needs the right to create databases.`

// install installs the server, or returns missing with advice where it cannot.
func (i installer) install(ctx context.Context, missing error) error {
	if !i.root || i.aptGet == "" {
		return fmt.Errorf("%w\n%s", missing, advice)
	}
	_, _ = fmt.Fprintln(i.stderr, "withpostgres: no PostgreSQL server is installed; installing Debian's package \"postgresql\"")
	if err := i.declineMainCluster(); err != nil {
		return fmt.Errorf("preparing the installation of PostgreSQL: %w\n%s", err, advice)
	}
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-q", "-y", "--no-install-recommends", "postgresql"},
	} {
		if err := i.run(ctx, i.aptGet, args...); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, advice)
		}
	}
	return nil
}

// declineMainCluster keeps the package from setting up and starting a cluster
// for the whole system. An administrator's own file stays as it is.
func (i installer) declineMainCluster() error {
	if err := os.MkdirAll(filepath.Dir(i.configFile), 0o755); err != nil { //nolint:gosec // system configuration is for everyone to read
		return err
	}
	file, err := os.OpenFile(i.configFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // system configuration is for everyone to read
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, clusterConfigText)
	return errors.Join(err, file.Close())
}
