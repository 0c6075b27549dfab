package backstage

import (
	"context"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks"
)

// pluginSubject comes before a plugin's identifier in the origin of what it sends.
const pluginSubject = "plugin:"

// PluginTokens recognises the backend plugins of Backstage by the tokens that
// they sign themselves (vnd.backstage.plugin), each for one other plugin. A plugin
// is a service whose subject is "plugin:" and its identifier. A token that a
// plugin made on behalf of a user speaks for that user, and so cannot send.
//
// The keys are fetched from the plugin that the token names, at the address that
// [Discovery] has for it.
type PluginTokens struct {
	// verifiers are by the plugin that is called.
	verifiers map[string]*jwks.Verifier
	keys      *keySets
	users     *UserTokens
}

var _ auth.Authenticator = (*PluginTokens)(nil)

// NewPluginTokens checks the configuration. plugins are the ones whose API is
// served here, which tokens must be for. users checks the tokens of users that
// plugins act for; it stays the caller's to close. Call [PluginTokens.Close] when
// it is no longer used.
func NewPluginTokens(config Config, plugins []string, users *UserTokens) (*PluginTokens, error) {
	if config.Discovery == nil || users == nil || len(plugins) == 0 {
		return nil, errors.New("backstage: plugin tokens need discovery, plugins and users")
	}
	config = config.withDefaults()
	p := &PluginTokens{
		verifiers: make(map[string]*jwks.Verifier, len(plugins)),
		keys:      newKeySets(config.Discovery, config.remote()), users: users,
	}
	for _, plugin := range plugins {
		verifier, err := jwks.NewVerifier(jwks.Rules{
			Types: []string{typePlugin}, Audiences: []string{plugin}, Required: []string{"iat", "sub"},
			Leeway: config.Leeway, Now: config.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("backstage: plugin tokens: %w", err)
		}
		p.verifiers[plugin] = verifier
	}
	return p, nil
}

// Close ends requests under way and waits for them.
func (p *PluginTokens) Close() { p.keys.close() }

// Authenticate implements [auth.Authenticator].
func (p *PluginTokens) Authenticate(ctx context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	unverified, err := jwks.Peek(credentials.Token)
	if err != nil || unverified.Type != typePlugin {
		return nil, auth.ErrNotMine
	}
	verifier, ok := p.verifiers[credentials.Plugin]
	if !ok {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, failedPlugin)
	}
	// The subject becomes a part of the address that keys are fetched from.
	plugin := unverified.Subject()
	if plugin == "" {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid plugin token: missing subject")
	}
	if !IsPluginID(plugin) {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid plugin token: forbidden subject format")
	}
	read, err := p.keys.verify(ctx, verifier, credentials.Token, plugin)
	if err != nil {
		return nil, jwks.Coded(err, failedPlugin)
	}
	obo, ok := read.Claims["obo"]
	if !ok || obo == nil {
		return signalbox.ServicePrincipal{Name: pluginSubject + plugin}, nil
	}
	// Anything in the claim makes it a user's: what is no token is refused.
	user, err := p.users.onBehalfOf(ctx, read.Text("obo"))
	if err != nil {
		return nil, err
	}
	if ends := read.Expires(); ends.Before(user.Expires) {
		user.Expires = ends
	}
	return user, nil
}
