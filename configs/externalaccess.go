package configs

import (
	"fmt"
	"regexp"
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
	var tokens []StaticToken
	known := map[TokenHash]string{}
	for i, item := range n.items {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		token, ok := r.externalAccess(item, itemPath)
		if !ok {
			continue
		}
		if earlier, twice := known[token.Hash]; twice {
			r.failSecret(item, itemPath, "has the same token as "+earlier)
			continue
		}
		known[token.Hash] = itemPath
		tokens = append(tokens, token)
	}
	c.Backend.Auth.StaticTokens = tokens
}

// externalAccess reads one entry; ok is false if it is no static token, or not
// a valid one.
func (r *reader) externalAccess(n *node, path string) (token StaticToken, ok bool) {
	keysOK := r.section(n, path, "type", "options", "accessRestrictions")
	if n.kind != mapping {
		return StaticToken{}, false
	}
	kindNode := n.child("type")
	if kindNode == nil || kindNode.kind == null {
		r.failSecret(n, join(path, "type"), "is required: static")
		return StaticToken{}, false
	}
	kind, ok := r.text(kindNode, join(path, "type"))
	if !ok {
		return StaticToken{}, false
	}
	switch kind {
	case "static":
	case "jwks", "legacy":
		r.warn(kindNode.at, join(path, "type"), "\""+kind+"\" is not supported by this version: the entry is ignored, and its tokens are refused")
		return StaticToken{}, false
	default:
		r.fail(kindNode, join(path, "type"), "must be one of static, jwks, legacy")
		return StaticToken{}, false
	}
	optionsOK := r.staticOptions(n, join(path, "options"), &token)
	restrictionsOK := r.restrictions(n.child("accessRestrictions"), join(path, "accessRestrictions"), &token)
	return token, keysOK && optionsOK && restrictionsOK
}

// staticOptions reads the options of a static token.
func (r *reader) staticOptions(entry *node, path string, into *StaticToken) bool {
	n := entry.child("options")
	if n == nil || n.kind == null {
		r.failSecret(entry, path, "is required: token (or tokenHash) and subject")
		return false
	}
	keysOK := r.section(n, path, "token", "tokenHash", "subject")
	if n.kind != mapping {
		return false
	}
	ok := r.token(n, path, into) && keysOK
	subject, present := r.optional(n, path, "subject")
	switch {
	case !present:
		r.failSecret(n, join(path, "subject"), "is required: it becomes the origin of what is sent with the token")
		return false
	case subject == nil:
		return false
	case !withoutSpace.MatchString(*subject):
		r.fail(n.child("subject"), join(path, "subject"), "must not be empty or have spaces")
		return false
	}
	into.Subject = *subject
	return ok
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
func (r *reader) restrictions(n *node, path string, into *StaticToken) bool {
	if n == nil || n.kind == null {
		return true
	}
	if n.kind != sequence || len(n.items) == 0 {
		r.fail(n, path, "must be a list with at least one entry: {plugin: notifications}")
		return false
	}
	ok := true
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
			into.Plugins = append(into.Plugins, *plugin)
			r.warnPermissions(item, itemPath)
			continue
		}
		ok = false
	}
	return ok
}

// warnPermissions tells that restrictions within a plugin mean nothing here.
func (r *reader) warnPermissions(item *node, path string) {
	for _, name := range []string{"permission", "permissionAttribute"} {
		if child := item.child(name); child != nil && child.kind != null {
			r.warn(child.at, join(path, name), "has no effect: the notifications and signals plugins check no permissions")
		}
	}
}
