package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/oidc"
)

// Deps are what a [Server] works with. All are needed unless it says otherwise.
type Deps struct {
	Inbox     signalbox.Inbox
	Submitter signalbox.Submitter
	Signaler  signalbox.Signaler
	// Settings are the users' choices, Policy decides with them as the pipeline
	// does.
	Settings signalbox.SettingsStore
	Policy   *signalbox.SettingsPolicy
	// Schedules are when users get what is sent outside.
	Schedules *signalbox.Schedules
	// Unsubscribe reads the token of a link in a mail. An error wraps
	// [ErrLinkForged] or [ErrLinkExpired]; any other means a truncated or malformed
	// token. It does not hold the token. Optional: without, all links are refused.
	Unsubscribe func(token string) (Unsubscription, error)
	// PluginKeys returns the key set document of the tokens with which this server
	// calls Backstage's plugins. Optional: without, there is none.
	PluginKeys func(context.Context) ([]byte, error)
	// Trace tells what became of what was sent.
	Trace signalbox.TraceStore
	// Directory and Takers tell admins who would get something, and where. Takers
	// returns the channels that want what is for an audience, which may have been named
	// as a recipient. It is called concurrently.
	Directory signalbox.Directory
	Takers    func(audience signalbox.Audience, named bool) []string
	// DeadLetters are shown to admins, who retry or drop them. Status tells admins
	// how the router is doing.
	DeadLetters signalbox.DeadLetterStore
	// Tokens are the API tokens that users and admins make.
	Tokens signalbox.TokenStore
	// Instances tells how many instances share the rates of senders. Defaults to 1.
	Instances func() int
	Status    func(context.Context) (Status, error)
	// Authenticator knows the credentials of services and users. Guest mode is
	// not its business, see [Config.Guest].
	Authenticator auth.Authenticator
	// Login signs users in to the page; it has to be an authenticator, too. Optional:
	// without, nobody signs in.
	Login *oidc.Login
	// Signals makes the handler of the WebSocket at /api/signals. The function
	// it is given tells the user of an upgrade request, who is authenticated by
	// then.
	Signals func(user func(*fiber.Ctx) (signalbox.UserPrincipal, error)) fiber.Handler
	// Page is the web page. Optional.
	Page Page
	// Ready returns an error while the server should get no traffic. Optional.
	Ready func(context.Context) error
	// Registerer takes the server's own metrics, Gatherer is what /metrics
	// shows. Optional: without, the server has a registry of its own.
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	// Logger gets what goes wrong. Defaults to discarding it.
	Logger *slog.Logger
}

// Page serves documents and their files to browsers, all of them without credentials.
type Page interface {
	// Paths lists where it is, as Fiber patterns that no route of the API has.
	Paths() []string
	// Handle answers a GET or HEAD of one of these paths. It returns
	// [fiber.ErrNotFound] for what a pattern covers and the page does not have.
	Handle(*fiber.Ctx) error
}

// Config configures a [Server].
type Config struct {
	// MaxBody bounds the body of a request in bytes. Defaults to 512 KiB.
	MaxBody int
	// MaxBatchBody bounds the body of a batch in bytes. Defaults to 8 MiB.
	MaxBatchBody int
	// MaxHeader bounds the request line and the headers in bytes. User tokens
	// have up to 32,768. Defaults to 64 KiB, at least 48 KiB.
	MaxHeader int
	// MaxConnections bounds the connections, without the upgraded ones. Those
	// beyond are answered 503 and closed, and by TLS only closed. Defaults to 16,384.
	MaxConnections int
	// MaxConnectionsPerAddress bounds the connections, with the upgraded ones, of one
	// IPv4 address or IPv6 /64. Those beyond are answered 429 and closed, and by TLS
	// only closed. Defaults to no limit.
	MaxConnectionsPerAddress int
	// ManyClients are addresses that the limit is not for, besides TrustedProxies.
	// Defaults to none.
	ManyClients []netip.Prefix
	// TrustedProxies are the addresses of proxies whose X-Forwarded-For,
	// X-Forwarded-Proto and X-Forwarded-Host are heeded. They have to set or remove
	// what clients send of these. Defaults to none.
	TrustedProxies []netip.Prefix
	// TLS makes the server speak TLS. Defaults to plain HTTP.
	TLS *tls.Config
	// ReadTimeout bounds the reading of one request. Defaults to 30 s.
	ReadTimeout time.Duration
	// WriteTimeout bounds the writing of one answer. Defaults to 30 s.
	WriteTimeout time.Duration
	// IdleTimeout closes a connection without requests. Defaults to 2 min.
	IdleTimeout time.Duration
	// RequestTimeout bounds the work on one request, to which the time that the
	// sender asked to wait is added. Defaults to 30 s.
	RequestTimeout time.Duration
	// AllowedOrigins are the origins, scheme://host[:port], whose pages may use
	// the API (CORS); "*" is all of them, which guest mode does not allow.
	// Defaults to none.
	AllowedOrigins []string
	// PublicURL is where browsers reach the server, with the path that a proxy puts
	// before every other: it is in cookies, and taken off the paths of requests if the
	// proxy has not done so. Needed with [Deps.Login].
	PublicURL string
	// Guest turns guest mode on.
	Guest *Guest
	// SettingsURL is the page where users choose what they get, to which those of
	// unsubscribe links lead. http or https. Defaults to none.
	SettingsURL string
	// Rules checks what is sent.
	Rules signalbox.Validator
	// Admins may use the routes for admins: services by their subjects, verbatim,
	// and users by their own references or those of groups that they are in.
	// Defaults to nobody.
	Admins []string
	// Senders says what each sender may send. Defaults to everything.
	Senders *signalbox.SenderPolicy
	// UsersMaySend lets users send, with their references as origins; by default to
	// users and groups. Guests and API tokens of users may not.
	UsersMaySend bool
	// MaxTokenAge bounds how long an API token works. Defaults to 365 days.
	MaxTokenAge time.Duration
}

