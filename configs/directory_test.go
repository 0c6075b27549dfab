package configs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDirectoryFilesAreRelativeToTheirSource(t *testing.T) {
	names := write(t, "directory: {files: [org/*.yaml, /etc/org.yaml, ../shared.yaml]}")
	dir := filepath.Dir(names[0])
	config, _, problems := load(t, Sources{Files: names})
	if problems != nil {
		t.Fatal(problems)
	}
	want := []string{filepath.Join(dir, "org/*.yaml"), "/etc/org.yaml", filepath.Join(filepath.Dir(dir), "shared.yaml")}
	if diff := cmp.Diff(want, config.Directory.Files); diff != "" {
		t.Errorf("in a file: %s", diff)
	}
	config, _, problems = load(t, Sources{Environ: []string{"SIGNALBOX_DIRECTORY_FILES=./org/*.yaml, b.yaml"}})
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]string{"./org/*.yaml", "b.yaml"}, config.Directory.Files); diff != "" {
		t.Errorf("in the environment: %s", diff)
	}
}

func TestDirectoryRefuses(t *testing.T) {
	for _, c := range []struct{ file, problem string }{
		{"directory: {unknownUsers: maybe}", "directory.unknownUsers: must be one of deliver, drop"},
		{"directory: {unknownUsers: drop}", "directory.unknownUsers: must not be drop without directory.files or directory.backstage.baseUrl"},
		{"directory: {files: ['[a']}", "directory.files[0]: is not a valid pattern"},
		{"directory: {files: ['']}", "directory.files[0]: must name a file"},
		{"directory: {backstage: {baseUrl: h}}", "directory.backstage.baseUrl: must be an http:// or https:// URL"},
		{"directory: {backstage: {cacheTtl: 1ms}}", "directory.backstage.cacheTtl: must be between 1s and 24h"},
		{"directory: {backstage: {timeout: 2h}}", "directory.backstage.timeout: must be between 100ms and 1m"},
		{"directory: {backstage: {token: 'hunter2 hunter2'}}", "directory.backstage.token: must be printable ASCII without white space"},
		{"directory: {backstage: {baseURL: x}}", "directory.backstage.baseURL: unknown key; did you mean"},
	} {
		_, _, problems := load(t, Sources{Files: write(t, c.file)})
		if len(problems) != 1 || !strings.Contains(problems[0], c.problem) || strings.Contains(problems[0], "hunter2") {
			t.Errorf("%s: problems %q, want %q", c.file, problems, c.problem)
		}
	}
}

func TestUsesSample(t *testing.T) {
	for _, c := range []struct {
		file string
		want bool
	}{
		{"", true},
		{"directory: {unknownUsers: deliver}", true},
		{"auth: {guest: {enabled: false}}", false},
		{"directory: {files: [a.yaml]}", false},
		{"directory: {backstage: {baseUrl: http://h}}", false},
	} {
		config, _, problems := load(t, Sources{Files: write(t, c.file)})
		if problems != nil || config.UsesSample() != c.want {
			t.Errorf("%q: %v, %v", c.file, config.UsesSample(), problems)
		}
	}
}
