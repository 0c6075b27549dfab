package email

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/unsubscribe"
)

// Config says what the channel needs. Exactly one of SMTP, Sendmail and Stream is
// set. The names in brackets are Backstage's keys of the same meaning, below
// notifications.processors.email.
type Config struct {
	// Directory has the addresses of users. Required.
	Directory signalbox.Directory
	// Users lists everyone, for broadcasts. Required if Broadcast is
	// [BroadcastUsers].
	Users UserLister
	// Logger takes what no error tells of. Defaults to none.
	Logger *slog.Logger

	SMTP     *SMTP
	Sendmail *Sendmail
	Stream   *Stream

	// Sender is the address that mails come from, with or without a name ("sender").
	// Required.
	Sender string
	// ReplyTo is where answers go ("replyTo"). Defaults to Sender.
	ReplyTo string

	// Broadcast is who gets broadcasts ("broadcastConfig.receiver"). Defaults to
	// [BroadcastNone].
	Broadcast Broadcast
	// BroadcastAddresses are the receivers for [BroadcastConfig]
	// ("broadcastConfig.receiverEmails").
	BroadcastAddresses []string

	// Concurrency is how many mails are handed over at a time, and how many per
	// Interval ("concurrencyLimit"). Defaults to 2.
	Concurrency int
	// Interval is how long Concurrency mails take at least ("throttleInterval").
	// Defaults to no limit, as zero.
	Interval time.Duration
	// CacheTTL is how long a user's address is used without asking the directory
	// again ("cache.ttl"). Defaults to asking every time, as zero.
	CacheTTL time.Duration

	// AllowedDomains, if there are any, are the only domains that get mail, exactly
	// and without their subdomains ("allowedEmailDomains").
	AllowedDomains []string
	// Allowed addresses get mail whatever their domain is; without AllowedDomains
	// nobody else does ("allowlistEmailAddresses").
	Allowed []string
	// Denied addresses get none, whatever the other lists say
	// ("denylistEmailAddresses").
	Denied []string

	// Filter keeps notifications from the channel ("filter"). Defaults to none.
	Filter signalbox.PayloadFilter

	// AppURL is where the web application is: relative links are resolved against
	// it. Without it they, and the links of the footer, are left out.
	AppURL string
	// SettingsURL is the page where a user chooses what to get. Defaults to AppURL
	// with "/settings/notifications"; without either there is no such link.
	SettingsURL string

	// Templates are files that replace the built-in templates.
	Templates Templates
	// DKIM are the keys that sign, each with a signature of its own. Defaults to
	// no signature.
	DKIM []DKIM
	// Unsubscribe makes the links that end the mails of a topic. Defaults to none.
	Unsubscribe *unsubscribe.Links
}

// UserLister lists users, for broadcasts to all of them.
type UserLister interface {
	// Users returns references of users in a stable order, at most limit of them,
	// beginning after the cursor of the previous call (at first: empty), and the
	// next cursor, which is empty at the end. Errors are as of
	// [signalbox.Directory].
	Users(ctx context.Context, after string, limit int) (refs []string, next string, err error)
}

// Broadcast says who gets broadcasts.
type Broadcast string

// Who gets broadcasts.
const (
	// BroadcastNone is nobody.
	BroadcastNone Broadcast = "none"
	// BroadcastConfig is Config.BroadcastAddresses.
	BroadcastConfig Broadcast = "config"
	// BroadcastUsers is every user with an address.
	BroadcastUsers Broadcast = "users"
)

// TLSPolicy says how the connection to a mail server is encrypted.
type TLSPolicy string

// The ways to encrypt.
const (
	// TLSImplicit speaks TLS from the first byte, as on port 465.
	TLSImplicit TLSPolicy = "implicit"
	// TLSMandatory demands STARTTLS.
	TLSMandatory TLSPolicy = "mandatory"
	// TLSOpportunistic uses STARTTLS where the server offers it. Whoever can change
	// what is sent can take the offer away.
	TLSOpportunistic TLSPolicy = "opportunistic"
	// TLSNone does not encrypt. Only for loopback hosts, unless SMTP.AllowPlaintext
	// is set.
	TLSNone TLSPolicy = "none"
)

// AuthType is an authentication mechanism (RFC 4954).
type AuthType string

// The mechanisms.
const (
	// AuthAuto takes the best that the server offers; it never sends a password in
	// the clear to another machine, unless SMTP.AllowPlaintext is set.
	AuthAuto        AuthType = "auto"
	AuthPlain       AuthType = "plain"
	AuthLogin       AuthType = "login"
	AuthCRAMMD5     AuthType = "cram-md5"
	AuthSCRAMSHA1   AuthType = "scram-sha-1"
	AuthSCRAMSHA256 AuthType = "scram-sha-256"
	// AuthXOAUTH2 takes Password as the access token.
	AuthXOAUTH2 AuthType = "xoauth2"
)

