package identity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth/identity"
)

func TestPrincipal(t *testing.T) {
	user := &identity.UserRule{Claim: "name"}
	for name, test := range map[string]struct {
		config identity.Config
		claims identity.Claims
		want   string
		groups []string
	}{
		"a name":                  {identity.Config{User: user}, identity.Claims{"name": "Jane.Doe"}, "user:default/jane.doe", nil},
		"with a slash":            {identity.Config{User: user}, identity.Claims{"name": "staff/jane"}, "", nil},
		"with a kind":             {identity.Config{User: user}, identity.Claims{"name": "user:default/jane"}, "", nil},
		"with a line":             {identity.Config{User: user}, identity.Claims{"name": "jane\n"}, "", nil},
		"long":                    {identity.Config{User: user}, identity.Claims{"name": strings.Repeat("x", 64)}, "", nil},
		"a number":                {identity.Config{User: user}, identity.Claims{"name": 1.0}, "", nil},
		"null":                    {identity.Config{User: user}, identity.Claims{"name": nil}, "", nil},
		"a namespace":             {identity.Config{User: &identity.UserRule{Claim: "name", Namespace: "Staff"}}, identity.Claims{"name": "jane"}, "user:staff/jane", nil},
		"within":                  {identity.Config{User: &identity.UserRule{Claim: "a.b"}}, identity.Claims{"a": map[string]any{"b": "jane"}}, "user:default/jane", nil},
		"a name with dots":        {identity.Config{User: &identity.UserRule{Claim: "https://example.com/name"}}, identity.Claims{"https://example.com/name": "jane"}, "user:default/jane", nil},
		"dots within":             {identity.Config{User: &identity.UserRule{Claim: "https://example.com/x.name"}}, identity.Claims{"https://example.com/x": map[string]any{"name": "jane"}}, "user:default/jane", nil},
		"a reference":             {identity.Config{User: &identity.UserRule{Claim: "sub", Form: identity.Reference}}, identity.Claims{"sub": "User:Staff/Jane"}, "user:staff/jane", nil},
		"a reference of a group":  {identity.Config{User: &identity.UserRule{Claim: "sub", Form: identity.Reference}}, identity.Claims{"sub": "group:staff"}, "", nil},
		"an address of two parts": {identity.Config{User: &identity.UserRule{Claim: "upn", Form: identity.Email, Domains: []string{"example.com"}}}, identity.Claims{"upn": "a@b@example.com"}, "", nil},
		"an address without name": {identity.Config{User: &identity.UserRule{Claim: "upn", Form: identity.Email, Domains: []string{"example.com"}}}, identity.Claims{"upn": "@example.com"}, "", nil},
		"groups": {
			identity.Config{User: user, Groups: &identity.GroupRule{Claim: "roles", Namespace: "idp"}},
			identity.Claims{"name": "jane", "roles": []any{"A", "a", "b c", "group:default/x"}},
			"user:default/jane",
			[]string{"group:idp/a"},
		},
		"one group": {
			identity.Config{User: user, Groups: &identity.GroupRule{Claim: "roles"}},
			identity.Claims{"name": "jane", "roles": "a"},
			"user:default/jane",
			[]string{"group:default/a"},
		},
		"groups as references": {
			identity.Config{User: user, Groups: &identity.GroupRule{Claim: "roles", Form: identity.Reference}},
			identity.Claims{"name": "jane", "roles": []any{"group:x/a", "b", "user:default/root", "component:c"}},
			"user:default/jane",
			[]string{"group:x/a", "component:default/c"},
		},
		"groups and numbers": {
			identity.Config{User: user, Groups: &identity.GroupRule{Claim: "roles"}}, identity.Claims{"name": "jane", "roles": []any{"a", 1.0}}, "", nil,
		},
		"too many groups": {
			identity.Config{User: user, Groups: &identity.GroupRule{Claim: "roles"}},
			identity.Claims{"name": "jane", "roles": make([]any, identity.MaxGroups+1)},
			"", nil,
		},
		"a service":          {identity.Config{Service: &identity.ServiceRule{Claim: "sub"}}, identity.Claims{"sub": "plugin:catalog"}, "external:plugin:catalog", nil},
		"a service's prefix": {identity.Config{Service: &identity.ServiceRule{Claim: "sub", Prefix: "gitlab"}}, identity.Claims{"sub": "project_path:a/b"}, "gitlab:project_path:a/b", nil},
		"a service's spaces": {identity.Config{Service: &identity.ServiceRule{Claim: "sub"}}, identity.Claims{"sub": "a b"}, "", nil},
		"a long service":     {identity.Config{Service: &identity.ServiceRule{Claim: "sub"}}, identity.Claims{"sub": strings.Repeat("x", 255)}, "", nil},
		"a claim of services": {
			identity.Config{User: user, Service: &identity.ServiceRule{Claim: "sub", When: &identity.Condition{Claim: "client_id"}}},
			identity.Claims{"name": "jane", "sub": "ci", "client_id": "x"},
			"external:ci", nil,
		},
		"without it": {
			identity.Config{User: user, Service: &identity.ServiceRule{Claim: "sub", When: &identity.Condition{Claim: "client_id"}}},
			identity.Claims{"name": "jane", "sub": "ci"},
			"user:default/jane", nil,
		},
		"another value, and no user": {
			identity.Config{User: user, Service: &identity.ServiceRule{Claim: "sub", When: &identity.Condition{Claim: "bot", Value: "true"}}},
			identity.Claims{"sub": "ci", "bot": false},
			"", nil,
		},
		"a value that is no text": {
			identity.Config{User: user, Service: &identity.ServiceRule{Claim: "sub", When: &identity.Condition{Claim: "bot", Value: "true"}}},
			identity.Claims{"sub": "ci", "bot": true},
			"external:ci", nil,
		},
		"a value in a list": {
			identity.Config{User: user, Service: &identity.ServiceRule{Claim: "sub", When: &identity.Condition{Claim: "amr", Value: "machine"}}},
			identity.Claims{"sub": "ci", "amr": []any{"x", "machine"}},
			"external:ci", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := identity.NewMapper(test.config)
			if err != nil {
				t.Fatal(err)
			}
			principal, err := m.Principal(t.Context(), test.claims, time.Time{})
			if test.want == "" {
				if signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
					t.Errorf("got %v, %v", principal, err)
				}
				return
			}
			if err != nil || principal.Subject() != test.want {
				t.Fatalf("got %v, %v", principal, err)
			}
			if user, ok := principal.(signalbox.UserPrincipal); ok {
				if diff := cmp.Diff(append([]string{test.want}, test.groups...), user.Ownership); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// directory is a directory that fails on demand.
type directory struct{ err error }

func (d directory) Ownership(context.Context, string) ([]string, error) {
	return []string{"group:default/a"}, d.err
}

func TestOwnershipOfTheDirectory(t *testing.T) {
	for _, test := range []struct {
		err  error
		want []string
	}{{nil, []string{"user:default/jane", "group:default/a"}}, {errors.New("away"), []string{"user:default/jane"}}} {
		m, err := identity.NewMapper(identity.Config{User: &identity.UserRule{Claim: "name"}, Ownership: directory{test.err}})
		if err != nil {
			t.Fatal(err)
		}
		principal, err := m.Principal(t.Context(), identity.Claims{"name": "jane"}, time.Time{})
		user, _ := principal.(signalbox.UserPrincipal)
		if diff := cmp.Diff(test.want, user.Ownership); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

func TestRulesAreChecked(t *testing.T) {
	user := &identity.UserRule{Claim: "name"}
	for name, config := range map[string]identity.Config{
		"nothing":              {},
		"only groups":          {Groups: &identity.GroupRule{Claim: "groups"}},
		"no claim":             {User: &identity.UserRule{}},
		"an unknown form":      {User: &identity.UserRule{Claim: "x", Form: "y"}},
		"addresses everywhere": {User: &identity.UserRule{Claim: "email"}},
		"domains of names":     {User: &identity.UserRule{Claim: "x", Domains: []string{"example.com"}}},
		"no domain":            {User: &identity.UserRule{Claim: "email", Domains: []string{"*.example.com"}}},
		"no namespace":         {User: &identity.UserRule{Claim: "x", Namespace: "a b"}},
		"two namespaces":       {User: &identity.UserRule{Claim: "x", Form: identity.Reference, Namespace: "a"}},
		"groups by email":      {User: user, Groups: &identity.GroupRule{Claim: "x", Form: identity.Email}},
		"groups without claim": {User: user, Groups: &identity.GroupRule{}},
		"no condition":         {User: user, Service: &identity.ServiceRule{Claim: "sub"}},
		"an empty condition":   {User: user, Service: &identity.ServiceRule{Claim: "sub", When: &identity.Condition{}}},
		"a prefix of two":      {Service: &identity.ServiceRule{Claim: "sub", Prefix: "a b"}},
		"a service of nothing": {Service: &identity.ServiceRule{}},
	} {
		if _, err := identity.NewMapper(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Whatever a claim has, what becomes of it is a user of the namespace, or nothing.
func FuzzUser(f *testing.F) {
	m, err := identity.NewMapper(identity.Config{User: &identity.UserRule{Claim: "email", Domains: []string{"example.com"}, Namespace: "staff"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"jane@example.com", "a/b@example.com", "user:x/y@example.com", "@example.com", "\x00@example.com"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, email string) {
		user, err := m.User(identity.Claims{"email": email})
		if err != nil {
			return
		}
		ref, err := signalbox.ParseEntityRef(user.Ref)
		if err != nil || ref.Kind != "user" || ref.Namespace != "staff" || user.Ref != fmt.Sprintf("user:staff/%s", ref.Name) {
			t.Errorf("%q is %q", email, user.Ref)
		}
	})
}
