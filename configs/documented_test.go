package configs

import (
	"os"
	"strings"
	"testing"
)

func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range Keys() {
		if !strings.Contains(string(page), "| `"+key+"` |") {
			t.Errorf("docs/configuration.md has no row for %s", key)
		}
	}
	// And the other way round: no row for a key that does not exist.
	for line := range strings.Lines(string(page)) {
		rest, ok := strings.CutPrefix(line, "| `")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, "`")
		known := false
		for _, key := range Keys() {
			known = known || key == name
		}
		if !known && !strings.Contains(name, "-") && !strings.Contains(name, ":") {
			t.Errorf("docs/configuration.md has a row for %s, which is no key", name)
		}
	}
}
