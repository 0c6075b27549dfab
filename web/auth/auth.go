// Package auth owns who a request speaks for: it turns credentials into a
// [signalbox.Principal]. Which principals may do what is not its business; the
// route table of package web says that.
//
// It may import the root package and the standard library only. It knows
// nothing of Fiber: package web takes the credentials out of a request.
package auth

import (
	"context"
	"errors"
	"net/netip"

	"github.com/signalbox/signalbox"
)

// Credentials are what a request brought that says who it is.
type Credentials struct {
	// Token is the bearer token; empty if the request has none.
	Token string
	// Plugin is the Backstage plugin whose API is asked for, "notifications" or
	// "signals": credentials can be restricted to plugins.
	Plugin string
	// Method is the HTTP method.
	Method string
	// Session is the value of the session cookie; empty without one.
	Session string
	// Remote is who opened the connection: a proxy, if there is one.
	Remote netip.Addr
	// Header returns the value of a request header, and "" for one that is not there
	// or there more than once.
	Header func(name string) string
	// Headers returns all values of a request header, which tells one that is there
	// more than once from one that is not there.
	Headers func(name string) []string
	// Host is the Host header and Origin the Origin header, which browsers set
	// and pages cannot forge.
	Host   string
	Origin string
	// GuestUser and GuestGroups name who a guest wants to be: a user reference,
	// and group references separated by commas. Only [Guest] heeds them.
	GuestUser   string
	GuestGroups string
}

// ErrNotMine is returned by an [Authenticator] for credentials that are not of
// the kind it knows.
var ErrNotMine = errors.New("credentials are of another kind")

// Authenticator turns credentials into a principal.
type Authenticator interface {
	// Authenticate returns who the credentials speak for. It must return an
	// error wrapping [ErrNotMine] for credentials of a kind it does not know, so
	// that another may try; a [signalbox.Error] with CodeAuthentication for ones
	// that are invalid, CodeNotAllowed for ones that are restricted to something
	// else, and CodeUnavailable when it cannot tell now. No error may hold any
	// part of a credential. It must be safe for concurrent use and must not
	// retain the strings of the credentials.
	Authenticate(ctx context.Context, credentials Credentials) (signalbox.Principal, error)
}

// Chain asks authenticators in order until one knows the kind of credentials.
// If none does, the answer is CodeAuthentication: "Missing credentials" without
// a token, else "Invalid token"; it wraps [ErrNotMine], so that a chain can be part
// of another.
type Chain []Authenticator

// Authenticate implements [Authenticator].
func (c Chain) Authenticate(ctx context.Context, credentials Credentials) (signalbox.Principal, error) {
	for _, authenticator := range c {
		principal, err := authenticator.Authenticate(ctx, credentials)
		if err == nil || !errors.Is(err, ErrNotMine) {
			return principal, err
		}
	}
	message := "Invalid token"
	if credentials.Token == "" {
		message = "Missing credentials"
	}
	return nil, nobodysError{signalbox.Errorf(signalbox.CodeAuthentication, "%s", message)}
}

// nobodysError is the error of a chain none of whose members knows the credentials.
type nobodysError struct{ error }

func (e nobodysError) Unwrap() error { return e.error }

// Is makes it an [ErrNotMine].
func (nobodysError) Is(target error) bool { return target == ErrNotMine }