// Guest configures guest mode: a request without a token is a user of its own
// choice. See [auth.Guest].
type Guest struct {
	// User is who a guest is that does not say. Defaults to [auth.DefaultGuest].
	User string
	// Hosts are the names in the Host header that guest mode answers to besides
	// loopback ones. Defaults to none.
	Hosts []string
	// Ownership tells what a guest owns things as, see [auth.GuestConfig].
	// Optional.
	Ownership auth.Ownership
}

const minHeader = 48 << 10

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value     *int
		byDefault int
	}{
		{&c.MaxBody, 512 << 10}, {&c.MaxBatchBody, 8 << 20}, {&c.MaxHeader, 64 << 10}, {&c.MaxConnections, 16_384},
	} {
		if *d.value == 0 {
			*d.value = d.byDefault
		}
	}
	for _, d := range []struct {
		value     *time.Duration
		byDefault time.Duration
	}{
		{&c.ReadTimeout, 30 * time.Second},
		{&c.WriteTimeout, 30 * time.Second},
		{&c.IdleTimeout, 2 * time.Minute},
		{&c.RequestTimeout, 30 * time.Second},
		{&c.MaxTokenAge, 365 * 24 * time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.byDefault
		}
	}
	return c
}

func (c Config) validate() error {
	for name, value := range map[string]int{
		"MaxBody": c.MaxBody, "MaxBatchBody": c.MaxBatchBody, "MaxConnections": c.MaxConnections,
	} {
		if value < 1 {
			return fmt.Errorf("web: %s must be positive", name)
		}
	}
	if c.MaxConnectionsPerAddress < 0 {
		return errors.New("web: MaxConnectionsPerAddress must not be negative")
	}
	if c.MaxHeader < minHeader {
		return fmt.Errorf("web: MaxHeader must be at least %d: user tokens are that long", minHeader)
	}
	for name, value := range map[string]time.Duration{
		"ReadTimeout": c.ReadTimeout, "WriteTimeout": c.WriteTimeout,
		"IdleTimeout": c.IdleTimeout, "RequestTimeout": c.RequestTimeout, "MaxTokenAge": c.MaxTokenAge,
	} {
		if value < 0 {
			return fmt.Errorf("web: %s must be positive", name)
		}
	}
	if u, err := url.Parse(c.SettingsURL); c.SettingsURL != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		return errors.New("web: SettingsURL is not an http or https URL")
	}
	for _, origin := range c.AllowedOrigins {
		if err := validateOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

func validateOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	parsed, err := url.Parse(origin)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" ||
		strings.Trim(parsed.Path, "/") != "" || strings.ContainsAny(origin, "*, ") {
		return fmt.Errorf("web: allowed origin %q is not scheme://host[:port]", origin)
	}
	return nil
}

func (d Deps) validate() error {
	for name, missing := range map[string]bool{
		"Inbox": d.Inbox == nil, "Submitter": d.Submitter == nil, "Signaler": d.Signaler == nil,
		"Authenticator": d.Authenticator == nil, "Signals": d.Signals == nil,
		"Settings": d.Settings == nil, "Policy": d.Policy == nil, "Schedules": d.Schedules == nil,
		"Directory": d.Directory == nil, "Takers": d.Takers == nil,
		"DeadLetters": d.DeadLetters == nil, "Tokens": d.Tokens == nil, "Status": d.Status == nil,
		"Trace": d.Trace == nil,
	} {
		if missing {
			return fmt.Errorf("web: Deps.%s is missing", name)
		}
	}
	if (d.Registerer == nil) != (d.Gatherer == nil) {
		return errors.New("web: Deps.Registerer and Deps.Gatherer go together")
	}
	return nil
}
