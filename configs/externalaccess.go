package configs

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
)

// minTokenLength is Backstage's: shorter tokens could be guessed.
const minTokenLength = 8

var withoutSpace = regexp.MustCompile(`^\S+$`)

// readExternalAccess reads Backstage's list of external credentials. It is
// strict, although the section around it is not: a mistyped accessRestrictions
// would open what is meant to be closed.
func readExternalAccess(r *reader, c *Config, n *node, path string) {
	if n.kind != sequence {
		r.fail(n, path, "must be a list, not "+n.kind.String())
		return
	}
	known := map[TokenHash]string{}
	for i, item := range n.items {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		kind, ok := r.accessKind(item, itemPath)
		if !ok {
			continue
		}
		plugins, ok := r.restrictions(item.child("accessRestrictions"), join(itemPath, "accessRestrictions"))
		options := join(itemPath, "options")
		access := &c.Backend.Auth
		switch kind {
		case "static":
			token := StaticToken{Plugins: plugins}
			if !r.staticOptions(item, options, &token) || !ok {
				continue
			}
			if earlier, twice := known[token.Hash]; twice {
				r.failSecret(item, itemPath, "has the same token as "+earlier)
				continue
			}
			known[token.Hash] = itemPath
			access.StaticTokens = append(access.StaticTokens, token)
		case "jwks":
			jwks := JWKSAccess{Plugins: plugins}
			if r.jwksOptions(item, options, &jwks) && ok {
				access.JWKS = append(access.JWKS, jwks)
			}
		case "legacy":
			key := LegacyKey{Plugins: plugins}
			if r.legacyOptions(item, options, &key) && ok {
				access.LegacyKeys = append(access.LegacyKeys, key)
			}
		}
	}
}

// accessKind reads the type of an entry.
func (r *reader) accessKind(n *node, path string) (kind string, ok bool) {
	keysOK := r.section(n, path, "type", "options", "accessRestrictions")
	if n.kind != mapping {
		return "", false
	}
	kindNode := n.child("type")
	if kindNode.missing() {
		r.failSecret(n, join(path, "type"), "is required: static, jwks or legacy")
		return "", false
	}
	kind, ok = r.text(kindNode, join(path, "type"))
	if ok && !slices.Contains([]string{"static", "jwks", "legacy"}, kind) {
		r.fail(kindNode, join(path, "type"), "must be one of static, jwks, legacy")
		ok = false
	}
	return kind, ok && keysOK
}

// options finds the options of an entry; nil if there are none, or others than
// known.
func (r *reader) options(entry *node, path, required string, known ...string) *node {
	n := entry.child("options")
	if n.missing() {
		r.failSecret(entry, path, "is required: "+required)
		return nil
	}
	if !r.section(n, path, known...) {
		return nil
	}
	return n
}

// jwksOptions reads the options of an outside issuer.
func (r *reader) jwksOptions(entry *node, path string, into *JWKSAccess) bool {
	n := r.options(entry, path, "url, where the keys of the issuer are", "url", "issuer", "audience", "algorithm", "subjectPrefix")
	if n == nil {
		return false
	}
	url, present := r.optional(n, path, "url")
	switch {
	case !present:
		r.failSecret(n, join(path, "url"), "is required: where the keys of the issuer are")
		return false
	case url == nil:
		return false
	case checkBaseURL(*url) != nil:
		r.fail(n.child("url"), join(path, "url"), checkBaseURL(*url).Error())
		return false
	}
	into.URL = *url
	ok := true
	for name, field := range map[string]*[]string{"issuer": &into.Issuers, "audience": &into.Audiences, "algorithm": &into.Algorithms} {
		if child := n.child(name); !child.missing() {
			list, isList := r.list(child, join(path, name))
			*field, ok = list, ok && isList
		}
	}
	if prefix, present := r.optional(n, path, "subjectPrefix"); prefix != nil {
		into.SubjectPrefix = *prefix
	} else if present {
		return false
	}
	return ok
}

// legacyOptions reads the options of a shared secret.
func (r *reader) legacyOptions(entry *node, path string, into *LegacyKey) bool {
	n := r.options(entry, path, "secret and subject", "secret", "subject")
	if n == nil {
		return false
	}
	if !r.legacySecret(n, path, into) {
		return false
	}
	return r.subject(n, path, "secret", &into.Subject)
}

// subject reads who uses a credential.
func (r *reader) subject(n *node, path, credential string, into *string) bool {
	subject, present := r.optional(n, path, "subject")
	switch {
	case !present:
		r.failSecret(n, join(path, "subject"), "is required: it becomes the origin of what is sent with the "+credential)
		return false
	case subject == nil:
		return false
	case !withoutSpace.MatchString(*subject):
		r.fail(n.child("subject"), join(path, "subject"), "must not be empty or have spaces")
		return false
	}
	*into = *subject
	return true
}