// SMTP is a mail server that takes mail for others.
type SMTP struct {
	// Host and Port are its address. Required.
	Host string
	Port int
	// TLS defaults to [TLSMandatory], for loopback hosts to [TLSOpportunistic].
	TLS TLSPolicy
	// CAFile has the certificates (PEM) of who may have signed the server's. It goes
	// before RootCAs. Both default to the system's.
	CAFile  string
	RootCAs *x509.CertPool
	// AllowPlaintext permits [TLSNone] with another machine, and sending it the
	// password in the clear.
	AllowPlaintext bool
	// Username and Password are what to sign in with. Without a Username nobody
	// signs in.
	Username string
	Password signalbox.Secret
	// Auth defaults to [AuthAuto].
	Auth AuthType
	// Hello is the name to greet with (EHLO). Defaults to the domain of the sender.
	Hello string
	// Timeout bounds each step of the conversation, besides the context. Defaults
	// to 1m.
	Timeout time.Duration
	// IdleTimeout is how long an unused connection stays open. Defaults to 15s.
	IdleTimeout time.Duration
	// MaxPerConnection is how many mails go through a connection before it is
	// replaced. Defaults to 100.
	MaxPerConnection int
}

// Sendmail is a program that takes mail on its standard input, as sendmail does.
type Sendmail struct {
	// Path is the program. Defaults to /usr/sbin/sendmail.
	Path string
	// Windows ends lines with CR LF instead of LF.
	Windows bool
}

// Stream writes mails instead of sending them, for development.
type Stream struct {
	// Directory gets a file for each delivery, named by its ID with ".eml". It is
	// made if it is missing.
	Directory string
	// Writer gets all mails if there is no Directory, one after the other.
	Writer io.Writer
}

// Templates are the names of template files, each empty for the built-in one. The
// data they get is [Content], those of digests get [DigestContent]. HTML and
// DigestHTML are html/template, the others are text/template.
type Templates struct {
	Subject, HTML, Text                   string
	DigestSubject, DigestHTML, DigestText string
}

// DKIM is a key that signs mails (RFC 6376).
type DKIM struct {
	// Domain signs; the public key is in DNS at Selector._domainkey.Domain.
	Domain, Selector string
	// PrivateKey is PEM: RSA of 2048 bits or more (PKCS #1 or #8), or Ed25519
	// (PKCS #8).
	PrivateKey signalbox.Secret
}

// settled is a Config whose defaults are filled in and whose addresses are read.
type settled struct {
	Config
	sender, replyTo *mail.Address
	receivers       []channels.Target
	lists           lists
}

func (c Config) settle() (settled, error) {
	s := settled{Config: c}
	if c.Directory == nil {
		return s, errors.New("email: there is no directory")
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Concurrency == 0 {
		s.Concurrency = 2
	}
	if s.Concurrency < 0 || c.Interval < 0 || c.CacheTTL < 0 {
		return s, errors.New("email: concurrency, interval and cache TTL must not be negative")
	}
	var err error
	if s.sender, err = parseMailbox(c.Sender); err != nil {
		return s, fmt.Errorf("email: sender: %w", err)
	}
	if c.ReplyTo != "" {
		if s.replyTo, err = parseMailbox(c.ReplyTo); err != nil {
			return s, fmt.Errorf("email: reply-to: %w", err)
		}
	}
	if s.lists, err = newLists(c.AllowedDomains, c.Allowed, c.Denied); err != nil {
		return s, fmt.Errorf("email: %w", err)
	}
	if err := s.settleBroadcast(); err != nil {
		return s, err
	}
	return s, s.settleLinks()
}

func (s *settled) settleBroadcast() error {
	switch s.Broadcast {
	case "":
		s.Broadcast = BroadcastNone
	case BroadcastNone:
	case BroadcastUsers:
		if s.Users == nil {
			return errors.New("email: broadcasts are for all users, but this directory cannot list them")
		}
	case BroadcastConfig:
		for _, text := range s.BroadcastAddresses {
			address, err := parseAddress(text)
			if err != nil {
				return fmt.Errorf("email: receiver of broadcasts: %w", err)
			}
			s.receivers = append(s.receivers, address.target(""))
		}
	default:
		return fmt.Errorf("email: unknown receiver of broadcasts %q", s.Broadcast)
	}
	return nil
}

func (s *settled) settleLinks() error {
	s.AppURL = strings.TrimRight(s.AppURL, "/")
	if s.SettingsURL == "" && s.AppURL != "" {
		s.SettingsURL = s.AppURL + "/settings/notifications"
	}
	for _, link := range []string{s.AppURL, s.SettingsURL} {
		if u, err := url.Parse(link); link != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			return fmt.Errorf("email: %q is not an http or https URL", link)
		}
	}
	return nil
}

// transport makes what hands mails over.
func (s *settled) transport() (transport, error) {
	set := 0
	for _, is := range []bool{s.SMTP != nil, s.Sendmail != nil, s.Stream != nil} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return nil, errors.New("email: exactly one of SMTP, Sendmail and Stream must be configured")
	case s.SMTP != nil:
		return newSMTP(*s.SMTP, domainOf(s.sender.Address), min(s.Concurrency, maxConcurrency))
	case s.Sendmail != nil:
		return newSendmail(*s.Sendmail), nil
	case s.Stream.Directory == "" && s.Stream.Writer == nil:
		return &stream{Stream: Stream{Writer: os.Stdout}}, nil
	default:
		return &stream{Stream: *s.Stream}, nil
	}
}
