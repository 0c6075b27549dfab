package ui_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/web/ui"
)

// TestWeight is about everything that a browser can load of the page, compressed by
// gzip, which every browser takes.
func TestWeight(t *testing.T) {
	const most = 100_000
	a := app(t, ui.Config{})
	response, body := get(t, a, http.MethodGet, "/", "Accept-Encoding", "gzip")
	total := len(body)
	_, plain := get(t, a, http.MethodGet, "/")
	version := regexp.MustCompile(`assets/([0-9a-f]+)/`).FindStringSubmatch(string(plain))[1]
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.StatusCode)
	}
	for _, name := range files(t, ".js", ".css", ".svg") {
		if strings.HasPrefix(name, "bell") {
			continue // another page's
		}
		response, body := get(t, a, http.MethodGet, "/assets/"+version+"/"+name, "Accept-Encoding", "gzip")
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", name, response.StatusCode)
		}
		total += len(body)
	}
	t.Logf("%d bytes", total)
	if total > most {
		t.Errorf("the page has %d bytes", total)
	}
}

// files lists the files under static with these extensions.
func files(t *testing.T, extensions ...string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir("static", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && slices.Contains(extensions, filepath.Ext(name)) {
			list = append(list, strings.TrimPrefix(filepath.ToSlash(name), "static/"))
		}
		return err
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("no files: %v", err)
	}
	return list
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestVendoredFilesAreUnmodified(t *testing.T) {
	listed := map[string]bool{}
	for line := range strings.Lines(read(t, "vendor.sha256")) {
		want, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("not a sum: %q", line)
		}
		sum := sha256.Sum256([]byte(read(t, filepath.Join("..", "..", name))))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has the sum %s, want %s", name, got, want)
		}
		listed[filepath.Base(name)] = true
	}
	entries, err := os.ReadDir("static/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !listed[entry.Name()] {
			t.Errorf("%s has no sum", entry.Name())
		}
	}
}

// TestNoMarkupOutOfText keeps what turns text into markup or code out of the scripts.
func TestNoMarkupOutOfText(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function|createContextualFragment|DOMParser|srcdoc`)
	for _, name := range files(t, ".js") {
		if strings.HasPrefix(name, "vendor/") {
			continue
		}
		if found := forbidden.FindString(read(t, "static/"+name)); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

// texts reads a language.
func texts(t *testing.T, language string) map[string]any {
	t.Helper()
	content := strings.TrimSpace(read(t, "static/i18n/"+language+".js"))
	content, ok := strings.CutPrefix(content, "export default ")
	if !ok {
		t.Fatalf("%s does not begin with export default", language)
	}
	var read map[string]any
	if err := json.Unmarshal([]byte(strings.TrimSuffix(content, ";")), &read); err != nil {
		t.Fatalf("%s: %v", language, err)
	}
	return read
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

// forms are the texts of an entry: one, or one for each plural.
func forms(t *testing.T, entry any) map[string]string {
	t.Helper()
	switch entry := entry.(type) {
	case string:
		return map[string]string{"": entry}
	case map[string]any:
		list := map[string]string{}
		for category, text := range entry {
			list[category], _ = text.(string)
		}
		return list
	default:
		t.Fatalf("neither a text nor its plurals: %v", entry)
		return nil
	}
}

// pluralCategories are those of each language (CLDR).
var pluralCategories = map[string][]string{"en": {"one", "other"}, "de": {"one", "other"}}

func TestEveryLanguageHasEveryText(t *testing.T) {
	english := texts(t, "en")
	for _, name := range files(t, ".js") {
		language, ok := strings.CutPrefix(strings.TrimSuffix(name, ".js"), "i18n/")
		if !ok {
			continue
		}
		if !strings.Contains(read(t, "static/js/kit/i18n.js"), language+": '") {
			t.Errorf("nobody can choose %s", language)
		}
		theirs := texts(t, language)
		for _, key := range slices.Sorted(maps.Keys(english)) {
			entry, ok := theirs[key]
			if !ok {
				t.Errorf("%s has no %q", language, key)
				continue
			}
			want := map[string]bool{}
			for _, text := range forms(t, english[key]) {
				for _, name := range placeholder.FindAllString(text, -1) {
					want[name] = true
				}
			}
			list := forms(t, entry)
			if _, isOne := list[""]; !isOne {
				if got := slices.Sorted(maps.Keys(list)); !slices.Equal(got, pluralCategories[language]) {
					t.Errorf("%s: %q has the plurals %v, want %v", language, key, got, pluralCategories[language])
				}
			}
			for _, text := range list {
				if strings.TrimSpace(text) == "" {
					t.Errorf("%s: %q is empty", language, key)
				}
				for _, name := range placeholder.FindAllString(text, -1) {
					if !want[name] {
						t.Errorf("%s: %q has %s, which is not there", language, key, name)
					}
				}
			}
		}
		for key := range theirs {
			if _, ok := english[key]; !ok {
				t.Errorf("%s has %q, which English does not have", language, key)
			}
		}
	}
}

// usedKey finds keys in the scripts: whole ones, and the fixed beginnings of those that
// are put together.
var usedKey = regexp.MustCompile("[`']([a-z][A-Za-z.0-9]*)(\\$\\{)?")

func TestEveryTextIsUsedAndEveryUsedOneIsThere(t *testing.T) {
	english := texts(t, "en")
	whole, beginnings := map[string]bool{}, []string{}
	direct := regexp.MustCompile(`\bt\('([^']+)'`)
	for _, name := range files(t, ".js") {
		if !strings.HasPrefix(name, "js/") {
			continue
		}
		script := read(t, "static/"+name)
		for _, found := range direct.FindAllStringSubmatch(script, -1) {
			if _, ok := english[found[1]]; !ok {
				t.Errorf("%s uses %q, which is not there", name, found[1])
			}
		}
		for _, found := range usedKey.FindAllStringSubmatch(script, -1) {
			if found[2] != "" && strings.HasSuffix(found[1], ".") {
				beginnings = append(beginnings, found[1])
			} else {
				whole[found[1]] = true
			}
		}
	}
	for key := range english {
		if !whole[key] && !slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(key, b) }) {
			t.Errorf("nothing uses %q", key)
		}
	}
}
