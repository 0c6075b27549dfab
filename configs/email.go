package configs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

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
func readEmail(r *reader, c *Config, n *node, path string) {
	ok := r.section(n, path, "transportConfig", "sender", "replyTo", "broadcastConfig", "concurrencyLimit", "throttleInterval",
		"cache", "filter", "allowedEmailDomains", "allowlistEmailAddresses", "denylistEmailAddresses", "templates", "dkim", "unsubscribe", "sesConfig")
	if n.kind != mapping {
		return
	}
	e := emailReader{reader: r, ok: ok, into: Email{
		BroadcastReceiver: "none", ConcurrencyLimit: 2, ThrottleInterval: 100 * time.Millisecond, CacheTTL: time.Hour,
	}}
	e.transport(n, join(path, "transportConfig"))
	e.mailbox(n, path, "sender", &e.into.Sender)
	if e.into.Sender == "" && n.child("sender").missing() {
		e.refuse(n, join(path, "sender"), "is required: the address that mails come from")
	}
	e.mailbox(n, path, "replyTo", &e.into.ReplyTo)
	e.broadcasts(n.child("broadcastConfig"), join(path, "broadcastConfig"))
	e.number(n, path, "concurrencyLimit", 1, 1000, &e.into.ConcurrencyLimit)
	e.lasting(n, path, "throttleInterval", 0, time.Hour, &e.into.ThrottleInterval)
	if cache := n.child("cache"); !cache.missing() && e.sub(cache, join(path, "cache"), "ttl") {
		e.lasting(cache, join(path, "cache"), "ttl", 0, day, &e.into.CacheTTL)
	}
	if filter := n.child("filter"); !filter.missing() {
		read, ok := r.filter(filter, join(path, "filter"))
		e.into.Filter, e.ok = read, e.ok && ok
	}
	e.lists(n, path)
	e.templates(n.child("templates"), join(path, "templates"))
	e.dkim(n.child("dkim"), join(path, "dkim"))
	e.unsubscribe(n.child("unsubscribe"), join(path, "unsubscribe"))
	if ses := n.child("sesConfig"); !ses.missing() {
		r.warn(ses.at, join(path, "sesConfig"), "is for the ses transport, which is not supported, and is ignored")
	}
	if e.ok {
		c.Notifications.Email = &e.into
	}
}

// missing reports whether a field is not there or null.
func (n *node) missing() bool { return n == nil || n.kind == null }

// emailReader reads into; ok turns false at the first problem.
type emailReader struct {
	*reader
	into Email
	ok   bool
}

// refuse reports a problem without showing the value.
func (e *emailReader) refuse(n *node, path, message string) {
	e.failSecret(n, path, message)
	e.ok = false
}

// sub is section for a part of the channel's.
func (e *emailReader) sub(n *node, path string, known ...string) bool {
	e.ok = e.section(n, path, known...) && e.ok
	return n.kind == mapping
}

// plain reads a text that may be missing: set tells whether it is there and could
// be read.
func (e *emailReader) plain(n *node, path, field string, into *string) (set bool) {
	text, present := e.optional(n, path, field)
	if text == nil {
		e.ok = e.ok && !present
		return false
	}
	*into = strings.TrimSpace(*text)
	if strings.ContainsFunc(*into, unicode.IsControl) {
		e.refuse(n.child(field), join(path, field), "must be one line without control characters")
		return false
	}
	return true
}

// choice is plain for one of a few words.
func (e *emailReader) choice(n *node, path, field string, into *string, words ...string) (set bool) {
	if !e.plain(n, path, field, into) {
		return false
	}
	if !slices.Contains(words, *into) {
		e.fail(n.child(field), join(path, field), "must be one of "+strings.Join(words, ", "))
		e.ok = false
		return false
	}
	return true
}

func (e *emailReader) flag(n *node, path, field string, into *bool) (set bool) {
	var text string
	if !e.plain(n, path, field, &text) {
		return false
	}
	value, err := asBool(text)
	if err != nil {
		e.fail(n.child(field), join(path, field), err.Error())
		e.ok = false
		return false
	}
	*into = value
	return true
}

