package configs

import (
	"errors"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// Email is the email channel, with Backstage's keys
// ("notifications.processors.email").
type Email struct {
	// Transport says how mails are handed over ("transportConfig.transport").
	// Required. Only the section that it names is set.
	Transport EmailTransport
	SMTP      EmailSMTP
	Sendmail  EmailSendmail
	// StreamDirectory is where the stream transport writes mails
	// ("transportConfig.directory"). Defaults to none: they are printed.
	StreamDirectory string

	// Sender is the address that mails come from, with or without a name ("sender").
	// Required.
	Sender string
	// ReplyTo is where answers go ("replyTo"). Defaults to none.
	ReplyTo string

	// BroadcastReceiver says who gets broadcasts ("broadcastConfig.receiver"): none,
	// config or users. Defaults to none.
	BroadcastReceiver string
	// BroadcastAddresses are the receivers for config
	// ("broadcastConfig.receiverEmails").
	BroadcastAddresses []string

	// ConcurrencyLimit is how many mails are sent at a time, and per
	// ThrottleInterval ("concurrencyLimit"). 1 to 1000. Defaults to 2.
	ConcurrencyLimit int
	// ThrottleInterval is how long ConcurrencyLimit mails take at least
	// ("throttleInterval"). At most 1h; 0 does not limit. Defaults to 100ms.
	ThrottleInterval time.Duration
	// CacheTTL is how long a user's address is used without asking the directory
	// again ("cache.ttl"). At most 24h; 0 asks every time. Defaults to 1h.
	CacheTTL time.Duration

	// Filter keeps notifications from the channel ("filter"). Defaults to none.
	Filter signalbox.PayloadFilter
	// AllowedDomains, Allowed and Denied say which addresses get mail
	// ("allowedEmailDomains", "allowlistEmailAddresses", "denylistEmailAddresses").
	// Default to all.
	AllowedDomains, Allowed, Denied []string

	// Templates are files that replace the built-in templates ("templates").
	Templates EmailTemplates
	// DKIM are the keys that sign ("dkim"). Defaults to none.
	DKIM []EmailDKIM
	// Unsubscribe are the links to unsubscribe by ("unsubscribe").
	Unsubscribe EmailUnsubscribe
}

// EmailTransport says how mails are handed over.
type EmailTransport string

// The transports.
const (
	EmailOverSMTP     EmailTransport = "smtp"
	EmailOverSendmail EmailTransport = "sendmail"
	// EmailOverStream prints mails or writes them to files, for development.
	EmailOverStream EmailTransport = "stream"
)

// EmailSMTP is a mail server.
type EmailSMTP struct {
	// Hostname is required. Port defaults to 465 with implicit TLS, else to 587.
	Hostname string
	Port     int
	// TLS is implicit, mandatory, opportunistic or none, or empty for the channel's
	// own default ("tls"). "secure: true" is implicit; "requireTls" is mandatory if
	// true, and opportunistic if false.
	TLS string
	// AllowInsecure permits sending without encryption to another machine
	// ("allowInsecure"). Defaults to false.
	AllowInsecure bool
	// CAFile has the certificates of who may have signed the server's ("caFile").
	// Defaults to the system's.
	CAFile string
	// Username and Password are given together, or not at all.
	Username string
	Password signalbox.Secret
	// Auth is auto, plain, login, cram-md5, scram-sha-1, scram-sha-256 or xoauth2
	// ("auth"). Defaults to auto.
	Auth string
	// HelloName is the name to greet with ("ehloName"). Defaults to the domain of
	// the sender.
	HelloName string
	// Timeout bounds each step of the conversation ("timeout"). Between 1s and 10m.
	// Defaults to 1m.
	Timeout time.Duration
}

// EmailSendmail is a local program.
type EmailSendmail struct {
	// Path defaults to /usr/sbin/sendmail.
	Path string
	// Windows ends lines with CR LF ("newline: windows"). Defaults to false, which
	// is "unix".
	Windows bool
}

// EmailTemplates are names of files, each empty for the built-in template.
type EmailTemplates struct {
	Subject, HTML, Text                   string
	DigestSubject, DigestHTML, DigestText string
}

// EmailDKIM is a key that signs mails.
type EmailDKIM struct {
	// Domain and Selector say where the public key is:
	// Selector._domainkey.Domain. Required.
	Domain, Selector string
	// PrivateKey is PEM. Required.
	PrivateKey signalbox.Secret
}

// readEmail reads the email channel. What is missing in the section has the
// defaults above.
func readEmail(c *Config, e entry) {
	s := e.section()
	if s == nil {
		return
	}
	email := Email{BroadcastReceiver: "none", ConcurrencyLimit: 2, ThrottleInterval: 100 * time.Millisecond, CacheTTL: time.Hour}
	if email.read(s); s.ok() {
		c.Notifications.Email = &email
	}
}

func (m *Email) read(s *section) {
	s.only("transportConfig", "sender", "replyTo", "broadcastConfig", "concurrencyLimit", "throttleInterval",
		"cache", "filter", "allowedEmailDomains", "allowlistEmailAddresses", "denylistEmailAddresses", "templates", "dkim", "unsubscribe", "sesConfig")
	m.readTransport(s.field("transportConfig"))
	if sender := s.field("sender"); sender.need("the address that mails come from") {
		readMailbox(sender, &m.Sender)
	}
	readMailbox(s.field("replyTo"), &m.ReplyTo)
	m.readBroadcasts(s.field("broadcastConfig").section())
	s.field("concurrencyLimit").count(1000, &m.ConcurrencyLimit)
	s.field("throttleInterval").lasting(0, time.Hour, &m.ThrottleInterval)
	if cache := s.field("cache").section(); cache != nil {
		cache.only("ttl")
		cache.field("ttl").lasting(0, day, &m.CacheTTL)
	}
	m.Filter = readFilter(s.field("filter").section())
	m.readLists(s)
	m.Templates.read(s.field("templates").section())
	if dkim := s.field("dkim"); dkim.isList() {
		dkim.items(m.readDKIM)
	} else if one := dkim.section(); one != nil {
		m.readDKIM(one)
	}
	m.Unsubscribe.read(s.field("unsubscribe").section())
	if ses := s.field("sesConfig"); !ses.missing() {
		ses.warn("is for the ses transport, which is not supported, and is ignored")
	}
}

// readMailbox reads an address that may have a name. Whether it is valid to the last
// character is for the channel to say.
func readMailbox(e entry, into *string) {
	if !e.line(into) {
		return
	}
	address := *into
	if open := strings.LastIndexByte(address, '<'); open >= 0 && strings.HasSuffix(address, ">") {
		address = address[open+1 : len(address)-1]
	}
	if !looksLikeAddress(address) {
		e.failSecret(`must be an email address, as in "Signalbox <signalbox@example.com>"`)
	}
}

func looksLikeAddress(text string) bool {
	local, domain, ok := strings.Cut(text, "@")
	return ok && local != "" && domain != "" && !strings.ContainsAny(text, " \t\"',;<>:") && !strings.Contains(domain, "@")
}

func (m *Email) readBroadcasts(s *section) {
	if s == nil {
		return
	}
	s.only("receiver", "receiverEmails")
	receiver, addresses := s.field("receiver"), s.field("receiverEmails")
	if !receiver.need("none, config or users") || !receiver.choice(&m.BroadcastReceiver, "none", "config", "users") {
		return
	}
	m.BroadcastAddresses = readAddresses(addresses)
	if m.BroadcastReceiver == "config" && addresses.missing() {
		addresses.failSecret("is required when receiver is config")
	}
}

// readLists reads who may get mail. An empty list is refused: in Backstage, an empty
// allowlist allows nobody, and nobody means that.
func (m *Email) readLists(s *section) {
	allowed, domains := s.field("allowlistEmailAddresses"), s.field("allowedEmailDomains")
	m.Allowed = readAddresses(allowed)
	m.Denied = readAddresses(s.field("denylistEmailAddresses"))
	m.AllowedDomains, _ = domains.texts()
	for i, domain := range m.AllowedDomains {
		if domain == "" || strings.ContainsAny(domain, "@*/ \t") {
			domains.item(i, domains.n).failSecret("must be a domain, as in example.com; subdomains are listed one by one")
		}
	}
	allowed.notEmpty()
	domains.notEmpty()
}

func readAddresses(e entry) []string {
	list, _ := e.texts()
	for i, address := range list {
		if !looksLikeAddress(address) {
			e.item(i, e.n).failSecret("must be an email address without a name, as in jane@example.com")
		}
	}
	return list
}

func (t *EmailTemplates) read(s *section) {
	if s == nil {
		return
	}
	s.only("subject", "html", "text", "digestSubject", "digestHtml", "digestText")
	s.field("subject").file(&t.Subject)
	s.field("html").file(&t.HTML)
	s.field("text").file(&t.Text)
	s.field("digestSubject").file(&t.DigestSubject)
	s.field("digestHtml").file(&t.DigestHTML)
	s.field("digestText").file(&t.DigestText)
}

func (m *Email) readDKIM(s *section) {
	s.only("domain", "selector", "privateKey")
	var key EmailDKIM
	s.field("domain").required(entry.line, &key.Domain, "")
	s.field("selector").required(entry.line, &key.Selector, "")
	if private := s.field("privateKey"); private.need("") {
		secret(private, &key.PrivateKey, func(text string) (signalbox.Secret, error) {
			if !strings.Contains(text, "-----BEGIN ") {
				return signalbox.Secret{}, errors.New("must be a private key in PEM, as in {$file: dkim.pem}")
			}
			return asSecret(text)
		})
	}
	m.DKIM = append(m.DKIM, key)
}
