package catalogfile

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors/directory"
	"github.com/signalbox/signalbox/processors/directory/directorytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	directorytest.Run(t, func(t *testing.T, entities []directorytest.Entity) signalbox.Directory {
		// Relations cross files.
		dir := t.TempDir()
		half := len(entities) / 2
		write(t, filepath.Join(dir, "a.yaml"), string(directorytest.YAML(entities[:half])))
		write(t, filepath.Join(dir, "b.yaml"), string(directorytest.YAML(entities[half:])))
		c, err := New(Config{Files: []string{filepath.Join(dir, "*.yaml")}})
		if err != nil {
			t.Fatal(err)
		}
		if problems := c.Problems(); len(problems) > 0 {
			t.Fatalf("problems %v", problems)
		}
		return directory.New(directory.Config{}, c)
	})
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace does what careful editors do.
func replace(t *testing.T, name, content string) {
	t.Helper()
	write(t, name+".tmp", content)
	if err := os.Rename(name+".tmp", name); err != nil {
		t.Fatal(err)
	}
}

// team is a group with members.
func team(name string, members ...string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: " + name + "\nspec:\n  members: [" + strings.Join(members, ", ") + "]\n"
}

// watched is a catalog whose files are looked at by hand.
type watched struct {
	*Catalog
	dir string
	log *bytes.Buffer
}

func watch(t *testing.T, dir string, files ...string) *watched {
	t.Helper()
	w := &watched{dir: dir, log: &bytes.Buffer{}}
	for i := range files {
		files[i] = filepath.Join(dir, files[i])
	}
	var err error
	w.Catalog, err = New(Config{Files: files, Logger: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watched) path(name string) string { return filepath.Join(w.dir, name) }

// look looks so often that every change has settled.
func (w *watched) look() {
	for range 3 {
		w.scan()
	}
}

// members of a group; "-" if it is unknown, "!" if that cannot be told.
func (w *watched) members(group string) string {
	ref := "group:default/" + group
	found, err := w.Lookup(context.Background(), []string{ref})
	switch {
	case err != nil:
		return "!"
	case found[ref] == nil:
		return "-"
	}
	var names []string
	for _, member := range found[ref].Members {
		names = append(names, strings.TrimPrefix(member, "user:default/"))
	}
	return strings.Join(names, " ")
}

func (w *watched) expect(t *testing.T, group, want string) {
	t.Helper()
	if got := w.members(group); got != want {
		t.Errorf("members of %s are %q, want %q", group, got, want)
	}
}

func (w *watched) said(t *testing.T, text string, times int) {
	t.Helper()
	if got := strings.Count(w.log.String(), text); got != times {
		t.Errorf("%q was logged %d times, want %d:\n%s", text, got, times, w.log)
	}
	w.log.Reset()
}

func TestReload(t *testing.T) {
	for name, change := range map[string]func(*testing.T, string, string){"written": write, "replaced": replace} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "org.yaml"), team("a", "one"))
			w := watch(t, dir, "*.yaml")
			w.expect(t, "a", "one")
			w.look()
			change(t, w.path("org.yaml"), team("a", "one", "two"))
			w.scan()
			w.expect(t, "a", "one") // it might still be written to
			w.scan()
			w.expect(t, "a", "one two")
		})
	}
}

func TestBrokenFileKeepsItsLastGoodState(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), team("a", "one"))
	write(t, filepath.Join(dir, "b.yaml"), team("b", "one"))
	w := watch(t, dir, "*.yaml")
	w.look()
	w.log.Reset()

	write(t, w.path("a.yaml"), team("a", "two")+"---\n"+team("other", "x")+"  owner: [\n")
	write(t, w.path("b.yaml"), team("b", "two"))
	w.look()
	w.expect(t, "a", "one")
	w.expect(t, "other", "-") // not half of it
	w.expect(t, "b", "two")
	problems := w.Problems()
	if len(problems) != 1 || problems[0].File != w.path("a.yaml") || problems[0].Line < 13 || problems[0].Line > 15 {
		t.Errorf("problems %v", problems)
	}
	w.look()
	w.said(t, "is broken: its last good state stays in use", 1)

	write(t, w.path("a.yaml"), team("a", "UPPER CASE"))
	w.look()
	w.expect(t, "a", "one")
	w.said(t, "a.yaml:6: spec.members", 1)

	write(t, w.path("a.yaml"), team("a", "three"))
	w.look()
	w.expect(t, "a", "three")
	if problems := w.Problems(); len(problems) != 0 {
		t.Errorf("problems %v", problems)
	}
	w.said(t, "good again", 1)
}

