package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/smtpfake"
)

func TestDeliverReportsTheReply(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{})
	c := open(t, toServer(server))
	d := simple("1")
	sent := send(t, c, d)
	if want := "<" + d.ID + "@example.org>"; sent.ID != want {
		t.Errorf("ID %q, want %q", sent.ID, want)
	}
	if want := "250 2.0.0 Ok: queued as 0001"; sent.Reply != want {
		t.Errorf("reply %q, want %q", sent.Reply, want)
	}
	taken := server.Messages()
	if len(taken) != 1 || taken[0].From != "signalbox@example.org" || taken[0].To != "jane@example.com" {
		t.Fatalf("taken: %+v", taken)
	}
	if got := parse(t, taken[0].Data).header.Get("Message-Id"); got != sent.ID {
		t.Errorf("Message-ID %q, want %q", got, sent.ID)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{STARTTLS: true})
	config := toServer(server)
	config.SMTP.MaxPerConnection = 5
	c := open(t, config)
	for i := range 12 {
		send(t, c, simple(fmt.Sprint(i)))
	}
	if got := server.Connections(); got != 3 {
		t.Errorf("%d connections for 12 mails of at most 5 each, want 3", got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{Work: 5 * time.Millisecond})
	config := toServer(server)
	config.Concurrency = 3
	c := open(t, config)
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			if _, err := c.Deliver(t.Context(), simple(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := server.Connections(); got > 3 {
		t.Errorf("%d connections with a concurrency of 3", got)
	}
	if got := len(server.Messages()); got != 40 {
		t.Errorf("%d mails, want 40", got)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{})
	config := toServer(server)
	config.SMTP.IdleTimeout = 20 * time.Millisecond
	c := open(t, config)
	send(t, c, simple("1"))
	eventually(t, "the idle connection is closed", func() bool { return server.Open() == 0 })
	send(t, c, simple("2"))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "Close closes the other one", func() bool { return server.Open() == 0 })
	if _, err := c.Deliver(t.Context(), simple("3")); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestStaleConnectionsAreReplaced(t *testing.T) {
	for name, end := range map[string]func(*smtpfake.Server){
		"closed by the server": func(s *smtpfake.Server) { s.CloseIdle() },
		"421 for the next mail": func(s *smtpfake.Server) {
			s.OnStep(smtpfake.Times(1, func(step smtpfake.Step) smtpfake.Fault {
				if step.Stage == smtpfake.Mail {
					return smtpfake.Refuse(421, [3]int{4, 4, 2}, "idle for too long")
				}
				return smtpfake.Fault{}
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := smtpfake.Start(t, smtpfake.Config{})
			c := open(t, toServer(server))
			send(t, c, simple("1"))
			end(server)
			send(t, c, simple("2"))
			if got := len(server.Messages()); got != 2 {
				t.Errorf("%d mails, want 2", got)
			}
			if got := server.Connections(); got != 2 {
				t.Errorf("%d connections, want 2", got)
			}
		})
	}
}

func TestARefusedRecipientHurtsNobodyElse(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{})
	server.OnStep(func(step smtpfake.Step) smtpfake.Fault {
		if step.To == "gone@example.com" {
			return smtpfake.Refuse(550, [3]int{5, 1, 1}, "No such user here")
		}
		return smtpfake.Fault{}
	})
	c := open(t, toServer(server))
	for i := range 4 {
		d := simple(fmt.Sprint(i))
		if i%2 == 1 {
			d.Target = channels.Target{Address: "gone@example.com"}
			_, err := c.Deliver(t.Context(), d)
			if !signalbox.IsPermanent(err) || !strings.Contains(err.Error(), "550 5.1.1 No such user here") {
				t.Errorf("error %v", err)
			}
			continue
		}
		send(t, c, d)
	}
	if got := server.Connections(); got != 1 {
		t.Errorf("%d connections, want 1: the refusal ended one", got)
	}
}

// outcome says what an error means to the delivery engine.
func outcome(err error) string {
	after, channel, limited := channels.AsLimited(err)
	delay, again := signalbox.RetryDelay(err)
	switch {
	case err == nil:
		return "sent"
	case signalbox.IsPermanent(err):
		return "permanent"
	case limited && channel:
		return "channel waits " + after.String()
	case limited:
		return "target waits " + after.String()
	case again:
		return "retry after " + delay.String()
	}
	return "channel down"
}

func TestReplies(t *testing.T) {
	refuse := smtpfake.Refuse
	for _, c := range []struct {
		stage   smtpfake.Stage
		fault   smtpfake.Fault
		attempt int
		want    string
	}{
		{smtpfake.Connect, refuse(554, [3]int{5, 7, 1}, "No service for you"), 1, "channel down"},
		{smtpfake.Connect, refuse(421, [3]int{4, 3, 2}, "Too many connections"), 1, "channel down"},
		{smtpfake.Mail, refuse(451, [3]int{4, 3, 0}, "Try later"), 1, "channel down"},
		{smtpfake.Mail, refuse(553, [3]int{5, 7, 1}, "Sender address rejected: not owned by user"), 1, "channel down"},
		{smtpfake.Mail, smtpfake.Fault{Drop: true}, 1, "channel down"},
		{smtpfake.Rcpt, refuse(550, [3]int{5, 1, 1}, "No such user"), 1, "permanent"},
		{smtpfake.Rcpt, refuse(552, [3]int{5, 2, 2}, "Mailbox full"), 1, "permanent"},
		{smtpfake.Rcpt, refuse(530, [3]int{5, 7, 0}, "Authentication required"), 1, "channel down"},
		{smtpfake.Rcpt, refuse(421, [3]int{4, 7, 0}, "Too many errors, closing"), 1, "channel down"},
		{smtpfake.Rcpt, refuse(450, [3]int{4, 2, 1}, "Mailbox busy"), 1, "retry after 1m0s"},
		{smtpfake.Rcpt, refuse(450, [3]int{4, 2, 1}, "Mailbox busy"), 3, "retry after 4m0s"},
		{smtpfake.Rcpt, refuse(452, [3]int{4, 2, 2}, "Mailbox full"), 60, "retry after 30m0s"},
		{smtpfake.Rcpt, refuse(451, [3]int{4, 7, 1}, "Greylisting in effect, please come back later"), 1, "retry after 5m0s"},
		{smtpfake.Rcpt, refuse(450, [3]int{4, 2, 0}, "Greylisted, try again in 900 seconds"), 1, "retry after 15m0s"},
		{smtpfake.Rcpt, refuse(450, [3]int{4, 7, 28}, "Our system has detected an unusual rate"), 1, "target waits 5m0s"},
		{smtpfake.Rcpt, refuse(451, [3]int{4, 7, 1}, "Rate limit exceeded, retry after 2 minutes"), 9, "target waits 2m0s"},
		{smtpfake.Rcpt, refuse(452, [3]int{4, 5, 3}, "Too many recipients this hour"), 1, "target waits 5m0s"},
		{smtpfake.Data, refuse(554, [3]int{5, 7, 1}, "Looks like spam"), 1, "permanent"},
		{smtpfake.Data, refuse(552, [3]int{5, 3, 4}, "Message too big"), 1, "permanent"},
		{smtpfake.Data, refuse(451, [3]int{4, 3, 0}, "Local error"), 1, "retry after 1m0s"},
		{smtpfake.Data, refuse(421, [3]int{4, 3, 2}, "Shutting down"), 1, "channel down"},
		{smtpfake.Data, smtpfake.Fault{Drop: true}, 1, "channel down"},
		{smtpfake.Data, smtpfake.Fault{Lose: true}, 1, "channel down"},
	} {
		t.Run(fmt.Sprintf("%s %d %s", c.stage, c.fault.Code, c.fault.Text), func(t *testing.T) {
			server := smtpfake.Start(t, smtpfake.Config{})
			server.At(c.stage, c.fault)
			channel := open(t, toServer(server))
			d := simple("1")
			d.Attempt = c.attempt
			_, err := channel.Deliver(t.Context(), d)
			if got := outcome(err); got != c.want {
				t.Errorf("%s, want %s: %v", got, c.want, err)
			}
			if c.fault.Code != 0 && !strings.Contains(fmt.Sprint(err), c.fault.Text) {
				t.Errorf("the reply is not in the error: %v", err)
			}
			server.OnStep(nil)
			send(t, channel, simple("2"))
		})
	}
}

func TestGreylistingWorks(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{})
	server.OnStep(smtpfake.Times(1, func(step smtpfake.Step) smtpfake.Fault {
		if step.Stage == smtpfake.Rcpt {
			return smtpfake.Refuse(451, [3]int{4, 7, 1}, "Greylisted")
		}
		return smtpfake.Fault{}
	}))
	c := open(t, toServer(server))
	d := simple("1")
	if _, err := c.Deliver(t.Context(), d); outcome(err) != "retry after 5m0s" {
		t.Fatal(err)
	}
	d.Attempt = 2
	send(t, c, d)
}

func TestALostReplyLeadsToTheSameMessage(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{})
	server.OnStep(smtpfake.Times(1, func(step smtpfake.Step) smtpfake.Fault { return smtpfake.Fault{Lose: step.Stage == smtpfake.Data} }))
	c := open(t, toServer(server))
	d := simple("1")
	if _, err := c.Deliver(t.Context(), d); outcome(err) != "channel down" {
		t.Fatal(err)
	}
	d.Attempt = 2
	send(t, c, d)
	taken := server.Messages()
	if len(taken) != 2 {
		t.Fatalf("%d mails, want 2", len(taken))
	}
	if !bytes.Equal(taken[0].Data, taken[1].Data) {
		t.Errorf("another message the second time:\n%s\n%s", taken[0].Data, taken[1].Data)
	}
}

func TestStall(t *testing.T) {
	for _, stage := range []smtpfake.Stage{smtpfake.Connect, smtpfake.Mail, smtpfake.Rcpt, smtpfake.Data} {
		t.Run(string(stage), func(t *testing.T) {
			server := smtpfake.Start(t, smtpfake.Config{})
			server.At(stage, smtpfake.Fault{Stall: true})
			config := toServer(server)
			c := open(t, config)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			_, err := c.Deliver(ctx, simple("1"))
			if !errors.Is(err, context.DeadlineExceeded) || outcome(err) != "channel down" {
				t.Errorf("with a context: %v", err)
			}
			config.SMTP.Timeout = 30 * time.Millisecond
			_, err = open(t, config).Deliver(t.Context(), simple("2"))
			if outcome(err) != "channel down" || err == nil {
				t.Errorf("with a timeout: %v", err)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, c := range []struct {
		name   string
		server smtpfake.Config
		policy TLSPolicy
		roots  bool
		// problem is in the error; "" is success, in the clear or encrypted.
		problem   string
		encrypted bool
	}{
		{"mandatory", smtpfake.Config{STARTTLS: true, RequireTLS: true}, TLSMandatory, true, "", true},
		{"mandatory, not offered", smtpfake.Config{}, TLSMandatory, true, "offers no encryption (STARTTLS)", false},
		{"opportunistic", smtpfake.Config{STARTTLS: true}, TLSOpportunistic, true, "", true},
		{"opportunistic, not offered", smtpfake.Config{}, TLSOpportunistic, true, "", false},
		{"default on loopback", smtpfake.Config{}, "", true, "", false},
		{"none", smtpfake.Config{STARTTLS: true}, TLSNone, true, "", false},
		{"implicit", smtpfake.Config{ImplicitTLS: true}, TLSImplicit, true, "", true},
		{"implicit, but it is STARTTLS", smtpfake.Config{STARTTLS: true}, TLSImplicit, true, "does not begin with TLS", false},
		{"unknown authority", smtpfake.Config{STARTTLS: true}, TLSMandatory, false, "certificate", false},
		{"unknown authority, opportunistic", smtpfake.Config{STARTTLS: true}, TLSOpportunistic, false, "certificate", false},
		{"unknown authority, implicit", smtpfake.Config{ImplicitTLS: true}, TLSImplicit, false, "certificate", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.Username, c.server.Password = "box", secret
			server := smtpfake.Start(t, c.server)
			config := toServer(server)
			config.SMTP.TLS, config.SMTP.Username, config.SMTP.Password = c.policy, "box", signalbox.NewSecret(secret)
			if !c.roots {
				config.SMTP.RootCAs = nil
			}
			channel := open(t, config)
			_, err := channel.Deliver(t.Context(), simple("1"))
			if c.problem != "" {
				if outcome(err) != "channel down" || !strings.Contains(fmt.Sprint(err), c.problem) || strings.Contains(fmt.Sprint(err), secret) {
					t.Errorf("error %v, want %q", err, c.problem)
				}
				if err := channel.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("check: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := server.Messages()[0].TLS; got != c.encrypted {
				t.Errorf("encrypted: %v", got)
			}
			if err := channel.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
			if got := len(server.Messages()); got != 1 {
				t.Errorf("%d mails: check sends", got)
			}
		})
	}
}

func TestCAFile(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{STARTTLS: true, RequireTLS: true})
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, server.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	config := toServer(server)
	config.SMTP.RootCAs, config.SMTP.CAFile = nil, file
	send(t, open(t, config), simple("1"))
	for _, name := range []string{file + ".missing", os.Args[0]} {
		config.SMTP.CAFile = name
		if _, err := New(config); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestPlaintextIsForThisMachine(t *testing.T) {
	config := Config{Directory: janeOnly(), Sender: "a@example.com", SMTP: &SMTP{Host: "mail.example.com", Port: 25, TLS: TLSNone}}
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "without encryption") {
		t.Errorf("error %v", err)
	}
	config.SMTP.AllowPlaintext = true
	open(t, config)
	// A password in the clear is refused before it is sent.
	for _, auth := range []AuthType{AuthPlain, AuthLogin, AuthXOAUTH2} {
		far := SMTP{Host: "mail.example.com", Username: "u", Password: signalbox.NewSecret("p"), Auth: auth}
		if _, err := mechanisms(far, "PLAIN LOGIN XOAUTH2", false); err == nil || !strings.Contains(err.Error(), "would show the password") {
			t.Errorf("%s: %v", auth, err)
		}
		if _, err := mechanisms(far, "PLAIN LOGIN XOAUTH2", true); err != nil {
			t.Errorf("%s, encrypted: %v", auth, err)
		}
	}
	if _, err := mechanisms(SMTP{Host: "mail.example.com", Auth: AuthAuto}, "PLAIN LOGIN", false); err == nil {
		t.Error("auto shows the password")
	}
	if _, err := mechanisms(SMTP{Host: "mail.example.com", Auth: AuthAuto}, "PLAIN LOGIN CRAM-MD5", false); err != nil {
		t.Errorf("auto finds nothing that hides the password: %v", err)
	}
}

func TestAuth(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, auth := range []AuthType{AuthAuto, AuthPlain, AuthLogin, AuthCRAMMD5, AuthSCRAMSHA1, AuthSCRAMSHA256, AuthXOAUTH2} {
		mechanisms := []string{strings.ToUpper(string(auth))}
		if auth == AuthAuto {
			mechanisms = []string{"XOAUTH2", "NTLM", "CRAM-MD5", "LOGIN"}
		}
		t.Run(string(auth), func(t *testing.T) {
			server := smtpfake.Start(t, smtpfake.Config{STARTTLS: true, Username: "box", Password: secret, Mechanisms: mechanisms})
			config := toServer(server)
			config.SMTP.Username, config.SMTP.Password, config.SMTP.Auth = "box", signalbox.NewSecret(secret), auth
			send(t, open(t, config), simple("1"))

			server.SetPassword("another")
			channel := open(t, config)
			_, err := channel.Deliver(t.Context(), simple("2"))
			if outcome(err) != "channel down" || !strings.Contains(fmt.Sprint(err), "check username and password") || strings.Contains(fmt.Sprint(err), secret) {
				t.Errorf("a wrong password: %v", err)
			}
			if err := channel.Check(t.Context()); err == nil {
				t.Error("check finds nothing")
			}
		})
	}
}

func TestAuthThatIsNotOffered(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{Username: "box", Password: "p"})
	config := toServer(server)
	config.SMTP.Username, config.SMTP.Password, config.SMTP.Auth = "box", signalbox.NewSecret("p"), AuthSCRAMSHA256
	if _, err := open(t, config).Deliver(t.Context(), simple("1")); err == nil || !strings.Contains(err.Error(), "offers no sign-in by scram-sha-256, but: PLAIN") {
		t.Errorf("error %v", err)
	}
	bare := smtpfake.Start(t, smtpfake.Config{})
	config.SMTP.Host, config.SMTP.Port = bare.Host(), bare.Port()
	if err := open(t, config).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "offers no sign-in (AUTH)") {
		t.Errorf("error %v", err)
	}
}

func TestAServerThatSaysTooMuch(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		line := []byte("220-" + strings.Repeat("x", 1000) + "\r\n")
		for {
			if _, err := conn.Write(line); err != nil {
				return
			}
		}
	}()
	address := listener.Addr().(*net.TCPAddr)
	c := open(t, Config{Directory: janeOnly(), Sender: "a@example.com", SMTP: &SMTP{Host: "127.0.0.1", Port: address.Port}})
	if _, err := c.Deliver(t.Context(), simple("1")); err == nil || !strings.Contains(err.Error(), "says too much") {
		t.Errorf("error %v", err)
	}
	_ = listener.Close()
	<-done
}

func TestRepliesAreCleaned(t *testing.T) {
	got := cleanReply(550, "no\r\nBcc: x\x00 hunter2 "+strings.Repeat("a ", 1000), signalbox.NewSecret("hunter2"))
	if strings.ContainsAny(got, "\r\n\x00") || strings.Contains(got, "hunter2") || len([]rune(got)) > maxReply {
		t.Errorf("reply %q", got)
	}
}

// TestPanicsLeaveNoSlotTaken: after as many panics as there are connections, mails
// still go out.
func TestPanicsLeaveNoSlotTaken(t *testing.T) {
	server := smtpfake.Start(t, smtpfake.Config{})
	c := open(t, toServer(server))
	transport := c.transport.(*smtpTransport)
	dial := transport.pool.dial
	panics := func(what string, dial func(context.Context) (*session, error)) {
		t.Helper()
		transport.pool.dial = dial
		for range cap(transport.pool.slots) + 1 {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", what)
					}
				}()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, _ = c.Deliver(ctx, simple("1"))
			}()
		}
	}
	panics("dialling", func(context.Context) (*session, error) { panic("no such thing") })
	panics("sending", func(context.Context) (*session, error) {
		conn, other := net.Pipe()
		t.Cleanup(func() { _ = other.Close() })
		return &session{conn: &boundedConn{Conn: conn}}, nil
	})
	transport.pool.dial = dial
	send(t, c, simple("1"))
}
