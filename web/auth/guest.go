package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// DefaultGuest is who a guest is that does not say.
const DefaultGuest = "user:default/guest"

// maxGuestGroups bounds the groups that a guest can say it is in.
const maxGuestGroups = 100

// GuestConfig configures guest mode.
type GuestConfig struct {
	// User is who a guest is that does not say. Defaults to [DefaultGuest].
	User string
	// Hosts are the names in the Host header that guest mode answers to besides
	// the loopback ones, without port. Defaults to none.
	Hosts []string
	// AllowedOrigins are the other origins, scheme://host[:port], whose pages
	// may act as a guest. Defaults to none: only pages of the server itself.
	AllowedOrigins []string
	// Ownership tells what a guest owns things as, unless the guest says. Defaults
	// to nobody: a guest owns things as itself alone.
	Ownership Ownership
	// Logger gets what Ownership cannot tell. Defaults to discarding it.
	Logger *slog.Logger
}

// Ownership knows what users own things as. A [signalbox.Directory] is one.
type Ownership interface {
	// Ownership returns the references, the user's own among them.
	Ownership(ctx context.Context, user string) ([]string, error)
}

// ownershipTimeout bounds how long a guest waits for a directory that is away.
const ownershipTimeout = time.Second

// Guest is the development mode: a request without a token is a user of its own
// choice. It is a user and so cannot send.
//
// Being on loopback is no protection from a browser, which any web page can
// point at 127.0.0.1. Two checks keep foreign pages out: the Host must be a
// loopback one or configured, so that a page cannot rebind its own name to this
// server, and the Origin, if there is one, must be the server itself or
// configured, so that it cannot open a WebSocket, for which browsers know no
// cross-origin rules. (That a page cannot POST is ensured by the Origin, too,
// and where there is a body by demanding a JSON content type, which makes browsers ask
// first.)
type Guest struct {
	user      string
	hosts     []string
	origins   []string
	ownership Ownership
	log       *slog.Logger
}

// NewGuest checks the configuration and returns the authenticator.
func NewGuest(config GuestConfig) (*Guest, error) {
	user := config.User
	if user == "" {
		user = DefaultGuest
	}
	ref, err := signalbox.ParseEntityRef(user)
	if err != nil {
		return nil, fmt.Errorf("guest user: %w", err)
	}
	if !ref.IsUser() {
		return nil, fmt.Errorf("guest user: %q is not a user", user)
	}
	g := &Guest{user: ref.String(), ownership: config.Ownership, log: config.Logger}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	for _, host := range config.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(strings.TrimSuffix(host, ".")))
	}
	for _, origin := range config.AllowedOrigins {
		if origin == "*" {
			return nil, fmt.Errorf("guest mode cannot allow all origins: any web page could read every inbox")
		}
		g.origins = append(g.origins, strings.ToLower(strings.TrimSuffix(origin, "/")))
	}
	return g, nil
}

// Authenticate implements [Authenticator].
func (g *Guest) Authenticate(ctx context.Context, credentials Credentials) (signalbox.Principal, error) {
	if credentials.Token != "" {
		return nil, ErrNotMine
	}
	if !g.allowsHost(credentials.Host) {
		return nil, signalbox.Errorf(signalbox.CodeNotAllowed,
			"Guest mode does not answer to this host name; use a loopback address or configure the name")
	}
	if !g.allowsOrigin(credentials.Origin, credentials.Host) {
		return nil, signalbox.Errorf(signalbox.CodeNotAllowed, "Guest mode does not allow pages of this origin")
	}
	return g.principal(ctx, credentials)
}

// principal is who the guest wants to be.
func (g *Guest) principal(ctx context.Context, credentials Credentials) (signalbox.Principal, error) {
	user := g.user
	if credentials.GuestUser != "" {
		ref, err := signalbox.ParseEntityRef(credentials.GuestUser)
		if err != nil {
			return nil, signalbox.Errorf(signalbox.CodeInput, "Invalid guest user: %v", err)
		}
		if !ref.IsUser() {
			return nil, signalbox.Errorf(signalbox.CodeInput, "Invalid guest user: %s is not a user", ref)
		}
		user = ref.String()
	}
	if credentials.GuestGroups == "" {
		return signalbox.UserPrincipal{Ref: user, Ownership: g.owned(ctx, user), Guest: true}, nil
	}
	groups := strings.Split(credentials.GuestGroups, ",")
	if len(groups) > maxGuestGroups {
		return nil, signalbox.Errorf(signalbox.CodeInput, "Invalid guest groups: more than %d", maxGuestGroups)
	}
	ownership := []string{user}
	for _, group := range groups {
		ref, err := signalbox.NormalizeEntityRef(strings.TrimSpace(group))
		if err != nil {
			return nil, signalbox.Errorf(signalbox.CodeInput, "Invalid guest groups: %v", err)
		}
		if !slices.Contains(ownership, ref) {
			ownership = append(ownership, ref)
		}
	}
	return signalbox.UserPrincipal{Ref: user, Ownership: ownership, Guest: true}, nil
}

// owned asks the directory. A guest whose groups cannot be told now is let in all
// the same: it misses signals to its groups, and has its inbox.
func (g *Guest) owned(ctx context.Context, user string) []string {
	if g.ownership == nil {
		return []string{user}
	}
	ctx, cancel := context.WithTimeout(ctx, ownershipTimeout)
	defer cancel()
	owned, err := g.ownership.Ownership(ctx, user)
	if err != nil {
		// Every request of the guest comes by here, and the source tells of the
		// outage itself.
		g.log.LogAttrs(ctx, slog.LevelDebug, "the groups of a guest are not known now",
			slog.String("user", user), slog.Any("error", err))
		return []string{user}
	}
	return owned
}

// allowsHost takes a Host header.
func (g *Guest) allowsHost(header string) bool {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if address, err := netip.ParseAddr(host); err == nil && address.Unmap().IsLoopback() {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(g.hosts, host)
}

// allowsOrigin takes an Origin and a Host header. A request that is not from a
// page has no Origin.
func (g *Guest) allowsOrigin(origin, host string) bool {
	if origin == "" {
		return true
	}
	if slices.Contains(g.origins, strings.ToLower(origin)) {
		return true
	}
	parsed, err := url.Parse(origin)
	return err == nil && parsed.Host != "" && strings.EqualFold(parsed.Host, host)
}
