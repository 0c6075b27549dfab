package web_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/hub"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// selfSigned makes a server's TLS configuration.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// from makes the harness's requests come from a loopback address of its own.
func (h *harness) from(address string) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	h.client.CloseIdleConnections()
	h.client = &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}, Timeout: 10 * time.Second}
	h.t.Cleanup(h.client.CloseIdleConnections)
}

// plainly makes a request without holding the answer to the description.
func (h *harness) plainly(method, path, token string, header http.Header) response {
	h.t.Helper()
	scheme := "http"
	if transport, ok := h.client.Transport.(*http.Transport); ok && transport.TLSClientConfig != nil && transport.TLSClientConfig.InsecureSkipVerify {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, scheme+"://"+h.address+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Host = header.Get("Host")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response{res, string(content)}
}

func TestGuessingIsUseless(t *testing.T) {
	h := start(t)
	const path = "/api/notifications/status"
	// Who is known goes on, whatever others at the same address do.
	if got := h.plainly("GET", path, userToken, nil); got.StatusCode != 200 {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	failed := 0
	for {
		got := h.plainly("GET", path, "guess-"+strconv.Itoa(failed), nil)
		if got.StatusCode == 429 {
			got.want(t, 429, errorOf(429, "TooManyRequestsError", "Authentication failed too often from this address, try again later", "GET", "/status"))
			if after, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || after < 1 {
				t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
			}
			break
		}
		if failed++; got.StatusCode != 401 || failed > 1000 {
			t.Fatalf("%d after %d failures", got.StatusCode, failed)
		}
	}
	if failed < 100 {
		t.Errorf("only %d failures", failed)
	}
	// Allowances come back all the time, so spend those of a moment first.
	right := func(path string, header http.Header) int {
		for {
			if got := h.plainly("GET", path, "wrong", nil); got.StatusCode == 429 {
				return h.plainly("GET", path, header.Get("X-Token"), header).StatusCode
			}
		}
	}
	if status := right("/api/notifications/admin/status", http.Header{"X-Token": {serviceToken}}); status != 429 {
		t.Errorf("a right guess is answered %d", status)
	}
	if status := right(path, http.Header{"X-Token": {userToken}}); status != 200 {
		t.Errorf("who was here before is answered %d", status)
	}
	if status := right("/api/signals", http.Header{"Sec-Websocket-Protocol": {serviceToken}}); status != 429 {
		t.Errorf("a right guess by WebSocket is answered %d", status)
	}
	if status := right(path, nil); status != 401 {
		t.Errorf("who guesses nothing is answered %d", status)
	}
	h.from("127.0.0.2")
	if got := h.plainly("GET", path, serviceToken, nil); got.StatusCode != 403 {
		t.Errorf("another address is answered %d", got.StatusCode)
	}
	log := h.logged.String()
	if n := strings.Count(log, "what=authenticate"); n != 1 || strings.Contains(log, "guess-") {
		t.Errorf("%d lines: %s", n, log)
	}
	for _, want := range []string{`msg="authentication failed"`, "logger=audit", "kind=unknown", "address=127.0.0.1", "count=1", `err="Invalid token"`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
}

// What is behind a proxy has an address and a limit of its own, if the proxy is
// trusted, and can make none up otherwise.
func TestClientsBehindProxies(t *testing.T) {
	h := start(t, func(_ *web.Deps, config *web.Config) { config.TrustedProxies = loopback })
	for n := range 200 {
		header := http.Header{"X-Forwarded-For": {fmt.Sprintf("203.0.113.1, 192.0.2.%d", n)}}
		if got := h.plainly("GET", "/api/notifications", "wrong", header); got.StatusCode != 401 {
			t.Fatalf("client %d: %d", n, got.StatusCode)
		}
	}
	if log := h.logged.String(); !strings.Contains(log, "address=192.0.2.7 ") || strings.Contains(log, "203.0.113.1") {
		t.Errorf("%.2000s", log)
	}
	h = start(t)
	for n := 0; ; n++ {
		header := http.Header{"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d", n%256)}, "X-Real-Ip": {"192.0.2.1"}, "Forwarded": {"for=192.0.2.1"}}
		if got := h.plainly("GET", "/api/notifications", "wrong", header); got.StatusCode == 429 {
			break
		}
		if n > 1000 {
			t.Fatal("a made-up address has a limit of its own")
		}
	}
	if log := h.logged.String(); !strings.Contains(log, "address=127.0.0.1 ") || strings.Contains(log, "192.0.2") {
		t.Errorf("%.2000s", log)
	}
}

// hostOnly refuses everybody, and those who come to one host in another way.
type hostOnly struct{}

func (hostOnly) Authenticate(_ context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	if credentials.Host == "signalbox.example.com" {
		return nil, signalbox.Errorf(signalbox.CodeNotAllowed, "not here")
	}
	return nil, auth.ErrNotMine
}

// Authenticators compare pages with the host that a trusted proxy says.
func TestHostBehindProxies(t *testing.T) {
	for trusted, want := range map[bool]int{true: 403, false: 401} {
		h := start(t, func(deps *web.Deps, config *web.Config) {
			deps.Authenticator = hostOnly{}
			if trusted {
				config.TrustedProxies = loopback
			}
		})
		got := h.plainly("GET", "/api/notifications/status", "", http.Header{"Host": {"internal:7080"}, "X-Forwarded-Host": {"evil.example.com, signalbox.example.com"}})
		if got.StatusCode != want {
			t.Errorf("trusted %t: %d %s", trusted, got.StatusCode, got.body)
		}
	}
}

func TestStrictTransportSecurity(t *testing.T) {
	const header = "Strict-Transport-Security"
	secure := http.Header{"X-Forwarded-Proto": {"https"}, "Host": {"signalbox.example.com"}}
	trusting := start(t, func(_ *web.Deps, config *web.Config) {
		config.TrustedProxies, config.AllowedOrigins = loopback, []string{"https://a.example.com"}
	})
	for _, path := range []string{"/healthz", "/api/notifications", "/nothing", "/metrics"} {
		got := trusting.plainly("GET", path, "", secure)
		if got.Header.Get(header) != "max-age=31536000" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, got.Header)
		}
	}
	preflight := http.Header{"Origin": {"https://a.example.com"}, "Access-Control-Request-Method": {"POST"}}
	for name, values := range secure {
		preflight[name] = values
	}
	if got := trusting.plainly("OPTIONS", "/api/notifications", "", preflight); got.Header.Get(header) == "" || got.StatusCode != 204 {
		t.Errorf("preflight: %v", got.Header)
	}
	for name, c := range map[string]struct {
		h      *harness
		header http.Header
	}{
		"plain HTTP":            {trusting, http.Header{"Host": {"signalbox.example.com"}}},
		"plain HTTP to a proxy": {trusting, http.Header{"Host": {"signalbox.example.com"}, "X-Forwarded-Proto": {"http"}}},
		"said by a client":      {trusting, http.Header{"Host": {"signalbox.example.com"}, "X-Forwarded-Proto": {"https, http"}}},
		"for localhost":         {trusting, http.Header{"Host": {"localhost:7080"}, "X-Forwarded-Proto": {"https"}}},
		"of an untrusted proxy": {start(t), secure},
	} {
		if got := c.h.plainly("GET", "/healthz", "", c.header); got.Header.Get(header) != "" {
			t.Errorf("%s: %v", name, got.Header)
		}
	}
	own := startTLS(t)
	if got := own.plainly("GET", "/healthz", "", http.Header{"Host": {"signalbox.example.com"}}); got.Header.Get(header) == "" {
		t.Errorf("own TLS: %v", got.Header)
	}
	// An answer to what could not be read has it, too.
	if got := own.plainly("GET", "/healthz", strings.Repeat("x", 100_000), nil); got.StatusCode != 431 || got.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

