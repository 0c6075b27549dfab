//go:build unix

package pgcluster_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox/storage/storagetest/pgcluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, options pgcluster.Options) *pgcluster.Cluster {
	t.Helper()
	cluster, err := pgcluster.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

// exec runs one statement on a connection of its own.
func exec(t *testing.T, cluster *pgcluster.Cluster, sql string, result ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cluster.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if len(result) > 0 {
		err = conn.QueryRow(t.Context(), sql).Scan(result...)
	} else {
		_, err = conn.Exec(t.Context(), sql)
	}
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestCommittedDataSurvivesEveryMode(t *testing.T) {
	cluster := start(t, pgcluster.Options{Settings: map[string]string{"work_mem": "5MB"}})
	before := cluster.URL("")

	var fsync, commit, workMem string
	exec(t, cluster, "SHOW fsync", &fsync)
	exec(t, cluster, "SHOW synchronous_commit", &commit)
	exec(t, cluster, "SHOW work_mem", &workMem)
	if fsync != "on" || commit != "on" || workMem != "5MB" {
		t.Errorf("fsync %s, synchronous_commit %s, work_mem %s; want on, on, 5MB", fsync, commit, workMem)
	}

	exec(t, cluster, "CREATE TABLE kept (mode text)")
	for _, step := range []struct {
		name string
		mode pgcluster.Mode
	}{
		{"fast", pgcluster.Fast},
		{"immediate", pgcluster.Immediate},
		{"crash", pgcluster.Crash},
	} {
		exec(t, cluster, "INSERT INTO kept VALUES ('"+step.name+"')")
		held, err := pgx.Connect(t.Context(), cluster.URL(""))
		if err != nil {
			t.Fatal(err)
		}
		if err := cluster.Halt(t.Context(), step.mode); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if err := held.Ping(t.Context()); err == nil {
			t.Errorf("%s: a connection from before still answers", step.name)
		}
		if err := cluster.Halt(t.Context(), step.mode); err != nil {
			t.Errorf("%s: halting twice: %v", step.name, err)
		}
		if conn, err := pgx.Connect(t.Context(), cluster.URL("")); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("%s: the server still answers", step.name)
		}
		if err := cluster.Resume(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		var rows int
		exec(t, cluster, "SELECT count(*) FROM kept WHERE mode = '"+step.name+"'", &rows)
		if rows != 1 {
			t.Errorf("%s: %d rows after the restart, want 1", step.name, rows)
		}
	}
	if after := cluster.URL(""); after != before {
		t.Errorf("the URL changed from %s to %s", before, after)
	}
}

func TestKillEndsRunningStatements(t *testing.T) {
	cluster := start(t, pgcluster.Options{})
	conn, err := pgx.Connect(t.Context(), cluster.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	// A backend that waits would end by itself when the postmaster is gone; one
	// that computes does not notice.
	const busy = "DO $$ BEGIN LOOP END LOOP; END $$"
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), busy)
		failed <- err
	}()
	for running := 0; running == 0; {
		exec(t, cluster, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = '"+busy+"'", &running)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := cluster.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		if err == nil {
			t.Error("the statement succeeded on a killed server")
		}
	case <-time.After(10 * time.Second):
		t.Error("the statement outlived the server")
	}
	if err := cluster.Restart(t.Context(), pgcluster.Fast); err != nil {
		t.Fatal(err)
	}
}

func TestStopRemovesEverything(t *testing.T) {
	cluster := start(t, pgcluster.Options{})
	if err := cluster.Resume(t.Context()); err == nil {
		t.Error("resuming a running server: no error")
	}
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cluster.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if err := cluster.Stop(); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
	if err := cluster.Resume(t.Context()); err == nil {
		t.Error("resuming a stopped cluster: no error")
	}
}

func TestStartFails(t *testing.T) {
	parent := t.TempDir()
	for dir := parent; dir != os.TempDir() && len(dir) > 1; dir = dir[:strings.LastIndexByte(dir, '/')] {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, err := pgcluster.Start(t.Context(), pgcluster.Options{
		Dir:      parent,
		Settings: map[string]string{"no_such_parameter": "1"},
	})
	if err == nil || !strings.Contains(err.Error(), "no_such_parameter") {
		t.Errorf("got %v, want what the server wrote about the parameter", err)
	}
	left, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("a failed start left %s behind", left[0].Name())
	}

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pgcluster.Start(canceled, pgcluster.Options{}); err == nil {
		t.Error("started with a canceled context")
	}
}

func TestURL(t *testing.T) {
	cluster := start(t, pgcluster.Options{})
	exec(t, cluster, `CREATE DATABASE "with space"`)
	u, err := url.Parse(cluster.URL("with space"))
	if err != nil {
		t.Fatal(err)
	}
	if host := u.Hostname(); host != "127.0.0.1" {
		t.Errorf("host %q, want 127.0.0.1", host)
	}
	conn, err := pgx.Connect(t.Context(), cluster.URL("with space"))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
