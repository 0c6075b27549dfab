package signalbox

import (
	"fmt"
	"regexp"
	"strings"
)

// EntityRef is a reference to an entity of the catalog, as in Backstage's
// catalog model: kind:namespace/name. Kind, namespace and name compare
// case-insensitively; [ParseEntityRef] folds them to lower case.
type EntityRef struct {
	Kind      string
	Namespace string
	Name      string
}

// DefaultNamespace is what a reference without a namespace means.
const DefaultNamespace = "default"

// Backstage's catalog model: 1 to 63 characters of [a-zA-Z0-9] with -_. inside.
var entityRefPart = regexp.MustCompile(`^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$`)

// ParseEntityRef reads "kind:namespace/name" or "kind:name" (namespace
// "default"). The kind is required: "jane" is an error, as it is for the
// senders of Backstage notifications.
func ParseEntityRef(s string) (EntityRef, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || strings.TrimSpace(kind) == "" {
		return EntityRef{}, fmt.Errorf("entity reference %q had missing or empty kind (e.g. did not start with \"component:\" or similar)", s)
	}
	namespace, name, ok := strings.Cut(rest, "/")
	if !ok {
		namespace, name = DefaultNamespace, rest
	}
	ref := EntityRef{
		Kind:      strings.ToLower(kind),
		Namespace: strings.ToLower(namespace),
		Name:      strings.ToLower(name),
	}
	for _, part := range []struct{ what, value string }{
		{"kind", ref.Kind}, {"namespace", ref.Namespace}, {"name", ref.Name},
	} {
		if !entityRefPart.MatchString(part.value) {
			return EntityRef{}, fmt.Errorf("entity reference %q has an invalid %s: expected kind:namespace/name, each 1 to 63 of a-z, 0-9, '-', '_' and '.'", s, part.what)
		}
	}
	return ref, nil
}

// NormalizeEntityRef parses s and returns its canonical form.
func NormalizeEntityRef(s string) (string, error) {
	ref, err := ParseEntityRef(s)
	if err != nil {
		return "", err
	}
	return ref.String(), nil
}

// String returns the canonical form, kind:namespace/name in lower case.
func (r EntityRef) String() string {
	return r.Kind + ":" + r.Namespace + "/" + r.Name
}

// IsUser reports whether the reference names a user.
func (r EntityRef) IsUser() bool { return r.Kind == "user" }
