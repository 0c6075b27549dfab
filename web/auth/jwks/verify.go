package jwks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signalbox/signalbox"
)

// ErrInvalid is wrapped by the error of a token that is refused for good.
var ErrInvalid = errors.New("the token is not valid")

// ErrUnavailable is wrapped by the error of a token that cannot be checked now:
// its issuer's keys cannot be had.
var ErrUnavailable = errors.New("the keys to check the token with cannot be had now")

// retryAfter is when to try again if keys cannot be had.
const retryAfter = 5 * time.Second

// Coded turns an error of [Verifier.Verify] into one that callers of the API may
// see: CodeUnavailable for [ErrUnavailable], else CodeAuthentication with the
// message. It wraps the error, for the log.
func Coded(err error, message string) error {
	if errors.Is(err, ErrUnavailable) {
		return signalbox.Unavailable("The token cannot be checked now", retryAfter, err)
	}
	return &signalbox.Error{Code: signalbox.CodeAuthentication, Message: message, Err: err}
}

// Rules are what a token must keep to be accepted. That it has an expiry (exp)
// which is ahead, and a start (nbf) which is not, is not up to configuration;
// nor is that it has no critical extensions (RFC 7515, crit), since none is
// understood.
type Rules struct {
	// Algorithms are the ones accepted, a part of [Algorithms]. Defaults to all of
	// them.
	Algorithms []string
	// Types are the accepted typ headers, verbatim; "" is one that is not there.
	// Defaults to any.
	Types []string
	// Audiences are the accepted audiences: one of them must be among those of the
	// token. Defaults to not looking, which accepts tokens that are meant for
	// others.
	Audiences []string
	// Issuers are the accepted issuers (iss), verbatim. Defaults to not looking:
	// the keys are the issuer's.
	Issuers []string
	// Required names claims that must be there besides exp.
	Required []string
	// Leeway is by how much clocks may differ. Defaults to nothing.
	Leeway time.Duration
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Verifier checks tokens by rules. It is safe for concurrent use.
type Verifier struct {
	rules  Rules
	parser *jwt.Parser
	claims *jwt.Validator
}

// NewVerifier checks the rules. Symmetric algorithms and "none" are an error.
func NewVerifier(rules Rules) (*Verifier, error) {
	if rules.Algorithms == nil {
		rules.Algorithms = Algorithms()
	}
	if len(rules.Algorithms) == 0 {
		return nil, errors.New("there must be an algorithm")
	}
	for _, algorithm := range rules.Algorithms {
		if !slices.Contains(Algorithms(), algorithm) {
			return nil, fmt.Errorf("algorithm %q is not allowed, expected one of %s", algorithm, strings.Join(Algorithms(), ", "))
		}
	}
	return newVerifier(rules)
}

func newVerifier(rules Rules) (*Verifier, error) {
	switch {
	case slices.Contains(rules.Audiences, ""):
		return nil, errors.New("an audience must not be empty")
	case slices.Contains(rules.Issuers, ""):
		return nil, errors.New("an issuer must not be empty")
	case rules.Leeway < 0:
		return nil, errors.New("the leeway must not be negative")
	}
	if rules.Now == nil {
		rules.Now = time.Now
	}
	rules.Algorithms, rules.Types = slices.Clone(rules.Algorithms), slices.Clone(rules.Types)
	rules.Audiences, rules.Issuers = slices.Clone(rules.Audiences), slices.Clone(rules.Issuers)
	rules.Required = slices.Clone(rules.Required)
	options := []jwt.ParserOption{
		jwt.WithValidMethods(rules.Algorithms), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithLeeway(rules.Leeway), jwt.WithTimeFunc(rules.Now),
	}
	if len(rules.Audiences) > 0 {
		options = append(options, jwt.WithAudience(rules.Audiences...))
	}
	return &Verifier{rules: rules, parser: jwt.NewParser(options...), claims: jwt.NewValidator(options...)}, nil
}

// Verify checks a token and returns what it says. Everything that needs no key
// is looked at first, so that a token which cannot pass makes nobody fetch keys.
//
// The error wraps [ErrInvalid] or [ErrUnavailable] and says what is wrong without
// holding any part of the token.
func (v *Verifier) Verify(ctx context.Context, token string, keys Keys) (Token, error) {
	return v.verify(token, func(id, algorithm string) (any, error) {
		found, err := keys.Find(ctx, id, algorithm)
		if err != nil {
			return nil, err
		}
		set := jwt.VerificationKeySet{Keys: make([]jwt.VerificationKey, len(found))}
		for i, public := range found {
			set.Keys[i] = public
		}
		return set, nil
	})
}

func (v *Verifier) verify(token string, find func(id, algorithm string) (any, error)) (Token, error) {
	if !wellFormed(token) {
		return Token{}, invalid(errMalformed)
	}
	var refused error
	parsed, err := v.parser.Parse(token, func(unverified *jwt.Token) (any, error) {
		var key any
		if refused = v.check(unverified); refused != nil {
			return nil, refused
		}
		id, _ := unverified.Header["kid"].(string)
		key, refused = find(id, unverified.Method.Alg())
		return key, refused
	})
	switch {
	case err == nil:
		return fromLibrary(parsed), nil
	case errors.Is(refused, ErrUnavailable):
		return Token{}, refused
	case refused != nil:
		return Token{}, invalid(refused)
	}
	// The library's own words can hold parts of the token.
	return Token{}, invalid(reason(err))
}

// check looks at all of a token but its signature.
func (v *Verifier) check(token *jwt.Token) error {
	if _, ok := token.Header["crit"]; ok {
		return errors.New("it has critical extensions")
	}
	if kid, ok := token.Header["kid"]; ok {
		if _, text := kid.(string); !text {
			return errors.New("its key identifier is no text")
		}
	}
	read := fromLibrary(token)
	if typ, ok := token.Header["typ"]; ok && typ != read.Type {
		return errors.New("its type is no text")
	}
	if v.rules.Types != nil && !slices.Contains(v.rules.Types, read.Type) {
		return errors.New("it is of another type")
	}
	for _, claim := range []string{"exp", "nbf", "iat"} {
		if value, ok := read.Claims[claim]; ok {
			if seconds, ok := value.(float64); !ok || !validDate(seconds) {
				return fmt.Errorf("its %s is not a time", claim)
			}
		}
	}
	for _, claim := range v.rules.Required {
		if value := read.Claims[claim]; value == nil || value == "" {
			return fmt.Errorf("it has no %s", claim)
		}
	}
	if len(v.rules.Issuers) > 0 && !slices.Contains(v.rules.Issuers, read.Issuer()) {
		return errors.New("it is of another issuer")
	}
	if err := v.claims.Validate(token.Claims); err != nil {
		return reason(err)
	}
	return nil
}

func invalid(reason error) error { return fmt.Errorf("%w: %w", ErrInvalid, reason) }

// reason says what the library found, in words of our own.
func reason(err error) error {
	for _, known := range []struct {
		is    error
		words string
	}{
		{jwt.ErrTokenRequiredClaimMissing, "it has no expiry or no audience"},
		{jwt.ErrTokenExpired, "it has expired"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"},
		{jwt.ErrTokenInvalidAudience, "it is meant for another audience"},
		{jwt.ErrTokenSignatureInvalid, "its signature or algorithm is not accepted"},
	} {
		if errors.Is(err, known.is) {
			return errors.New(known.words)
		}
	}
	return errMalformed
}
