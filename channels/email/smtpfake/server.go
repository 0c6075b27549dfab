package smtpfake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Config says what kind of server it is. The zero value takes everything, without
// encryption.
type Config struct {
	// STARTTLS offers it, RequireTLS takes no mail without it, ImplicitTLS begins
	// with TLS. The certificate is for 127.0.0.1 and localhost.
	STARTTLS, RequireTLS, ImplicitTLS bool
	// Username and Password, if set, are needed to send.
	Username, Password string
	// Mechanisms are what it offers for signing in: PLAIN, LOGIN, CRAM-MD5,
	// SCRAM-SHA-1, SCRAM-SHA-256, XOAUTH2 (with Password as the token). Defaults to
	// PLAIN.
	Mechanisms []string
	// Latency delays every reply, Work the reply to a message.
	Latency, Work time.Duration
}

// Message is a mail that the server took.
type Message struct {
	From, To string
	// Data has CR LF at the end of lines.
	Data []byte
	// Connection counts the connections from 1; TLS says whether this one was
	// encrypted.
	Connection int
	TLS        bool
}

// Server is a mail server.
type Server struct {
	config   Config
	server   *smtp.Server
	listener net.Listener
	roots    *x509.CertPool
	done     chan struct{}

	mu          sync.Mutex
	fault       func(Step) Fault
	messages    []Message
	connections int
	open        map[net.Conn]bool
	down        bool
	password    string
}

// Start starts a server, and stops it at the end of the test.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{config: config, listener: listener, done: make(chan struct{}), open: map[net.Conn]bool{}, password: config.Password}
	s.server = smtp.NewServer(backend{s})
	s.server.Domain = "mail.example.com"
	s.server.ErrorLog = silence{}
	s.server.AllowInsecureAuth = true
	s.server.MaxMessageBytes = 16 << 20
	accept := net.Listener(&faulty{Listener: listener, server: s})
	if config.STARTTLS || config.ImplicitTLS {
		certificate, roots, err := certificate()
		if err != nil {
			t.Fatal(err)
		}
		s.roots = roots
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	if config.ImplicitTLS {
		accept = tls.NewListener(accept, s.server.TLSConfig)
	}
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(accept) }()
	t.Cleanup(func() {
		close(s.done)
		s.SetDown(true)
		// Waits for the handlers of connections.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = listener.Close() // Serve may not have begun
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("the mail server: %v", err)
		}
		if err := s.server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop of the mail server: %v", err)
		}
	})
	return s
}

// Host is the address that it listens on.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the port that it listens on.
func (s *Server) Port() int {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	n, _ := strconv.Atoi(port)
	return n
}

// Roots are who signed its certificate; nil without TLS.
func (s *Server) Roots() *x509.CertPool { return s.roots }

// Certificate is its certificate in PEM, signed by itself; nil without TLS.
func (s *Server) Certificate() []byte {
	if s.server.TLSConfig == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.TLSConfig.Certificates[0].Certificate[0]})
}

// Messages returns what it took, in that order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Connections counts the connections that were ever opened.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Open counts the open connections.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// CloseIdle closes all connections, as servers do with those that say nothing.
func (s *Server) CloseIdle() { s.closeAll() }

// SetDown makes it close every connection, those that are open and new ones.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	if down {
		s.closeAll()
	}
}

// SetPassword changes the password that it takes.
func (s *Server) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

func (s *Server) closeAll() {
	s.mu.Lock()
	all := make([]net.Conn, 0, len(s.open))
	for conn := range s.open {
		all = append(all, conn)
	}
	s.mu.Unlock()
	for _, conn := range all {
		_ = conn.Close()
	}
}

func (s *Server) opened(conn net.Conn) (number int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return 0, false
	}
	s.connections++
	s.open[conn] = true
	return s.connections, true
}

func (s *Server) closed(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

func (s *Server) take(message Message) (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, message)
	return len(s.messages)
}

// wait returns false if the server was stopped meanwhile.
func (s *Server) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

// queued is the reply to a message.
func queued(number int) error {
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: fmt.Sprintf("Ok: queued as %04X", number)}
}

// silence is where the library logs to: every fault would be there.
type silence struct{}

func (silence) Printf(string, ...any) {}
func (silence) Println(...any)        {}

// faulty counts connections, and delays what is written to them.
type faulty struct {
	net.Listener
	server *Server
}

func (l *faulty) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, server: l.server}
		if number, ok := l.server.opened(c); ok {
			c.number = number
			return c, nil
		}
		_ = conn.Close()
	}
}

// connection replies after a while.
type connection struct {
	net.Conn
	server *Server
	number int

	mu      sync.Mutex
	replied bool
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.replied = false
	c.mu.Unlock()
	return n, err
}

func (c *connection) Write(p []byte) (int, error) {
	c.mu.Lock()
	first := !c.replied
	c.replied = true
	c.mu.Unlock()
	if first {
		c.server.wait(c.server.config.Latency)
	}
	return c.Conn.Write(p)
}

func (c *connection) Close() error {
	c.server.closed(c)
	return c.Conn.Close()
}
