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

// serveBell answers one request for a file of the page, with header pairs.
func serveBell(t *testing.T, path string, pairs ...string) (*http.Response, []byte) {
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
	return response, body
}

func TestBellIsForForeignPages(t *testing.T) {
	t.Parallel()
	response, body := serveBell(t, "/bell.js")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":  "*",
		"Cross-Origin-Resource-Policy": "cross-origin",
		"Content-Type":                 "text/javascript; charset=utf-8",
		"Cache-Control":                "no-cache",
		"X-Content-Type-Options":       "nosniff",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !bytes.Contains(body, []byte("customElements.define('signalbox-bell'")) {
		t.Error("the script defines no bell")
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(strings.TrimSpace(line), "//") {
			t.Errorf("a comment is sent: %s", line)
		}
	}
	for _, insecure := range []string{"innerHTML", "insertAdjacentHTML", "eval(", "new Function", "document.write", "import("} {
		if bytes.Contains(body, []byte(insecure)) {
			t.Errorf("the script uses %s", insecure)
		}
	}
	again, _ := serveBell(t, "/bell.js", "If-None-Match", response.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified || again.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("asked again: %d, %q", again.StatusCode, again.Header)
	}
}

func TestBellIsSmall(t *testing.T) {
	t.Parallel()
	for coding, most := range map[string]int{"br": 12_000, "gzip": 12 << 10} {
		response, body := serveBell(t, "/bell.js", "Accept-Encoding", coding)
		if got := response.Header.Get("Content-Encoding"); got != coding {
			t.Fatalf("the coding is %q, want %q", got, coding)
		}
		t.Logf("%s: %d bytes", coding, len(body))
		if len(body) > most {
			t.Errorf("the bell has %d bytes by %s, more than %d", len(body), coding, most)
		}
	}
}

func TestBellStaysOutOfThePage(t *testing.T) {
	t.Parallel()
	if _, body := serveBell(t, "/"); bytes.Contains(body, []byte("bell-demo")) || bytes.Contains(body, []byte("bell.js")) {
		t.Error("the page loads files of the bell")
	}
	for _, path := range []string{"/bell-demo.html", "/bell-demo.css", "/bell-demo.js"} {
		response, _ := serveBell(t, path)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
		if got := response.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s is shared with %q", path, got)
		}
		if got := response.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
			t.Errorf("the policy of %s is %q", path, got)
		}
	}
}
