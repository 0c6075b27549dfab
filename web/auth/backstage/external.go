package backstage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks"
)

// JWKSAccess is an entry of backend.auth.externalAccess of the type jwks: an
// outside issuer whose tokens let services in.
type JWKSAccess struct {
	// URL is options.url, where the issuer's keys are. Required.
	URL string
	// Issuers, Audiences and Algorithms are options.issuer, options.audience and
	// options.algorithm, of which one must be the token's. They default to any, and
	// for algorithms to [jwks.Algorithms]; symmetric ones are an error.
	Issuers, Audiences, Algorithms []string
	// SubjectPrefix is options.subjectPrefix: the origin is "external:<sub>"
	// without, and "external:<prefix>:<sub>" with it.
	SubjectPrefix string
	// Plugins are the plugins of accessRestrictions. Nil does not restrict.
	Plugins []string
}

// JWKSTokens recognises services by the tokens of outside issuers.
type JWKSTokens struct {
	issuers []jwksIssuer
}

type jwksIssuer struct {
	access   JWKSAccess
	verifier *jwks.Verifier
	keys     *jwks.Remote
}

var _ auth.Authenticator = (*JWKSTokens)(nil)

// NewJWKSTokens checks the entries. It fetches nothing yet. Of the configuration,
// Discovery and what concerns users is not used. Call [JWKSTokens.Close] when it
// is no longer used.
func NewJWKSTokens(config Config, entries []JWKSAccess) (*JWKSTokens, error) {
	config = config.withDefaults()
	j := &JWKSTokens{}
	for i, access := range entries {
		issuer, err := newJWKSIssuer(config, access)
		if err != nil {
			j.Close()
			return nil, fmt.Errorf("backstage: jwks access %d: %w", i, err)
		}
		if len(access.Audiences) == 0 {
			config.Logger.Warn("outside tokens are accepted whomever they are meant for: set options.audience",
				slog.Int("externalAccess", i))
		}
		j.issuers = append(j.issuers, issuer)
	}
	return j, nil
}

func newJWKSIssuer(config Config, access JWKSAccess) (jwksIssuer, error) {
	if strings.ContainsFunc(access.SubjectPrefix, unprintable) {
		return jwksIssuer{}, errors.New("the subject prefix has white space or control characters")
	}
	verifier, err := jwks.NewVerifier(jwks.Rules{
		Algorithms: access.Algorithms, Audiences: access.Audiences, Issuers: access.Issuers,
		Required: []string{"sub"}, Leeway: config.Leeway, Now: config.Now,
	})
	if err != nil {
		return jwksIssuer{}, err
	}
	remote := config.remote()
	remote.URL = access.URL
	keys, err := jwks.NewRemote(remote)
	if err != nil {
		return jwksIssuer{}, err
	}
	return jwksIssuer{access: access, verifier: verifier, keys: keys}, nil
}

// Close ends requests under way and waits for them.
func (j *JWKSTokens) Close() {
	for _, issuer := range j.issuers {
		issuer.keys.Close()
	}
}

// Authenticate implements [auth.Authenticator]. A token that no entry accepts is
// not its own, so that others may try, as in Backstage; unless the keys of an
// entry that could have accepted it cannot be had.
func (j *JWKSTokens) Authenticate(ctx context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	unverified, err := jwks.Peek(credentials.Token)
	if err != nil || strings.HasPrefix(unverified.Type, "vnd.backstage.") {
		return nil, auth.ErrNotMine
	}
	var unavailable error
	for i := range j.issuers {
		issuer := &j.issuers[i]
		// It looks at the issuer and the audience before it asks for keys.
		read, err := issuer.verifier.Verify(ctx, credentials.Token, issuer.keys)
		switch {
		case err == nil:
			return issuer.principal(read, credentials.Plugin)
		case errors.Is(err, jwks.ErrUnavailable):
			unavailable = err
		}
	}
	if unavailable != nil {
		return nil, jwks.Coded(unavailable, "")
	}
	return nil, auth.ErrNotMine
}

func (i *jwksIssuer) principal(read jwks.Token, plugin string) (signalbox.Principal, error) {
	name := "external:"
	if i.access.SubjectPrefix != "" {
		name += i.access.SubjectPrefix + ":"
	}
	name += read.Subject()
	// It becomes an origin, which is shown, logged and matched.
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || utf8.RuneCountInString(name) > signalbox.MaxOrigin {
		return nil, signalbox.Errorf(signalbox.CodeAuthentication, "Invalid token: forbidden subject format")
	}
	return service(name, i.access.Plugins, plugin)
}

// service lets a service in, unless it is restricted to other plugins.
func service(name string, plugins []string, plugin string) (signalbox.Principal, error) {
	if plugins != nil && !slices.Contains(plugins, plugin) {
		return nil, signalbox.Errorf(signalbox.CodeNotAllowed,
			"This token's access is restricted to plugin(s) '%s'", strings.Join(plugins, "', '"))
	}
	return signalbox.ServicePrincipal{Name: name}, nil
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
