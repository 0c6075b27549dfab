//go:build unix

// Command withpostgres runs another command with a PostgreSQL server at hand:
//
//	go run ./storage/storagetest/withpostgres -- go test ./...
//
// The command finds the server's URL, with the right to create databases, in
// SIGNALBOX_TEST_POSTGRES_URL. If that is set already, the command just runs.
// Otherwise a private cluster is started for it, and stopped and removed
// afterwards, whatever happens. Where no server is installed, it installs one if
// it can (root on a system with apt-get), and else fails and says what to do: it
// never runs the command without a server.
//
// Standard input and output are the command's, SIGINT and SIGTERM are passed on
// to it, and its exit code is returned.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/signalbox/signalbox/storage/storagetest/pgcluster"
)

// urlVariable tells the command, and everybody else, where the server is.
const urlVariable = "SIGNALBOX_TEST_POSTGRES_URL"

// The exit codes for failures of withpostgres itself, as the shell and env(1)
// use them.
const (
	exitUsage     = 2
	exitNoServer  = 125
	exitCannotRun = 126
	exitNotFound  = 127
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stderr))
}

func run(ctx context.Context, args []string, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		_, _ = fmt.Fprintln(stderr, "usage: withpostgres -- command [argument...]")
		return exitUsage
	}
	// From here on a signal ends the command, not this process, so that the
	// cluster is always removed.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	if os.Getenv(urlVariable) != "" {
		return command(args, nil, signals, stderr)
	}
	cluster, err := start(ctx, signals, stderr)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "withpostgres: %v\n", err)
		return exitNoServer
	}
	code := command(args, []string{urlVariable + "=" + cluster.URL("")}, signals, stderr)
	if err := cluster.Stop(); err != nil {
		_, _ = fmt.Fprintf(stderr, "withpostgres: %v\n", err)
		if code == 0 {
			code = exitNoServer
		}
	}
	return code
}

// start starts a cluster, after installing a server if there is none. A signal
// that arrives meanwhile gives up.
func start(ctx context.Context, signals <-chan os.Signal, stderr io.Writer) (*pgcluster.Cluster, error) {
	ctx, cancel := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	cluster, err := pgcluster.Start(ctx, pgcluster.Options{})
	if errors.Is(err, pgcluster.ErrNoBinaries) {
		if err = newInstaller(stderr).install(ctx, err); err == nil {
			cluster, err = pgcluster.Start(ctx, pgcluster.Options{})
		}
	}
	interrupted := ctx.Err()
	cancel()
	<-watching
	if err == nil && interrupted != nil {
		return nil, errors.Join(interrupted, cluster.Stop())
	}
	return cluster, err
}

// command runs args to its end and returns its exit code, or 128 and the number
// of the signal that killed it, as shells do.
func command(args, environment []string, signals <-chan os.Signal, stderr io.Writer) int {
	// No context: the command ends by itself or by the signals passed on to it.
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // running what it is told is the purpose
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		_, _ = fmt.Fprintf(stderr, "withpostgres: %v\n", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return exitNotFound
		}
		return exitCannotRun
	}
	done := make(chan struct{})
	forwarding := make(chan struct{})
	go func() {
		defer close(forwarding)
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may have ended just now
			case <-done:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(done)
	<-forwarding
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal())
		}
		return exit.ExitCode()
	default:
		_, _ = fmt.Fprintf(stderr, "withpostgres: %v\n", err)
		return exitCannotRun
	}
}
