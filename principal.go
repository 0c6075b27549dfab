package signalbox

import "time"

// Principal is who a credential speaks for. It is sealed to the two kinds
// below; every endpoint says which it takes.
type Principal interface {
	// Subject is the user's canonical reference, or the service's subject,
	// which becomes the origin of what it sends, verbatim.
	Subject() string
	principal()
}

// UserPrincipal is a person. It may read and change its own inbox, and may not
// send.
type UserPrincipal struct {
	// Ref is the canonical user reference.
	Ref string
	// Ownership are the references the user owns things as: its own, its
	// groups'. Ref is always among them.
	Ownership []string
	// ReadOnly is set for credentials that may read and not change anything.
	ReadOnly bool
	// Expires is when the credential ends, and with it a connection that was made
	// with it; zero if it does not.
	Expires time.Time
	// Guest is set for who did not prove to be this user.
	Guest bool
	// Token is what it authenticated with, if that was an API token.
	Token TokenUse
	// Session identifies the session that it signed in to, which may end before
	// Expires; empty for other credentials. It is no secret.
	Session string
}

// Subject returns the user's canonical reference.
func (p UserPrincipal) Subject() string { return p.Ref }
func (UserPrincipal) principal()        {}

// ServicePrincipal is a program. It may send, and has no inbox.
type ServicePrincipal struct {
	// Name is the subject of its credential, verbatim.
	Name string
	// Token is what it authenticated with, if that was an API token.
	Token TokenUse
}

// TokenUse tells that somebody came with an API token. The zero value is another
// kind of credential.
type TokenUse struct {
	// ID is the token's.
	ID string
	// Admin is whether it has [TokenAdmin].
	Admin bool
}

// Subject returns the service's subject.
func (p ServicePrincipal) Subject() string { return p.Name }
func (ServicePrincipal) principal()        {}