// startTLS is start with TLS.
func startTLS(t *testing.T, change ...func(*web.Deps, *web.Config)) *harness {
	t.Helper()
	h := start(t, append(change, func(_ *web.Deps, config *web.Config) { config.TLS = selfSigned(t) })...)
	h.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return h
}

func TestAnswersArePrivate(t *testing.T) {
	h := start(t, withAdmins(serviceName))
	for _, r := range h.server.Routes() {
		if r.Access == "public" {
			continue
		}
		for _, token := range []string{"", userToken, serviceToken} {
			got := h.plainly(r.Method, strings.Replace(r.Path, ":id", idOf(1), 1), token, nil)
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if value := got.Header.Get(name); value != want {
					t.Errorf("%s %s, %d: %s is %q", r.Method, r.Path, got.StatusCode, name, value)
				}
			}
		}
	}
}

func TestCrossOriginPages(t *testing.T) {
	const listed = "https://backstage.example.com"
	ask := func(h *harness, origin, method, header string) http.Header {
		t.Helper()
		got := h.plainly("OPTIONS", "/api/notifications/schedule", "", http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": {header},
		})
		return got.Header
	}
	allows := func(list, item string) bool {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(one), item) {
				return true
			}
		}
		return false
	}
	some := start(t, func(_ *web.Deps, config *web.Config) { config.AllowedOrigins = []string{listed} })
	for _, r := range some.server.Routes() {
		if got := ask(some, listed, r.Method, "x"); !allows(got.Get("Access-Control-Allow-Methods"), r.Method) {
			t.Errorf("%s is not allowed: %v", r.Method, got)
		}
	}
	for _, header := range []string{"X-Requested-With", "Authorization", "Content-Type", "Idempotency-Key", "Prefer"} {
		got := ask(some, listed, "DELETE", header)
		if !allows(got.Get("Access-Control-Allow-Headers"), header) || got.Get("Access-Control-Allow-Origin") != listed || got.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s: %v", header, got)
		}
	}
	for _, origin := range []string{"https://evil.example.com", "https://backstage.example.com.evil.example", "http://backstage.example.com", "null"} {
		got := ask(some, origin, "DELETE", "Authorization")
		if got.Get("Access-Control-Allow-Origin")+got.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", origin, got)
		}
		plain := some.plainly("GET", "/api/notifications", userToken, http.Header{"Origin": {origin}}).Header
		if plain.Get("Access-Control-Allow-Origin")+plain.Get("Access-Control-Allow-Credentials") != "" || plain.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", origin, plain)
		}
	}
	if got := some.plainly("GET", "/api/notifications", userToken, http.Header{"Origin": {listed}}).Header; got.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("no cookies for the listed origin: %v", got)
	}
	for _, origins := range [][]string{{"*"}, {listed, "*"}} {
		all := start(t, func(_ *web.Deps, config *web.Config) { config.AllowedOrigins = origins })
		got := ask(all, listed, "DELETE", "Authorization")
		if got.Get("Access-Control-Allow-Origin") != "*" || got.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%v: %v", origins, got)
		}
	}
}

