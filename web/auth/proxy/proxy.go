// Package proxy recognises users by what a reverse proxy that authenticates them,
// such as oauth2-proxy, says in headers.
//
// It may import the root package and the packages auth and identity.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
)

// The headers that oauth2-proxy sets.
const (
	DefaultUserHeader   = "X-Forwarded-User"
	DefaultGroupsHeader = "X-Forwarded-Groups"
)

// Config configures [Headers].
type Config struct {
	// CIDRs are where the proxies are: who connects from there is believed. Required;
	// networks that hold every address are an error.
	CIDRs []netip.Prefix
	// UserHeader names the user. Defaults to [DefaultUserHeader].
	UserHeader string
	// GroupsHeader names the user's groups, separated by commas. Defaults to
	// [DefaultGroupsHeader].
	GroupsHeader string
	// User and Groups say how the texts become references; their claims are not looked
	// at. Without Groups, the header is not read, and Ownership tells.
	User   identity.UserRule
	Groups *identity.GroupRule
	// Pages are whose requests count, since a browser comes by the proxy's cookie with
	// every request.
	Pages auth.Pages
	// Ownership and Logger are as in [identity.Config].
	Ownership auth.Ownership
	Logger    *slog.Logger
}

// Headers is an [auth.Authenticator]. Whoever sends one of the headers and is not at
// a proxy's address is refused with CodeAuthentication, whatever else it has: it
// either lies, or comes by a proxy that nobody told of, and ignoring the header would
// hide both. From a proxy, a bearer token counts before the headers.
type Headers struct {
	config Config
	mapper *identity.Mapper
}

var _ auth.Authenticator = (*Headers)(nil)

// claims under which the headers are mapped.
const (
	userClaim   = "user"
	groupsClaim = "groups"
)

// New checks the configuration.
func New(config Config) (*Headers, error) {
	if len(config.CIDRs) == 0 {
		return nil, errors.New("proxy: the addresses of the proxies are missing")
	}
	config.CIDRs = slices.Clone(config.CIDRs)
	for i, prefix := range config.CIDRs {
		if !prefix.IsValid() || prefix.Bits() == 0 {
			return nil, fmt.Errorf("proxy: %s is not the network of a proxy", prefix)
		}
		config.CIDRs[i] = prefix.Masked()
	}
	if config.UserHeader == "" {
		config.UserHeader = DefaultUserHeader
	}
	if config.GroupsHeader == "" {
		config.GroupsHeader = DefaultGroupsHeader
	}
	if strings.EqualFold(config.UserHeader, config.GroupsHeader) {
		return nil, errors.New("proxy: users and groups cannot be in the same header")
	}
	config.User.Claim = userClaim
	rules := identity.Config{User: &config.User, Ownership: config.Ownership, Logger: config.Logger}
	if config.Groups != nil {
		groups := *config.Groups
		groups.Claim = groupsClaim
		rules.Groups = &groups
	}
	mapper, err := identity.NewMapper(rules)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return &Headers{config: config, mapper: mapper}, nil
}

// Authenticate implements [auth.Authenticator].
func (h *Headers) Authenticate(ctx context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	user, groups := credentials.Values(h.config.UserHeader), credentials.Values(h.config.GroupsHeader)
	if len(user) == 0 && len(groups) == 0 {
		return nil, auth.ErrNotMine
	}
	if !h.trusts(credentials.Remote) {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication,
			"The headers %s and %s are for trusted proxies, and this address is not among them", h.config.UserHeader, h.config.GroupsHeader)
	}
	switch {
	case credentials.Token != "" || len(user) == 0:
		return nil, auth.ErrNotMine
	case len(user) > 1 || len(groups) > 1:
		// A proxy that adds its header to the caller's own: one of them is forged.
		return nil, signalbox.Errorf(signalbox.CodeAuthentication,
			"The header %s or %s is there more than once: the proxy must replace what callers send", h.config.UserHeader, h.config.GroupsHeader)
	}
	claims := identity.Claims{userClaim: user[0]}
	if len(groups) == 1 && groups[0] != "" {
		var list []any
		for group := range strings.SplitSeq(groups[0], ",") {
			list = append(list, strings.TrimSpace(group))
		}
		claims[groupsClaim] = list
	}
	found, err := h.mapper.User(claims)
	if err != nil {
		var coded *signalbox.Error
		if errors.As(err, &coded) {
			return nil, signalbox.Errorf(signalbox.CodeAuthentication, "The headers of the proxy: %s", coded.Message)
		}
		return nil, err
	}
	if err := h.config.Pages.Check(credentials); err != nil {
		return nil, err
	}
	return signalbox.UserPrincipal{Ref: found.Ref, Ownership: h.mapper.Owned(ctx, found)}, nil
}

func (h *Headers) trusts(remote netip.Addr) bool {
	remote = remote.Unmap().WithZone("")
	return slices.ContainsFunc(h.config.CIDRs, func(prefix netip.Prefix) bool { return prefix.Contains(remote) })
}