// minLegacySecret is in bytes: shorter ones could be guessed.
const minLegacySecret = 16

func (r *reader) legacySecret(n *node, path string, into *LegacyKey) bool {
	secret, present := r.optional(n, path, "secret")
	if !present {
		r.failSecret(n, join(path, "secret"), "is required: in base64")
		return false
	}
	if secret == nil {
		return false
	}
	decoded, err := decodeLegacy(*secret)
	if err != nil || len(decoded) < minLegacySecret {
		r.failSecret(n.child("secret"), join(path, "secret"), fmt.Sprintf("must be base64 of at least %d bytes", minLegacySecret))
		return false
	}
	into.Secret = signalbox.NewSecret(base64.StdEncoding.EncodeToString(decoded))
	return true
}

// decodeLegacy reads base64 as Backstage's library (jose) does: in either alphabet, with
// padding or without, and whatever white space there is.
func decodeLegacy(secret string) ([]byte, error) {
	secret = strings.NewReplacer("-", "+", "_", "/").Replace(strings.Join(strings.Fields(secret), ""))
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(secret, "="))
}

// readLegacyKeys reads backend.auth.keys, the older form of the type legacy.
func readLegacyKeys(r *reader, c *Config, n *node, path string) {
	if n.kind != sequence {
		r.fail(n, path, "must be a list, not "+n.kind.String())
		return
	}
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		var key LegacyKey
		if r.section(item, at, "secret") && r.legacySecret(item, at, &key) {
			c.Backend.Auth.LegacyKeys = append(c.Backend.Auth.LegacyKeys, key)
		}
	}
}

// staticOptions reads the options of a static token.
func (r *reader) staticOptions(entry *node, path string, into *StaticToken) bool {
	n := r.options(entry, path, "token (or tokenHash) and subject", "token", "tokenHash", "subject")
	if n == nil {
		return false
	}
	ok := r.token(n, path, into)
	return r.subject(n, path, "token", &into.Subject) && ok
}

// token reads options.token or options.tokenHash.
func (r *reader) token(n *node, path string, into *StaticToken) bool {
	token, hasToken := r.optional(n, path, "token")
	hash, hasHash := r.optional(n, path, "tokenHash")
	switch {
	case hasToken && hasHash:
		r.failSecret(n, path, "has both token and tokenHash: give one of them")
		return false
	case !hasToken && !hasHash:
		r.failSecret(n, join(path, "token"), "is required, or tokenHash in its place")
		return false
	case hasToken && token != nil:
		if len(*token) < minTokenLength || !withoutSpace.MatchString(*token) {
			r.failSecret(n.child("token"), join(path, "token"), fmt.Sprintf("must have at least %d characters, and no spaces", minTokenLength))
			return false
		}
		into.Hash = HashToken(*token)
	case hasHash && hash != nil:
		parsed, err := ParseTokenHash(*hash)
		if err != nil {
			r.failSecret(n.child("tokenHash"), join(path, "tokenHash"), err.Error())
			return false
		}
		into.Hash = parsed
	default: // it is there, and could not be read
		return false
	}
	return true
}

// optional reads a text that may be missing. It is nil if it could not be read,
// which was reported then.
func (r *reader) optional(n *node, path, name string) (text *string, present bool) {
	child := n.child(name)
	if child == nil || child.kind == null {
		return nil, false
	}
	read, ok := r.text(child, join(path, name))
	if !ok {
		return nil, true
	}
	return &read, true
}

// restrictions reads accessRestrictions; n is nil if there are none.
func (r *reader) restrictions(n *node, path string) (plugins []string, ok bool) {
	if n.missing() {
		return nil, true
	}
	if n.kind != sequence || len(n.items) == 0 {
		r.fail(n, path, "must be a list with at least one entry: {plugin: notifications}")
		return nil, false
	}
	ok = true
	for i, item := range n.items {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		if !r.section(item, itemPath, "plugin", "permission", "permissionAttribute") {
			ok = false
			continue
		}
		plugin, present := r.optional(item, itemPath, "plugin")
		switch {
		case !present:
			r.failSecret(item, join(itemPath, "plugin"), "is required")
		case plugin != nil && !withoutSpace.MatchString(*plugin):
			r.fail(item.child("plugin"), join(itemPath, "plugin"), "must not be empty or have spaces")
		case plugin != nil:
			plugins = append(plugins, *plugin)
			r.warnPermissions(item, itemPath)
			continue
		}
		ok = false
	}
	return plugins, ok
}

// warnPermissions tells that restrictions within a plugin mean nothing here.
func (r *reader) warnPermissions(item *node, path string) {
	for _, name := range []string{"permission", "permissionAttribute"} {
		if child := item.child(name); child != nil && child.kind != null {
			r.warn(child.at, join(path, name), "has no effect: the notifications and signals plugins check no permissions")
		}
	}
}
