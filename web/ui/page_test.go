package ui_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox/web/ui"
)

// app serves the page as the API's server does.
func app(t *testing.T, config ui.Config) *fiber.App {
	t.Helper()
	page, err := ui.New(config)
	if err != nil {
		t.Fatal(err)
	}
	a := fiber.New()
	for _, path := range page.Paths() {
		a.Get(path, page.Handle)
	}
	return a
}

// reply is an answer without its body.
type reply struct {
	StatusCode    int
	ContentLength int64
	Header        http.Header
}

// get makes a request with headers in pairs.
func get(t *testing.T, a *fiber.App, method, path string, headers ...string) (reply, []byte) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := a.Test(r, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.ContentLength, response.Header}, body
}

var reference = regexp.MustCompile(`(?:src|href)="([^"]+)"`)

// references are the addresses that a document refers to, as a browser resolves them.
func references(document []byte, at string) []string {
	var list []string
	for _, found := range reference.FindAllSubmatch(document, -1) {
		list = append(list, path.Join(path.Dir(at+"x"), string(found[1])))
	}
	return list
}

func TestDocuments(t *testing.T) {
	a := app(t, ui.Config{})
	for _, at := range []string{"/", "/settings", "/admin", "/admin/", "/admin/queues", "/admin/dead-letters/x"} {
		response, body := get(t, a, http.MethodGet, at)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("%s: %d %s", at, response.StatusCode, response.Header.Get("Content-Type"))
		}
		if got := response.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control is %q", at, got)
		}
		if strings.Contains(string(body), "<script>") || strings.Contains(string(body), "<style") || regexp.MustCompile(`\son\w+=`).Match(body) {
			t.Errorf("%s: something is inline", at)
		}
		list := references(body, at)
		if len(list) < 10 {
			t.Fatalf("%s refers to %d files", at, len(list))
		}
		for _, file := range list {
			response, _ := get(t, a, http.MethodGet, file)
			if response.StatusCode != http.StatusOK || !strings.Contains(response.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s refers to %s: %d, %s", at, file, response.StatusCode, response.Header.Get("Cache-Control"))
			}
		}
	}
	for _, at := range []string{"/nothing", "/settings/deeper", "/admin/1/2/3/4", "/assets/", "/assets/x", "/assets/x/", "/assets/x/../../page.go", "/assets/x/vendor/preact.LICENSE", "/assets/x/index.html"} {
		if response, _ := get(t, a, http.MethodGet, at); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", at, response.StatusCode)
		}
	}
}

func TestConfigReachesThePage(t *testing.T) {
	_, body := get(t, app(t, ui.Config{API: "/backend/api/", AppURL: "https://portal.example.com/x?\"><script>"}), http.MethodGet, "/")
	if !strings.Contains(string(body), `data-api="/backend/api/"`) || !strings.Contains(string(body), `data-app="https://portal.example.com/x?`) {
		t.Errorf("the document does not name them: %s", body[:200])
	}
	if strings.Contains(string(body), `"><script>`) {
		t.Error("a configured URL is markup")
	}
	for _, config := range []ui.Config{{API: "api"}, {API: "https://elsewhere.example.com/api/"}, {API: "//elsewhere/api/"}, {API: "api/?x=/"}, {AppURL: "javascript:alert(1)"}, {AppURL: "/relative"}} {
		if _, err := ui.New(config); err == nil {
			t.Errorf("%+v is accepted", config)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	a := app(t, ui.Config{})
	for host, connect := range map[string]string{
		"inbox.example.com:8443":    "connect-src 'self' ws://inbox.example.com:8443 wss://inbox.example.com:8443",
		"[::1]:7080":                "connect-src 'self' ws://[::1]:7080 wss://[::1]:7080",
		"x; script-src *":           "connect-src 'self'",
		"x 'unsafe-inline'":         "connect-src 'self'",
		"example.com,script-src *;": "connect-src 'self'",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		response, err := a.Test(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			continue // the server refuses it by itself
		}
		directives := strings.Split(response.Header.Get("Content-Security-Policy"), "; ")
		want := []string{
			"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "frame-ancestors 'none'",
			"base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'", connect,
		}
		if strings.Join(directives, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: the policy is %q", host, directives)
		}
		for name, value := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
			if got := response.Header.Get(name); got != value {
				t.Errorf("%s is %q", name, got)
			}
		}
	}
}

func TestCodingsAndTags(t *testing.T) {
	a := app(t, ui.Config{})
	_, plain := get(t, a, http.MethodGet, "/")
	tags := map[string]bool{}
	for _, test := range []struct{ accept, coding string }{
		{"", ""},
		{"identity", ""},
		{"gzip", "gzip"},
		{"gzip, deflate, br", "br"},
		{"br;q=0.1, gzip;q=0.9", "gzip"},
		{"deflate", ""},
		{"br;q=0, gzip;q=0", ""},
		{"br;q=0, *", "gzip"},
		{"*", "br"},
		{"*;q=0.5, gzip", "gzip"},
		{"BR", "br"},
	} {
		response, body := get(t, a, http.MethodGet, "/", "Accept-Encoding", test.accept)
		if got := response.Header.Get("Content-Encoding"); got != test.coding {
			t.Errorf("%q is answered in %q, want %q", test.accept, got, test.coding)
			continue
		}
		var unpacked io.Reader = strings.NewReader(string(body))
		switch test.coding {
		case "br":
			unpacked = brotli.NewReader(unpacked)
		case "gzip":
			z, err := gzip.NewReader(unpacked)
			if err != nil {
				t.Fatal(err)
			}
			unpacked = z
		}
		if content, err := io.ReadAll(unpacked); err != nil || string(content) != string(plain) {
			t.Errorf("%q: %v, or not what it is", test.accept, err)
		}
		if vary := response.Header.Get("Vary"); vary != "Accept-Encoding" {
			t.Errorf("Vary is %q", vary)
		}
		tag := response.Header.Get("ETag")
		tags[test.coding+" "+tag] = true
		for header, status := range map[string]int{
			tag: http.StatusNotModified, "W/" + tag: http.StatusNotModified, `"x", ` + tag: http.StatusNotModified, "*": http.StatusNotModified,
			`"x"`: http.StatusOK, strings.Trim(tag, `"`): http.StatusOK,
		} {
			response, body := get(t, a, http.MethodGet, "/", "Accept-Encoding", test.accept, "If-None-Match", header)
			if response.StatusCode != status || (status == http.StatusNotModified) != (len(body) == 0) {
				t.Errorf("If-None-Match %s: %d with %d bytes", header, response.StatusCode, len(body))
			}
			if response.Header.Get("ETag") != tag || response.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("If-None-Match %s: headers are missing", header)
			}
		}
		if response, body := get(t, a, http.MethodHead, "/", "Accept-Encoding", test.accept); response.StatusCode != http.StatusOK || len(body) != 0 || response.Header.Get("ETag") != tag {
			t.Errorf("HEAD: %d with %d bytes and the tag %s", response.StatusCode, len(body), response.Header.Get("ETag"))
		}
	}
	if len(tags) != 3 {
		t.Errorf("the tags are %v, want one for each coding", tags)
	}
}

func TestOtherVersionsAreNotKept(t *testing.T) {
	response, _ := get(t, app(t, ui.Config{}), http.MethodGet, "/assets/older/js/main.js")
	if got := response.Header.Get("Cache-Control"); response.StatusCode != http.StatusOK || got != "no-store" {
		t.Errorf("%d, Cache-Control %q", response.StatusCode, got)
	}
}
