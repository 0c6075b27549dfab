// Package unsubscribe owns the links by which a user ends the mails of a topic
// without signing in (RFC 8058): it makes and reads their signed tokens. It imports
// the standard library only. What a link does is the web package's.
package unsubscribe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Errors of [Links.Parse].
var (
	// ErrMalformed is a text that never was a token, or only a part of one.
	ErrMalformed = errors.New("the link is not complete")
	// ErrForged is a token that none of the keys signed: it was altered, or its key
	// is gone.
	ErrForged = errors.New("the link is not genuine")
	// ErrExpired is a genuine token that is too old.
	ErrExpired = errors.New("the link has expired")
)

// Subject is what a link switches off, and for whom. Topic may be empty: then it is
// what has no topic of its own, the origin as a whole.
type Subject struct {
	User, Channel, Origin, Topic string
}

// Key signs tokens. IDs tell which one did.
type Key struct {
	// ID is 1 to 16 of a-z, A-Z, 0-9, "-" and "_". A key with another secret needs
	// another ID.
	ID string
	// Secret is 32 random bytes or more.
	Secret []byte
}

// String hides the secret.
func (k Key) String() string { return "key " + k.ID }

// GoString hides the secret from %#v.
func (k Key) GoString() string { return `unsubscribe.Key("` + k.ID + `")` }

// Config is for [New].
type Config struct {
	// Endpoint is the URL that the token is added to, as the last part of the path.
	// http or https, without query or fragment. Required.
	Endpoint string
	// Keys are who may have signed; the first one signs. At least one. To rotate, put
	// a new one first, and take the old one out after TTL.
	Keys []Key
	// TTL is how long a link works. Defaults to 60 days; RFC 8058 has receivers use
	// it for as long as they keep the mail.
	TTL time.Duration
	// Now defaults to time.Now.
	Now func() time.Time
}

// Links makes and reads links. It is safe for concurrent use.
type Links struct {
	endpoint string
	keys     []Key
	ttl      time.Duration
	now      func() time.Time
}

const (
	minSecret  = 32
	defaultTTL = 60 * 24 * time.Hour
	// MaxToken bounds a token, in bytes.
	MaxToken = 8 << 10
	// version is in front of what is signed, so that another form can come later.
	version = 1
)

var keyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,16}$`)

// New makes links.
func New(config Config) (*Links, error) {
	u, err := url.Parse(config.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("unsubscribe: the endpoint must be an http or https URL without query and fragment")
	}
	if len(config.Keys) == 0 {
		return nil, errors.New("unsubscribe: there is no key")
	}
	known := map[string]bool{}
	for _, key := range config.Keys {
		switch {
		case !keyID.MatchString(key.ID):
			return nil, fmt.Errorf("unsubscribe: %q is not the ID of a key", key.ID)
		case known[key.ID]:
			return nil, fmt.Errorf("unsubscribe: there are two keys %q", key.ID)
		case len(key.Secret) < minSecret:
			return nil, fmt.Errorf("unsubscribe: the secret of key %q is shorter than %d bytes", key.ID, minSecret)
		}
		known[key.ID] = true
	}
	links := &Links{strings.TrimRight(config.Endpoint, "/"), append([]Key(nil), config.Keys...), config.TTL, config.Now}
	if links.ttl <= 0 {
		links.ttl = defaultTTL
	}
	if links.now == nil {
		links.now = time.Now
	}
	return links, nil
}

// URL returns the link about a subject in a mail of the time at. The same input
// gives the same link, as long as the first key stays.
func (l *Links) URL(s Subject, at time.Time) (string, error) {
	token, err := l.Token(s, at)
	if err != nil {
		return "", err
	}
	return l.endpoint + "/" + token, nil
}

// Token returns what URL adds to the endpoint: characters that need no escaping.
// User, channel and origin must not be empty.
func (l *Links) Token(s Subject, at time.Time) (string, error) {
	if s.User == "" || s.Channel == "" || s.Origin == "" {
		return "", errors.New("unsubscribe: user, channel and origin must be given")
	}
	claims := []byte{version}
	claims = binary.AppendVarint(claims, at.Add(l.ttl).Unix())
	for _, field := range []string{s.User, s.Channel, s.Origin, s.Topic} {
		claims = binary.AppendUvarint(claims, uint64(len(field)))
		claims = append(claims, field...)
	}
	key := l.keys[0]
	token := key.ID + "." + encode(claims) + "." + encode(key.sign(claims))
	if len(token) > MaxToken {
		return "", fmt.Errorf("unsubscribe: the token would be longer than %d bytes", MaxToken)
	}
	return token, nil
}

// Parse reads a token. The error wraps [ErrMalformed], [ErrForged] or [ErrExpired];
// for the last one the subject is returned all the same, because it is genuine.
func (l *Links) Parse(token string) (Subject, error) {
	parts := strings.Split(token, ".")
	if len(token) > MaxToken || len(parts) != 3 || !keyID.MatchString(parts[0]) {
		return Subject{}, ErrMalformed
	}
	claims, err := decode(parts[1])
	if err != nil {
		return Subject{}, ErrMalformed
	}
	signature, err := decode(parts[2])
	if err != nil || len(signature) != sha256.Size {
		return Subject{}, ErrMalformed
	}
	// Nothing of the claims is looked at before the signature.
	if !l.signed(parts[0], claims, signature) {
		return Subject{}, ErrForged
	}
	subject, expires, err := read(claims)
	if err != nil {
		return Subject{}, err
	}
	if l.now().After(expires) {
		return subject, ErrExpired
	}
	return subject, nil
}

func (l *Links) signed(id string, claims, signature []byte) bool {
	for _, key := range l.keys {
		if key.ID == id {
			return hmac.Equal(key.sign(claims), signature)
		}
	}
	return false
}

// purpose keeps signatures of the same key for other things apart.
const purpose = "signalbox unsubscribe\x00"

// sign signs the ID of the key, too.
func (k Key) sign(claims []byte) []byte {
	mac := hmac.New(sha256.New, k.Secret)
	mac.Write([]byte(purpose + k.ID + "\x00"))
	mac.Write(claims)
	return mac.Sum(nil)
}

// read takes claims apart, which were signed, but maybe by another version.
func read(claims []byte) (subject Subject, expires time.Time, err error) {
	if len(claims) == 0 || claims[0] != version {
		return Subject{}, time.Time{}, ErrMalformed
	}
	rest := claims[1:]
	seconds, n := binary.Varint(rest)
	if n <= 0 {
		return Subject{}, time.Time{}, ErrMalformed
	}
	rest = rest[n:]
	for _, field := range []*string{&subject.User, &subject.Channel, &subject.Origin, &subject.Topic} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return Subject{}, time.Time{}, ErrMalformed
		}
		*field = string(rest[n : n+int(length)])
		rest = rest[n+int(length):]
	}
	if len(rest) > 0 {
		return Subject{}, time.Time{}, ErrMalformed
	}
	return subject, time.Unix(seconds, 0), nil
}

// strict has one text for the same bytes.
var strict = base64.RawURLEncoding.Strict()

func encode(b []byte) string { return strict.EncodeToString(b) }

func decode(s string) ([]byte, error) {
	// The decoder passes over line ends.
	if strings.ContainsAny(s, "\r\n") {
		return nil, ErrMalformed
	}
	return strict.DecodeString(s)
}