// TestNeverGood: as long as a part of the organisation was never known, nobody is
// told that somebody is not in it.
func TestNeverGood(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), team("a", "one"))
	write(t, filepath.Join(dir, "b.yaml"), "kind: Group\n")
	w := watch(t, dir, "*.yaml")
	w.expect(t, "a", "!")
	w.look()
	w.said(t, "b.yaml:1: has no apiVersion", 1)
	write(t, w.path("b.yaml"), team("b", "two"))
	w.look()
	w.expect(t, "a", "one")
	w.expect(t, "b", "two")

	// One that is named has to be there.
	w = watch(t, dir, "missing.yaml")
	w.expect(t, "a", "!")
	w.look()
	w.said(t, "missing.yaml: cannot be read: no such file", 1)
	write(t, w.path("missing.yaml"), team("a", "new"))
	w.look()
	w.expect(t, "a", "new")
}

func TestFilesComeAndGo(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), team("a", "one"))
	w := watch(t, dir, "*.yaml", "named.y?ml*", "no-*.yaml")
	w.look()
	w.said(t, "matches no file", 2)
	write(t, w.path("b.yaml"), team("b", "two"))
	write(t, w.path(".hidden.yaml"), "not: [valid")
	w.look()
	w.expect(t, "b", "two")

	// An editor that moves the file away before it writes the new one.
	if err := os.Rename(w.path("a.yaml"), w.path("a.yaml~")); err != nil {
		t.Fatal(err)
	}
	w.scan()
	w.expect(t, "a", "one")
	w.said(t, "is broken", 0)
	write(t, w.path("a.yaml"), team("a", "new"))
	w.look()
	w.expect(t, "a", "new")

	if err := os.Remove(w.path("b.yaml")); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.expect(t, "b", "-")
	w.expect(t, "a", "new")

	// A broken one that goes stops being a problem.
	write(t, w.path("c.yaml"), "kind: [")
	w.look()
	w.expect(t, "a", "!")
	if err := os.Remove(w.path("c.yaml")); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.expect(t, "a", "new")
}

func TestNamedFileThatIsGoneKeepsItsState(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "org.yaml"), team("a", "one"))
	w := watch(t, dir, "org.yaml")
	w.look()
	if err := os.Rename(w.path("org.yaml"), w.path("away")); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.look()
	w.expect(t, "a", "one")
	w.said(t, "no such file", 1)
	if err := os.Rename(w.path("away"), w.path("org.yaml")); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.expect(t, "a", "one")
	w.said(t, "good again", 1)
}

// TestKubernetesSwap: a mounted config map is a link to a file behind a link to a
// folder, and the latter is replaced.
func TestKubernetesSwap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "org.yaml"), content)
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", team("a", "one"))
	if err := os.Symlink("..data/org.yaml", filepath.Join(dir, "org.yaml")); err != nil {
		t.Fatal(err)
	}
	w := watch(t, dir, "*")
	w.look()
	w.expect(t, "a", "one")
	version("..2", team("a", "two"))
	// The same size and time, as when both came out of one archive.
	info, err := os.Stat(filepath.Join(dir, "..1", "org.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "..2", "org.yaml"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.expect(t, "a", "two")
	if problems := w.Problems(); len(problems) != 0 {
		t.Errorf("problems %v", problems)
	}
}

func TestConflicts(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), team("a", "one"))
	write(t, filepath.Join(dir, "b.yaml"), "---\n"+team("A", "two"))
	w := watch(t, dir, "b.yaml", "*.yaml")
	w.look()
	w.expect(t, "a", "one")
	w.said(t, "b.yaml:5: group:default/a is ignored: it is defined in "+w.path("a.yaml")+":4", 1)
}

func TestRunFollowsChanges(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "org.yaml")
	write(t, name, team("a", "one"))
	c, err := New(Config{Files: []string{name}, Interval: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { c.Run(ctx) })
	replace(t, name, team("a", "one", "two"))
	w := &watched{Catalog: c}
	for deadline := time.Now().Add(10 * time.Second); w.members("a") != "one two"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the change was not seen within 10s")
		}
	}
	cancel()
	wait.Wait()
}

func TestNewRefuses(t *testing.T) {
	for _, files := range [][]string{nil, {"[a"}} {
		if _, err := New(Config{Files: files}); err == nil {
			t.Errorf("%v: no error", files)
		}
	}
}

