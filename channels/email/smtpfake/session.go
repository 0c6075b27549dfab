package smtpfake

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

type backend struct{ server *Server }

// NewSession implements smtp.Backend.
func (b backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	s := &session{server: b.server, conn: c, number: number(c.Conn())}
	if fault := b.server.at(Step{Stage: Connect, Connection: s.number}); fault != (Fault{}) {
		return nil, b.server.meet(c, fault)
	}
	if b.server.config.Username == "" {
		return s, nil
	}
	return &authSession{s}, nil
}

func number(conn net.Conn) int {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	if c, ok := conn.(*connection); ok {
		return c.number
	}
	return 0
}

// session is a conversation.
type session struct {
	server *Server
	conn   *smtp.Conn
	number int

	authenticated bool
	from, to      string
}

// authSession is a session of a server that wants to know who one is.
type authSession struct{ *session }

func (s *session) step(stage Stage) Step {
	return Step{Stage: stage, From: s.from, To: s.to, Connection: s.number}
}

func (s *session) fault(stage Stage) error {
	fault := s.server.at(s.step(stage))
	if fault == (Fault{}) {
		return nil
	}
	err := s.server.meet(s.conn, fault)
	if fault.Code == 421 {
		// After the reply is written: the library writes it when this returns.
		defer s.closeSoon()
	}
	return err
}

// closeSoon lets no other command in.
func (s *session) closeSoon() {
	if half, ok := s.conn.Conn().(*connection); ok {
		if tcp, ok := half.Conn.(*net.TCPConn); ok {
			_ = tcp.CloseRead()
		}
	}
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	_, encrypted := s.conn.TLSConnectionState()
	if s.server.config.RequireTLS && !encrypted {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Must issue a STARTTLS command first"}
	}
	if s.server.config.Username != "" && !s.authenticated {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	s.from = from
	return s.fault(Mail)
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.fault(Rcpt)
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	fault := s.server.at(s.step(Data))
	if fault.Drop {
		_, _ = io.CopyN(io.Discard, r, 100)
		_ = s.conn.Conn().Close()
		return nil
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if !s.server.wait(s.server.config.Work) {
		return smtp.ErrServerClosed
	}
	if fault != (Fault{}) && !fault.Lose {
		return s.server.meet(s.conn, fault)
	}
	_, encrypted := s.conn.TLSConnectionState()
	number := s.server.take(Message{From: s.from, To: s.to, Data: bytes.Clone(data), Connection: s.number, TLS: encrypted})
	if fault.Lose {
		_ = s.conn.Conn().Close()
		return nil
	}
	return queued(number)
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", "" }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// AuthMechanisms implements smtp.AuthSession.
func (s *authSession) AuthMechanisms() []string {
	if len(s.server.config.Mechanisms) == 0 {
		return []string{sasl.Plain}
	}
	return s.server.config.Mechanisms
}

// Auth implements smtp.AuthSession.
func (s *authSession) Auth(mechanism string) (sasl.Server, error) {
	if err := s.fault(Auth); err != nil {
		return nil, err
	}
	return s.server.mechanism(strings.ToUpper(mechanism), func() { s.authenticated = true })
}
