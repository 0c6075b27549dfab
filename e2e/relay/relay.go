// Package relay stands between a client and a server, and can lose connections as a
// router or a load balancer does: they stay open, and nothing comes through any more.
package relay

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Relay passes on what comes.
type Relay struct {
	listener net.Listener
	to       string
	losses   atomic.Int64
}

// New starts a relay to a server with TLS and HTTP/2, and returns a transport that
// trusts the server. The test's cleanup stops all.
func New(tb testing.TB, handler http.Handler) (*Relay, *http.Transport) {
	tb.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it takes no time
	if err != nil {
		tb.Fatal(err)
	}
	r := &Relay{listener: listener, to: server.Listener.Addr().String()}
	go r.run()
	transport := server.Client().Transport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = listener.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return r, transport
}

// URL is where clients reach the server.
func (r *Relay) URL() string { return "https://" + r.listener.Addr().String() }

// Check makes calls, loses the connection, and fails the test if the calls then fail for
// ever, while new connections would get through.
func (r *Relay) Check(tb testing.TB, call func() error) {
	tb.Helper()
	const most = 30
	// The first one has a handshake to make in its time.
	err := call()
	for n := 1; err != nil && n < most; n++ {
		err = call()
	}
	if err != nil {
		tb.Fatal(err)
	}
	r.losses.Add(1)
	for failures := 0; ; failures++ {
		err := call()
		switch {
		case err != nil && failures == most:
			tb.Fatalf("%d calls failed, one after the other: %v", failures, err)
		case err == nil && failures == 0:
			tb.Fatal("the connection was not lost")
		case err == nil:
			return
		}
	}
}

func (r *Relay) run() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		other, err := net.Dial("tcp", r.to) //nolint:noctx // it takes no time
		if err != nil {
			_ = conn.Close()
			continue
		}
		born := r.losses.Load()
		go r.pass(conn, other, born)
		go r.pass(other, conn, born)
	}
}

// pass copies until one side ends, or, once connections were lost, takes and keeps.
func (r *Relay) pass(to, from net.Conn, born int64) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if r.losses.Load() != born {
			_, _ = io.Copy(io.Discard, from)
			_ = to.Close()
			return
		}
		_, _ = to.Write(buffer[:n])
		if err != nil {
			_ = to.Close()
			return
		}
	}
}
