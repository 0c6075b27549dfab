package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// MinTokenLength is the least length of a static token in characters, as in
// Backstage.
const MinTokenLength = 8

// Digest is the SHA-256 of a token: enough to recognise it, and not enough to
// be it. It prints as "[redacted]".
type Digest [sha256.Size]byte

// String hides the digest.
func (Digest) String() string { return "[redacted]" }

// GoString hides the digest from %#v.
func (Digest) GoString() string { return "[redacted]" }

// ParseDigest returns the digest of a token that is given either as it is, or
// as "sha256:" and the 64 hexadecimal digits of its SHA-256. A token as it is
// has at least [MinTokenLength] characters and no white space, which could not
// travel in a header. Errors do not hold the text.
func ParseDigest(secret string) (Digest, error) {
	if digits, ok := strings.CutPrefix(secret, "sha256:"); ok {
		var digest Digest
		if n, err := hex.Decode(digest[:], []byte(digits)[:min(len(digits), 2*len(digest))]); err != nil ||
			n != len(digest) || len(digits) != 2*len(digest) {
			return Digest{}, errors.New(`a hashed token must be "sha256:" and 64 hexadecimal digits`)
		}
		return digest, nil
	}
	if utf8.RuneCountInString(secret) < MinTokenLength {
		return Digest{}, fmt.Errorf("a token must have at least %d characters", MinTokenLength)
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return Digest{}, errors.New("a token must not contain white space or control characters")
	}
	return sha256.Sum256([]byte(secret)), nil
}

// StaticToken is a service's credential that the operator chose.
type StaticToken struct {
	// Digest recognises the token.
	Digest Digest
	// Subject becomes the origin of what the service sends, verbatim. 1 to
	// [signalbox.MaxOrigin] characters.
	Subject string
	// Plugins restricts the token to the APIs of these Backstage plugins
	// ("notifications", "signals"). Nil does not restrict.
	Plugins []string
}

// StaticTokens recognises services by the static tokens of the configuration.
// It holds their digests only.
type StaticTokens struct {
	tokens []StaticToken
}

// NewStaticTokens checks the tokens and returns their authenticator. Two
// entries with the same token are an error: one token, one origin.
func NewStaticTokens(tokens []StaticToken) (*StaticTokens, error) {
	seen := make(map[Digest]int, len(tokens))
	for i, token := range tokens {
		switch {
		case token.Digest == Digest{}:
			return nil, fmt.Errorf("static token %d: has no token", i)
		case strings.TrimSpace(token.Subject) == "":
			return nil, fmt.Errorf("static token %d: has no subject", i)
		case !utf8.ValidString(token.Subject) || strings.ContainsFunc(token.Subject, unicode.IsControl):
			return nil, fmt.Errorf("static token %d: the subject has control characters or is not UTF-8", i)
		case utf8.RuneCountInString(token.Subject) > signalbox.MaxOrigin:
			return nil, fmt.Errorf("static token %d: the subject has more than %d characters", i, signalbox.MaxOrigin)
		}
		if first, ok := seen[token.Digest]; ok {
			return nil, fmt.Errorf("static token %d: is the same token as number %d", i, first)
		}
		seen[token.Digest] = i
	}
	return &StaticTokens{tokens: slices.Clone(tokens)}, nil
}

// Authenticate implements [Authenticator].
func (s *StaticTokens) Authenticate(_ context.Context, credentials Credentials) (signalbox.Principal, error) {
	if credentials.Token == "" {
		return nil, ErrNotMine
	}
	digest := sha256.Sum256([]byte(credentials.Token))
	// All of them are compared, whether or not one matched, so that the time
	// tells nothing about them.
	match := -1
	for i := range s.tokens {
		equal := subtle.ConstantTimeCompare(s.tokens[i].Digest[:], digest[:])
		match = subtle.ConstantTimeSelect(equal, i, match)
	}
	if match < 0 {
		return nil, ErrNotMine
	}
	token := &s.tokens[match]
	if token.Plugins != nil && !slices.Contains(token.Plugins, credentials.Plugin) {
		return nil, signalbox.Errorf(signalbox.CodeNotAllowed,
			"This token's access is restricted to plugin(s) '%s'", strings.Join(token.Plugins, "', '"))
	}
	return signalbox.ServicePrincipal{Name: token.Subject}, nil
}
