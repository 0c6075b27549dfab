package web

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
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
// connection, and makes connections that can linger.
type listener struct {
	net.Listener
	// patience bounds the wait for the first byte.
	patience time.Duration
	log      *slog.Logger

	once   sync.Once
	closed chan struct{}
}

func newListener(ln net.Listener, patience time.Duration, log *slog.Logger) *listener {
	return &listener{Listener: ln, patience: patience, log: log, closed: make(chan struct{})}
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
		// fasthttp sets a deadline only once there is something to read.
		_ = conn.SetReadDeadline(time.Now().Add(l.patience))
		if tcp, ok := conn.(*net.TCPConn); ok {
			return &lingeringConn{TCPConn: tcp}, nil
		}
		return conn, nil
	}
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
}

// Close lingers if it was asked to.
func (c *lingeringConn) Close() error {
	if c.linger && c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		// What comes and how it ends does not matter any more.
		_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytes)
	}
	return c.TCPConn.Close()
}

// lingerOnClose asks the connection of a request to linger when it is closed.
func lingerOnClose(c *fiber.Ctx) {
	if conn, ok := c.Context().Conn().(*lingeringConn); ok {
		conn.linger = true
	}
}
