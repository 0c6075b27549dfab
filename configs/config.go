package configs

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/signalbox/signalbox"
)

// Config is the whole configuration. Each field names its key in the files;
// [Default] has the defaults.
type Config struct {
	// Listen is the address that the HTTP server binds ("listen"), host:port.
	// Without a host it is every interface; port 0 picks a free one.
	// Defaults to 127.0.0.1:7080.
	Listen string
	// Data is the directory for what is kept on disk ("data"). It is made if it
	// is missing. Defaults to ./signalbox-data.
	Data string
	// Database is where notifications are kept ("database").
	// Defaults to the SQLite file signalbox.db in Data.
	Database Database

	// TrustedProxies are the proxies in front whose X-Forwarded-For,
	// X-Forwarded-Proto and X-Forwarded-Host are heeded ("trustedProxies"). Defaults
	// to none.
	TrustedProxies []netip.Prefix

	Log         Log
	Shutdown    Shutdown
	TLS         TLS
	Connections Connections
	Auth        Auth
	CORS        CORS
	Directory   Directory
	Pipeline    Pipeline

	// The sections below are shared with Backstage's app-config.yaml.

	App           App
	Backend       Backend
	Notifications Notifications
	// Public is where people reach this server ("publicUrl"). No trailing slash.
	// Defaults to what [Config.PublicURL] finds.
	Public string
	// EventBus says whether signals of Backstage's plugins come from its events bus
	// ("events.useEventBus"). Defaults to [EventBusAuto].
	EventBus EventBus
	// Discovery is where Backstage's plugins are ("discovery.endpoints"). Defaults to
	// none.
	Discovery []DiscoveryEndpoint
}

// Log says what is logged, and how.
type Log struct {
	// Level is the least severe level that is logged ("log.level"): debug, info,
	// warn or error. Defaults to info.
	Level slog.Level
	// Format is the form of a line ("log.format"). Defaults to text.
	Format LogFormat
}

// LogFormat is the form of log lines.
type LogFormat string

// The forms of log lines.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Shutdown bounds a graceful stop.
type Shutdown struct {
	// Timeout is how long a stop may take before what is left is cut off
	// ("shutdown.timeout"). Nothing accepted is lost then: it is continued on
	// the next start. Between 1s and 1h. Defaults to 20s.
	Timeout time.Duration
}

// Auth is Signalbox's part of who may do what. Backstage's part, which has the
// service tokens, is [BackendAuth].
type Auth struct {
	Guest Guest
	// Backstage is where a Backstage installation is whose users and plugins are
	// known, if the configuration is not its own, see [Config.Backstage].
	Backstage AuthBackstage
	// Admins may look at dead letters and act on them ("auth.admins"): services by
	// the subjects of their tokens, and references of users and groups. Those of
	// the operator's own machine, the local sender and the guest, are admins without
	// being named. Defaults to none.
	Admins []string
	// Senders says what each sender may send ("auth.senders"), see
	// [signalbox.NewSenderPolicy]. Defaults to none: services may send everything.
	Senders []signalbox.SenderRule
	// UsersMaySend lets users send to users and groups ("auth.usersMaySend").
	// Defaults to false.
	UsersMaySend bool
	Tokens       AuthTokens
	// OIDC is where users sign in to the page ("auth.oidc"). Defaults to nil: nowhere.
	OIDC *AuthOIDC
	// JWT are the issuers whose bearer tokens are accepted ("auth.jwt"). Defaults to
	// none.
	JWT []AuthJWT
	// Proxy is a proxy that signs users in ("auth.proxy"). Defaults to nil: there is
	// none.
	Proxy *AuthProxy
}

// AuthBackstage names a Backstage installation.
type AuthBackstage struct {
	// BaseURL is that of its backend ("auth.backstage.baseUrl"). No trailing slash.
	// Defaults to none.
	BaseURL string
}

