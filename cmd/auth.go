package cmd

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/apitoken"
	"github.com/signalbox/signalbox/web/auth/backstage"
)

// wireDiscovery makes what knows where Backstage's plugins are; nothing without
// Backstage.
func (a *app) wireDiscovery() (err error) {
	where, ok := a.config.Backstage()
	if !ok {
		return nil
	}
	config := backstage.DiscoveryConfig{BaseURL: where.BaseURL}
	for _, e := range where.Endpoints {
		config.Endpoints = append(config.Endpoints, backstage.Endpoint(e))
	}
	if a.discovery, err = backstage.NewDiscovery(config); err != nil {
		return exitWith(exitUsage, fmt.Errorf("discovery.endpoints: %w", err))
	}
	return nil
}

// wireIssuer makes what signs Signalbox's own tokens for Backstage; nothing without
// Backstage.
func (a *app) wireIssuer() (err error) {
	if a.discovery == nil {
		return nil
	}
	if a.issuer, err = backstage.NewIssuer(backstage.IssuerConfig{Store: a.store, Logger: a.log}); err != nil {
		return fmt.Errorf("tokens for Backstage: %w", err)
	}
	return nil
}

// authenticators are all that know credentials, in the order in which they are
// asked: as Backstage does, plugins before users before outside services.
func (a *app) authenticators() (auth.Chain, error) {
	// These look at the issuer of a token, and at headers and cookies of their own.
	chain, err := a.identityAuthenticators()
	if err != nil {
		return nil, err
	}
	plugins, err := a.backstageAuthenticators()
	if err != nil {
		return nil, err
	}
	chain = append(chain, plugins...)
	tokens, err := a.serviceTokens()
	if err != nil {
		return nil, err
	}
	static, err := auth.NewStaticTokens(tokens)
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	made, err := apitoken.New(a.store, apitoken.Config{Ownership: a.directory, Logger: a.log})
	if err != nil {
		return nil, err
	}
	// Behind the static ones, which the operator may have given the same prefix.
	chain = append(chain, static, made)
	external, err := a.externalAuthenticators()
	if err != nil {
		return nil, err
	}
	return append(chain, external...), nil
}

// backstageAuthenticators know the tokens of a Backstage installation.
func (a *app) backstageAuthenticators() (auth.Chain, error) {
	if a.discovery == nil {
		return nil, nil
	}
	config := backstage.Config{Discovery: a.discovery, Directory: a.directory, Logger: a.log}
	users, err := backstage.NewUserTokens(config)
	if err != nil {
		return nil, fmt.Errorf("tokens of Backstage's users: %w", err)
	}
	a.lifecycle.add("keys of users", func(context.Context) error { users.Close(); return nil })
	plugins, err := backstage.NewPluginTokens(config, []string{"notifications", "signals"}, users)
	if err != nil {
		return nil, fmt.Errorf("tokens of Backstage's plugins: %w", err)
	}
	a.lifecycle.add("keys of plugins", func(context.Context) error { plugins.Close(); return nil })
	return auth.Chain{plugins, users}, nil
}

// externalAuthenticators know the outside services of backend.auth.externalAccess
// whose tokens are not static.
func (a *app) externalAuthenticators() (chain auth.Chain, err error) {
	c, config := a.config.Backend.Auth, backstage.Config{Logger: a.log}
	if len(c.LegacyKeys) > 0 {
		entries := make([]backstage.LegacyAccess, 0, len(c.LegacyKeys))
		for _, k := range c.LegacyKeys {
			entries = append(entries, backstage.LegacyAccess{Secret: k.Secret.Reveal(), Subject: k.Subject, Plugins: k.Plugins})
		}
		legacy, err := backstage.NewLegacyTokens(config, entries)
		if err != nil {
			return nil, exitWith(exitUsage, fmt.Errorf("backend.auth.externalAccess: %w", err))
		}
		chain = append(chain, legacy)
	}
	if len(c.JWKS) > 0 {
		entries := make([]backstage.JWKSAccess, 0, len(c.JWKS))
		for _, j := range c.JWKS {
			entries = append(entries, backstage.JWKSAccess(j))
		}
		jwks, err := backstage.NewJWKSTokens(config, entries)
		if err != nil {
			return nil, exitWith(exitUsage, fmt.Errorf("backend.auth.externalAccess: %w", err))
		}
		a.lifecycle.add("keys of outside services", func(context.Context) error { jwks.Close(); return nil })
		chain = append(chain, jwks)
	}
	return chain, nil
}

// pluginKeys returns the public keys of Signalbox's own tokens; nil without
// Backstage.
func (a *app) pluginKeys() func(context.Context) ([]byte, error) {
	if a.issuer == nil {
		return nil
	}
	return a.issuer.JWKS
}

// admins are those of the configuration, and the operator's own machine: the
// local sender, if there is one, and the guest, if only this machine can reach
// the server. A proxy in front, or a name for guests to use, says that others can.
func (a *app) admins() []string {
	admins := slices.Clone(a.config.Auth.Admins)
	if a.senderTokenPath != "" {
		admins = append(admins, senderSubject)
	}
	if host, _, err := net.SplitHostPort(a.config.Listen); err == nil && isLoopback(host) && len(a.config.TrustedProxies) == 0 &&
		a.config.Auth.Guest.Enabled && len(a.config.Auth.Guest.Hosts) == 0 {
		admins = append(admins, a.config.Auth.Guest.User)
	}
	return admins
}
