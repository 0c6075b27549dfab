package ui_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox/web/ui"
)

// answer is what a request was answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// getBell asks for a file of the page, with header pairs.
func getBell(t *testing.T, path string, pairs ...string) answer {
	t.Helper()
	page, err := ui.New(ui.Config{})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	for _, pattern := range page.Paths() {
		app.Get(pattern, page.Handle)
	}
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for i := 0; i+1 < len(pairs); i += 2 {
		request.Header.Set(pairs[i], pairs[i+1])
	}
	// The first compression of a file takes its time on a busy machine.
	response, err := app.Test(request, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, body}
}

func TestBellIsForForeignPages(t *testing.T) {
	t.Parallel()
	script := getBell(t, "/bell.js")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":  "*",
		"Cross-Origin-Resource-Policy": "cross-origin",
		"Content-Type":                 "text/javascript; charset=utf-8",
		"Cache-Control":                "no-cache",
		"X-Content-Type-Options":       "nosniff",
	} {
		if got := script.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !bytes.Contains(script.body, []byte("customElements.define('signalbox-bell'")) {
		t.Error("the script defines no bell")
	}
	for line := range strings.Lines(string(script.body)) {
		if strings.HasPrefix(strings.TrimSpace(line), "//") {
			t.Errorf("a comment is sent: %s", line)
		}
	}
	for _, insecure := range []string{"innerHTML", "insertAdjacentHTML", "eval(", "new Function", "document.write", "import("} {
		if bytes.Contains(script.body, []byte(insecure)) {
			t.Errorf("the script uses %s", insecure)
		}
	}
	again := getBell(t, "/bell.js", "If-None-Match", script.header.Get("ETag"))
	if again.status != http.StatusNotModified || again.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("asked again: %d, %q", again.status, again.header)
	}
}

func TestBellIsSmall(t *testing.T) {
	t.Parallel()
	for coding, most := range map[string]int{"br": 12_000, "gzip": 12 << 10} {
		script := getBell(t, "/bell.js", "Accept-Encoding", coding)
		if got := script.header.Get("Content-Encoding"); got != coding {
			t.Fatalf("the coding is %q, want %q", got, coding)
		}
		t.Logf("%s: %d bytes", coding, len(script.body))
		if len(script.body) > most {
			t.Errorf("the bell has %d bytes by %s, more than %d", len(script.body), coding, most)
		}
	}
}

func TestBellStaysOutOfThePage(t *testing.T) {
	t.Parallel()
	if page := getBell(t, "/"); bytes.Contains(page.body, []byte("bell-demo")) || bytes.Contains(page.body, []byte("bell.js")) {
		t.Error("the page loads files of the bell")
	}
	for _, path := range []string{"/bell-demo.html", "/bell-demo.css", "/bell-demo.js"} {
		file := getBell(t, path)
		if file.status != http.StatusOK {
			t.Errorf("%s: %d", path, file.status)
		}
		if got := file.header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s is shared with %q", path, got)
		}
		if got := file.header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
			t.Errorf("the policy of %s is %q", path, got)
		}
	}
}