// Guest is the development mode, in which everyone who reaches the server is
// signed in as the user they like. Sending needs a token all the same.
type Guest struct {
	// Enabled turns guest mode on ("auth.guest.enabled"). When it is not set, it
	// is on only where the server is out of the reach of others: Listen is a
	// loopback address, no base URL names a public host, and there are no
	// TrustedProxies, no other way to sign in, and no Backstage.
	Enabled bool
	// User is who a guest is ("auth.guest.user"), a user entity reference.
	// Defaults to user:default/guest.
	User string
	// Hosts are names in the Host header that guest mode answers to, besides
	// loopback ones ("auth.guest.hosts"). Others are refused, so that no web page
	// can reach a developer's server through a name of its own. Without port.
	// Defaults to none.
	Hosts []string
}

// CORS says which web pages of other origins may call the API.
type CORS struct {
	// Origins are scheme://host[:port], or "*" for all, which guest mode does
	// not allow ("cors.origins"). Defaults to the origin of app.baseUrl.
	Origins []string
}

// Pipeline tunes the processing of send requests.
type Pipeline struct {
	// Consumers is how many messages are processed at a time
	// ("pipeline.consumers"). 1 to 64. Defaults to 2.
	Consumers int
	// RetryConsumers is the same for what is tried again
	// ("pipeline.retryConsumers"). 1 to 64. Defaults to 4.
	RetryConsumers int
	// DeliveryConsumers is the same for each channel and each processor that
	// runs after storing ("pipeline.deliveryConsumers"). 1 to 64. Defaults to 4.
	DeliveryConsumers int
	// MaxAttempts is how often a thing is tried in all before it becomes a dead
	// letter ("pipeline.maxAttempts"). 1 to 100. Defaults to 8.
	MaxAttempts int
	// Lease is how long a consumer may work on a message before another takes
	// it over ("pipeline.lease"). Between 5s and 1h. Defaults to 30s.
	Lease time.Duration
	// ProcessorTimeout bounds one call of a processor or channel
	// ("pipeline.processorTimeout"). Shorter than Lease. Defaults to 20s.
	ProcessorTimeout time.Duration
	// DeliveryMaxAge is how long a delivery to a channel is tried before it becomes
	// a dead letter ("pipeline.deliveryMaxAge"). Between 1m and 30 days. Defaults
	// to 24h.
	DeliveryMaxAge time.Duration
	Retry          Retry
}

// Trace is what is kept of how requests were delivered.
type Trace struct {
	// Retention is how long it is kept ("notifications.trace.retention"). At least
	// 1h. Defaults to 90 days.
	Retention time.Duration
}

// Retry says when what failed is tried again: after a delay that grows from Min,
// doubling, up to Max.
type Retry struct {
	// Min is the first delay ("pipeline.retry.min"). At least 10ms.
	// Defaults to 1s.
	Min time.Duration
	// Max is the longest delay ("pipeline.retry.max"). At least Min, at most
	// 24h. Defaults to 5m.
	Max time.Duration
}

// App is what Signalbox reads of Backstage's "app" section.
type App struct {
	// BaseURL is where the web application is ("app.baseUrl"); relative links of
	// notifications are resolved against it. No trailing slash. Defaults to none.
	BaseURL string
}

// Backend is what Signalbox reads of Backstage's "backend" section.
type Backend struct {
	// BaseURL is where clients reach this server ("backend.baseUrl"), or where
	// Backstage's backend is if the configuration is Backstage's own, see
	// [Config.Backstage]. No trailing slash. Defaults to none.
	BaseURL string
	Auth    BackendAuth
}

// BackendAuth holds the credentials of services.
type BackendAuth struct {
	// StaticTokens are the entries of type static in
	// "backend.auth.externalAccess". Defaults to none.
	StaticTokens []StaticToken
	// JWKS are the entries of type jwks, LegacyKeys those of type legacy, and
	// "backend.auth.keys". Default to none.
	JWKS       []JWKSAccess
	LegacyKeys []LegacyKey
}

// JWKSAccess is an outside issuer whose tokens let services in.
type JWKSAccess struct {
	// URL is options.url, where the keys are.
	URL string
	// Issuers, Audiences and Algorithms are options.issuer, options.audience and
	// options.algorithm: a token has one of each. They default to any.
	Issuers, Audiences, Algorithms []string
	// SubjectPrefix is options.subjectPrefix.
	SubjectPrefix string
	// Plugins is as in [StaticToken].
	Plugins []string
}

