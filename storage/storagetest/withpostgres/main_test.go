//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox/storage/storagetest/pgcluster"
)

// asProgram makes the test binary behave as withpostgres itself, so that a test
// can run it as a process of its own.
const asProgram = "WITHPOSTGRES_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// program returns withpostgres as a command, without a server given to it.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, urlVariable+"=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, asProgram+"=1")
	return cmd
}

func TestExitCodes(t *testing.T) {
	t.Setenv(urlVariable, "postgres://given/already")
	for _, test := range []struct {
		name string
		args []string
		want int
	}{
		{"success", []string{"--", "true"}, 0},
		{"without dashes", []string{"true"}, 0},
		{"its own code", []string{"--", "sh", "-c", "exit 7"}, 7},
		{"killed", []string{"--", "sh", "-c", "kill -KILL $$"}, 128 + 9},
		{"a given server is kept", []string{"--", "sh", "-c", "test $" + urlVariable + " = postgres://given/already"}, 0},
		{"unknown command", []string{"--", "no-such-command-anywhere"}, exitNotFound},
		{"not executable", []string{"--", "/dev/null"}, exitCannotRun},
		{"no command", []string{"--"}, exitUsage},
		{"nothing", nil, exitUsage},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := run(t.Context(), test.args, io.Discard); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestCommandGetsAServer(t *testing.T) {
	cmd := program(t, "--", "sh", "-c", "echo $"+urlVariable+"; cat; exit 3")
	cmd.Stdin = strings.NewReader("from standard input\n")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("got %v, want exit status 3", err)
	}
	url, rest, _ := strings.Cut(string(out), "\n")
	if rest != "from standard input\n" {
		t.Errorf("standard input came through as %q", rest)
	}
	if !strings.HasPrefix(url, "postgres://") {
		t.Fatalf("%s is %q", urlVariable, url)
	}
	awaitGone(t, url)
}

// TestSignals checks both ends: what can be caught is passed on and cleaned up
// after, and what cannot be caught leaves no server behind.
func TestSignals(t *testing.T) {
	for _, test := range []struct {
		signal syscall.Signal
		code   int
	}{
		{syscall.SIGTERM, 41},
		{syscall.SIGINT, 42},
		{syscall.SIGKILL, -1},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			if test.signal == syscall.SIGKILL && !diesWithParent {
				t.Skip("only Linux can stop a server when its parent is killed")
			}
			temp := tempDir(t)
			cmd := program(t, "--", "sh", "-c",
				"trap 'exit 41' TERM; trap 'exit 42' INT; echo $$ $"+urlVariable+"; while :; do read x; done")
			cmd.Env = append(cmd.Env, "TMPDIR="+temp)
			stdin, err := cmd.StdinPipe() // held open, so that the command waits
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pid, url, _ := strings.Cut(strings.TrimSpace(line), " ")
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != test.code {
				t.Errorf("got %v, want exit status %d", err, test.code)
			}
			awaitGone(t, url)
			_ = stdin.Close()
			if test.signal == syscall.SIGKILL {
				command, err := strconv.Atoi(pid)
				if err != nil {
					t.Fatal(err)
				}
				_ = syscall.Kill(command, syscall.SIGKILL)
				return
			}
			left, err := filepath.Glob(filepath.Join(temp, "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// tempDir returns a directory that the server's account can enter.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "withpostgres-test-") //nolint:usetesting // the parents of t.TempDir are closed to other accounts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A server that was told to quit may write a last file meanwhile.
		deadline := time.Now().Add(10 * time.Second)
		for {
			err := os.RemoveAll(dir)
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// awaitGone fails the test if the server still answers after a while.
func awaitGone(t *testing.T, url string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return
		}
		_ = conn.Close(t.Context())
		if time.Now().After(deadline) {
			t.Fatal("the server is still there")
		}
	}
}

func TestInstall(t *testing.T) {
	failing := errors.New("no network")
	for _, test := range []struct {
		name    string
		root    bool
		aptGet  string
		config  string // content of the file before
		fails   string // the apt-get command that fails
		want    []string
		wantErr []string
		// after is what the configuration must hold afterwards.
		after string
	}{
		{
			name: "installs", root: true, aptGet: "/apt-get",
			want: []string{
				"/apt-get update -q",
				"/apt-get install -q -y --no-install-recommends postgresql",
			},
			after: clusterConfigText,
		},
		{
			name: "keeps the administrator's file", root: true, aptGet: "/apt-get", config: "data_directory = '/big'\n",
			want: []string{
				"/apt-get update -q",
				"/apt-get install -q -y --no-install-recommends postgresql",
			},
			after: "data_directory = '/big'\n",
		},
		{name: "not root", aptGet: "/apt-get", wantErr: []string{"no PostgreSQL server binaries", "apt-get install postgresql", urlVariable}},
		{name: "no apt-get", root: true, wantErr: []string{"no PostgreSQL server binaries", urlVariable}},
		{
			name: "update fails", root: true, aptGet: "/apt-get", fails: "update",
			want:    []string{"/apt-get update -q"},
			wantErr: []string{"apt-get update: no network", urlVariable},
			after:   clusterConfigText,
		},
		{
			name: "install fails", root: true, aptGet: "/apt-get", fails: "install",
			want: []string{
				"/apt-get update -q",
				"/apt-get install -q -y --no-install-recommends postgresql",
			},
			wantErr: []string{"apt-get install: no network", urlVariable},
			after:   clusterConfigText,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "postgresql-common", "createcluster.conf")
			if test.config != "" {
				if err := os.MkdirAll(filepath.Dir(config), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(config, []byte(test.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var commands []string
			i := installer{
				root: test.root, aptGet: test.aptGet, configFile: config, stderr: io.Discard,
				run: func(_ context.Context, name string, args ...string) error {
					commands = append(commands, name+" "+strings.Join(args, " "))
					if args[0] == test.fails {
						return failing
					}
					return nil
				},
			}
			err := i.install(t.Context(), pgcluster.ErrNoBinaries)
			if (err != nil) != (test.wantErr != nil) {
				t.Errorf("got error %v, want one: %v", err, test.wantErr != nil)
			}
			for _, part := range test.wantErr {
				if err != nil && !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if diff := cmp.Diff(test.want, commands); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			after, err := os.ReadFile(config)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if !bytes.Equal(after, []byte(test.after)) {
				t.Errorf("configuration is %q, want %q", after, test.after)
			}
		})
	}
}
