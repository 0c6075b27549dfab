package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/signalbox/signalbox/configs"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
	"github.com/signalbox/signalbox/web/auth/oidc"
	"github.com/signalbox/signalbox/web/auth/proxy"
)

// identityAuthenticators know users, and services, by an identity provider, directly
// or through a proxy. The proxy's comes first: it refuses headers that are forged,
// whatever else a request has.
func (a *app) identityAuthenticators() (chain auth.Chain, err error) {
	c := a.config.Auth
	pages, err := auth.NewPages(a.config.PublicURL(), a.config.CORS.Origins)
	if err != nil {
		return nil, exitWith(exitUsage, fmt.Errorf("publicUrl: %w", err))
	}
	if c.Proxy != nil {
		headers, err := proxy.New(proxy.Config{
			CIDRs: c.Proxy.CIDRs, UserHeader: c.Proxy.UserHeader, GroupsHeader: c.Proxy.GroupsHeader,
			User: userRule(c.Proxy.User), Groups: groupRule(c.Proxy.Groups), Pages: pages, Ownership: a.directory, Logger: a.log,
		})
		if err != nil {
			return nil, exitWith(exitUsage, fmt.Errorf("auth.proxy: %w", err))
		}
		chain = append(chain, headers)
	}
	if len(c.JWT) > 0 {
		config := oidc.TokensConfig{Ownership: a.directory, Logger: a.log}
		for _, one := range c.JWT {
			config.Issuers = append(config.Issuers, issuerOf(one))
		}
		tokens, err := oidc.NewTokens(config)
		if err != nil {
			return nil, exitWith(exitUsage, fmt.Errorf("auth.jwt: %w", err))
		}
		a.lifecycle.add("keys of identity providers", func(context.Context) error { tokens.Close(); return nil })
		chain = append(chain, tokens)
	}
	if c.OIDC != nil {
		a.login, err = oidc.NewLogin(oidc.LoginConfig{
			Issuer: c.OIDC.Issuer, ClientID: c.OIDC.ClientID, ClientSecret: c.OIDC.ClientSecret, Scopes: c.OIDC.Scopes,
			PublicURL: a.config.PublicURL(), Pages: pages, User: userRule(c.OIDC.User), Groups: groupRule(c.OIDC.Groups),
			Ownership: a.directory, Sessions: a.store, IdleTimeout: c.OIDC.IdleTimeout, MaxAge: c.OIDC.MaxAge, Logger: a.log,
		})
		if err != nil {
			return nil, exitWith(exitUsage, fmt.Errorf("auth.oidc: %w", err))
		}
		a.lifecycle.add("the identity provider", func(context.Context) error { a.login.Close(); return nil })
		a.background = append(a.background, a.endConnections)
		chain = append(chain, a.login)
	}
	return chain, nil
}

func issuerOf(c configs.AuthJWT) oidc.Issuer {
	issuer := oidc.Issuer{
		URL: c.Issuer, JWKSURL: c.JWKSURL, Audiences: c.Audiences, Algorithms: c.Algorithms, Groups: groupRule(c.Groups),
	}
	if c.User != nil {
		user := userRule(*c.User)
		issuer.User = &user
	}
	if c.Service != nil {
		issuer.Service = &identity.ServiceRule{Claim: c.Service.Claim, Prefix: c.Service.Prefix}
		if c.Service.WhenClaim != "" {
			issuer.Service.When = &identity.Condition{Claim: c.Service.WhenClaim, Value: c.Service.WhenValue}
		}
	}
	return issuer
}

func userRule(c configs.AuthUser) identity.UserRule {
	return identity.UserRule{Claim: c.Claim, Form: identity.Form(c.As), Namespace: c.Namespace, Domains: c.Domains}
}

// groupRule returns nil for nil.
func groupRule(c *configs.AuthGroups) *identity.GroupRule {
	if c == nil {
		return nil
	}
	return &identity.GroupRule{Claim: c.Claim, Form: identity.Form(c.As), Namespace: c.Namespace}
}

// endConnections closes the WebSockets of users whose sessions have ended, here or at
// another instance.
func (a *app) endConnections(ctx context.Context) {
	const every = 5 * time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		sessions := a.hub.Sessions()
		if len(sessions) == 0 {
			continue
		}
		bound, cancel := context.WithTimeout(ctx, every)
		ended, err := a.login.Ended(bound, sessions)
		cancel()
		if err != nil {
			a.log.Debug("cannot tell which sessions have ended", "error", err)
			continue
		}
		a.hub.EndSessions(ended)
	}
}
