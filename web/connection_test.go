package web_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

// chunked hides the length of a body, so that it is sent in chunks.
type chunked struct{ io.Reader }

// A body beyond the limit is answered 413 in our format, however it is sent, and
// the client sees the answer although it was still sending.
func TestBodyLimits(t *testing.T) {
	h := start(t)
	for _, c := range []struct {
		path   string
		size   int
		status int
	}{
		{"/api/notifications", 512<<10 - 1000, 400},
		{"/api/notifications", 512<<10 + 1, 413},
		{"/api/notifications", 20 << 20, 413},
		{"/api/notifications/update", 512<<10 + 1, 413},
		{"/api/signals/publish", 512<<10 + 1, 413},
		{"/api/notifications/batch", 512<<10 + 1, 400},
		{"/API/Notifications/Batch/?x", 512<<10 + 1, 400},
		{"/api/notifications/batch", 8<<20 + 1, 413},
	} {
		for _, how := range []string{"length", "chunked", "expect"} {
			t.Run(fmt.Sprintf("%s %d %s", c.path, c.size, how), func(t *testing.T) {
				var body io.Reader = bytes.NewReader(bytes.Repeat([]byte{' '}, c.size))
				if how == "chunked" {
					body = chunked{body}
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.address+c.path, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer "+serviceToken)
				if strings.HasSuffix(c.path, "update") {
					req.Header.Set("Authorization", "Bearer "+userToken)
				}
				if how == "expect" {
					req.Header.Set("Expect", "100-continue")
				}
				transport := &http.Transport{ExpectContinueTimeout: time.Minute}
				defer transport.CloseIdleConnections()
				res, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				content, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != c.status {
					t.Fatalf("%d %s", res.StatusCode, content)
				}
				if c.status != 413 {
					return
				}
				url := strings.TrimPrefix(strings.TrimPrefix(c.path, "/api/notifications"), "/api/signals")
				if url == "" {
					url = "/"
				}
				method := "POST"
				if how == "chunked" {
					// The length was not announced, and by the time it is known
					// to be too much the request's head is gone.
					method, url = "", ""
				}
				response{res, string(content)}.want(t, 413, errorOf(413, "PayloadTooLargeError", "The request body is too large", method, url))
				description(t).check(t, req, res, content)
				if !res.Close {
					t.Error("the connection is to go on after a body that was not read")
				}
			})
		}
	}
	if n := len(h.submitter.taken()); n > 0 {
		t.Errorf("%d submissions", n)
	}
}

func TestHeaderLimits(t *testing.T) {
	h := start(t)
	long := strings.Repeat("x", 32_768)
	if got := h.get(long, "/api/notifications"); got.StatusCode != 401 || !strings.Contains(got.body, "Invalid token") {
		t.Errorf("the longest token: %d %s", got.StatusCode, got.body)
	}
	got := h.get(strings.Repeat("x", 100_000), "/api/notifications")
	if got.StatusCode != 431 || !strings.Contains(got.body, `"RequestHeaderFieldsTooLargeError"`) {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

func TestMalformedRequest(t *testing.T) {
	h := start(t)
	conn := h.dial()
	fmt.Fprint(conn, "POST /api/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	content, _ := io.ReadAll(res.Body)
	if res.StatusCode != 400 || !strings.Contains(string(content), `"InputError"`) {
		t.Errorf("%d %s", res.StatusCode, content)
	}
}

// A connection on which nothing comes is not kept for ever.
func TestSilentConnectionIsClosed(t *testing.T) {
	h := start(t, func(_ *web.Deps, config *web.Config) { config.ReadTimeout = 50 * time.Millisecond })
	conn := h.dial()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("still open: %v", err)
	}
}

func (h *harness) dial() net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// failing fails to accept a few times, as when file descriptors run out.
type failing struct {
	net.Listener
	errs []error
}

func (l *failing) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestServeSurvivesLackOfDescriptors(t *testing.T) {
	h := start(t)
	server, err := web.New(needed(), web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = ln.Addr().String()
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(&failing{ln, []error{syscall.EMFILE, fmt.Errorf("accept: %w", syscall.ENFILE), syscall.ECONNABORTED}})
	}()
	if got := h.get("", "/healthz"); got.StatusCode != 200 {
		t.Errorf("%d", got.StatusCode)
	}
	h.client.CloseIdleConnections()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A request under way is answered before Shutdown returns, and new connections
// are refused.
func TestShutdownWaitsForRequests(t *testing.T) {
	h := start(t)
	entered, release := make(chan struct{}), make(chan struct{})
	h.submitter.answerWith(func(_ context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
		close(entered)
		<-release
		return accepted(s), nil
	})
	answered := make(chan int, 1)
	go func() {
		answered <- h.post(serviceToken, "/api/notifications", toJane).StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- h.server.Shutdown(t.Context()) }()
	waitFor(t, "the port to be closed", func() bool {
		conn, err := net.Dial("tcp", h.address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("Shutdown returned during a request: %v", err)
	default:
	}
	close(release)
	if status := <-answered; status != 202 {
		t.Errorf("status %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Who waits for notifications gets the receipt before the deadline of Shutdown.
func TestShutdownHurriesWaiters(t *testing.T) {
	h := start(t)
	entered := make(chan struct{})
	h.submitter.answerWith(func(ctx context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
		close(entered)
		<-ctx.Done()
		return accepted(s), nil
	})
	answered := make(chan int, 1)
	go func() {
		got := h.do(request{method: "POST", path: "/api/notifications", token: serviceToken, body: toJane, header: http.Header{"Prefer": {"wait=60"}}})
		answered <- got.StatusCode
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if status := <-answered; status != 202 {
		t.Errorf("status %d", status)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	server, err := web.New(needed(), web.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(ln); err != nil {
		t.Error(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
