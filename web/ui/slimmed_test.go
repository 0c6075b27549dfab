package ui_test

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/web/ui"
)

// TestCommentsStayHere is about the weight of the page. Others' files are sent as they
// are: their licences ask for it.
func TestCommentsStayHere(t *testing.T) {
	t.Parallel()
	a := app(t, ui.Config{})
	_, document := get(t, a, http.MethodGet, "/")
	version := regexp.MustCompile(`assets/([0-9a-f]+)/`).FindStringSubmatch(string(document))[1]
	for _, name := range files(t, ".js") {
		if strings.HasPrefix(name, "bell") {
			continue
		}
		file, err := os.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		_, sent := get(t, a, http.MethodGet, "/assets/"+version+"/"+name)
		if strings.HasPrefix(name, "vendor/") {
			if !bytes.Equal(sent, file) {
				t.Errorf("%s is not sent as it is", name)
			}
			continue
		}
		if len(sent) == 0 || len(sent) > len(file) {
			t.Errorf("%s has %d bytes, and %d are sent", name, len(file), len(sent))
		}
		for line := range bytes.Lines(sent) {
			if line = bytes.TrimSpace(line); bytes.HasPrefix(line, []byte("//")) || bytes.HasPrefix(line, []byte("/*")) || bytes.HasPrefix(line, []byte("* ")) {
				t.Errorf("%s: a comment is sent: %s", name, line)
			}
		}
	}
}
