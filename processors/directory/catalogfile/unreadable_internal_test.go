package catalogfile

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAFolderThatCannotBeReadKeepsItsFiles: only a file that is not there any more is
// gone; a folder that cannot be looked into says nothing of what is in it.
func TestAFolderThatCannotBeReadKeepsItsFiles(t *testing.T) {
	root := t.TempDir()
	folder, aside := filepath.Join(root, "org"), filepath.Join(root, "aside")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: team}\nspec: {type: team, children: [], members: [jane]}\n"
	if err := os.WriteFile(filepath.Join(folder, "org.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Files: []string{filepath.Join(folder, "*.yaml")}})
	if err != nil {
		t.Fatal(err)
	}
	known := func() bool {
		records, err := c.Lookup(t.Context(), []string{"group:default/team"})
		return err == nil && records["group:default/team"] != nil
	}
	if !known() {
		t.Fatal("the group is not known")
	}
	// A link that leads in circles fails as a network file system does that is away,
	// also for who may read everything.
	if err := os.Rename(folder, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder, folder); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		c.scan()
	}
	if !known() {
		t.Error("the group is not known any more: what is sent to it reaches nobody")
	}
}
