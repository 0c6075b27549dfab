// Package jwks checks tokens that others signed: it owns the rules a JSON Web
// Token (RFC 7519) must keep and the public keys (RFC 7517) it is checked with,
// given or fetched from whoever issues the tokens. Who a token speaks for is the
// business of those that use it.
//
// It may import the root package and the libraries for tokens and keys. It knows
// nothing of HTTP servers, of Backstage or of configuration files.
package jwks

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are the signature algorithms (RFC 7518, RFC 8037) that a token may
// have, all of them asymmetric. "none" and the HMAC ones are not among them and
// cannot be configured: a public key must never serve as a shared secret.
func Algorithms() []string {
	return []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
}

// Bounds of a key set.
const (
	// maxKeys bounds the keys of one set. Backstage publishes one for each start
	// of an instance in the last three hours.
	maxKeys = 1_000
	// minRSA and maxRSA bound an RSA modulus, in bits: RFC 7518 demands the first,
	// and the time it takes to check a signature the second.
	minRSA = 2_048
	maxRSA = 8_192
)

// ErrUnknownKey is what a [Keys] answers when it knows for certain enough that
// there is no such key.
var ErrUnknownKey = errors.New("no key of the issuer fits the token")

// Keys finds the public keys that a token may have been signed with.
// Implementations must be safe for concurrent use.
type Keys interface {
	// Find returns the keys with an identifier that may sign with an algorithm, at
	// least one. Without an identifier it is the only key that fits the algorithm.
	// It must return an error wrapping [ErrUnknownKey] if there is none, and one
	// wrapping [ErrUnavailable] if it cannot tell now. Neither may hold the
	// identifier, which is part of a token.
	Find(ctx context.Context, id, algorithm string) ([]crypto.PublicKey, error)
}

// Set is a fixed set of public keys. It is a [Keys]. The zero value is empty.
type Set struct {
	keys []key
}

type key struct {
	id string
	// algorithm is the only one that the key is for; empty if it does not say.
	algorithm string
	public    crypto.PublicKey
}

// ParseSet reads a JSON Web Key Set. Keys that cannot check a signature of one of
// [Algorithms] are left out, as RFC 7517 has it: symmetric and private ones, ones
// for encryption, weak RSA keys, points off their curve. It is an error if the
// document is no key set, or has more than 1,000 keys.
func ParseSet(document []byte) (Set, error) {
	var parsed struct {
		Keys []json.RawMessage `json:"keys"`
	}
	// What is wrong with the document in detail would hold parts of it.
	if err := json.Unmarshal(document, &parsed); err != nil {
		return Set{}, errors.New("it is not a JSON object with keys")
	}
	if parsed.Keys == nil {
		return Set{}, errors.New("it has no keys member")
	}
	if len(parsed.Keys) > maxKeys {
		return Set{}, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	var set Set
	for _, raw := range parsed.Keys {
		if k, ok := parseKey(raw); ok {
			set.keys = append(set.keys, k)
		}
	}
	return set, nil
}

// parseKey returns false for a key that is not to be used.
func parseKey(raw json.RawMessage) (key, bool) {
	// Only what is used is handed to the library. Certificates are left aside: the
	// set is trusted for where it comes from.
	var members struct {
		Type       string   `json:"kty"`
		ID         string   `json:"kid,omitempty"`
		Algorithm  string   `json:"alg,omitempty"`
		Use        string   `json:"use,omitempty"`
		Operations []string `json:"key_ops,omitempty"`
		Curve      string   `json:"crv,omitempty"`
		X          string   `json:"x,omitempty"`
		Y          string   `json:"y,omitempty"`
		N          string   `json:"n,omitempty"`
		E          string   `json:"e,omitempty"`

		// With these, the library tells that it is no public key.
		Private   json.RawMessage `json:"d,omitempty"`
		Symmetric json.RawMessage `json:"k,omitempty"`
	}
	if err := json.Unmarshal(raw, &members); err != nil {
		return key{}, false
	}
	if members.Use != "" && members.Use != "sig" {
		return key{}, false
	}
	if members.Operations != nil && !slices.Contains(members.Operations, "verify") {
		return key{}, false
	}
	members.Operations = nil
	public, err := json.Marshal(members)
	if err != nil {
		return key{}, false
	}
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(public); err != nil || !parsed.Valid() || !parsed.IsPublic() {
		return key{}, false
	}
	k := key{id: parsed.KeyID, algorithm: parsed.Algorithm, public: parsed.Key}
	return k, slices.ContainsFunc(Algorithms(), k.fits)
}

// fits reports whether the key may sign with an algorithm. The elliptic curve
// belongs to the algorithm, which the token library does not look at.
func (k key) fits(algorithm string) bool {
	if k.algorithm != "" && k.algorithm != algorithm {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		bits := public.N.BitLen()
		return bits >= minRSA && bits <= maxRSA && public.E >= 3 && public.E&1 == 1 &&
			slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, algorithm)
	case *ecdsa.PublicKey:
		switch algorithm {
		case "ES256":
			return public.Curve == elliptic.P256()
		case "ES384":
			return public.Curve == elliptic.P384()
		case "ES512":
			return public.Curve == elliptic.P521()
		}
		return false
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// Find implements [Keys].
func (s Set) Find(_ context.Context, id, algorithm string) ([]crypto.PublicKey, error) {
	var found []crypto.PublicKey
	for _, k := range s.keys {
		if (id == "" || k.id == id) && k.fits(algorithm) {
			found = append(found, k.public)
		}
	}
	// A token that names no key leaves no choice, or is not for this set.
	if len(found) == 0 || (id == "" && len(found) > 1) {
		return nil, ErrUnknownKey
	}
	return found, nil
}

// Len is how many keys there are.
func (s Set) Len() int { return len(s.keys) }
