package configs

import (
	"fmt"
	"regexp"
	"slices"
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

func (u *EmailUnsubscribe) read(s *section) {
	if s == nil {
		return
	}
	s.only("enabled", "url", "keys", "ttl")
	enabled := true
	s.field("enabled").flag(&enabled)
	u.Disabled = !enabled
	s.field("url").url(&u.URL)
	u.URL = strings.TrimRight(u.URL, "/")
	s.field("ttl").lasting(day, 3650*day, &u.TTL)
	keys := s.field("keys")
	keys.items(u.readKey)
	keys.notEmpty()
}

func (u *EmailUnsubscribe) readKey(s *section) {
	s.only("id", "secret")
	var key EmailUnsubscribeKey
	if id := s.field("id"); id.need("") && id.line(&key.ID) {
		if !keyID.MatchString(key.ID) {
			id.failSecret(`must be 1 to 16 letters, digits, "-" and "_"`)
		}
		if slices.ContainsFunc(u.Keys, func(other EmailUnsubscribeKey) bool { return other.ID == key.ID }) {
			id.failSecret("must differ from that of the other keys")
		}
	}
	if e := s.field("secret"); e.need("") {
		secret(e, &key.Secret, func(text string) (signalbox.Secret, error) {
			if len(text) < minKeySecret {
				return signalbox.Secret{}, fmt.Errorf("must be at least %d bytes, as of: openssl rand -hex 32", minKeySecret)
			}
			return asSecret(text)
		})
	}
	u.Keys = append(u.Keys, key)
}
