package catalogfile

import (
	"errors"
	"path/filepath"
	"testing"
)

// What keeps a file from being read, such as its owner, may pass without a trace on it.
func TestUnreadableFilesAreReadAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.yaml")
	write(t, name, team("a"))
	away := true
	f := &file{name: name, content: func(name string) ([]byte, error) {
		if away {
			return nil, errors.New("permission denied")
		}
		return readFile(name)
	}}
	for range 4 {
		f.look()
	}
	if f.problem == nil || f.loaded {
		t.Fatalf("problem %v, loaded %t", f.problem, f.loaded)
	}
	away = false
	if !f.look() || !f.loaded || f.problem != nil {
		t.Errorf("problem %v, loaded %t", f.problem, f.loaded)
	}
	f.look()
	if f.look() || !f.settled {
		t.Error("a file that was read and stays as it is, is read again")
	}
}
