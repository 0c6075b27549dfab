package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
)

// redacted is what is seen of a hash.
const redacted = "[redacted]"

// TokenHash is the SHA-256 of a bearer token. It is enough to recognise the
// token, and not enough to be one. It hides itself all the same, because short
// tokens can be guessed from it.
type TokenHash [sha256.Size]byte

// HashToken returns the hash of a token.
func HashToken(token string) TokenHash { return sha256.Sum256([]byte(token)) }

// ParseTokenHash reads "sha256:" and 64 hexadecimal digits, the form of
// options.tokenHash. Errors do not hold the text.
func ParseTokenHash(s string) (TokenHash, error) {
	var hash TokenHash
	digits, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(digits) != hex.EncodedLen(len(hash)) {
		return TokenHash{}, errTokenHash
	}
	if _, err := hex.Decode(hash[:], []byte(digits)); err != nil {
		return TokenHash{}, errTokenHash
	}
	return hash, nil
}

var errTokenHash = errors.New(`must be "sha256:" and the 64 hexadecimal digits that "printf %s TOKEN | sha256sum" prints`)

// String hides the hash.
func (TokenHash) String() string { return redacted }

// GoString hides the hash from %#v.
func (TokenHash) GoString() string { return `configs.TokenHash("` + redacted + `")` }

// LogValue hides the hash from slog.
func (TokenHash) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the hash from encoders.
func (TokenHash) MarshalText() ([]byte, error) { return []byte(redacted), nil }