func (e *emailReader) number(n *node, path, field string, least, most int, into *int) {
	var text string
	if !e.plain(n, path, field, &text) {
		return
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < least || value > most {
		e.fail(n.child(field), join(path, field), fmt.Sprintf("must be a whole number between %d and %d", least, most))
		e.ok = false
		return
	}
	*into = value
}

func (e *emailReader) lasting(n *node, path, field string, least, most time.Duration, into *time.Duration) {
	child := n.child(field)
	if child.missing() {
		return
	}
	d, ok := e.duration(child, join(path, field))
	if ok && (d < least || d > most) {
		e.refuse(child, join(path, field), fmt.Sprintf("must be between %s and %s", plain(least), plain(most)))
		return
	}
	*into, e.ok = d, e.ok && ok
}

// path reads the name of a file or directory, which is relative to the file that
// names it.
func (e *emailReader) path(n *node, path, field string, into *string) {
	if !e.plain(n, path, field, into) || *into == "" {
		return
	}
	if at := n.child(field).at; at.line > 0 && !filepath.IsAbs(*into) {
		*into = filepath.Join(filepath.Dir(at.source), *into)
	}
}

// mailbox reads an address that may have a name. Whether it is valid to the last
// character is for the channel to say.
func (e *emailReader) mailbox(n *node, path, field string, into *string) {
	if !e.plain(n, path, field, into) {
		return
	}
	address := *into
	if open := strings.LastIndexByte(address, '<'); open >= 0 && strings.HasSuffix(address, ">") {
		address = address[open+1 : len(address)-1]
	}
	if !looksLikeAddress(address) {
		e.refuse(n.child(field), join(path, field), `must be an email address, as in "Signalbox <signalbox@example.com>"`)
	}
}

func looksLikeAddress(text string) bool {
	local, domain, ok := strings.Cut(text, "@")
	return ok && local != "" && domain != "" && !strings.ContainsAny(text, " \t\"',;<>:") && !strings.Contains(domain, "@")
}

func (e *emailReader) broadcasts(n *node, path string) {
	if n.missing() || !e.sub(n, path, "receiver", "receiverEmails") {
		return
	}
	if !e.choice(n, path, "receiver", &e.into.BroadcastReceiver, "none", "config", "users") {
		if n.child("receiver").missing() {
			e.refuse(n, join(path, "receiver"), "is required: none, config or users")
		}
		return
	}
	e.into.BroadcastAddresses = e.addresses(n, path, "receiverEmails")
	if e.into.BroadcastReceiver == "config" && n.child("receiverEmails").missing() {
		e.refuse(n, join(path, "receiverEmails"), "is required when receiver is config")
	}
}

// lists reads who may get mail. An empty list is refused: in Backstage, an empty
// allowlist allows nobody, and nobody means that.
func (e *emailReader) lists(n *node, path string) {
	e.into.Allowed = e.addresses(n, path, "allowlistEmailAddresses")
	e.into.Denied = e.addresses(n, path, "denylistEmailAddresses")
	e.into.AllowedDomains = e.texts(n, path, "allowedEmailDomains")
	for i, domain := range e.into.AllowedDomains {
		if domain == "" || strings.ContainsAny(domain, "@*/ \t") {
			e.refuse(n.child("allowedEmailDomains"), fmt.Sprintf("%s[%d]", join(path, "allowedEmailDomains"), i), "must be a domain, as in example.com; subdomains are listed one by one")
		}
	}
	for _, field := range []string{"allowlistEmailAddresses", "allowedEmailDomains"} {
		if child := n.child(field); !child.missing() && child.kind == sequence && len(child.items) == 0 {
			e.refuse(child, join(path, field), "must have at least one entry, or be left out")
		}
	}
}

func (e *emailReader) texts(n *node, path, field string) []string {
	child := n.child(field)
	if child.missing() {
		return nil
	}
	items, ok := e.list(child, join(path, field))
	e.ok = e.ok && ok
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

func (e *emailReader) addresses(n *node, path, field string) []string {
	items := e.texts(n, path, field)
	for i, item := range items {
		if !looksLikeAddress(item) {
			e.refuse(n.child(field), fmt.Sprintf("%s[%d]", join(path, field), i), "must be an email address without a name, as in jane@example.com")
		}
	}
	return items
}

func (e *emailReader) templates(n *node, path string) {
	if n.missing() || !e.sub(n, path, "subject", "html", "text", "digestSubject", "digestHtml", "digestText") {
		return
	}
	e.path(n, path, "subject", &e.into.Templates.Subject)
	e.path(n, path, "html", &e.into.Templates.HTML)
	e.path(n, path, "text", &e.into.Templates.Text)
	e.path(n, path, "digestSubject", &e.into.Templates.DigestSubject)
	e.path(n, path, "digestHtml", &e.into.Templates.DigestHTML)
	e.path(n, path, "digestText", &e.into.Templates.DigestText)
}

// dkim reads one key, or a list of them.
func (e *emailReader) dkim(n *node, path string) {
	if n.missing() {
		return
	}
	one := func(n *node, path string) {
		if !e.sub(n, path, "domain", "selector", "privateKey") {
			return
		}
		var key EmailDKIM
		e.plain(n, path, "domain", &key.Domain)
		e.plain(n, path, "selector", &key.Selector)
		if text, present := e.optional(n, path, "privateKey"); text != nil {
			key.PrivateKey = signalbox.NewSecret(*text)
			if !strings.Contains(*text, "-----BEGIN ") {
				e.refuse(n.child("privateKey"), join(path, "privateKey"), "must be a private key in PEM, as in {$file: dkim.pem}")
			}
		} else {
			e.ok = e.ok && !present
		}
		for _, field := range []string{"domain", "selector", "privateKey"} {
			if n.child(field).missing() {
				e.refuse(n, join(path, field), "is required")
			}
		}
		e.into.DKIM = append(e.into.DKIM, key)
	}
	if n.kind == sequence {
		e.items(n, path, one)
		return
	}
	one(n, path)
}
