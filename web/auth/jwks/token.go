package jwks

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken bounds a token, in bytes; it is the most that Backstage issues. A
// header that carries one must be allowed to be as large.
const MaxToken = 32_768

// Token is what a token says. Whether it is true, only [Verifier.Verify] tells.
type Token struct {
	// Type is the typ header, Algorithm the alg header; empty if not there.
	Type, Algorithm string
	// Claims are the claims, as encoding/json reads them.
	Claims map[string]any
}

var errMalformed = errors.New("it is not a signed JSON Web Token")

// Peek reads a token without checking it: whom it claims to be of, so that the
// one who can check it does. It fails for what is larger than [MaxToken] and for
// what is no JSON Web Token; the error holds no part of it. What it returns
// shares no memory with the token.
func Peek(token string) (Token, error) {
	parsed, err := parse(token)
	if err != nil {
		return Token{}, err
	}
	return fromLibrary(parsed), nil
}

func parse(token string) (*jwt.Token, error) {
	if !wellFormed(token) {
		return nil, errMalformed
	}
	// It refuses algorithms that it does not know, and knows more than are allowed.
	parsed, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(token, jwt.MapClaims{})
	if err != nil || parsed.Claims == nil {
		return nil, errMalformed
	}
	return parsed, nil
}

// wellFormed looks at what the library is lenient in: the length, and line
// breaks, which Go's base64 skips.
func wellFormed(token string) bool {
	if token == "" || len(token) > MaxToken {
		return false
	}
	for i := range len(token) {
		switch c := token[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

func fromLibrary(parsed *jwt.Token) Token {
	token := Token{Claims: map[string]any{}}
	token.Type, _ = parsed.Header["typ"].(string)
	token.Algorithm, _ = parsed.Header["alg"].(string)
	if claims, ok := parsed.Claims.(jwt.MapClaims); ok && claims != nil {
		token.Claims = claims
	}
	return token
}

// Text returns a claim that is text; empty if it is not there or is no text.
func (t Token) Text(claim string) string {
	text, _ := t.Claims[claim].(string)
	return text
}

// Texts returns a claim that is text or a list of it. It returns false if it is
// not there or is anything else.
func (t Token) Texts(claim string) ([]string, bool) {
	switch value := t.Claims[claim].(type) {
	case string:
		return []string{value}, true
	case []any:
		texts := make([]string, 0, len(value))
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, false
			}
			texts = append(texts, text)
		}
		return texts, true
	}
	return nil, false
}

// Subject is the sub claim, Issuer the iss claim; empty if it is not there.
func (t Token) Subject() string { return t.Text("sub") }

// Issuer is the iss claim; empty if it is not there.
func (t Token) Issuer() string { return t.Text("iss") }

// Expires is the exp claim; zero if it is not there.
func (t Token) Expires() time.Time {
	seconds, ok := t.Claims["exp"].(float64)
	if !ok || !validDate(seconds) {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// validDate reports whether a NumericDate is one up to the year 9999: beyond that
// conversions overflow, and what lies far ahead would turn to be long gone.
func validDate(seconds float64) bool { return seconds >= 0 && seconds < 253_402_300_800 }
