//go:build unix

package pgcluster

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeServer puts executables into dir that answer like a server of a version.
func fakeServer(t *testing.T, dir, version string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCandidatesPreferPathThenNewest(t *testing.T) {
	root := t.TempDir()
	linked, path := filepath.Join(root, "real"), filepath.Join(root, "path")
	fakeServer(t, linked, "16.1")
	if err := os.Mkdir(path, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(linked, "postgres"), filepath.Join(path, "postgres")); err != nil {
		t.Fatal(err)
	}
	debian := filepath.Join(root, "debian")
	for _, major := range []string{"9.6", "12", "13", "15", "17"} {
		fakeServer(t, filepath.Join(debian, major, "bin"), major)
	}
	t.Setenv("PATH", path)

	got := candidates(t.Context(), debian)
	want := []string{
		linked,
		filepath.Join(debian, "17", "bin"),
		filepath.Join(debian, "15", "bin"),
		filepath.Join(debian, "13", "bin"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestServerVersion(t *testing.T) {
	for _, test := range []struct {
		answer string
		want   int
	}{
		{"15.18 (Debian 15.18-0+deb12u1)", 15},
		{"18beta1", 18},
		{"13.0", 13},
		{"devel", 0},
	} {
		dir := t.TempDir()
		fakeServer(t, dir, test.answer)
		got, err := serverVersion(t.Context(), dir)
		if got != test.want || (err != nil) != (test.want == 0) {
			t.Errorf("%q: got %d, %v; want %d", test.answer, got, err, test.want)
		}
	}
	if _, err := serverVersion(t.Context(), t.TempDir()); err == nil {
		t.Error("an empty directory has a version")
	}
}

func TestFindBinariesNamesTheError(t *testing.T) {
	if entries, err := os.ReadDir("/usr/lib/postgresql"); err == nil && len(entries) > 0 {
		// The Debian layout is found whatever PATH says, so the error cannot
		// happen here; what it can find must be a real server.
		dir, err := FindBinaries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if major, err := serverVersion(t.Context(), dir); err != nil || major < MinVersion {
			t.Errorf("%s: version %d, %v", dir, major, err)
		}
		return
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := FindBinaries(t.Context()); !errors.Is(err, ErrNoBinaries) {
		t.Errorf("got %v, want ErrNoBinaries", err)
	}
}
