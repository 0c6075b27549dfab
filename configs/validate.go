package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// Validate returns an [*Error] with every value that is out of bounds and every
// contradiction, or nil. It reads nothing: whether a directory can be written or
// a database be reached shows when the server starts.
func (c Config) Validate() error {
	problems := c.invalid()
	if p, refused := c.closedToAll(); refused {
		problems = append(problems, p)
	}
	if len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}

// closedToAll refuses a server that others can reach and that knows nobody: it
// could only have been meant for one of two things, and one is dangerous.
func (c Config) closedToAll() (Problem, bool) {
	if isLoopback(c.Listen) || c.Auth.Guest.Enabled || c.knowsSomebody() {
		return Problem{}, false
	}
	return Problem{Key: "listen", Message: `others can reach this address, but nothing says who may use it. Configure a service token:
    backend:
      auth:
        externalAccess:
          - type: static
            options:
              token: ${CI_TOKEN}
              subject: ci
  or a login for people (or auth.jwt, auth.proxy; see docs/authentication.md):
    publicUrl: https://signalbox.example.com
    auth:
      oidc:
        issuer: https://id.example.com
        clientId: signalbox
        clientSecret: ${OIDC_CLIENT_SECRET}
        user:
          claim: preferred_username
  or, for development only, let in everyone who can reach it (auth.guest.enabled: true,
  or SIGNALBOX_AUTH_GUEST_ENABLED=true), or listen on 127.0.0.1 only`}, true
}

// knowsSomebody reports whether any credential is known besides the local sender's.
func (c Config) knowsSomebody() bool {
	external := c.Backend.Auth
	_, backstage := c.Backstage()
	return backstage || c.Auth.identifiesUsers() || len(external.StaticTokens)+len(external.JWKS)+len(external.LegacyKeys) > 0
}

// checks collects problems.
type checks []Problem

func (c *checks) add(key, message string) { *c = append(*c, Problem{Key: key, Message: message}) }

func (c *checks) check(key string, err error) {
	if err != nil {
		c.add(key, err.Error())
	}
}

func (c *checks) count(key string, n, most int) {
	if n < 1 || n > most {
		c.add(key, fmt.Sprintf("must be between 1 and %d", most))
	}
}

func (c *checks) lasting(key string, d, least, most time.Duration) {
	c.check(key, between(d, least, most))
}

func between(d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("must be between %s and %s", plain(least), plain(most))
	}
	return nil
}

