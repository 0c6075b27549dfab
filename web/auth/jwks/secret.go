package jwks

import (
	"errors"
	"fmt"
	"slices"
)

// minSecret is the least length of a shared secret, in bytes. RFC 7518 wants 32
// for HS256; Backstage's documentation makes 24.
const minSecret = 16

// SecretVerifier checks tokens that are signed with a secret (HS256) which both
// sides share. It is apart from [Verifier] so that no configuration and no token
// can make a public key serve as a secret.
type SecretVerifier struct {
	verifier *Verifier
	secret   []byte
}

// NewSecretVerifier checks the rules, whose Algorithms must be nil, and the
// secret, which must have at least 16 bytes.
func NewSecretVerifier(secret []byte, rules Rules) (*SecretVerifier, error) {
	if rules.Algorithms != nil {
		return nil, errors.New("the algorithm of a secret is HS256")
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the secret must have at least %d bytes", minSecret)
	}
	rules.Algorithms = []string{"HS256"}
	verifier, err := newVerifier(rules)
	if err != nil {
		return nil, err
	}
	return &SecretVerifier{verifier: verifier, secret: slices.Clone(secret)}, nil
}

// Verify checks a token and returns what it says. The error wraps [ErrInvalid]
// and holds no part of the token.
func (v *SecretVerifier) Verify(token string) (Token, error) {
	return v.verifier.verify(token, func(string, string) (any, error) { return v.secret, nil })
}