func TestParse(t *testing.T) {
	const head = "apiVersion: backstage.io/v1beta1\nkind: Component\nmetadata:\n  name: x\n"
	for _, c := range []struct{ name, content, problem string }{
		{"empty", "", ""},
		{"comments and empty documents", "# nothing\n---\n---\n# more\n---\n" + head, ""},
		{"not a mapping", "- a\n", "f:1: an entity must be a mapping with apiVersion, kind and metadata"},
		{"no apiVersion", "kind: User\nmetadata: {name: x}\n", "f:1: has no apiVersion: expected backstage.io/v1alpha1"},
		{"another version", "---\napiVersion: backstage.io/v9\nkind: User\nmetadata: {name: x}\n", `f:2: apiVersion must be backstage.io/v1alpha1 or backstage.io/v1beta1, got "backstage.io/v9"`},
		{"another API", "apiVersion: apps/v1\nkind: Deployment\nmetadata: [odd]\n", ""},
		{"no kind", "apiVersion: backstage.io/v1alpha1\nmetadata: {name: x}\n", "f:1: has no kind"},
		{"no metadata", "apiVersion: backstage.io/v1alpha1\nkind: User\n", "f:1: has no metadata.name"},
		{"metadata is text", "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: x\n", "f:3: metadata must be a mapping"},
		{"a name that is none", "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata:\n  name: a b\n", `f:4: entity reference "User:default/a b" has an invalid name: expected kind:namespace/name, each 1 to 63 of a-z, 0-9, '-', '_' and '.'`},
		{"a kind that smuggles", "apiVersion: backstage.io/v1alpha1\nkind: 'user:x/y'\nmetadata: {name: z}\n", "f:3: kind and metadata.namespace must not contain ':' or '/'"},
		{"an owner that is none", head + "spec:\n  owner: 'group:a/b/c'\n", `f:6: spec.owner: entity reference "group:a/b/c" has an invalid name: expected kind:namespace/name, each 1 to 63 of a-z, 0-9, '-', '_' and '.'`},
		{"an owner that is a section", head + "spec:\n  owner: {a: b}\n", "f:6: spec.owner must be entity references"},
		{"an annotation that is a list", strings.Replace(head, "  name: x\n", "  name: x\n  annotations:\n    a: [b]\n", 1), "f:6: an annotation must be a text"},
		{"twice", head + "---\n" + head, "f:9: component:default/x is defined twice, first in line 4"},
		{"syntax", head + "spec: [\n", "f:5: is not valid YAML: did not find expected node content"},
		{"aliases", "apiVersion: &v backstage.io/v1alpha1\nkind: Group\nmetadata: {name: &n x}\nspec:\n  members: [*n, *n]\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problem := parse("f", []byte(c.content))
			got := ""
			if problem != nil {
				got = problem.Error()
			}
			if diff := cmp.Diff(c.problem, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseReadsAnEntity(t *testing.T) {
	p, problem := parse("f", []byte(`
apiVersion: backstage.io/v1alpha1
kind: User
metadata:
  name: Jane
  namespace: Ops
  annotations: {slack.com/bot-notify: U1, other: "2"}
spec:
  profile: {displayName: Jane Doe, email: Jane@example.com}
  memberOf: [Team, default/board, "group:x/y"]
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: a, title: The API}
spec: {owner: "user:jane"}
---
apiVersion: backstage.io/v1alpha1
kind: Location
metadata: {name: there}
`))
	if problem != nil {
		t.Fatal(problem)
	}
	want := signalbox.Entity{
		Ref: "user:ops/jane", Title: "Jane Doe", Email: "Jane@example.com",
		Annotations: map[string]string{signalbox.AnnotationSlack: "U1", "other": "2"},
	}
	if diff := cmp.Diff(want, p.entities[0].Entity); diff != "" {
		t.Error(diff)
	}
	if got := p.entities[0].memberOf; !slices.Equal(got, []string{"group:ops/team", "group:default/board", "group:x/y"}) {
		t.Errorf("member of %v", got)
	}
	if p.entities[1].Title != "The API" || !slices.Equal(p.entities[1].owner, []string{"user:default/jane"}) {
		t.Errorf("%+v", p.entities[1])
	}
	if len(p.warnings) != 1 || p.warnings[0].Line != 18 {
		t.Errorf("warnings %v", p.warnings)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(directorytest.YAML(directorytest.Organisation())))
	f.Add("a: &x [*x]\n<<: *x\n")
	f.Fuzz(func(t *testing.T, content string) {
		p, problem := parse("f", []byte(content))
		if problem != nil && len(p.entities) > 0 {
			t.Error("a file with a problem has entities")
		}
		newIndex([]contents{{"f", p.entities}})
	})
}