// A client that sends a byte now and then is cut off all the same.
func TestTricklesAreCutOff(t *testing.T) {
	const patience = 200 * time.Millisecond
	short := func(_ *web.Deps, config *web.Config) { config.ReadTimeout = patience }
	for name, c := range map[string]struct {
		secure bool
		first  string
	}{
		"request line": {false, ""},
		"header":       {false, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "},
		"later header": {false, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "},
		"body":         {false, "POST /api/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"},
		"chunks":       {false, "POST /api/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n{"},
		"handshake":    {true, "\x16\x03\x01\x02\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, short)
			if c.secure {
				h = startTLS(t, short)
			}
			conn := h.dial()
			cut := make(chan string, 1)
			go func() {
				said, _ := io.ReadAll(conn)
				cut <- string(said)
			}()
			if _, err := io.WriteString(conn, c.first); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			drip := time.NewTicker(10 * time.Millisecond)
			defer drip.Stop()
			for {
				select {
				case said := <-cut:
					if !c.secure && !strings.Contains(said, "HTTP/1.1 408 ") {
						t.Errorf("it says %q", said)
					}
					if took := time.Since(begun); took < patience/2 {
						t.Errorf("cut off after %s", took)
					}
					return
				case <-drip.C:
					_, _ = conn.Write([]byte{'x'})
				}
				// Lingering takes two seconds.
				if time.Since(begun) > 20*patience {
					t.Fatal("still open")
				}
			}
		})
	}
}

// Silent connections up to the limit do not keep a TLS server from refusing more, nor
// from serving once they are gone.
func TestConnectionLimitWithTLS(t *testing.T) {
	h := startTLS(t, func(_ *web.Deps, config *web.Config) { config.MaxConnections = 2 })
	silent := []net.Conn{h.dial(), h.dial()}
	for range 3 {
		// fasthttp takes some time to hand connections out, so the limit is not exact.
		conn := h.dial()
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("something was said before the handshake")
		} else if netErr, ok := err.(net.Error); ok && netErr.Timeout() { //nolint:errorlint // it is what Read returns
			t.Error("a connection beyond the limit is kept")
		}
	}
	for _, conn := range silent {
		_ = conn.Close()
	}
	waitFor(t, "the server to serve again", func() bool {
		res, err := h.client.Get("https://" + h.address + "/healthz")
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
}

// connectionsOf is a server on which one address may have two connections.
func connectionsOf(exempt ...netip.Prefix) func(*web.Deps, *web.Config) {
	return func(_ *web.Deps, config *web.Config) {
		config.MaxConnectionsPerAddress, config.TrustedProxies = 2, exempt
	}
}

// dialFrom connects from a loopback address and makes a request; it reports whether it
// was served.
func (h *harness) dialFrom(address string) (net.Conn, int) {
	h.t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn, ask(conn)
}

// ask makes a request on a connection and returns the status; 0 if it is cut.
func ask(conn net.Conn) int {
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestConnectionsPerAddress(t *testing.T) {
	h := start(t, connectionsOf())
	first, status := h.dialFrom("127.0.0.1")
	_, second := h.dialFrom("127.0.0.1")
	if status != 200 || second != 200 {
		t.Fatal(status, second)
	}
	// What is refused says so, unless the reset that follows comes first.
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct{ Error struct{ Name string } }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != 429 || body.Error.Name != "TooManyRequestsError" || res.Header.Get("Retry-After") == "" {
		t.Errorf("%v %d %+v %v", err, res.StatusCode, body, res.Header)
	}
	if _, status := h.dialFrom("127.0.0.2"); status != 200 {
		t.Errorf("another address: %d", status)
	}
	// Those that are open go on, and those that end make room.
	if status := ask(first); status != 200 {
		t.Errorf("an open connection: %d", status)
	}
	_ = first.Close()
	waitFor(t, "room", func() bool { _, status := h.dialFrom("127.0.0.1"); return status == 200 })
	if log := h.logged.String(); strings.Count(log, "too many connections") != 1 || !strings.Contains(log, "127.0.0.1") {
		t.Error(log)
	}

	h = start(t, connectionsOf(loopback...))
	for range 10 {
		if _, status := h.dialFrom("127.0.0.1"); status != 200 {
			t.Errorf("behind a trusted proxy: %d", status)
		}
	}
}

func TestConnectionsPerAddressWithTLS(t *testing.T) {
	h := startTLS(t, connectionsOf())
	silent := h.dial()
	if got := h.plainly("GET", "/healthz", "", nil); got.StatusCode != 200 {
		t.Error(got.StatusCode)
	}
	conn := h.dial()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	_ = silent.Close()
}

// WebSockets count, too, for as long as they are open.
func TestSocketsPerAddress(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, ...func(*web.Deps, *web.Config)) *harness{"ws": start, "wss": startTLS} {
		t.Run(name, func(t *testing.T) {
			sockets, err := hub.New(hub.Config{})
			if err != nil {
				t.Fatal(err)
			}
			h := begin(t, connectionsOf(), func(deps *web.Deps, _ *web.Config) {
				deps.Signals = sockets.Handler
			})
			t.Cleanup(func() { _ = sockets.Close(context.Background()) })
			open := func() (*websocket.Conn, error) {
				dialer := &websocket.Dialer{Subprotocols: []string{userToken}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, HandshakeTimeout: 10 * time.Second}
				conn, _, err := dialer.Dial(name+"://"+h.address+"/api/signals", nil)
				if err == nil {
					t.Cleanup(func() { _ = conn.Close() })
				}
				return conn, err
			}
			first, err := open()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := open(); err != nil {
				t.Fatal(err)
			}
			if _, err := open(); err == nil {
				t.Error("a third one is open")
			}
			if name == "wss" {
				_ = first.WriteMessage(websocket.TextMessage, []byte(`{"action":"subscribe","channel":"n"}`))
				got := make(chan string, 1)
				go func() {
					_, message, err := first.ReadMessage()
					got <- fmt.Sprint(string(message), err)
				}()
				waitFor(t, "the signal", func() bool {
					sockets.Signal(t.Context(), signalbox.Signal{Broadcast: true, Channel: "n", Message: []byte("1")})
					return len(got) > 0
				})
				if message := <-got; message != `{"channel":"n","message":1}<nil>` {
					t.Error(message)
				}
			}
			_ = first.Close()
			waitFor(t, "room", func() bool { _, err := open(); return err == nil })
		})
	}
}
