package web

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// bodyLimiter gives paths body limits that differ from the server's.
func bodyLimiter(limits map[string]int) func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
	return func(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
		path, _, _ := bytes.Cut(header.RequestURI(), []byte{'?'})
		path = bytes.TrimRight(path, "/")
		for known, limit := range limits {
			if len(known) == len(path) && strings.EqualFold(known, string(path)) {
				return fasthttp.RequestConfig{MaxRequestBodySize: limit}
			}
		}
		return fasthttp.RequestConfig{}
	}
}

// listener adds to a listener what the server behind it leaves out: it survives
// a lack of file descriptors, does not wait for ever for the first byte of a
// connection, lets no client have all connections, speaks TLS, and makes connections
// that can linger.
type listener struct {
	net.Listener
	// patience bounds the wait for the first byte.
	patience time.Duration
	// crowd counts connections by client; nil for no limit.
	crowd *crowd
	// secure is how TLS is spoken; nil for plain HTTP.
	secure *tls.Config
	log    *slog.Logger

	once   sync.Once
	closed chan struct{}
}

// Close may be called more than once.
func (l *listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

func (l *listener) Accept() (net.Conn, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		conn, err := l.Listener.Accept()
		if passing(err) {
			l.log.Warn("cannot accept connections for now", "err", err)
			select {
			case <-l.closed:
				return nil, net.ErrClosed
			case <-time.After(pause):
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		if conn = l.admit(conn); conn == nil {
			continue
		}
		// fasthttp sets a deadline only once there is something to read.
		_ = conn.SetReadDeadline(time.Now().Add(l.patience))
		return conn, nil
	}
}

// admit prepares a connection, or closes it and returns nil if its client has enough.
func (l *listener) admit(conn net.Conn) net.Conn {
	tcp, isTCP := conn.(*net.TCPConn)
	if !isTCP {
		return conn
	}
	leave, ok := l.crowd.enter(tcp.RemoteAddr())
	if !ok {
		if l.crowd.refused.pass(time.Now()) {
			l.log.Warn("a client has too many connections", "address", conn.RemoteAddr().String(), "limit", l.crowd.limit)
		}
		if l.secure == nil {
			// It fits the empty buffer of the socket, so this does not wait.
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = conn.Write(crowdedAnswer)
		}
		_ = conn.Close()
		return nil
	}
	lingering := &lingeringConn{TCPConn: tcp, leave: leave}
	if l.secure != nil {
		return &secureConn{Conn: tls.Server(lingering, l.secure)}
	}
	return lingering
}

// passing reports whether an error of Accept goes away by itself.
func passing(err error) bool {
	for _, number := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED,
	} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

// Bounds of what a lingering connection reads before it is closed.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 32 << 20
)

// lingeringConn is a connection on which an answer may be given before the
// request was read to its end. Closing a socket with unread data resets it, and
// the client, still sending, would see the reset and not the answer. So it
// stops writing first, reads on for a bounded while, and then closes.
// The embedded type keeps the fast paths that the net package has for TCP.
type lingeringConn struct {
	*net.TCPConn
	linger bool
	// leave is called once it is closed; it may be called again.
	leave func()
}

// Close lingers if it was asked to.
func (c *lingeringConn) Close() error {
	defer c.leave()
	if c.linger && c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		// What comes and how it ends does not matter any more.
		_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytes)
	}
	return c.TCPConn.Close()
}

// lingerOnClose asks the connection of a request to linger when it is closed.
func lingerOnClose(c *fiber.Ctx) {
	conn := c.Context().Conn()
	if secure, ok := conn.(*secureConn); ok {
		conn = secure.NetConn()
	}
	if conn, ok := conn.(*lingeringConn); ok {
		conn.linger = true
	}
}

// secureConn is a TLS connection that writes nothing before its handshake. With a
// plain one, the line with which fasthttp refuses a connection would begin it, in the
// loop that accepts connections, and a client that does not answer would stop that.
type secureConn struct {
	*tls.Conn
	shaken atomic.Bool
}

// Handshake runs the handshake, unless it has been.
func (c *secureConn) Handshake() error {
	if err := c.Conn.Handshake(); err != nil { //nolint:noctx // fasthttp calls this, and bounds it by deadlines
		return err
	}
	c.shaken.Store(true)
	return nil
}

// Write fails before the handshake.
func (c *secureConn) Write(b []byte) (int, error) {
	if !c.shaken.Load() {
		return 0, errors.New("there was no TLS handshake")
	}
	return c.Conn.Write(b)
}