// plain writes a duration without the zeros of [time.Duration.String].
func plain(d time.Duration) string {
	s := d.String()
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

// invalid returns what is wrong with each value.
func (c Config) invalid() []Problem {
	var found checks
	found.check("listen", checkListen(c.Listen))
	if strings.TrimSpace(c.Data) == "" {
		found.add("data", "must name a directory")
	}
	if c.Database.Dialect() == "" {
		found.add("database", errDatabaseForm.Error())
	}
	if c.Log.Format != LogText && c.Log.Format != LogJSON {
		found.add("log.format", "must be one of text, json")
	}
	found.lasting("shutdown.timeout", c.Shutdown.Timeout, time.Second, time.Hour)
	c.invalidNetwork(&found)

	c.Auth.Guest.invalid(&found)
	for i, admin := range c.Auth.Admins {
		if !withoutSpace.MatchString(admin) {
			found.add(fmt.Sprintf("auth.admins[%d]", i), "must be the subject of a service token, or a reference such as user:default/jane or group:default/ops")
		}
	}
	if _, err := signalbox.NewSenderPolicy(c.Auth.Senders); err != nil {
		found.add("auth.senders", err.Error())
	}
	c.invalidLogin(&found)
	found.lasting("auth.tokens.maxAge", c.Auth.Tokens.MaxAge, time.Hour, 10*365*day)
	for i, origin := range c.CORS.Origins {
		found.check(fmt.Sprintf("cors.origins[%d]", i), checkOrigin(origin, c.Auth.Guest.Enabled))
	}
	c.Directory.invalid(&found)
	c.Pipeline.invalid(&found)

	found.check("app.baseUrl", checkBaseURL(c.App.BaseURL))
	found.check("backend.baseUrl", checkBaseURL(c.Backend.BaseURL))
	found.check("publicUrl", checkBaseURL(c.Public))
	found.check("auth.backstage.baseUrl", checkBaseURL(c.Auth.Backstage.BaseURL))
	for i, token := range c.Backend.Auth.StaticTokens {
		key := fmt.Sprintf("backend.auth.externalAccess[%d]", i)
		switch {
		case token.Hash == TokenHash{}:
			found.add(key, "has no token")
		case !withoutSpace.MatchString(token.Subject):
			found.add(key, "has no subject, or one with spaces")
		}
	}
	if retention := c.Notifications.Retention; retention != 0 && retention < time.Minute {
		found.add("notifications.retention", "must be at least 1m, or false to keep notifications forever")
	}
	found.lasting("notifications.trace.retention", c.Notifications.Trace.Retention, time.Hour, 10*365*day)
	if where, what := c.Notifications.Schedule.Problem(); what != "" {
		if part, ok := strings.CutPrefix(where, "quietHours."); ok {
			where, what = "quietHours", part+" "+what
		}
		found.add("notifications.schedule."+where, what)
	}
	for i, pattern := range c.Notifications.DirectTargets {
		if _, _, err := signalbox.SplitTarget(pattern); err != nil {
			found.add(fmt.Sprintf("notifications.directTargets[%d]", i), "must be written channel:address, as in email:*@example.com")
		}
	}
	return found
}

func (g Guest) invalid(found *checks) {
	if ref, err := signalbox.ParseEntityRef(g.User); err != nil || !ref.IsUser() {
		found.add("auth.guest.user", "must be a user entity reference, such as user:default/guest")
	}
	for i, host := range g.Hosts {
		if !hostName.MatchString(host) {
			found.add(fmt.Sprintf("auth.guest.hosts[%d]", i), "must be the name or address of a host, without scheme, port or path")
		}
	}
}

func (p Pipeline) invalid(found *checks) {
	found.count("pipeline.consumers", p.Consumers, 64)
	found.count("pipeline.retryConsumers", p.RetryConsumers, 64)
	found.count("pipeline.deliveryConsumers", p.DeliveryConsumers, 64)
	found.count("pipeline.maxAttempts", p.MaxAttempts, 100)
	found.lasting("pipeline.lease", p.Lease, 5*time.Second, time.Hour)
	found.lasting("pipeline.deliveryMaxAge", p.DeliveryMaxAge, time.Minute, 30*day)
	found.lasting("pipeline.processorTimeout", p.ProcessorTimeout, 100*time.Millisecond, time.Hour)
	if p.ProcessorTimeout >= p.Lease {
		found.add("pipeline.processorTimeout", "must be shorter than pipeline.lease, or another consumer takes over what is still worked on")
	}
	found.lasting("pipeline.retry.min", p.Retry.Min, 10*time.Millisecond, day)
	found.lasting("pipeline.retry.max", p.Retry.Max, 10*time.Millisecond, day)
	if p.Retry.Max < p.Retry.Min {
		found.add("pipeline.retry.max", "must not be shorter than pipeline.retry.min")
	}
}

// hostName matches host names, IPv4 addresses and bracketed IPv6 addresses.
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$`)

func checkListen(listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return errors.New("must be host:port, such as 127.0.0.1:7080, or :7080 for every interface")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("must have a port between 0 and 65535")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName.MatchString(host) {
		return errors.New("must have an address or a host name before the port")
	}
	return nil
}

// isLoopback reports whether only this machine can reach a listen address.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && isLoopbackHost(host)
}

func isLoopbackHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// isLocalURL reports whether a base URL names this machine, or nothing.
func isLocalURL(base string) bool {
	if base == "" {
		return true
	}
	u, err := url.Parse(base)
	return err == nil && isLoopbackHost(u.Hostname())
}

// checkBaseURL accepts http and https URLs of a host and a path; "" is unset.
func checkBaseURL(base string) error {
	if base == "" {
		return nil
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Hostname() == "":
		return errors.New("must be an http:// or https:// URL with a host")
	case u.User != nil:
		return errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return errors.New("must not have a query or fragment")
	}
	return nil
}

// checkOrigin accepts what browsers send in the Origin header.
func checkOrigin(origin string, guest bool) error {
	if origin == "*" {
		if guest {
			return errors.New("must not be * in guest mode (auth.guest.enabled), in which any web page could read every inbox")
		}
		return nil
	}
	if normal, ok := signalbox.WebOrigin(origin); !ok || normal != origin {
		return errors.New("must be scheme://host or scheme://host:port, without a path, or * for all")
	}
	return nil
}
