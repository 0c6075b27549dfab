package configs

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

// write puts files into a directory and returns their names.
func write(t *testing.T, contents ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for i, content := range contents {
		name := filepath.Join(dir, string(rune('a'+i))+".yaml")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// lines returns problems with the directories of their sources cut off.
func lines(problems []Problem) []string {
	var all []string
	for _, p := range problems {
		p.Source = filepath.Base(p.Source)
		if p.Source == "." {
			p.Source = ""
		}
		all = append(all, p.String())
	}
	return all
}

func load(t *testing.T, sources Sources) (Config, []string, []string) {
	t.Helper()
	config, warnings, err := Load(sources)
	var failed *Error
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("error is a %T", err)
	}
	if failed == nil {
		return config, lines(warnings), nil
	}
	return config, lines(warnings), lines(failed.Problems)
}

// allow is comparing values that hide what they hold.
var allow = cmp.Options{
	cmp.AllowUnexported(Database{}, signalbox.Secret{}),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestLoad(t *testing.T) {
	const token = "a-long-token"
	for _, test := range []struct {
		name      string
		files     []string
		environ   []string
		overrides []Override
		want      func(*Config)
		warnings  []string
	}{
		{name: "nothing"},
		{name: "empty file", files: []string{""}},
		{name: "only comments and nulls", files: []string{"# nothing\nlisten:\nlog: ~\nauth:\n  guest:\n"}},
		{
			name: "every key",
			files: []string{`
listen: ":8080"
data: /var/lib/signalbox
database: postgres://u:p@h/db
log: {level: WARN, format: JSON}
shutdown: {timeout: 5s}
auth:
  guest: {enabled: true, user: "User:Jane", hosts: [Dev.Example.com, "10.0.0.1"]}
  admins: [ops-bot, " group:default/Ops "]
cors:
  origins: [https://A.example.com:443/, "http://localhost:3000"]
pipeline:
  consumers: 3
  retryConsumers: 5
  deliveryConsumers: 6
  maxAttempts: 4
  lease: 1m
  processorTimeout: PT10S
  retry: {min: {seconds: 2}, max: 1 hour}
directory:
  files: [/etc/org/*.yaml]
  backstage: {baseUrl: https://b.example.com/, token: catalog-token, cacheTtl: 2m, timeout: {seconds: 3}}
  unknownUsers: Drop
app: {baseUrl: https://app.example.com/}
backend:
  baseUrl: http://h:7080/base/
  auth:
    externalAccess:
      - type: static
        options: {token: a-long-token, subject: "plugin:ci"}
        accessRestrictions: [{plugin: notifications}, {plugin: signals}]
notifications:
  retention: {days: 30, hours: "12"}
  schedule:
    timeZone: Europe/Berlin
    digest: {every: daily, at: "07:30", below: high}
    quietHours: {from: "22:00", to: "07:00"}
tls: {cert: " /etc/cert.pem", key: /etc/key.pem}
trustedProxies: [10.0.0.0/8, "192.0.2.1", "fd00::/8"]
connections: {perAddress: 100}
events: {useEventBus: never, http: {topics: [github]}}
`},
			want: func(c *Config) {
				*c = Config{
					Listen:   ":8080",
					Data:     "/var/lib/signalbox",
					Database: Database{dialect: Postgres, url: signalbox.NewSecret("postgres://u:p@h/db")},
					Log:      Log{Level: slog.LevelWarn, Format: LogJSON},
					Shutdown: Shutdown{Timeout: 5 * time.Second},
					TLS:      TLS{Cert: "/etc/cert.pem", Key: "/etc/key.pem"},
					TrustedProxies: []netip.Prefix{
						netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("fd00::/8"),
					},
					Connections: Connections{PerAddress: 100},
					EventBus:    EventBusNever,
					Auth:        Auth{Guest: Guest{Enabled: true, User: "user:default/jane", Hosts: []string{"dev.example.com", "10.0.0.1"}}, Admins: []string{"ops-bot", "group:default/Ops"}, Tokens: Default().Auth.Tokens},
					CORS:        CORS{Origins: []string{"https://a.example.com", "http://localhost:3000"}},
					Directory: Directory{
						Files:        []string{"/etc/org/*.yaml"},
						Backstage:    DirectoryBackstage{BaseURL: "https://b.example.com", Token: signalbox.NewSecret("catalog-token"), CacheTTL: 2 * time.Minute, Timeout: 3 * time.Second},
						UnknownUsers: DropUnknownUsers,
					},
					Pipeline: Pipeline{
						Consumers: 3, RetryConsumers: 5, DeliveryConsumers: 6, MaxAttempts: 4, Lease: time.Minute,
						ProcessorTimeout: 10 * time.Second, DeliveryMaxAge: day, Retry: Retry{Min: 2 * time.Second, Max: time.Hour},
					},
					App: App{BaseURL: "https://app.example.com"},
					Backend: Backend{BaseURL: "http://h:7080/base", Auth: BackendAuth{StaticTokens: []StaticToken{{
						Hash: HashToken(token), Subject: "plugin:ci", Plugins: []string{"notifications", "signals"},
					}}}},
					Notifications: Notifications{Retention: 30*day + 12*time.Hour, Trace: Trace{Retention: 90 * day}, Schedule: signalbox.Schedule{
						TimeZone: "Europe/Berlin", Digest: signalbox.DigestTimes{Every: signalbox.DigestDaily, At: 450, Below: signalbox.SeverityHigh},
						Quiet: &signalbox.QuietHours{From: 1320, To: 420},
					}},
				}
			},
			warnings: []string{"a.yaml:8:20: auth.guest.enabled: opens the server to everyone who can reach it: they may read every inbox"},
		},
		{
			name:      "later sources win",
			files:     []string{"listen: localhost:1\nlog: {level: debug, format: json}\ndata: one", "listen: localhost:2\nlog: {level: warn}\n"},
			environ:   []string{"SIGNALBOX_LISTEN=localhost:3", "SIGNALBOX_DATA=two", "SIGNALBOX_LOG_LEVEL="},
			overrides: []Override{{Key: "listen", Value: "localhost:4", From: "--listen"}},
			want: func(c *Config) {
				c.Listen, c.Data, c.Database = "localhost:4", "two", SQLiteIn("two")
				c.Log = Log{Level: slog.LevelWarn, Format: LogJSON}
			},
		},
		{
			name:  "lists and durations are replaced whole, null is the default",
			files: []string{"auth: {guest: {hosts: [a, b]}}\nnotifications: {retention: {days: 2}}\ndata: x", "auth: {guest: {hosts: [c]}}\nnotifications: {retention: {hours: 3}}\ndata: ~"},
			want: func(c *Config) {
				c.Auth.Guest.Hosts = []string{"c"}
				c.Notifications.Retention = 3 * time.Hour
			},
		},
		{
			name: "environment in every form",
			environ: []string{
				"SIGNALBOX_AUTH_GUEST_HOSTS=a, b,",
				"SIGNALBOX_PIPELINE_MAX_ATTEMPTS=3",
				"SIGNALBOX_APP_BASE_URL=http://localhost:3000",
				"SIGNALBOX_NOTIFICATIONS_RETENTION={weeks: 2}",
				"SIGNALBOX_BACKEND_AUTH_EXTERNAL_ACCESS=[{type: static, options: {token: 'a-$${long}-token', subject: ci}}]",
				"SIGNALBOX_URL=x", "SIGNALBOX_TOKEN=x", "SIGNALBOX_TEST_POSTGRES_URL=x", "OTHER=x", "NOT_EVEN_A_PAIR",
				"SIGNALBOX_SERVICE_HOST=10.0.0.1", "SIGNALBOX_PORT=tcp://10.0.0.1:7080", "SIGNALBOX_PORT_7080_TCP_ADDR=10.0.0.1",
				"SIGNALBOX_DB_SERVICE_PORT_HTTP=1",
				"SIGNALBOX_SOMETHING_ELSE_ALTOGETHER=x",
			},
			want: func(c *Config) {
				c.Auth.Guest.Hosts = []string{"a", "b"}
				c.Pipeline.MaxAttempts = 3
				c.App.BaseURL = "http://localhost:3000"
				c.CORS.Origins = []string{"http://localhost:3000"}
				c.Notifications.Retention = 2 * week
				c.Backend.Auth.StaticTokens = []StaticToken{{Hash: HashToken("a-$${long}-token"), Subject: "ci"}}
			},
			warnings: []string{"SIGNALBOX_SOMETHING_ELSE_ALTOGETHER: is not a known variable and is ignored"},
		},
		{
			name:    "substitution",
			files:   []string{"data: ${DIR}/x\nlog: {level: '${LEVEL:-debug}'}\npipeline: {consumers: \"${N}\"}\nauth: {guest: {hosts: '${HOSTS}'}}\nshutdown: {timeout: {$env: T}}\n"},
			environ: []string{"DIR=/srv", "N=9", "HOSTS=a,b", "T=3s"},
			want: func(c *Config) {
				c.Data, c.Database, c.Log.Level, c.Pipeline.Consumers = "/srv/x", SQLiteIn("/srv/x"), slog.LevelDebug, 9
				c.Auth.Guest.Hosts = []string{"a", "b"}
				c.Shutdown.Timeout = 3 * time.Second
			},
		},
		{
			name:  "substitution only where it is read",
			files: []string{"catalog: {x: '${MISSING}'}\nbackend: {database: {x: '${MISSING}'}}\ndata: '${MISSING}'\n", "data: here"},
			want:  func(c *Config) { c.Data, c.Database = "here", SQLiteIn("here") },
		},
		{
			name:  "anchors, aliases, merge keys and tags",
			files: []string{"pipeline: &p\n  consumers: &n !!int 5\n  retryConsumers: *n\n  retry: &r {min: 2s, max: 3s}\nnotifications: {processors: {other: *r}}\nlog:\n  <<: {level: warn}\n  format: json\n"},
			want: func(c *Config) {
				c.Pipeline.Consumers, c.Pipeline.RetryConsumers = 5, 5
				c.Pipeline.Retry = Retry{Min: 2 * time.Second, Max: 3 * time.Second}
				c.Log = Log{Level: slog.LevelWarn, Format: LogJSON}
			},
		},
		{
			name: "an app-config.yaml as it is",
			files: []string{`
app:
  title: Scaffolded Backstage App
  baseUrl: http://localhost:3000
organization: {name: My Company}
backend:
  baseUrl: http://localhost:7007
  listen: {port: 7007}
  csp: {connect-src: ["'self'", 'http:', 'https:']}
  cors: {origin: http://localhost:3000, methods: [GET, POST], credentials: true}
  database: {client: better-sqlite3, connection: ':memory:'}
  auth:
    keys: [{secret: 'MDEyMzQ1Njc4OWFiY2RlZg=='}]
    externalAccess:
      - type: legacy
        options: {secret: 'MDEyMzQ1Njc4OWFiY2RlZjA=', subject: x}
        accessRestrictions: [{plugin: notifications}]
      - type: jwks
        options: {url: https://example.com/jwks.json, issuer: x, audience: [y, z], algorithm: RS256, subjectPrefix: p}
      - type: static
        options: {token: 'a-long-token', subject: ci}
integrations: {github: [{host: github.com, token: '${GITHUB_TOKEN}'}]}
proxy: {}
techdocs: {builder: 'local'}
auth: {environment: development, providers: {guest: {}}}
catalog: {locations: [{type: file, target: ./x.yaml}]}
discovery:
  endpoints:
    - target: {internal: 'http://signalbox:7080/api/{{pluginId}}', external: 'https://signalbox.example.com/api/{{pluginId}}'}
      plugins: [notifications, signals]
    - {target: 'http://other:7007/api/catalog', plugins: [catalog]}
kubernetes:
permission: {enabled: true}
somePlugin: {x: 1}
notifications:
  retention: P30D
  processors: {slack: [{token: xoxb}]}
  defaultSettings: {channels: []}
`},
			want: func(c *Config) {
				c.App.BaseURL, c.Backend.BaseURL = "http://localhost:3000", "http://localhost:7007"
				c.CORS.Origins = []string{"http://localhost:3000"}
				c.Backend.Auth = BackendAuth{
					StaticTokens: []StaticToken{{Hash: HashToken(token), Subject: "ci"}},
					JWKS:         []JWKSAccess{{URL: "https://example.com/jwks.json", Issuers: []string{"x"}, Audiences: []string{"y", "z"}, Algorithms: []string{"RS256"}, SubjectPrefix: "p"}},
					LegacyKeys: []LegacyKey{
						{Secret: signalbox.NewSecret("MDEyMzQ1Njc4OWFiY2RlZg==")},
						{Secret: signalbox.NewSecret("MDEyMzQ1Njc4OWFiY2RlZjA="), Subject: "x", Plugins: []string{"notifications"}},
					},
				}
				// It is Backstage's own: its users and plugins are known, and its
				// catalog tells who is who.
				c.Auth.Guest.Enabled = false
				c.Directory.Backstage.BaseURL = "http://localhost:7007"
				c.Discovery = []DiscoveryEndpoint{
					{Internal: "http://signalbox:7080/api/{{pluginId}}", External: "https://signalbox.example.com/api/{{pluginId}}", Plugins: []string{"notifications", "signals"}},
					{Internal: "http://other:7007/api/catalog", External: "http://other:7007/api/catalog", Plugins: []string{"catalog"}},
				}
				c.Notifications.Retention = 30 * day
				c.Notifications.Slack = []Slack{{Name: "Slack", Token: signalbox.NewSecret("xoxb"), GroupFallback: "none", ConcurrencyLimit: 10, TargetInterval: time.Second}}
			},
			warnings: []string{
				"a.yaml:34:1: somePlugin: is taken for the section of a Backstage plugin and ignored",
			},
		},
		{
			name:  "a similar key in an open section is worth a warning",
			files: []string{"backend: {baseURL: http://localhost:1}\nauth: {gest: {enabled: false}}\n"},
			warnings: []string{
				"a.yaml:1:11: backend.baseURL: is not a key of Signalbox and is ignored; did you mean backend.baseUrl?",
				"a.yaml:2:8: auth.gest: is not a key of Signalbox and is ignored; did you mean auth.guest?",
			},
		},
		{
			name:  "a public base URL turns guest mode off",
			files: []string{"backend: {baseUrl: https://signalbox.example.com}\n"},
			want: func(c *Config) {
				c.Backend.BaseURL, c.Auth.Guest.Enabled = "https://signalbox.example.com", false
			},
			warnings: []string{"auth.guest.enabled: is false, and nothing else says who may use it: only the local sender can send, and nobody can read"},
		},
		{
			name:  "a public application turns guest mode off",
			files: []string{"app: {baseUrl: https://backstage.example.com}\n"},
			want: func(c *Config) {
				c.App.BaseURL, c.Auth.Guest.Enabled = "https://backstage.example.com", false
				c.CORS.Origins = []string{"https://backstage.example.com"}
			},
			warnings: []string{"auth.guest.enabled: is false, and nothing else says who may use it: only the local sender can send, and nobody can read"},
		},
		{
			name:  "retention off",
			files: []string{"notifications: {retention: false}"},
			want:  func(c *Config) { c.Notifications.Retention = 0 },
		},
		{
			name:  "defaults follow the bounds beside them",
			files: []string{"pipeline: {lease: 6s, retry: {min: 10m}}"},
			want: func(c *Config) {
				c.Pipeline.Lease, c.Pipeline.ProcessorTimeout = 6*time.Second, 4*time.Second
				c.Pipeline.Retry = Retry{Min: 10 * time.Minute, Max: 10 * time.Minute}
			},
		},
		{
			name: "restricted token with a permission, and a hash",
			files: []string{`backend:
  auth:
    externalAccess:
      - type: static
        options:
          tokenHash: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
          subject: ci
        accessRestrictions:
          - plugin: catalog
            permission: catalog.entity.read
`},
			want: func(c *Config) {
				c.Backend.Auth.StaticTokens = []StaticToken{{Hash: HashToken("abc"), Subject: "ci", Plugins: []string{"catalog"}}}
			},
			warnings: []string{"a.yaml:10:25: backend.auth.externalAccess[0].accessRestrictions[0].permission: has no effect: the notifications and signals plugins check no permissions"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := Default()
			if test.want != nil {
				test.want(&want)
			}
			got, warnings, problems := load(t, Sources{Files: write(t, test.files...), Environ: test.environ, Overrides: test.overrides})
			if problems != nil {
				t.Fatalf("problems:\n%s", strings.Join(problems, "\n"))
			}
			if diff := cmp.Diff(want, got, allow); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	const secret = "hunter2hunter2"
	environ := []string{"SECRET=" + secret, "SPACED=" + secret + " x"}
	for _, test := range []struct {
		name      string
		files     []string
		environ   []string
		overrides []Override
		want      []string
	}{
		{
			name: "everything at once, where it is",
			files: []string{`lsten: x
log:
  level: loud
  fromat: json
shutdown: 5s
pipeline:
  consumers: 0
  maxAttempts: lots
  max_attempts: 3
  lease: 5
  retry: {min: 1m, max: 1s}
retention: 5
data: ["x"]
notifications:
  retention: 0
  retension: 5
`},
			want: []string{
				"a.yaml:1:1: lsten: unknown key; did you mean listen?",
				`a.yaml:3:10: log.level: must be one of debug, info, warn, error, got "loud"`,
				"a.yaml:4:3: log.fromat: unknown key; did you mean log.format?",
				"a.yaml:5:11: shutdown: must be a section, not a single value, got \"5s\"",
				`a.yaml:7:14: pipeline.consumers: must be between 1 and 64, got "0"`,
				`a.yaml:8:16: pipeline.maxAttempts: must be a whole number, got "lots"`,
				"a.yaml:9:3: pipeline.max_attempts: unknown key; did you mean pipeline.maxAttempts?",
				`a.yaml:10:10: pipeline.lease: must be a duration, such as 30s, 1h30m, "2 days", P1DT12H or {hours: 36}, got "5"`,
				`a.yaml:11:25: pipeline.retry.max: must not be shorter than pipeline.retry.min, got "1s"`,
				"a.yaml:12:1: retention: unknown key; did you mean notifications.retention?",
				"a.yaml:13:7: data: must be a single value, not a list",
				`a.yaml:15:14: notifications.retention: must not be zero: write false to keep notifications forever, got "0"`,
				"a.yaml:16:3: notifications.retension: unknown key; did you mean notifications.retention?",
			},
		},
		{
			name:  "every file that is no YAML",
			files: []string{"a: b: c\n", "- x\n", "a: 1\na: 2\n", "a: \"" + secret, "a: *b", "a: 1\n---\nb: 2\n", "data: x"},
			want: []string{
				"a.yaml:1:4: is not valid YAML: mapping value is not allowed in this context",
				"b.yaml:1:1: must hold sections at its top level, not a list",
				`c.yaml:2:1: is not valid YAML: mapping key "a" already defined at [1:1]`,
				"d.yaml:1:4: is not valid YAML: could not find end character of double-quoted text",
				`e.yaml:1:4: refers to the anchor "b", which is not above it`,
				`f.yaml:3:2: has a second document ("---"); give it as a file of its own`,
			},
		},
		{
			name:  "no secret is shown, wherever it is put",
			files: []string{"listen: ${SECRET}\ndatabase: mysql://u:hunter2hunter2@h/db\nlog: {level: '${SECRET}'}\napp: {baseUrl: 'https://u:hunter2hunter2@h'}\ncors: {origins: ['${SECRET}']}\nshutdown: {timeout: {$env: SECRET}}\nbackend:\n  auth:\n    externalAccess:\n      - {type: static, options: {token: '${SPACED}', subject: ci}}\n      - {type: static, options: {tokenHash: hunter2hunter2, subject: ci}}\n      - {type: '${SECRET}'}\n"},
			want: []string{
				"a.yaml:1:9: listen: must be host:port, such as 127.0.0.1:7080, or :7080 for every interface",
				"a.yaml:2:11: database: must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:PATH",
				"a.yaml:3:14: log.level: must be one of debug, info, warn, error",
				"a.yaml:4:16: app.baseUrl: must not hold a user or password",
				"a.yaml:5:18: cors.origins[0]: must be scheme://host or scheme://host:port, without a path, or * for all",
				`a.yaml:6:21: shutdown.timeout: must be a duration, such as 30s, 1h30m, "2 days", P1DT12H or {hours: 36}`,
				"a.yaml:10:41: backend.auth.externalAccess[0].options.token: must have at least 8 characters, and no spaces",
				`a.yaml:11:45: backend.auth.externalAccess[1].options.tokenHash: must be "sha256:" and the 64 hexadecimal digits that "printf %s TOKEN | sha256sum" prints`,
				"a.yaml:12:16: backend.auth.externalAccess[2].type: must be one of static, jwks, legacy",
			},
		},
		{
			name:  "missing variables",
			files: []string{"data: x${MISSING}${ALSO}\nlisten: ${OPEN\nbackend:\n  auth:\n    externalAccess:\n      - type: static\n        options:\n          token: ${CI_TOKEN}\n          subject: ci\nlog: {level: {$env: NONE}, format: {$include: x}}\n"},
			want: []string{
				"a.yaml:1:7: data: refers to the environment variable MISSING, which is not set",
				"a.yaml:1:7: data: refers to the environment variable ALSO, which is not set",
				`a.yaml:2:9: listen: has "${" without "}"; write "$${" for the plain text`,
				"a.yaml:8:18: backend.auth.externalAccess[0].options.token: refers to the environment variable CI_TOKEN, which is not set",
				"a.yaml:10:21: log.level: refers to the environment variable NONE, which is not set",
				"a.yaml:10:36: log.format: uses $include, which Signalbox does not read: use $file, $env or ${NAME}",
			},
		},
		{
			name: "external access",
			files: []string{`backend:
  auth:
    externalAccess:
      - type: static
        options: {token: short, subject: ci}
      - type: static
        options: {token: long-enough, subject: "with space"}
      - type: static
        options: {token: long-enough}
      - type: static
      - options: {token: long-enough, subject: ci}
      - type: static
        options: {token: long-enough, tokenHash: x, subject: ci}
      - type: static
        options: {subject: ci}
      - type: static
        options: {token: long-enough, subject: ci}
        accessRestriction: [{plugin: x}]
      - type: static
        options: {token: long-enough, subject: ci}
        accessRestrictions: []
      - type: static
        options: {token: long-enough, subject: ci}
        accessRestrictions: [{permission: x}, {plgin: x}]
      - text
      - type: static
        options: {token: long-enough, subject: ci}
      - type: static
        options: {token: long-enough, subject: again}
      - type: oauth
`},
			want: []string{
				"a.yaml:5:26: backend.auth.externalAccess[0].options.token: must have at least 8 characters, and no spaces",
				`a.yaml:7:48: backend.auth.externalAccess[1].options.subject: must not be empty or have spaces, got "with space"`,
				"a.yaml:9:18: backend.auth.externalAccess[2].options.subject: is required: it becomes the origin of what is sent with the token",
				"a.yaml:10:9: backend.auth.externalAccess[3].options: is required: token (or tokenHash) and subject",
				"a.yaml:11:9: backend.auth.externalAccess[4].type: is required: static, jwks or legacy",
				"a.yaml:13:18: backend.auth.externalAccess[5].options: has both token and tokenHash: give one of them",
				"a.yaml:15:18: backend.auth.externalAccess[6].options.token: is required, or tokenHash in its place",
				"a.yaml:18:9: backend.auth.externalAccess[7].accessRestriction: unknown key; did you mean accessRestrictions?",
				"a.yaml:21:29: backend.auth.externalAccess[8].accessRestrictions: must be a list with at least one entry: {plugin: notifications}",
				"a.yaml:24:30: backend.auth.externalAccess[9].accessRestrictions[0].plugin: is required",
				"a.yaml:24:48: backend.auth.externalAccess[9].accessRestrictions[1].plgin: unknown key; did you mean plugin?",
				`a.yaml:25:9: backend.auth.externalAccess[10]: must be a section, not a single value, got "text"`,
				"a.yaml:28:9: backend.auth.externalAccess[12]: has the same token as backend.auth.externalAccess[11]",
				`a.yaml:30:15: backend.auth.externalAccess[13].type: must be one of static, jwks, legacy, got "oauth"`,
			},
		},
		{
			name:    "environment and flags",
			environ: []string{"SIGNALBOX_LOG_LEVEL=" + secret, "SIGNALBOX_LISTN=x", "SIGNALBOX_BACKEND_AUTH_EXTERNAL_ACCESS={" + secret, "SIGNALBOX_PIPELINE_CONSUMERS=x"},
			overrides: []Override{
				{Key: "shutdown.timeout", Value: "soon", From: "--shutdown-timeout"},
				{Key: "listne", Value: "x", From: "--set"},
				{Key: "pipeline.consumers", Value: "65", From: "--consumers"},
			},
			want: []string{
				"SIGNALBOX_LOG_LEVEL: log.level: must be one of debug, info, warn, error",
				"SIGNALBOX_LISTN: is not a known variable; did you mean SIGNALBOX_LISTEN?",
				"SIGNALBOX_BACKEND_AUTH_EXTERNAL_ACCESS: backend.auth.externalAccess: is not valid YAML: could not find flow map content",
				`--shutdown-timeout: shutdown.timeout: must be a duration, such as 30s, 1h30m, "2 days", P1DT12H or {hours: 36}`,
				"--set: listne: unknown key; did you mean listen?",
				"--consumers: pipeline.consumers: must be between 1 and 64",
			},
		},
		{
			name:  "hosts, origins and URLs",
			files: []string{"listen: 127.0.0.1:70000\nauth:\n  guest:\n    user: group:default/x\n    hosts: [ok, 'http://x', 'x:80', '']\ncors: {origins: [http://ok, http://x/path, x, '*']}\napp: {baseUrl: ftp://x}\nbackend: {baseUrl: http://x?q}\n"},
			want: []string{
				`a.yaml:1:9: listen: must have a port between 0 and 65535, got "127.0.0.1:70000"`,
				`a.yaml:4:11: auth.guest.user: must be a user entity reference, such as user:default/guest, got "group:default/x"`,
				`a.yaml:5:17: auth.guest.hosts[1]: must be the name or address of a host, without scheme, port or path, got "http://x"`,
				`a.yaml:5:29: auth.guest.hosts[2]: must be the name or address of a host, without scheme, port or path, got "x:80"`,
				`a.yaml:5:37: auth.guest.hosts[3]: must be the name or address of a host, without scheme, port or path, got ""`,
				`a.yaml:6:29: cors.origins[1]: must be scheme://host or scheme://host:port, without a path, or * for all, got "http://x/path"`,
				`a.yaml:6:44: cors.origins[2]: must be scheme://host or scheme://host:port, without a path, or * for all, got "x"`,
				`a.yaml:7:16: app.baseUrl: must be an http:// or https:// URL with a host, got "ftp://x"`,
				`a.yaml:8:20: backend.baseUrl: must not have a query or fragment, got "http://x?q"`,
			},
		},
		{
			name:  "all origins in guest mode, lists in one text, admins",
			files: []string{"cors: {origins: '*'}\nauth: {guest: {hosts: 'a, b/c'}, admins: [ok, two words, '']}\n"},
			want: []string{
				`a.yaml:1:17: cors.origins[0]: must not be * in guest mode (auth.guest.enabled), in which any web page could read every inbox, got "*"`,
				`a.yaml:2:23: auth.guest.hosts[1]: must be the name or address of a host, without scheme, port or path, got "a, b/c"`,
				`a.yaml:2:47: auth.admins[1]: must be the subject of a service token, or a reference such as user:default/jane or group:default/ops, got "two words"`,
				`a.yaml:2:58: auth.admins[2]: must be the subject of a service token, or a reference such as user:default/jane or group:default/ops, got ""`,
			},
		},
		{
			name:  "durations as objects",
			files: []string{"shutdown: {timeout: {}}\nnotifications: {retention: {dayz: 1}}\npipeline: {lease: {minutes: x}, retry: {max: {hours: 25}, min: {milliseconds: 9}}}\n"},
			want: []string{
				`a.yaml:1:21: shutdown.timeout: must be a duration, such as 30s, 1h30m, "2 days", P1DT12H or {hours: 36}`,
				"a.yaml:2:29: notifications.retention.dayz: unknown key; did you mean days?",
				`a.yaml:3:29: pipeline.lease.minutes: must be a number, got "x"`,
				"a.yaml:3:46: pipeline.retry.max: must be between 10ms and 24h",
				"a.yaml:3:64: pipeline.retry.min: must be between 10ms and 24h",
			},
		},
		{
			name:  "an unknown section in a file that is not Backstage's",
			files: []string{"somePlugin: {x: 1}\n"},
			want:  []string{"a.yaml:1:1: somePlugin: unknown key"},
		},
		{
			name:  "a mistyped section in a file that is",
			files: []string{"catalog: {}\npipelnie: {consumers: 1}\n"},
			want:  []string{"a.yaml:2:1: pipelnie: unknown key; did you mean pipeline?"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, warnings, got := load(t, Sources{
				Files: write(t, test.files...), Environ: append(environ, test.environ...), Overrides: test.overrides,
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if all := fmt.Sprint(warnings, got); strings.Contains(all, secret) {
				t.Errorf("a secret is shown in %s", all)
			}
		})
	}
}

func TestOthersMayReachTheServer(t *testing.T) {
	const token = "backend: {auth: {externalAccess: [{type: static, options: {token: long-enough, subject: ci}}]}}\n"
	for _, test := range []struct {
		name, file string
		refused    string // where, if it is
		guest      bool
	}{
		{"loopback", "listen: 127.0.0.1:0", "", true},
		{"loopback by name", "listen: localhost:0", "", true},
		{"loopback IPv6", "listen: '[::1]:0'", "", true},
		{"loopback and token", token, "", true},
		{"every interface", "listen: ':7080'", "a.yaml:1:9", false},
		{"every interface by address", "listen: 0.0.0.0:7080", "a.yaml:1:9", false},
		{"some interface", "listen: 192.0.2.1:7080", "a.yaml:1:9", false},
		{"some name", "listen: localhost.example.com:7080", "a.yaml:1:9", false},
		{"guest off", "listen: ':7080'\nauth: {guest: {enabled: false}}", "a.yaml:1:9", false},
		{"guest on", "listen: ':7080'\nauth: {guest: {enabled: true}}", "", true},
		{"token", token + "listen: ':7080'", "", false},
		{"token of another type", "backend: {auth: {externalAccess: [{type: jwks, options: {url: https://example.com/keys}}]}}\nlisten: ':7080'", "", false},
		{"Backstage", "auth: {backstage: {baseUrl: 'http://localhost:7007'}}\nlisten: ':7080'", "", false},
		{"Backstage on loopback", "auth: {backstage: {baseUrl: 'http://localhost:7007'}}", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, problems := load(t, Sources{Files: write(t, test.file)})
			switch {
			case test.refused == "" && problems != nil:
				t.Errorf("refused:\n%s", strings.Join(problems, "\n"))
			case test.refused == "" && got.Auth.Guest.Enabled != test.guest:
				t.Errorf("guest mode is %v, want %v", got.Auth.Guest.Enabled, test.guest)
			case test.refused != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0], test.refused+": listen: others can reach")):
				t.Errorf("got %q, want one problem at %s", problems, test.refused)
			}
		})
	}
}

// TestAdviceIsValid follows the advice of the refusal.
func TestAdviceIsValid(t *testing.T) {
	_, _, problems := load(t, Sources{Overrides: []Override{{Key: "listen", Value: ":1"}}})
	if len(problems) != 1 {
		t.Fatalf("got %q, want one problem", problems)
	}
	advice := problems[0]
	for _, part := range [][2]string{{"    backend:", "  or a login"}, {"    publicUrl:", "  or, for"}} {
		from, to := strings.Index(advice, part[0]), strings.Index(advice, part[1])
		if from < 0 || to < 0 {
			t.Fatalf("no YAML in %s", advice)
		}
		_, warnings, problems := load(t, Sources{
			Files: write(t, advice[from:to]), Environ: []string{"CI_TOKEN=long-enough", "OIDC_CLIENT_SECRET=x"},
			Overrides: []Override{{Key: "listen", Value: ":1"}},
		})
		if problems != nil || warnings != nil {
			t.Errorf("the advice leads to %q, %q", problems, warnings)
		}
	}
}

func TestFilesFromEnvironment(t *testing.T) {
	files := write(t, "data: one", "listen: localhost:2")
	environ := []string{FilesVariable + "=" + files[0] + ", " + files[1]}
	got, _, problems := load(t, Sources{Environ: environ})
	if problems != nil || got.Data != "one" || got.Listen != "localhost:2" {
		t.Errorf("got %q, %q, %q", got.Data, got.Listen, problems)
	}
	got, _, problems = load(t, Sources{Files: files[1:], Environ: environ})
	if problems != nil || got.Data != Default().Data || got.Listen != "localhost:2" {
		t.Errorf("with files given: got %q, %q, %q", got.Data, got.Listen, problems)
	}
	_, _, problems = load(t, Sources{Files: []string{"/no/such/x.yaml", "/"}})
	if diff := cmp.Diff([]string{"x.yaml: cannot be read: no such file or directory", "/: cannot be read: / is a directory"}, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestValueFromFile(t *testing.T) {
	files := write(t, "listen: {$file: b.yaml}\ndata: {$file: missing}\n", "localhost:9\n")
	_, _, problems := load(t, Sources{Files: files[:1]})
	if len(problems) != 1 || !strings.Contains(problems[0], "missing: no such file") || !strings.HasPrefix(problems[0], "a.yaml:2:15: data: ") {
		t.Errorf("got %q, want one problem about the missing file", problems)
	}
	got, _, problems := load(t, Sources{Files: files[:1], Overrides: []Override{{Key: "data", Value: "x"}}})
	if problems != nil || got.Listen != "localhost:9" {
		t.Errorf("got %q, %q", got.Listen, problems)
	}
}

func TestHostileYAML(t *testing.T) {
	// A billion laughs: each line is three of the line above.
	bomb := "catalog: &a0 [x, x]\n"
	for i := 1; i < 40; i++ {
		previous := fmt.Sprintf("*a%d", i-1)
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.Join([]string{previous, previous, previous}, ", "))
	}
	for name, test := range map[string]struct {
		content string
		want    string
	}{
		"aliases":  {bomb + "notifications: {processors: {slack: *a39}}\nauth: {guest: {hosts: *a39}}\n", "must be a single value"},
		"itself":   {"data: &a [*a]", "not above it"},
		"deep":     {"data: " + strings.Repeat("[", 2*maxDepth) + strings.Repeat("]", 2*maxDepth), "nested too deeply"},
		"many":     {"data: [" + strings.Repeat("a,", maxNodes) + "a]", "too many values"},
		"too long": {"data: " + strings.Repeat("x", maxSourceBytes), "larger than 1 MiB"},
	} {
		if _, _, problems := load(t, Sources{Files: write(t, test.content)}); !strings.Contains(fmt.Sprint(problems), test.want) {
			t.Errorf("%s: got %.300q, want %q", name, problems, test.want)
		}
		_, found := keys()[0].fromText(test.content, place{source: "X"})
		if len(found) > 0 {
			t.Errorf("%s: as text: %v", name, found)
		}
		structured := key{path: "x", structured: true}
		if n, found := structured.fromText(test.content, place{source: "X"}); n == nil && len(found) == 0 {
			t.Errorf("%s: as YAML: neither a value nor a problem", name)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"listen: ':1'\n", "log: {level: x}\n", "a: &a [*a]\n", "<<: {a: 1}\n", "? {a: b}\n: c\n",
		"backend: {auth: {externalAccess: [{type: static}]}}\n", "notifications: {retention: {days: 1}}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		tree, problems := parseYAML("fuzz", 0, []byte(content))
		if tree == nil && len(problems) == 0 {
			t.Fatal("neither a tree nor a problem")
		}
		if tree == nil || tree.kind != mapping {
			return
		}
		r := &reader{lookup: lookupTable(nil), seen: map[string]*node{}}
		c := Default()
		r.read(&c, tree, "")
		r.fillIn(&c)
		r.validate(c)
		if len(r.problems) == 0 {
			if err := c.Validate(); err != nil {
				t.Errorf("loaded, but not valid: %v", err)
			}
		}
	})
}

func TestEnvironmentVariable(t *testing.T) {
	for key, want := range map[string]string{
		"listen":                      "SIGNALBOX_LISTEN",
		"log.level":                   "SIGNALBOX_LOG_LEVEL",
		"app.baseUrl":                 "SIGNALBOX_APP_BASE_URL",
		"pipeline.retry.min":          "SIGNALBOX_PIPELINE_RETRY_MIN",
		"backend.auth.externalAccess": "SIGNALBOX_BACKEND_AUTH_EXTERNAL_ACCESS",
	} {
		if got := EnvironmentVariable(key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	names := map[string]string{}
	for _, key := range Keys() {
		name := EnvironmentVariable(key)
		if other, taken := names[name]; taken {
			t.Errorf("%s and %s have the same variable", key, other)
		}
		if otherVariable.MatchString(name) {
			t.Errorf("%s of %s is passed over", name, key)
		}
		names[name] = key
	}
}

var commentedOut = regexp.MustCompile(`(?m)^( *)#([^\s#])|^( +)#(  )`)

func TestExampleFile(t *testing.T) {
	const example = "signalbox.example.yaml"
	got, warnings, problems := load(t, Sources{Files: []string{example}})
	if problems != nil || warnings != nil {
		t.Fatalf("problems %q, warnings %q", problems, warnings)
	}
	want := Default()
	if diff := cmp.Diff(want, got, allow, cmp.Transformer("list", func(list []string) string { return strings.Join(list, ",") }), cmp.Comparer(func(a, b []StaticToken) bool { return len(a) == 0 && len(b) == 0 })); diff != "" {
		t.Errorf("the example changes defaults (-want +got):\n%s", diff)
	}

	content, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	// What is commented out must be valid as well: prose has one space after "#".
	all := commentedOut.ReplaceAllString(string(content), "$1$2$3$4")
	all = strings.Replace(all, "externalAccess: []", "externalAccess:", 1)
	all = strings.Replace(all, "endpoints: []", "endpoints:", 1)
	all = strings.Replace(all, "database: sqlite:", "#database: sqlite:", 1) // two are shown
	tree, found := parseYAML(example, 0, []byte(all))
	if len(found) > 0 {
		t.Fatalf("with everything: %v\n%s", found, all)
	}
	_, warnings, problems = load(t, Sources{Files: write(t, all), Environ: []string{"CI_TOKEN=long-enough", "OIDC_CLIENT_SECRET=x", "DB_PASSWORD=x", "BACKSTAGE_TOKEN=x", "BACKSTAGE_SECRET=MDEyMzQ1Njc4OWFiY2RlZg==", "SMTP_PASSWORD=x", "UNSUBSCRIBE_KEY=" + strings.Repeat("x", 32), "SLACK_TOKEN=xoxb-x"}})
	if problems != nil || warnings != nil {
		t.Errorf("with everything: problems %q, warnings %q", problems, warnings)
	}
	for _, key := range Keys() {
		n := tree
		for _, part := range split(key) {
			if n = n.child(part); n == nil {
				t.Errorf("%s is not in the example", key)
				break
			}
		}
	}
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	var nothing Config
	var failed *Error
	if err := nothing.Validate(); !errors.As(err, &failed) || len(failed.Problems) < 5 {
		t.Errorf("the zero value: got %v, want several problems", err)
	}
	config := Default()
	config.Backend.Auth.StaticTokens = []StaticToken{{Subject: "x"}, {Hash: HashToken("x")}}
	if err := config.Validate(); !errors.As(err, &failed) || len(failed.Problems) != 2 {
		t.Errorf("tokens made in code: got %v, want two problems", err)
	}
}
