package cmd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/signalbox/signalbox/storage/storagetest"
	"github.com/signalbox/signalbox/web/auth/oidc/oidctest"
)

// publicHost is where browsers believe the servers to be.
const publicHost = "signalbox.test"

// toServer is a transport that finds a server under its public name.
type toServer struct {
	http.RoundTripper
	address string
}

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r
	if r.URL.Host == publicHost {
		sent = r.Clone(r.Context())
		sent.URL.Host, sent.Host = s.address, publicHost
	}
	response, err := s.RoundTripper.RoundTrip(sent)
	if err == nil {
		response.Request = r
	}
	return response, err
}

// A login at one instance, a WebSocket at the other, and the end of both.
func TestLoginAtTwoInstances(t *testing.T) {
	provider := oidctest.New(t)
	t.Setenv("OIDC_CLIENT_SECRET", oidctest.ClientSecret)
	file := configFile(t, `
publicUrl: http://`+publicHost+`
auth:
  admins: ["group:default/team-a"]
  oidc:
    issuer: `+provider.URL+`
    clientId: `+oidctest.ClientID+`
    clientSecret: ${OIDC_CLIENT_SECRET}
    user: {claim: preferred_username}
    groups: {claim: groups}
  jwt:
    - {issuer: `+provider.URL+`, audiences: [api], user: {claim: preferred_username}, service: {claim: azp, when: {claim: azp}}}
`)
	database := storagetest.PostgresURL(t)
	var servers []*running
	for range 2 {
		servers = append(servers, serve(t, "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--database", database, "--config", file))
	}
	if strings.Contains(servers[0].stdout.String(), "guest (development)") {
		t.Error("it greets guests")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	// at is the browser, while the balancer leads it to a server.
	at := func(server *running) *http.Client {
		return &http.Client{Jar: jar, Transport: toServer{transport, strings.TrimPrefix(server.base, "http://")}}
	}
	ask := func(server *running, method, path string, header ...string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+publicHost+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "application/json")
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		answer, err := at(server).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	one, other := servers[0], servers[1]

	if status, body := ask(one, "GET", "/auth/login?returnTo=/readyz"); status != 200 {
		t.Fatalf("login: %d %s", status, body)
	}
	if status, body := ask(other, "GET", "/auth/session"); status != 200 || !strings.Contains(body, `"user":"user:default/jane"`) || !strings.Contains(body, `"admin":true`) {
		t.Fatalf("at the other instance: %d %s", status, body)
	}
	if status, body := ask(other, "GET", "/api/notifications"); status != 200 {
		t.Errorf("inbox: %d %s", status, body)
	}
	// Tokens of the same provider.
	for claims, want := range map[string]int{`{"aud":"api","preferred_username":"joe"}`: 200, `{"aud":"api","azp":"ci"}`: 403, `{"aud":"other","preferred_username":"joe"}`: 401} {
		var read map[string]any
		if err := json.Unmarshal([]byte(claims), &read); err != nil {
			t.Fatal(err)
		}
		if status, body := ask(one, "GET", "/api/notifications/status", "Authorization", "Bearer "+provider.Token(read)); status != want {
			t.Errorf("%s: %d %s", claims, status, body)
		}
	}

	header := http.Header{"Origin": {"http://" + publicHost}, "Host": {publicHost}}
	for _, cookie := range jar.Cookies(&url.URL{Scheme: "http", Host: publicHost, Path: "/"}) {
		header.Add("Cookie", cookie.String())
	}
	dial := func(header http.Header) (*websocket.Conn, int) {
		t.Helper()
		dialer := websocket.Dialer{HandshakeTimeout: 10 * time.Second}
		conn, answer, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(other.base, "http")+"/api/signals", header)
		if err != nil && answer == nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
		return conn, answer.StatusCode
	}
	foreign := header.Clone()
	foreign.Set("Origin", "http://evil.test")
	if _, status := dial(foreign); status != http.StatusForbidden {
		t.Errorf("the socket of a foreign page: %d", status)
	}
	socket, status := dial(header)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("socket: %d", status)
	}
	// The provider is not needed for what follows, but for its own logout page.
	provider.Behave(oidctest.Behaviour{Down: true})
	if status, body := ask(one, "POST", "/auth/logout", "Origin", "http://"+publicHost); status != 200 {
		t.Fatalf("logout: %d %s", status, body)
	}
	if err := socket.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := socket.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("the socket ended with %v", err)
	}
	if status, body := ask(other, "GET", "/api/notifications"); status != 401 {
		t.Errorf("after the logout: %d %s", status, body)
	}
}

// A provider that is away keeps nobody from starting.
func TestServeWithoutItsProvider(t *testing.T) {
	file := configFile(t, `
publicUrl: http://`+publicHost+`
auth: {oidc: {issuer: "http://127.0.0.1:1", clientId: x, user: {claim: sub}}}
`)
	server := serve(t, "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--config", file)
	answer, err := http.Get(server.base + "/auth/login")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
	http.DefaultClient.CloseIdleConnections()
}
