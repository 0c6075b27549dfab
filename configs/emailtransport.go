package configs

import (
	"strings"
	"time"
)

// elsewhere are Backstage's transports that are not supported, and what does the
// same.
var elsewhere = map[string]string{
	"ses":   "SES takes mail over SMTP: transport: smtp, hostname: email-smtp.REGION.amazonaws.com, port: 587, with SMTP credentials",
	"azure": "Azure takes mail over SMTP: transport: smtp, hostname: smtp.azurecomm.net, port: 587, with an Entra application's credentials",
}

// readTransport reads transportConfig, whose keys depend on the transport.
func (m *Email) readTransport(e entry) {
	if !e.need("{transport: smtp, hostname: …, port: …}, sendmail or stream") {
		return
	}
	s := e.section()
	if s == nil {
		return
	}
	var name string
	transport := s.field("transport")
	if !transport.need("smtp, sendmail or stream") || !transport.line(&name) {
		return
	}
	m.Transport = EmailTransport(name)
	switch m.Transport {
	case EmailOverSMTP:
		m.SMTP.read(s)
	case EmailOverSendmail:
		s.only("transport", "path", "newline")
		m.Sendmail.Path = "/usr/sbin/sendmail"
		s.field("path").line(&m.Sendmail.Path)
		newline := "unix"
		s.field("newline").choice(&newline, "unix", "windows")
		m.Sendmail.Windows = newline == "windows"
	case EmailOverStream:
		s.only("transport", "directory")
		s.field("directory").file(&m.StreamDirectory)
	default:
		if instead, known := elsewhere[name]; known {
			transport.failSecret(name + " is not supported. " + instead)
			return
		}
		transport.fail("must be one of smtp, sendmail, stream")
	}
}

func (m *EmailSMTP) read(s *section) {
	s.only("transport", "hostname", "port", "secure", "requireTls", "username", "password",
		"tls", "allowInsecure", "caFile", "auth", "ehloName", "timeout")
	m.Auth, m.Timeout = "auto", time.Minute
	if host := s.field("hostname"); host.need("") && host.line(&m.Hostname) && !hostName.MatchString(m.Hostname) {
		host.failSecret("must be the name or address of a host, without scheme or port")
	}
	m.Hostname = strings.Trim(m.Hostname, "[]") // of an IPv6 address
	m.readEncryption(s)
	m.Port = 587
	if m.TLS == "implicit" {
		m.Port = 465
	}
	s.field("port").count(65535, &m.Port)
	s.field("caFile").file(&m.CAFile)
	s.field("username").line(&m.Username)
	secret(s.field("password"), &m.Password, asSecret)
	if s.has("username") != s.has("password") {
		s.failSecret("must have both username and password, or none of them")
	}
	s.field("auth").choice(&m.Auth, "auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "xoauth2")
	if name := s.field("ehloName"); name.line(&m.HelloName) && !hostName.MatchString(m.HelloName) {
		name.failSecret("must be the name of a host")
	}
	s.field("timeout").lasting(time.Second, 10*time.Minute, &m.Timeout)
}

// readEncryption reads Backstage's two switches, or tls in their place.
func (m *EmailSMTP) readEncryption(s *section) {
	var secure, require bool
	s.field("secure").flag(&secure)
	requireSet := s.field("requireTls").flag(&require)
	switch {
	case secure:
		m.TLS = "implicit"
	case require:
		m.TLS = "mandatory"
	case requireSet:
		m.TLS = "opportunistic"
	}
	tls := s.field("tls")
	if tls.choice(&m.TLS, "implicit", "mandatory", "opportunistic", "none") && (s.has("secure") || s.has("requireTls")) {
		tls.failSecret("must not be given together with secure or requireTls: it says more than both")
	}
	s.field("allowInsecure").flag(&m.AllowInsecure)
	if m.TLS == "none" && !m.AllowInsecure && m.Hostname != "" && !isLoopbackHost(m.Hostname) {
		tls.failSecret("must not be none for another machine: everyone on the way could read the mails. allowInsecure: true permits it")
	}
}
