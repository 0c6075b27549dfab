package web_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/web"
)

func below(publicURL string) func(*web.Deps, *web.Config) {
	return func(_ *web.Deps, config *web.Config) { config.PublicURL = publicURL }
}

// TestPathPrefix is about proxies that leave their path in requests, and others.
func TestPathPrefix(t *testing.T) {
	h := start(t, below("https://tools.example.com/tools/in%20box/"))
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, status := range map[string]int{
		"/api/notifications/status":                    200,
		"/tools/in%20box/api/notifications/status":     200,
		"/tools/in%20box/api/notifications/status?x=1": 400,
		"/tools/in%20box/healthz":                      200,
		"/tools/in%20box/tools/in%20box/healthz":       404,
		"/tools/in%20boxes/healthz":                    404,
		"/tools/healthz":                               404,
		"/tools/in%20box":                              308,
		"/tools/in%20box/api/notifications/nope":       404,
	} {
		if got := h.get(userToken, path); got.StatusCode != status {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
		}
	}
	if got := h.get("", "/tools/in%20box?user=jane"); got.Header.Get("Location") != "/tools/in%20box/?user=jane" {
		t.Errorf("Location: %s", got.Header.Get("Location"))
	}
	h.get(userToken, "/tools/in%20box/api/notifications/status?foo=1").want(t, 400,
		errorOf(400, "InputError", "Unknown query parameter 'foo'", "GET", "/status?foo=1"))

	t.Log("Bodies may be as large as without the prefix.")
	batch := "[" + strings.Repeat(toJane+",", 999) + toJane + "]"
	for len(batch) < 2<<20 {
		batch = batch[:len(batch)-1] + strings.Repeat(" ", 1<<20) + "]"
	}
	if got := h.post(serviceToken, "/tools/in%20box/api/notifications/batch", batch); got.StatusCode != http.StatusAccepted {
		t.Errorf("%d %.200s", got.StatusCode, got.body)
	}
}

// TestPathPrefixOfOurOwn: it cannot be told from the server's own path, so that it has
// to be taken off.
func TestPathPrefixOfOurOwn(t *testing.T) {
	for _, own := range []string{"/api", "/api/notifications", "/auth", "/settings"} {
		h := start(t, below("https://tools.example.com"+own))
		if got := h.get(userToken, "/api/notifications/status"); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", own, got.StatusCode, got.body)
		}
	}
}

// TestPathPrefixBehindHost: whoever passes requests on may name the host with the path.
func TestPathPrefixBehindHost(t *testing.T) {
	h := start(t, below("https://tools.example.com/tools"))
	for target, status := range map[string]int{
		"http://%s/healthz":                 200,
		"http://%s/tools/healthz":           200,
		"https://%s/tools/healthz?x=1":      200,
		"http://%s/tools/tools/healthz":     404,
		"http://%s/toolsmith/healthz":       404,
		"http://%s?/tools/healthz":          404,
		"/x?to=http://%s/tools/healthz":     404,
		"http://%s/x/../tools/healthz":      404,
		"/tools/http://%s/tools/healthz":    404,
		"/tools/healthz?to=http://%s/":      200,
		"http://%s/tools//healthz":          404,
		"http://%s/tools/api/notifications": 401,
	} {
		conn, err := net.Dial("tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET "+target+" HTTP/1.1\r\nHost: %[1]s\r\nConnection: close\r\n\r\n", h.address)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(target, err)
		}
		if response.Body.Close(); response.StatusCode != status {
			t.Errorf("%s: %s", target, response.Status)
		}
		conn.Close()
	}
}

// TestPathPrefixIsNoPattern: characters that mean something in routes do not here.
func TestPathPrefixIsNoPattern(t *testing.T) {
	for _, own := range []string{"/h:x", "/h*", "/h+", "/health:x?"} {
		h := start(t, below("https://tools.example.com"+own))
		h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		own = strings.TrimSuffix(own, "?")
		for path, status := range map[string]int{"/healthz": 200, own: 308, own + "/healthz": 200} {
			if got := h.get("", path); got.StatusCode != status {
				t.Errorf("%s below %s: %d", path, own, got.StatusCode)
			}
		}
	}
}
