package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	gosmtp "github.com/wneessen/go-mail/smtp"
)

// smtpTransport hands mails to a mail server, over connections that it keeps.
type smtpTransport struct {
	config SMTP
	pool   *pool
}

func newSMTP(config SMTP, domain string, connections int) (*smtpTransport, error) {
	if config.Host == "" || strings.ContainsAny(config.Host, " \t\r\n/@") || config.Port < 1 || config.Port > 65535 {
		return nil, fmt.Errorf("email: %q and %d are not the host and port of a mail server", config.Host, config.Port)
	}
	loopback := isLoopback(config.Host)
	switch config.TLS {
	case "":
		config.TLS = TLSMandatory
		if loopback {
			config.TLS = TLSOpportunistic
		}
	case TLSImplicit, TLSMandatory, TLSOpportunistic:
	case TLSNone:
		if !loopback && !config.AllowPlaintext {
			return nil, fmt.Errorf("email: mail to %s would travel without encryption: that is only for this machine itself, unless it is allowed explicitly", config.Host)
		}
	default:
		return nil, fmt.Errorf("email: unknown TLS policy %q", config.TLS)
	}
	if config.Auth == "" {
		config.Auth = AuthAuto
	}
	if _, err := mechanisms(config, "", false); config.Auth != AuthAuto && errors.Is(err, errUnknownAuth) {
		return nil, err
	}
	if strings.ContainsAny(config.Username+config.Password.Reveal(), "\x00\r\n") {
		return nil, errors.New("email: username and password must be one line")
	}
	if config.CAFile != "" {
		certificates, err := os.ReadFile(config.CAFile)
		if err != nil {
			return nil, fmt.Errorf("email: certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(certificates) {
			return nil, fmt.Errorf("email: %s has no certificates in PEM", config.CAFile)
		}
	}
	if config.Hello == "" {
		config.Hello = domain
	}
	if _, _, err := parseDomain(config.Hello); err != nil {
		return nil, fmt.Errorf("email: %q is not a name to greet with: %w", config.Hello, err)
	}
	config.Timeout = positive(config.Timeout, time.Minute)
	config.IdleTimeout = positive(config.IdleTimeout, 15*time.Second)
	config.MaxPerConnection = positive(config.MaxPerConnection, 100)
	t := &smtpTransport{config: config}
	t.pool = newPool(connections, config.IdleTimeout, t.dial)
	return t, nil
}

func positive[T int | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

func isLoopback(host string) bool {
	if host = strings.ToLower(strings.TrimSuffix(host, ".")); host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

func (t *smtpTransport) send(ctx context.Context, e envelope) (string, error) {
	s, err := t.pool.take(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		if s != nil {
			t.pool.put(s)
		}
	}()
	reply, err := s.transact(ctx, e)
	if s.stale(ctx, err) {
		// The server had closed the connection, or was about to, and has seen
		// nothing of this mail. The other idle ones are no younger.
		t.pool.drop(s)
		s = nil // fresh gives the slot back if it fails
		if s, err = t.pool.fresh(ctx); err != nil {
			return "", err
		}
		reply, err = s.transact(ctx, e)
	}
	return reply, classify(err, e.attempt)
}

func (t *smtpTransport) check(ctx context.Context) error {
	s, err := t.dial(ctx)
	if err != nil {
		return withContext(ctx, err)
	}
	s.quit()
	return nil
}

func (t *smtpTransport) close() error {
	t.pool.close()
	return nil
}

// dial connects, encrypts and signs in.
func (t *smtpTransport) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, t.config.Timeout)
	defer cancel()
	address := net.JoinHostPort(t.config.Host, strconv.Itoa(t.config.Port))
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("email: connect to %s: %w", address, err)
	}
	s := &session{config: &t.config, conn: &boundedConn{Conn: plain, left: maxReplies}}
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	if err := s.open(); err != nil {
		s.abort()
		return nil, withContext(ctx, err)
	}
	return s, nil
}

// session is a connection on which mails are handed over, one after the other.
type session struct {
	config *SMTP
	conn   *boundedConn
	client *gosmtp.Client
	// taken counts the mails that the server took on it.
	taken int
	// reused is set when it comes from the pool for another time.
	reused bool
	// broken is set when no more can be done on it; failedAt is where a mail failed
	// last.
	broken   bool
	failedAt stage
	// idle closes it after a while in the pool.
	idle *time.Timer
}

