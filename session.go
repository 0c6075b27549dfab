package signalbox

import (
	"context"
	"time"
)

// MaxSessions is how many sessions a user can have; one more ends the one that was
// used least recently.
const MaxSessions = 50

// Session is a user who signed in to the page.
type Session struct {
	// ID is the SHA-256, in hexadecimal digits, of what the browser has. The store never
	// sees the thing itself.
	ID string
	// User is the canonical reference, Subject the identity provider's own name for it.
	User, Subject string
	// Groups are the references of the user's groups as the provider told them.
	Groups []string
	// Created is when the user signed in, Seen when the session was last used, give or
	// take a minute, and Expires when it ends at the latest.
	Created, Seen, Expires time.Time
	// Renew is when the provider is to be asked whether the session may go on; zero for
	// never.
	Renew time.Time
	// Sealed is what the provider is asked with, encrypted with a key that only the
	// browser has; nil for nothing.
	Sealed []byte
}

// SessionStore keeps sessions, for all instances. Times are kept to the microsecond.
// Implementations must be safe for concurrent use.
type SessionStore interface {
	// AddSession keeps a new session. If the user has more than [MaxSessions] now, the
	// ones used least recently end.
	AddSession(ctx context.Context, session Session) error
	// SessionByID returns a session; found is false if there is none, or no more. One
	// that has expired may be found until it is deleted.
	SessionByID(ctx context.Context, id string) (session Session, found bool, err error)
	// TouchSession notes that a session was used. An earlier time changes nothing, nor
	// does a session that has ended.
	TouchSession(ctx context.Context, id string, seen time.Time) error
	// ClaimRenewal moves Renew from due to next, and reports whether it was this call
	// that did: of those who find the session due, one asks the provider.
	ClaimRenewal(ctx context.Context, id string, due, next time.Time) (mine bool, err error)
	// RenewSession replaces Groups, Renew and Sealed of a session that has not ended.
	RenewSession(ctx context.Context, session Session) error
	// EndSession ends a session. It is no error if it has ended.
	EndSession(ctx context.Context, id string) error
	// EndSessionsOf ends all sessions of a user and returns how many there were.
	EndSessionsOf(ctx context.Context, user string) (int, error)
	// EndedSessions returns those of the identifiers whose session has ended, expired,
	// or was last used before seen.
	EndedSessions(ctx context.Context, ids []string, now, seen time.Time) ([]string, error)
}
