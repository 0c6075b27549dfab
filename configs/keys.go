package configs

import (
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// key is one thing that can be configured.
type key struct {
	path string
	// structured keys hold lists of sections and the like, which environment
	// variables and flags give as YAML.
	structured bool
	// read sets the key in c. It is not called for null.
	read func(c *Config, e entry)
}

// Keys lists the paths of all keys, in the order of the documentation.
func Keys() []string {
	all := keys()
	paths := make([]string, len(all))
	for i, k := range all {
		paths[i] = k.path
	}
	return paths
}

// keys is the one list of what can be configured: reading, environment
// variables, suggestions and the documentation's test follow it.
func keys() []key {
	return append([]key{
		{path: "listen", read: value(asText, func(c *Config) *string { return &c.Listen })},
		{path: "data", read: value(asText, func(c *Config) *string { return &c.Data })},
		{path: "database", read: func(c *Config, e entry) { secret(e, &c.Database, asDatabase) }},

		{path: "log.level", read: value(asLevel, func(c *Config) *slog.Level { return &c.Log.Level })},
		{path: "log.format", read: value(asFormat, func(c *Config) *LogFormat { return &c.Log.Format })},

		{path: "shutdown.timeout", read: duration(func(c *Config) *time.Duration { return &c.Shutdown.Timeout })},

		{path: "auth.guest.enabled", read: value(asBool, func(c *Config) *bool { return &c.Auth.Guest.Enabled })},
		{path: "auth.guest.user", read: value(asUser, func(c *Config) *string { return &c.Auth.Guest.User })},
		{path: "auth.guest.hosts", read: list(strings.ToLower, func(c *Config) *[]string { return &c.Auth.Guest.Hosts })},
		{path: "auth.backstage.baseUrl", read: value(asBaseURL, func(c *Config) *string { return &c.Auth.Backstage.BaseURL })},
		{path: "auth.admins", read: list(strings.TrimSpace, func(c *Config) *[]string { return &c.Auth.Admins })},
		{path: "auth.senders", structured: true, read: readSenders},
		{path: "auth.usersMaySend", read: value(asBool, func(c *Config) *bool { return &c.Auth.UsersMaySend })},
		{path: "auth.oidc", structured: true, read: readOIDC},
		{path: "auth.jwt", structured: true, read: readJWT},
		{path: "auth.proxy", structured: true, read: readProxy},
		{path: "auth.tokens.maxAge", read: duration(func(c *Config) *time.Duration { return &c.Auth.Tokens.MaxAge })},

		{path: "events.useEventBus", read: value(asEventBus, func(c *Config) *EventBus { return &c.EventBus })},

		{path: "cors.origins", read: list(asOrigin, func(c *Config) *[]string { return &c.CORS.Origins })},

		{path: "pipeline.consumers", read: value(asInt, func(c *Config) *int { return &c.Pipeline.Consumers })},
		{path: "pipeline.retryConsumers", read: value(asInt, func(c *Config) *int { return &c.Pipeline.RetryConsumers })},
		{path: "pipeline.deliveryConsumers", read: value(asInt, func(c *Config) *int { return &c.Pipeline.DeliveryConsumers })},
		{path: "pipeline.maxAttempts", read: value(asInt, func(c *Config) *int { return &c.Pipeline.MaxAttempts })},
		{path: "pipeline.lease", read: duration(func(c *Config) *time.Duration { return &c.Pipeline.Lease })},
		{path: "pipeline.processorTimeout", read: duration(func(c *Config) *time.Duration { return &c.Pipeline.ProcessorTimeout })},
		{path: "pipeline.deliveryMaxAge", read: duration(func(c *Config) *time.Duration { return &c.Pipeline.DeliveryMaxAge })},
		{path: "pipeline.retry.min", read: duration(func(c *Config) *time.Duration { return &c.Pipeline.Retry.Min })},
		{path: "pipeline.retry.max", read: duration(func(c *Config) *time.Duration { return &c.Pipeline.Retry.Max })},

		{path: "publicUrl", read: value(asBaseURL, func(c *Config) *string { return &c.Public })},
		{path: "app.baseUrl", read: value(asBaseURL, func(c *Config) *string { return &c.App.BaseURL })},
		{path: "backend.baseUrl", read: value(asBaseURL, func(c *Config) *string { return &c.Backend.BaseURL })},
		{path: "backend.auth.externalAccess", structured: true, read: readExternalAccess},

		{path: "backend.auth.keys", structured: true, read: readLegacyKeys},
		{path: "discovery.endpoints", structured: true, read: readDiscovery},

		{path: "notifications.retention", structured: true, read: readRetention},
		{path: "notifications.defaultSettings", structured: true, read: readDefaultSettings},
		{path: "notifications.mandatory", structured: true, read: readMandatory},
		{path: "notifications.filters", structured: true, read: readFilters},
		{path: "notifications.broadcasts.respectSettings", read: list(strings.TrimSpace, func(c *Config) *[]string { return &c.Notifications.Broadcasts.RespectSettings })},
		{path: "notifications.directTargets", read: list(strings.TrimSpace, func(c *Config) *[]string { return &c.Notifications.DirectTargets })},
		{path: "notifications.trace.retention", read: duration(func(c *Config) *time.Duration { return &c.Notifications.Trace.Retention })},
		{path: "notifications.schedule.timeZone", read: value(asText, func(c *Config) *string { return &c.Notifications.Schedule.TimeZone })},
		{path: "notifications.schedule.digest.every", read: value(asDigestEvery, func(c *Config) *signalbox.DigestEvery { return &c.Notifications.Schedule.Digest.Every })},
		{path: "notifications.schedule.digest.at", read: value(signalbox.ParseClockTime, func(c *Config) *signalbox.ClockTime { return &c.Notifications.Schedule.Digest.At })},
		{path: "notifications.schedule.digest.below", read: value(signalbox.ParseSeverity, func(c *Config) *signalbox.Severity { return &c.Notifications.Schedule.Digest.Below })},
		{path: "notifications.schedule.quietHours", structured: true, read: readQuietHours},
		{path: "notifications.processors.email", structured: true, read: readEmail},
		{path: "notifications.processors.slack", structured: true, read: readSlack},
	}, append(networkKeys(), directoryKeys()...)...)
}

// value reads a scalar into a field.
func value[T any](parse func(string) (T, error), into func(*Config) *T) func(*Config, entry) {
	return func(c *Config, e entry) { parsed(e, into(c), parse) }
}

// list reads texts into a field, each in its normal form.
func list(normal func(string) string, into func(*Config) *[]string) func(*Config, entry) {
	return func(c *Config, e entry) {
		items, ok := e.list()
		if !ok {
			return
		}
		for i := range items {
			items[i] = normal(items[i])
		}
		*into(c) = items
	}
}

// duration reads a duration into a field.
func duration(into func(*Config) *time.Duration) func(*Config, entry) {
	return func(c *Config, e entry) { e.duration(into(c)) }
}

// file reads the name of a file into a field.
func file(into func(*Config) *string) func(*Config, entry) {
	return func(c *Config, e entry) {
		if name := into(c); parsed(e, name, asText) {
			*name = e.n.relative(*name)
		}
	}
}

// readRetention reads a duration, or false to keep everything.
func readRetention(c *Config, e entry) {
	if e.n.kind == scalar {
		if text, ok := e.text(); !ok {
			return
		} else if text == "false" {
			c.Notifications.Retention = 0
			return
		}
	}
	var d time.Duration
	switch {
	case !e.duration(&d):
	case d == 0:
		e.fail("must not be zero: write false to keep notifications forever")
	default:
		c.Notifications.Retention = d
	}
}

func asText(s string) (string, error) { return s, nil }

func asDatabase(s string) (Database, error) { return ParseDatabase(strings.TrimSpace(s)) }

func asBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

func asInt(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, errors.New("must be a whole number")
	}
	return n, nil
}

func asLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, errors.New("must be one of debug, info, warn, error")
}

func asFormat(s string) (LogFormat, error) { return LogFormat(strings.ToLower(s)), nil }

// asUser brings a user reference into its canonical form; whether it is one is
// for validation to say.
func asUser(s string) (string, error) {
	if ref, err := signalbox.NormalizeEntityRef(s); err == nil {
		return ref, nil
	}
	return s, nil
}

func asBaseURL(s string) (string, error) { return strings.TrimRight(s, "/"), nil }

// asOrigin writes an origin as browsers do; what is more than an origin stays as
// it is, for validation to refuse.
func asOrigin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		return s
	}
	if origin, ok := signalbox.WebOrigin(s); ok {
		return origin
	}
	return s
}
