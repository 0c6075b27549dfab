package configs

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// EmailUnsubscribe are the links by which users end mails without signing in
// ("unsubscribe").
type EmailUnsubscribe struct {
	// Disabled leaves the links out of mails, and refuses those of earlier ones
	// ("enabled: false"). Defaults to false.
	Disabled bool
	// URL is what the world reaches /api/notifications/unsubscribe of this server by
	// ("url"). No trailing slash. Defaults to that path at [Config.PublicURL], and
	// without either there are no links.
	URL string
	// Keys are who may have signed a link; the first one signs ("keys"). Defaults to
	// one that is made and kept in [Config.Data], with SQLite; with PostgreSQL, whose
	// instances would each make another, to no links.
	Keys []EmailUnsubscribeKey
	// TTL is how long a link works ("ttl"). Between 1 day and 10 years. Zero is 60
	// days.
	TTL time.Duration
}

// EmailUnsubscribeKey signs links.
type EmailUnsubscribeKey struct {
	// ID is in the links, and tells which key signed: 1 to 16 letters, digits, "-"
	// and "_". Required.
	ID string
	// Secret is used as it is written, 32 bytes or more. Required.
	Secret signalbox.Secret
}

// minKeySecret is the least length of a secret, in bytes: that of the signature.
const minKeySecret = 32

var keyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,16}$`)

func (e *emailReader) unsubscribe(n *node, path string) {
	if n.missing() || !e.sub(n, path, "enabled", "url", "keys", "ttl") {
		return
	}
	into := &e.into.Unsubscribe
	enabled := true
	e.flag(n, path, "enabled", &enabled)
	into.Disabled = !enabled
	if e.plain(n, path, "url", &into.URL) {
		if err := checkBaseURL(into.URL); err != nil {
			e.refuse(n.child("url"), join(path, "url"), err.Error())
		}
		into.URL = strings.TrimRight(into.URL, "/")
	}
	e.lasting(n, path, "ttl", day, 3650*day, &into.TTL)
	keys, keysPath := n.child("keys"), join(path, "keys")
	if keys.missing() {
		return
	}
	e.items(keys, keysPath, e.unsubscribeKey)
	if keys.kind == sequence && len(keys.items) == 0 {
		e.refuse(keys, keysPath, "must have at least one entry, or be left out")
	}
}

func (e *emailReader) unsubscribeKey(n *node, path string) {
	if !e.sub(n, path, "id", "secret") {
		return
	}
	var key EmailUnsubscribeKey
	if e.plain(n, path, "id", &key.ID) {
		if !keyID.MatchString(key.ID) {
			e.refuse(n.child("id"), join(path, "id"), `must be 1 to 16 letters, digits, "-" and "_"`)
		}
		for _, other := range e.into.Unsubscribe.Keys {
			if other.ID == key.ID {
				e.refuse(n.child("id"), join(path, "id"), "must differ from that of the other keys")
			}
		}
	}
	text, present := e.optional(n, path, "secret")
	switch {
	case text != nil && len(*text) < minKeySecret:
		e.refuse(n.child("secret"), join(path, "secret"), fmt.Sprintf("must be at least %d bytes, as of: openssl rand -hex 32", minKeySecret))
	case text != nil:
		key.Secret = signalbox.NewSecret(*text)
	default:
		e.ok = e.ok && !present
	}
	for _, field := range []string{"id", "secret"} {
		if n.child(field).missing() {
			e.refuse(n, join(path, field), "is required")
		}
	}
	e.into.Unsubscribe.Keys = append(e.into.Unsubscribe.Keys, key)
}
