// Package identity owns how what others say about a caller becomes a principal:
// the claims of a token, the headers of a proxy. Whether it is true is the business
// of those that use it.
//
// It may import the root package, package auth and the standard library.
package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// Form says how a text names a user or a group.
type Form string

// The forms.
const (
	// Name is the name of the entity; its kind and namespace are configured.
	Name Form = "name"
	// Email is an email address of an allowed domain, whose local part is the name.
	// For users only.
	Email Form = "email"
	// Reference is a whole reference, as in user:default/jane. Whoever issues it may
	// name users of all namespaces.
	Reference Form = "reference"
)

// UserRule says how a text becomes the reference of a user.
type UserRule struct {
	// Claim is where the text is: the name of a claim, or of claims within each
	// other, separated by dots.
	Claim string
	// Form defaults to [Email] for the claim "email", else to [Name].
	Form Form
	// Namespace is the one of the users. Defaults to [signalbox.DefaultNamespace].
	// Not for [Reference].
	Namespace string
	// Domains are the domains of addresses; a subdomain is another one. Required for
	// [Email], and for it only: without, jane@ anywhere would be the same Jane.
	Domains []string
}

// GroupRule says how a list of texts becomes references of groups. What makes no
// reference is left out: nobody can address such a group.
type GroupRule struct {
	// Claim is where the list is, as in [UserRule]: a list of texts, or one text.
	Claim string
	// Form is [Name], the default, or [Reference].
	Form Form
	// Namespace is as in [UserRule].
	Namespace string
}

// ServiceRule says how a text becomes the subject of a service.
type ServiceRule struct {
	// Claim is where the text is, as in [UserRule].
	Claim string
	// Prefix stands before the text, with a colon, so that nobody can name itself as
	// another kind of service does. Defaults to "external".
	Prefix string
	// When tells services from users. Required if there are users as well: a claim
	// that happens to be missing must not make a user a service.
	When *Condition
}

// Condition is met by claims.
type Condition struct {
	// Claim is looked at, as in [UserRule].
	Claim string
	// Value is what it must be, or have among others; empty for any.
	Value string
}

// MaxGroups bounds the groups that are taken from a token or a header.
const MaxGroups = 1_000

func (r UserRule) complete() (UserRule, error) {
	if r.Claim == "" {
		return r, errors.New("user: the claim is missing")
	}
	if r.Form == "" {
		r.Form = Name
		if r.Claim == "email" {
			r.Form = Email
		}
	}
	switch r.Form {
	case Name, Email, Reference:
	default:
		return r, fmt.Errorf("user: unknown form %q", r.Form)
	}
	if (r.Form == Email) != (len(r.Domains) > 0) {
		return r, errors.New("user: domains are needed for email addresses, and only for them")
	}
	domains := make([]string, len(r.Domains))
	for i, domain := range r.Domains {
		if domain == "" || strings.ContainsAny(domain, "@*/ \t") {
			return r, fmt.Errorf("user: %q is not a domain", domain)
		}
		domains[i] = strings.ToLower(domain)
	}
	r.Domains = domains
	var err error
	r.Namespace, err = completeNamespace(r.Form, r.Namespace)
	return r, wrapped("user", err)
}

func (r GroupRule) complete() (GroupRule, error) {
	switch {
	case r.Claim == "":
		return r, errors.New("groups: the claim is missing")
	case r.Form == "":
		r.Form = Name
	case r.Form != Name && r.Form != Reference:
		return r, fmt.Errorf("groups: unknown form %q", r.Form)
	}
	var err error
	r.Namespace, err = completeNamespace(r.Form, r.Namespace)
	return r, wrapped("groups", err)
}

func (r ServiceRule) complete(users bool) (ServiceRule, error) {
	if r.Prefix == "" {
		r.Prefix = "external"
	}
	switch {
	case r.Claim == "":
		return r, errors.New("service: the claim is missing")
	case !subject(r.Prefix) || len(r.Prefix) > signalbox.MaxOrigin/2:
		return r, errors.New("service: the prefix has spaces or control characters, or is too long")
	case users && r.When == nil:
		return r, errors.New("service: when is missing: it tells services from users")
	case r.When != nil && r.When.Claim == "":
		return r, errors.New("service: when has no claim")
	}
	return r, nil
}

func wrapped(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func completeNamespace(form Form, namespace string) (string, error) {
	if form == Reference {
		if namespace != "" {
			return "", errors.New("a reference has a namespace of its own")
		}
		return "", nil
	}
	if namespace == "" {
		return signalbox.DefaultNamespace, nil
	}
	ref, err := signalbox.ParseEntityRef("user:" + namespace + "/x")
	if err != nil {
		return "", fmt.Errorf("%q is not a namespace", namespace)
	}
	return ref.Namespace, nil
}

// ref makes the reference. The error does not hold the text.
func (r UserRule) ref(text string) (string, error) {
	switch r.Form {
	case Reference:
		ref, err := signalbox.ParseEntityRef(text)
		if err != nil || !ref.IsUser() {
			return "", errors.New("it is not the reference of a user")
		}
		return ref.String(), nil
	case Email:
		at := strings.LastIndexByte(text, '@')
		if at < 0 || !slices.Contains(r.Domains, strings.ToLower(text[at+1:])) {
			return "", errors.New("it is not an email address of an allowed domain")
		}
		text = text[:at]
	}
	ref, err := signalbox.NormalizeEntityRef("user:" + r.Namespace + "/" + text)
	if err != nil {
		return "", errors.New("it is not the name of an entity: 1 to 63 of a-z, 0-9, '-', '_' and '.'")
	}
	return ref, nil
}

// refs makes the references, each once.
func (r GroupRule) refs(texts []string) ([]string, error) {
	if len(texts) > MaxGroups {
		return nil, fmt.Errorf("it has more than %d groups", MaxGroups)
	}
	refs := make([]string, 0, len(texts))
	seen := make(map[string]bool, len(texts))
	for _, text := range texts {
		if r.Form == Name {
			text = "group:" + r.Namespace + "/" + text
		}
		ref, err := signalbox.ParseEntityRef(text)
		// A claim for groups must not make anybody own what a user does.
		if err != nil || ref.IsUser() || seen[ref.String()] {
			continue
		}
		seen[ref.String()] = true
		refs = append(refs, ref.String())
	}
	return refs, nil
}

func (r ServiceRule) name(text string) (string, error) {
	name := r.Prefix + ":" + text
	if !subject(text) || utf8.RuneCountInString(name) > signalbox.MaxOrigin {
		return "", fmt.Errorf("it is empty, has spaces or control characters, or makes more than %d characters", signalbox.MaxOrigin)
	}
	return name, nil
}

// subject reports whether a text can be of the subject of a service.
func subject(text string) bool {
	return text != "" && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
