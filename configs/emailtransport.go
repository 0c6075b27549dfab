package configs

import (
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// elsewhere are Backstage's transports that are not supported, and what does the
// same.
var elsewhere = map[string]string{
	"ses":   "SES takes mail over SMTP: transport: smtp, hostname: email-smtp.REGION.amazonaws.com, port: 587, with SMTP credentials",
	"azure": "Azure takes mail over SMTP: transport: smtp, hostname: smtp.azurecomm.net, port: 587, with an Entra application's credentials",
}

// transport reads transportConfig, whose keys depend on the transport.
func (e *emailReader) transport(channel *node, path string) {
	n := channel.child("transportConfig")
	if n.missing() {
		e.refuse(channel, path, "is required: {transport: smtp, hostname: …, port: …}, sendmail or stream")
		return
	}
	if n.kind != mapping {
		e.sub(n, path)
		return
	}
	var name string
	if !e.plain(n, path, "transport", &name) {
		if n.child("transport").missing() {
			e.refuse(n, join(path, "transport"), "is required: smtp, sendmail or stream")
		}
		return
	}
	e.into.Transport = EmailTransport(name)
	switch e.into.Transport {
	case EmailOverSMTP:
		e.smtp(n, path)
	case EmailOverSendmail:
		e.sub(n, path, "transport", "path", "newline")
		e.into.Sendmail.Path = "/usr/sbin/sendmail"
		e.plain(n, path, "path", &e.into.Sendmail.Path)
		newline := "unix"
		e.choice(n, path, "newline", &newline, "unix", "windows")
		e.into.Sendmail.Windows = newline == "windows"
	case EmailOverStream:
		e.sub(n, path, "transport", "directory")
		e.path(n, path, "directory", &e.into.StreamDirectory)
	default:
		if instead, known := elsewhere[name]; known {
			e.refuse(n.child("transport"), join(path, "transport"), name+" is not supported. "+instead)
			return
		}
		e.fail(n.child("transport"), join(path, "transport"), "must be one of smtp, sendmail, stream")
		e.ok = false
	}
}

func (e *emailReader) smtp(n *node, path string) {
	e.sub(n, path, "transport", "hostname", "port", "secure", "requireTls", "username", "password",
		"tls", "allowInsecure", "caFile", "auth", "ehloName", "timeout")
	s := EmailSMTP{Auth: "auto", Timeout: time.Minute}
	if e.plain(n, path, "hostname", &s.Hostname) && !hostName.MatchString(s.Hostname) {
		e.refuse(n.child("hostname"), join(path, "hostname"), "must be the name or address of a host, without scheme or port")
	} else if n.child("hostname").missing() {
		e.refuse(n, join(path, "hostname"), "is required")
	}
	s.Hostname = strings.Trim(s.Hostname, "[]") // of an IPv6 address
	e.encryption(n, path, &s)
	s.Port = 587
	if s.TLS == "implicit" {
		s.Port = 465
	}
	e.number(n, path, "port", 1, 65535, &s.Port)
	e.path(n, path, "caFile", &s.CAFile)
	e.credentials(n, path, &s)
	e.choice(n, path, "auth", &s.Auth, "auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "xoauth2")
	if e.plain(n, path, "ehloName", &s.HelloName) && !hostName.MatchString(s.HelloName) {
		e.refuse(n.child("ehloName"), join(path, "ehloName"), "must be the name of a host")
	}
	e.lasting(n, path, "timeout", time.Second, 10*time.Minute, &s.Timeout)
	e.into.SMTP = s
}

// encryption reads Backstage's two switches, or tls in their place.
func (e *emailReader) encryption(n *node, path string, s *EmailSMTP) {
	var secure, require bool
	e.flag(n, path, "secure", &secure)
	requireSet := e.flag(n, path, "requireTls", &require)
	switch {
	case secure:
		s.TLS = "implicit"
	case require:
		s.TLS = "mandatory"
	case requireSet:
		s.TLS = "opportunistic"
	}
	var policy string
	if e.choice(n, path, "tls", &policy, "implicit", "mandatory", "opportunistic", "none") {
		if !n.child("secure").missing() || !n.child("requireTls").missing() {
			e.refuse(n.child("tls"), join(path, "tls"), "must not be given together with secure or requireTls: it says more than both")
		}
		s.TLS = policy
	}
	e.flag(n, path, "allowInsecure", &s.AllowInsecure)
	if s.TLS == "none" && !s.AllowInsecure && s.Hostname != "" && !isLoopbackHost(s.Hostname) {
		e.refuse(n.child("tls"), join(path, "tls"), "must not be none for another machine: everyone on the way could read the mails. allowInsecure: true permits it")
	}
}

// credentials reads username and password. The password is not trimmed: its
// spaces may be meant.
func (e *emailReader) credentials(n *node, path string, s *EmailSMTP) {
	e.plain(n, path, "username", &s.Username)
	if text, present := e.optional(n, path, "password"); text != nil {
		s.Password = signalbox.NewSecret(*text)
	} else {
		e.ok = e.ok && !present
	}
	if user, password := n.child("username"), n.child("password"); user.missing() != password.missing() {
		e.refuse(n, path, "must have both username and password, or none of them")
	}
}