// open speaks to the server until it would take a mail.
func (s *session) open() error {
	s.extend()
	conn := net.Conn(s.conn)
	settings := &tls.Config{ServerName: s.config.Host, RootCAs: s.config.RootCAs, MinVersion: tls.VersionTLS12}
	if s.config.TLS == TLSImplicit {
		encrypted := tls.Client(conn, settings)
		if err := encrypted.HandshakeContext(context.Background()); err != nil { // the deadline and abort end it
			return fmt.Errorf("email: TLS with %s: %w", s.config.Host, explainTLS(err))
		}
		conn = encrypted
	}
	var err error
	if s.client, err = gosmtp.NewClient(conn, s.config.Host); err != nil {
		return asReply(stageConnect, err)
	}
	// Addresses are ASCII; a server further on may not know SMTPUTF8.
	s.client.SkipSMTPUTF8(true)
	if err := s.client.Hello(s.config.Hello); err != nil {
		return asReply(stageConnect, err)
	}
	if s.config.TLS == TLSMandatory || s.config.TLS == TLSOpportunistic {
		offered, _ := s.client.Extension("STARTTLS")
		switch {
		case offered:
			if err := s.client.StartTLS(settings); err != nil {
				return asReply(stageTLS, err)
			}
		case s.config.TLS == TLSMandatory:
			return fmt.Errorf("email: %s offers no encryption (STARTTLS) on port %d: use its submission port, or say that encryption is not required", s.config.Host, s.config.Port)
		}
	}
	return s.signIn()
}

// explainTLS makes advice of the most common mistake.
func explainTLS(err error) error {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return fmt.Errorf("the server does not begin with TLS on this port: say secure: false for STARTTLS: %w", err)
	}
	return err
}

// transact hands one mail over, and finds out whether another can follow.
func (s *session) transact(ctx context.Context, e envelope) (reply string, err error) {
	// Until it has ended: nobody knows what a panic leaves on the connection.
	s.broken = true
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	reply, at, err := s.converse(e)
	goesOn := err == nil
	if err == nil {
		s.taken++
	} else {
		s.failedAt = at
		refused := asReply(at, err, s.config.Password)
		err = withContext(ctx, refused)
		var known *replyError
		if errors.As(refused, &known) && known.code != 421 && at != stageData {
			// The connection is as good as it was, for the next mail.
			s.extend()
			goesOn = s.client.Reset() == nil
		}
	}
	s.broken = !stop() || !goesOn
	return reply, err
}

// converse says what there is to say for one mail. The stage is the one that it came
// to.
func (s *session) converse(e envelope) (reply string, at stage, err error) {
	s.extend()
	if err := s.client.Mail("<" + e.from + ">"); err != nil {
		return "", stageMail, err
	}
	s.extend()
	if err := s.client.Rcpt("<" + e.to + ">"); err != nil {
		return "", stageRcpt, err
	}
	s.extend()
	writer, err := s.client.Data()
	if err != nil {
		return "", stageData, err
	}
	if _, err := writer.Write(e.message); err != nil {
		return "", stageData, fmt.Errorf("write: %w", err)
	}
	s.extend()
	if err := writer.Close(); err != nil {
		return "", stageData, err
	}
	if answered, ok := writer.(interface{ ServerResponse() string }); ok {
		reply = cleanReply(250, answered.ServerResponse(), s.config.Password)
	}
	return reply, stageData, nil
}

// stale reports whether a mail failed because the pooled connection was over: it
// broke, or the server said goodbye, before it took the sender.
func (s *session) stale(ctx context.Context, err error) bool {
	return err != nil && s.reused && s.broken && s.failedAt == stageMail && ctx.Err() == nil
}

// extend gives the next step its time, and the server's replies their room.
func (s *session) extend() {
	s.conn.left = maxReplies
	_ = s.conn.SetDeadline(time.Now().Add(s.config.Timeout)) // fails on closed connections, as the step will
}

// usable reports whether another mail can go over the connection.
func (s *session) usable() bool { return !s.broken && s.taken < s.config.MaxPerConnection }

// abort closes the connection under whatever is going on.
func (s *session) abort() { _ = s.conn.Close() }

// quit says goodbye, if the server is quick to hear it.
func (s *session) quit() {
	if !s.broken {
		_ = s.conn.SetDeadline(time.Now().Add(time.Second))
		_ = s.client.Quit()
	}
	s.abort()
}

// maxReplies bounds what a server may say in one step, in bytes.
const maxReplies = 1 << 20

// boundedConn is a connection that reads only so much.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the mail server says too much")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