// LegacyKey is a secret that is shared with services.
type LegacyKey struct {
	// Secret is options.secret, in base64.
	Secret signalbox.Secret
	// Subject is options.subject. Defaults to external:backstage-plugin.
	Subject string
	// Plugins is as in [StaticToken].
	Plugins []string
}

// StaticToken is a fixed bearer token of a service.
type StaticToken struct {
	// Hash is of options.token, or options.tokenHash itself.
	Hash TokenHash
	// Subject is who the token speaks for ("options.subject"). It becomes the
	// origin of what is sent with it, verbatim.
	Subject string
	// Plugins are the Backstage plugins that the token is restricted to
	// ("accessRestrictions[].plugin"). Defaults to no restriction.
	Plugins []string
}

// Notifications is what Signalbox reads of Backstage's "notifications" section.
type Notifications struct {
	// Retention is how long a notification is kept after its last revision
	// ("notifications.retention"); 0, which is false in the file, keeps it
	// forever. At least 1m. Defaults to 365 days.
	Retention time.Duration
	// DefaultSettings are the switches of channels, origins and topics that hold
	// where a user chose nothing ("notifications.defaultSettings"). Defaults to
	// none: everything is on.
	DefaultSettings []signalbox.Choice
	// Mandatory is what is delivered whatever users chose
	// ("notifications.mandatory"). Defaults to none.
	Mandatory []signalbox.MandatoryRule
	// Filters keep notifications from channels and processors, by their names
	// ("notifications.filters"). Defaults to none.
	Filters    map[string]signalbox.PayloadFilter
	Broadcasts Broadcasts
	// Email is the email channel ("notifications.processors.email"). Defaults to
	// nil: there is none.
	Email *Email
	// Slack are the channels of Slack workspaces ("notifications.processors.slack").
	// Defaults to none.
	Slack []Slack
	// DirectTargets are patterns of addresses that senders may name in place of
	// entities ("notifications.directTargets"), as in "email:*@example.com".
	// Defaults to none.
	DirectTargets []string
	Trace         Trace
	// Schedule is when users get what is sent outside who chose nothing themselves
	// ("notifications.schedule": "timeZone", "digest.every", "digest.at",
	// "digest.below", "quietHours"). Defaults to at once, at any time; a digest is
	// due at 08:00, UTC.
	Schedule signalbox.Schedule
}

// Default returns the configuration of a server that nothing was configured
// for.
func Default() Config {
	const data = "./signalbox-data"
	return Config{
		Listen:      "127.0.0.1:7080",
		Data:        data,
		Database:    SQLiteIn(data),
		Log:         Log{Level: slog.LevelInfo, Format: LogText},
		Shutdown:    Shutdown{Timeout: 20 * time.Second},
		Connections: Connections{PerAddress: 4096},
		EventBus:    EventBusAuto,
		Auth:        Auth{Guest: Guest{Enabled: true, User: "user:default/guest"}, Tokens: AuthTokens{MaxAge: 365 * day}},
		Directory: Directory{
			Backstage:    DirectoryBackstage{CacheTTL: time.Minute, Timeout: 5 * time.Second},
			UnknownUsers: DeliverUnknownUsers,
		},
		Pipeline: Pipeline{
			Consumers:         2,
			RetryConsumers:    4,
			DeliveryConsumers: 4,
			MaxAttempts:       8,
			Lease:             30 * time.Second,
			ProcessorTimeout:  20 * time.Second,
			DeliveryMaxAge:    day,
			Retry:             Retry{Min: time.Second, Max: 5 * time.Minute},
		},
		Notifications: Notifications{
			Retention: 365 * day, Trace: Trace{Retention: 90 * day},
			Schedule: signalbox.Schedule{TimeZone: "UTC", Digest: signalbox.DigestTimes{Every: signalbox.DigestNever, At: 8 * 60, Below: signalbox.SeverityCritical}},
		},
	}
}
