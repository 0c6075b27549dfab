package backstage

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks"
)

// LegacyAccess is an entry of backend.auth.externalAccess of the type legacy, or
// of the older backend.auth.keys: a secret that is shared with services.
type LegacyAccess struct {
	// Secret is options.secret, in standard base64 with padding, as package configs
	// makes it of every form that Backstage takes: at least 16 bytes. Required.
	Secret string
	// Subject is options.subject, which becomes the origin. Defaults to
	// "external:backstage-plugin", as for backend.auth.keys.
	Subject string
	// Plugins are the plugins of accessRestrictions. Nil does not restrict.
	Plugins []string
}

// GoString hides the secret from %#v, String from the others.
func (LegacyAccess) GoString() string { return "[redacted]" }

// String hides the secret.
func (LegacyAccess) String() string { return "[redacted]" }

// What Backstage's legacy tokens say.
const (
	legacySubject  = "backstage-server"
	defaultSubject = "external:backstage-plugin"
)

// LegacyTokens recognises services by tokens that are signed with a shared secret
// (HS256). Other than Backstage, it demands that they expire.
type LegacyTokens struct {
	secrets []legacySecret
}

type legacySecret struct {
	verifier *jwks.SecretVerifier
	subject  string
	plugins  []string
}

var _ auth.Authenticator = (*LegacyTokens)(nil)

// NewLegacyTokens checks the entries. Errors do not hold secrets.
func NewLegacyTokens(config Config, entries []LegacyAccess) (*LegacyTokens, error) {
	config = config.withDefaults()
	l := &LegacyTokens{}
	for i, access := range entries {
		subject := access.Subject
		if subject == "" {
			subject = defaultSubject
		}
		if !utf8.ValidString(subject) || strings.ContainsFunc(subject, unprintable) || utf8.RuneCountInString(subject) > signalbox.MaxOrigin {
			return nil, fmt.Errorf("backstage: legacy access %d: the subject has white space, control characters or more than %d characters", i, signalbox.MaxOrigin)
		}
		secret, err := base64.StdEncoding.Strict().DecodeString(access.Secret)
		if err != nil {
			return nil, fmt.Errorf("backstage: legacy access %d: the secret must be base64", i) // the error may hold a part of it
		}
		verifier, err := jwks.NewSecretVerifier(secret, jwks.Rules{Leeway: config.Leeway, Now: config.Now})
		if err != nil {
			return nil, fmt.Errorf("backstage: legacy access %d: %w", i, err)
		}
		l.secrets = append(l.secrets, legacySecret{verifier: verifier, subject: subject, plugins: access.Plugins})
	}
	return l, nil
}

// Authenticate implements [auth.Authenticator]. A token that no secret fits is
// not its own, as in Backstage.
func (l *LegacyTokens) Authenticate(_ context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	unverified, err := jwks.Peek(credentials.Token)
	if err != nil || unverified.Algorithm != "HS256" || unverified.Subject() != legacySubject || unverified.Claims["aud"] != nil {
		return nil, auth.ErrNotMine
	}
	for i := range l.secrets {
		if _, err := l.secrets[i].verifier.Verify(credentials.Token); err == nil {
			return service(l.secrets[i].subject, l.secrets[i].plugins, credentials.Plugin)
		}
	}
	return nil, auth.ErrNotMine
}
