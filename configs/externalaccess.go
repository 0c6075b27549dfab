package configs

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/signalbox/signalbox"
)

// minTokenLength is Backstage's: shorter tokens could be guessed.
const minTokenLength = 8

var withoutSpace = regexp.MustCompile(`^\S+$`)

// readExternalAccess reads Backstage's list of external credentials. It is
// strict, although the section around it is not: a mistyped accessRestrictions
// would open what is meant to be closed.
func readExternalAccess(c *Config, e entry) {
	known := map[TokenHash]string{}
	e.items(func(s *section) {
		s.only("type", "options", "accessRestrictions")
		var kind string
		if e := s.field("type"); !e.need("static, jwks or legacy") || !e.choice(&kind, "static", "jwks", "legacy") || !s.ok() {
			return
		}
		plugins := readRestrictions(s.field("accessRestrictions"))
		access, options := &c.Backend.Auth, s.field("options")
		switch kind {
		case "static":
			token := StaticToken{Plugins: plugins}
			readStaticToken(options, &token)
			if !s.ok() {
				return
			}
			if earlier, twice := known[token.Hash]; twice {
				s.failSecret("has the same token as " + earlier)
				return
			}
			known[token.Hash] = s.path
			access.StaticTokens = append(access.StaticTokens, token)
		case "jwks":
			jwks := JWKSAccess{Plugins: plugins}
			if readJWKSAccess(options, &jwks); s.ok() {
				access.JWKS = append(access.JWKS, jwks)
			}
		case "legacy":
			key := LegacyKey{Plugins: plugins}
			if readLegacyKey(options, &key); s.ok() {
				access.LegacyKeys = append(access.LegacyKeys, key)
			}
		}
	})
}

// readOptions reads the options of a credential; nil if there are none, or others
// than known.
func readOptions(e entry, required string, known ...string) *section {
	if !e.need(required) {
		return nil
	}
	s := e.section()
	if s == nil || !s.only(known...) {
		return nil
	}
	return s
}

// readStaticToken reads the options of a static token.
func readStaticToken(e entry, into *StaticToken) {
	s := readOptions(e, "token (or tokenHash) and subject", "token", "tokenHash", "subject")
	if s == nil {
		return
	}
	token, hash := s.field("token"), s.field("tokenHash")
	switch {
	case !token.missing() && !hash.missing():
		s.failSecret("has both token and tokenHash: give one of them")
	case token.missing() && hash.missing():
		token.failSecret("is required, or tokenHash in its place")
	}
	if s.ok() {
		secret(token, &into.Hash, asTokenHash)
		secret(hash, &into.Hash, ParseTokenHash)
	}
	readSubject(s, "token", &into.Subject)
}

func asTokenHash(token string) (TokenHash, error) {
	if len(token) < minTokenLength || !withoutSpace.MatchString(token) {
		return TokenHash{}, fmt.Errorf("must have at least %d characters, and no spaces", minTokenLength)
	}
	return HashToken(token), nil
}

// readJWKSAccess reads the options of an outside issuer.
func readJWKSAccess(e entry, into *JWKSAccess) {
	s := readOptions(e, "url, where the keys of the issuer are", "url", "issuer", "audience", "algorithm", "subjectPrefix")
	if s == nil {
		return
	}
	shown := func(e entry, into *string) bool { return parsed(e, into, asURL) }
	if !s.field("url").required(shown, &into.URL, "where the keys of the issuer are") {
		return
	}
	into.Issuers, _ = s.field("issuer").list()
	into.Audiences, _ = s.field("audience").list()
	into.Algorithms, _ = s.field("algorithm").list()
	into.SubjectPrefix, _ = s.field("subjectPrefix").text()
}

// readLegacyKey reads the options of a shared secret.
func readLegacyKey(e entry, into *LegacyKey) {
	s := readOptions(e, "secret and subject", "secret", "subject")
	if s != nil && readLegacySecret(s, into) {
		readSubject(s, "secret", &into.Subject)
	}
}

// readSubject reads who uses a credential.
func readSubject(s *section, credential string, into *string) {
	if e := s.field("subject"); e.need("it becomes the origin of what is sent with the " + credential) {
		e.word(into)
	}
}

// minLegacySecret is in bytes: shorter ones could be guessed.
const minLegacySecret = 16

func readLegacySecret(s *section, into *LegacyKey) bool {
	e := s.field("secret")
	return e.need("in base64") && secret(e, &into.Secret, func(text string) (signalbox.Secret, error) {
		decoded, err := decodeLegacy(text)
		if err != nil || len(decoded) < minLegacySecret {
			return signalbox.Secret{}, fmt.Errorf("must be base64 of at least %d bytes", minLegacySecret)
		}
		return asSecret(base64.StdEncoding.EncodeToString(decoded))
	})
}

// decodeLegacy reads base64 as Backstage's library (jose) does: in either alphabet, with
// padding or without, and whatever white space there is.
func decodeLegacy(secret string) ([]byte, error) {
	secret = strings.NewReplacer("-", "+", "_", "/").Replace(strings.Join(strings.Fields(secret), ""))
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(secret, "="))
}

// readLegacyKeys reads backend.auth.keys, the older form of the type legacy.
func readLegacyKeys(c *Config, e entry) {
	e.items(func(s *section) {
		var key LegacyKey
		if s.only("secret") && readLegacySecret(s, &key) {
			c.Backend.Auth.LegacyKeys = append(c.Backend.Auth.LegacyKeys, key)
		}
	})
}

// readRestrictions reads the plugins that a credential is for.
func readRestrictions(e entry) (plugins []string) {
	if !e.missing() && (!e.isList() || e.empty()) {
		e.fail("must be a list with at least one entry: {plugin: notifications}")
		return nil
	}
	e.items(func(s *section) {
		if !s.only("plugin", "permission", "permissionAttribute") {
			return
		}
		var plugin string
		if e := s.field("plugin"); !e.need("") || !e.word(&plugin) {
			return
		}
		plugins = append(plugins, plugin)
		for _, name := range []string{"permission", "permissionAttribute"} {
			if e := s.field(name); !e.missing() {
				e.warn("has no effect: the notifications and signals plugins check no permissions")
			}
		}
	})
	return plugins
}
