package signalbox

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// TokenScope is something that an API token may do.
type TokenScope string

// The scopes of API tokens.
const (
	// TokenRead acts as the token's user, and only reads.
	TokenRead TokenScope = "read"
	// TokenInbox acts as the token's user, and reads and changes its inbox and
	// settings.
	TokenInbox TokenScope = "inbox"
	// TokenSend sends with the token's origin.
	TokenSend TokenScope = "send"
	// TokenAdmin goes with one of the others. It lets the token be an admin where
	// its user or origin is one; without it, no token is an admin's.
	TokenAdmin TokenScope = "admin"
)

// Limits of API tokens.
const (
	// MaxTokenName bounds the name of a token, in characters.
	MaxTokenName = 100
	// MaxTokens bounds the tokens of one user or origin that work.
	MaxTokens = 100
	// MaxKeptTokens bounds those that ended and are not deleted yet besides.
	MaxKeptTokens = 1_000
	// MaxTokenPage bounds a page of a list of tokens.
	MaxTokenPage = 500
)

// APIToken is a credential that somebody made here. What it is recognised by, its
// secret, was shown once; only the [TokenHash] of it is kept.
type APIToken struct {
	// ID is a UUIDv7 in its canonical form. It is no secret.
	ID string
	// Name is what its maker calls it.
	Name string
	// User is the canonical reference of the user that it acts as, Origin what it
	// sends with. One of them is empty.
	User, Origin string
	// Scopes are one of [TokenRead], [TokenInbox] (of a user) and [TokenSend] (of
	// an origin), and perhaps [TokenAdmin].
	Scopes []TokenScope
	// Creator is the subject of who made it.
	Creator string
	Created time.Time
	// Expires is when it stops working.
	Expires time.Time
	// Used is when it was last seen to be used, to within some minutes; zero if it
	// never was.
	Used time.Time
	// Revoked is when it was revoked; zero if it was not.
	Revoked time.Time
}

// TokenHash is the SHA-256 of a token's secret. It prints as "[redacted]".
type TokenHash [sha256.Size]byte

// HashToken hashes a secret. Secrets have 160 random bits, so that there is nothing
// for a slower hash to protect.
func HashToken(secret string) TokenHash { return sha256.Sum256([]byte(secret)) }

// String hides the hash.
func (TokenHash) String() string { return "[redacted]" }

// GoString hides the hash from %#v.
func (TokenHash) GoString() string { return "[redacted]" }

// Has reports whether the token has a scope.
func (t *APIToken) Has(scope TokenScope) bool { return slices.Contains(t.Scopes, scope) }

// Subject is who the token acts as: a user's reference, or an origin.
func (t *APIToken) Subject() string { return t.User + t.Origin }

// State is "active", "expired" or "revoked".
func (t *APIToken) State(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Expires.After(now):
		return "expired"
	default:
		return "active"
	}
}

// Validate checks the name, the scopes, and that they fit who the token acts as. It
// brings User and the order of Scopes into their canonical form. The error is an
// [Error] with [CodeInput] that names the field, as in "request/body/name".
func (t *APIToken) Validate() error {
	if strings.TrimSpace(t.Name) == "" {
		return invalid("request/body/name", "must NOT be empty")
	}
	if fault := textFault(t.Name, MaxTokenName, false); fault != "" {
		return invalid("request/body/name", "%s", fault)
	}
	if err := t.validateScopes(); err != nil {
		return err
	}
	if t.Has(TokenSend) {
		return t.validateOrigin()
	}
	switch ref, err := ParseEntityRef(t.User); {
	case t.Origin != "":
		return invalid("request/body/origin", "goes with the scope send only")
	case len(t.User) > MaxEntityRef, err != nil, !ref.IsUser():
		return invalid("request/body/user", "must be a user entity reference, such as user:default/jane")
	default:
		t.User = ref.String()
		return nil
	}
}

func (t *APIToken) validateScopes() error {
	const at = "request/body/scopes"
	kinds := 0
	for i, scope := range t.Scopes {
		switch scope {
		case TokenRead, TokenInbox, TokenSend:
			kinds++
		case TokenAdmin:
		default:
			return invalid(fmt.Sprintf("%s/%d", at, i), "must be equal to one of the allowed values: read, inbox, send, admin")
		}
		if slices.Contains(t.Scopes[:i], scope) {
			return invalid(at, "must NOT have duplicate items")
		}
	}
	if kinds != 1 {
		return invalid(at, "must have exactly one of read, inbox and send, and may have admin")
	}
	t.Scopes = slices.Clone(t.Scopes)
	slices.SortFunc(t.Scopes, func(a, b TokenScope) int { // admin is the last
		if a == b {
			return 0
		}
		if a == TokenAdmin {
			return 1
		}
		return -1
	})
	return nil
}

func (t *APIToken) validateOrigin() error {
	const at = "request/body/origin"
	if t.User != "" {
		return invalid("request/body/user", "goes with the scopes read and inbox only")
	}
	if t.Origin == "" || strings.ContainsFunc(t.Origin, unicode.IsSpace) {
		return invalid(at, "must not be empty or have spaces")
	}
	if fault := textFault(t.Origin, MaxOrigin, false); fault != "" {
		return invalid(at, "%s", fault)
	}
	return nil
}

// TokenFilter selects tokens: those of a user, those of an origin, or all.
type TokenFilter struct {
	User, Origin string
}

// TokenPage is a page of tokens, those made last first. Next is where the next page
// begins; empty if there is none.
type TokenPage struct {
	Tokens []APIToken
	Next   string
}

// TokenStore keeps API tokens. It must be safe for concurrent use. Its errors are
// [Transient] when the storage cannot tell or keep anything now; they hold no hash.
type TokenStore interface {
	// AddToken stores a valid token. It returns an [Error] with [CodeConflict] if
	// its user or origin has [MaxTokens] that work, or [MaxKeptTokens] that ended;
	// also when several are made at once.
	AddToken(ctx context.Context, token APIToken, hash TokenHash) error
	// TokenByHash returns the token with this hash, whether or not it still works,
	// or an [Error] with [CodeNotFound].
	TokenByHash(ctx context.Context, hash TokenHash) (APIToken, error)
	// Token returns a token, or an [Error] with [CodeNotFound].
	Token(ctx context.Context, id string) (APIToken, error)
	// Tokens lists up to limit tokens that are older than the one that cursor, the
	// Next of an earlier page, names; "" begins. An unknown cursor is an [Error]
	// with [CodeInput].
	Tokens(ctx context.Context, filter TokenFilter, cursor string, limit int) (TokenPage, error)
	// RevokeToken ends a token for good, and reports whether it was this call that
	// did. One that is not there is no error.
	RevokeToken(ctx context.Context, id string) (revoked bool, err error)
	// TouchToken records when a token was used, unless a later use is known.
	TouchToken(ctx context.Context, id string, used time.Time) error
}
