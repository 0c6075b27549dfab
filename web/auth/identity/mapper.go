package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
)

// Config configures a [Mapper].
type Config struct {
	// User, Groups and Service are the rules. At least one of User and Service is
	// required.
	User    *UserRule
	Groups  *GroupRule
	Service *ServiceRule
	// Ownership tells what users own things as if there is no rule for groups.
	// Defaults to nobody: a user owns things as itself alone.
	Ownership auth.Ownership
	// Logger gets what Ownership cannot tell. Defaults to discarding it.
	Logger *slog.Logger
}

// Mapper makes principals by rules. It is safe for concurrent use.
type Mapper struct {
	user      *UserRule
	groups    *GroupRule
	service   *ServiceRule
	ownership auth.Ownership
	log       *slog.Logger
}

// NewMapper checks the rules.
func NewMapper(config Config) (*Mapper, error) {
	m := &Mapper{ownership: config.Ownership, log: config.Logger}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if config.User == nil && config.Service == nil {
		return nil, errors.New("there must be a rule for users or for services")
	}
	if config.User != nil {
		rule, err := config.User.complete()
		if err != nil {
			return nil, err
		}
		m.user = &rule
	}
	if config.Groups != nil {
		rule, err := config.Groups.complete()
		if err != nil {
			return nil, err
		}
		m.groups = &rule
	}
	if config.Service != nil {
		rule, err := config.Service.complete(config.User != nil)
		if err != nil {
			return nil, err
		}
		m.service = &rule
	}
	return m, nil
}

// Claims are what is said about a caller, as encoding/json reads it.
type Claims map[string]any

// find returns a claim by its name, or by the names of claims within each other.
func (c Claims) find(path string) (any, bool) {
	if value, ok := c[path]; ok {
		return value, value != nil
	}
	// A name may have dots itself, as URLs do: the longest one wins.
	for at := len(path) - 1; at > 0; at-- {
		if path[at] != '.' {
			continue
		}
		if inner, ok := c[path[:at]].(map[string]any); ok {
			if value, ok := Claims(inner).find(path[at+1:]); ok {
				return value, true
			}
		}
	}
	return nil, false
}

// texts returns a claim that is text or a list of it; none if it is not there.
func (c Claims) texts(path string) (texts []string, ok bool) {
	value, present := c.find(path)
	if !present {
		return nil, true
	}
	switch value := value.(type) {
	case string:
		return []string{value}, true
	case []any:
		for _, element := range value {
			text, isText := element.(string)
			if !isText {
				return nil, false
			}
			texts = append(texts, text)
		}
		return texts, true
	}
	return nil, false
}

// User is who a user is by its claims.
type User struct {
	// Ref is the canonical reference.
	Ref string
	// Groups are the references of its groups; nil if there is no rule for them.
	Groups []string
}

// Principal returns who the claims speak for. Whether it is a service or a user is
// decided by the rules alone, in this order: with a rule for one kind only, it is of
// that kind; with both, it is a service if [ServiceRule.When] is met, else a user.
//
// An error is a [signalbox.Error] with CodeAuthentication, which names the claim at
// fault and holds nothing of its value.
func (m *Mapper) Principal(ctx context.Context, claims Claims, expires time.Time) (signalbox.Principal, error) {
	if m.isService(claims) {
		text, err := m.one(claims, m.service.Claim)
		if err != nil {
			return nil, err
		}
		name, err := m.service.name(text)
		if err != nil {
			return nil, refuse(m.service.Claim, "makes no service: "+err.Error())
		}
		return signalbox.ServicePrincipal{Name: name}, nil
	}
	user, err := m.User(claims)
	if err != nil {
		return nil, err
	}
	return signalbox.UserPrincipal{Ref: user.Ref, Ownership: m.Owned(ctx, user), Expires: expires}, nil
}

func (m *Mapper) isService(claims Claims) bool {
	if m.service == nil || m.service.When == nil {
		return m.user == nil
	}
	value, present := claims.find(m.service.When.Claim)
	if want := m.service.When.Value; present && want != "" {
		if texts, ok := claims.texts(m.service.When.Claim); ok {
			return slices.Contains(texts, want)
		}
		return fmt.Sprint(value) == want
	}
	return present
}

// User returns the user of the claims. Errors are as for [Mapper.Principal].
func (m *Mapper) User(claims Claims) (User, error) {
	if m.user == nil {
		return User{}, signalbox.Errorf(signalbox.CodeAuthentication, "These credentials are not of a service")
	}
	text, err := m.one(claims, m.user.Claim)
	if err != nil {
		return User{}, err
	}
	if m.user.Form == Email && m.user.Claim == "email" {
		// Absent is taken for verified: many providers have no addresses but their own,
		// and leave the claim out.
		if verified, ok := claims["email_verified"]; ok && fmt.Sprint(verified) != "true" {
			return User{}, refuse(m.user.Claim, "makes no user: the address is not verified")
		}
	}
	ref, err := m.user.ref(text)
	if err != nil {
		return User{}, refuse(m.user.Claim, "makes no user: "+err.Error())
	}
	user := User{Ref: ref}
	if m.groups != nil {
		texts, ok := claims.texts(m.groups.Claim)
		if !ok {
			return User{}, refuse(m.groups.Claim, "makes no groups: it is not a list of texts")
		}
		if user.Groups, err = m.groups.refs(texts); err != nil {
			return User{}, refuse(m.groups.Claim, "makes no groups: "+err.Error())
		}
	}
	return user, nil
}

// ownershipTimeout bounds how long a user waits for a directory that is away.
const ownershipTimeout = time.Second

// Owned are the references that a user owns things as. Without a rule for groups the
// directory is asked; a user whose groups it cannot tell now is let in all the same.
func (m *Mapper) Owned(ctx context.Context, user User) []string {
	if m.groups != nil || m.ownership == nil {
		return append([]string{user.Ref}, user.Groups...)
	}
	ctx, cancel := context.WithTimeout(ctx, ownershipTimeout)
	defer cancel()
	owned, err := m.ownership.Ownership(ctx, user.Ref)
	if err != nil {
		m.log.LogAttrs(ctx, slog.LevelDebug, "the groups of a user are not known now",
			slog.String("user", user.Ref), slog.Any("error", err))
		return []string{user.Ref}
	}
	if !slices.Contains(owned, user.Ref) {
		owned = append([]string{user.Ref}, owned...)
	}
	return owned
}

// one returns a claim that is one text.
func (m *Mapper) one(claims Claims, claim string) (string, error) {
	value, present := claims.find(claim)
	if !present {
		return "", refuse(claim, "is missing")
	}
	text, ok := value.(string)
	if !ok || strings.TrimSpace(text) == "" {
		return "", refuse(claim, "is not a text, or empty")
	}
	return text, nil
}

func refuse(claim, why string) error {
	return signalbox.Errorf(signalbox.CodeAuthentication, "The claim %q %s", claim, why)
}
