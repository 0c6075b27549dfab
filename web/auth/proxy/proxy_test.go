package proxy_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
	"github.com/signalbox/signalbox/web/auth/proxy"
)

// from is a request with headers of an address.
func from(remote string, headers map[string][]string) auth.Credentials {
	values := func(name string) []string {
		for have, values := range headers {
			if strings.EqualFold(have, name) {
				return values
			}
		}
		return nil
	}
	return auth.Credentials{
		Remote: netip.MustParseAddr(remote), Method: "GET", Host: "signalbox.example.com", Headers: values,
		Header: func(name string) string { return strings.Join(values(name), "") },
		Origin: strings.Join(values("Origin"), ""),
	}
}

func headers(t *testing.T, change func(*proxy.Config)) *proxy.Headers {
	t.Helper()
	config := proxy.Config{
		CIDRs:  []netip.Prefix{netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")},
		Groups: &identity.GroupRule{},
	}
	if change != nil {
		change(&config)
	}
	h, err := proxy.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What oauth2-proxy sends.
func TestHeaders(t *testing.T) {
	h := headers(t, nil)
	for _, remote := range []string{"10.1.0.1", "10.1.255.255", "::ffff:10.1.0.1", "fd12::1", "127.0.0.1"} {
		principal, err := h.Authenticate(t.Context(), from(remote, map[string][]string{
			"X-Forwarded-User": {"Jane"}, "X-Forwarded-Email": {"jane@example.com"}, "X-Forwarded-Groups": {"team-a, Domain Users,team-b"},
		}))
		if err != nil {
			t.Errorf("%s: %v", remote, err)
			continue
		}
		user, _ := principal.(signalbox.UserPrincipal)
		if user.Ref != "user:default/jane" || !slices.Equal(user.Ownership, []string{"user:default/jane", "group:default/team-a", "group:default/team-b"}) {
			t.Errorf("%s: %+v", remote, user)
		}
	}
	byEmail := headers(t, func(c *proxy.Config) {
		c.UserHeader = "X-Forwarded-Email"
		c.User = identity.UserRule{Form: identity.Email, Domains: []string{"example.com"}}
	})
	principal, err := byEmail.Authenticate(t.Context(), from("10.1.0.1", map[string][]string{"x-forwarded-email": {"Joe@example.com"}}))
	if err != nil || principal.Subject() != "user:default/joe" {
		t.Errorf("by email: %v, %v", principal, err)
	}
}

// directory knows everybody's groups.
type directory struct{}

func (directory) Ownership(_ context.Context, user string) ([]string, error) {
	return []string{user, "group:default/from-directory"}, nil
}

func TestGroupsOfTheDirectory(t *testing.T) {
	h := headers(t, func(c *proxy.Config) { c.Groups, c.Ownership = nil, directory{} })
	principal, err := h.Authenticate(t.Context(), from("10.1.0.1", map[string][]string{"X-Forwarded-User": {"jane"}, "X-Forwarded-Groups": {"root"}}))
	if err != nil {
		t.Fatal(err)
	}
	if user, _ := principal.(signalbox.UserPrincipal); !slices.Equal(user.Ownership, []string{"user:default/jane", "group:default/from-directory"}) {
		t.Errorf("got %q", user.Ownership)
	}
}

func TestHeadersRefused(t *testing.T) {
	h := headers(t, nil)
	user := []string{"jane"}
	for name, test := range map[string]struct {
		request auth.Credentials
		code    signalbox.Code
	}{
		"from elsewhere":           {from("10.2.0.1", map[string][]string{"X-Forwarded-User": user}), signalbox.CodeAuthentication},
		"groups from elsewhere":    {from("192.0.2.1", map[string][]string{"X-Forwarded-Groups": {"admins"}}), signalbox.CodeAuthentication},
		"empty, from elsewhere":    {from("192.0.2.1", map[string][]string{"X-Forwarded-User": {""}}), signalbox.CodeAuthentication},
		"an IPv6 that looks alike": {from("::10.1.0.1", map[string][]string{"X-Forwarded-User": user}), signalbox.CodeAuthentication},
		"twice":                    {from("10.1.0.1", map[string][]string{"X-Forwarded-User": {"root", "jane"}}), signalbox.CodeAuthentication},
		"groups twice":             {from("10.1.0.1", map[string][]string{"X-Forwarded-User": user, "X-Forwarded-Groups": {"root", "team-a"}}), signalbox.CodeAuthentication},
		"joined":                   {from("10.1.0.1", map[string][]string{"X-Forwarded-User": {"root, jane"}}), signalbox.CodeAuthentication},
		"empty":                    {from("10.1.0.1", map[string][]string{"X-Forwarded-User": {""}}), signalbox.CodeAuthentication},
		"no name":                  {from("10.1.0.1", map[string][]string{"X-Forwarded-User": {"secret name"}}), signalbox.CodeAuthentication},
		"a reference":              {from("10.1.0.1", map[string][]string{"X-Forwarded-User": {"user:default/root"}}), signalbox.CodeAuthentication},
		"a foreign page's socket": {from("10.1.0.1", map[string][]string{
			"X-Forwarded-User": user, "Upgrade": {"websocket"}, "Origin": {"https://evil.example.com"},
		}), signalbox.CodeNotAllowed},
	} {
		principal, err := h.Authenticate(t.Context(), test.request)
		if signalbox.ErrorCode(err) != test.code {
			t.Errorf("%s: %v, %v", name, principal, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	post := from("10.1.0.1", map[string][]string{"X-Forwarded-User": user, "Origin": {"https://evil.example.com"}, "Content-Type": {"application/json"}})
	post.Method = "POST"
	if _, err := h.Authenticate(t.Context(), post); signalbox.ErrorCode(err) != signalbox.CodeNotAllowed {
		t.Errorf("a foreign page: %v", err)
	}
	// The public URL is not known: the page is that of the Host.
	post.Origin = "https://signalbox.example.com"
	if _, err := h.Authenticate(t.Context(), post); err != nil {
		t.Errorf("the own page: %v", err)
	}
}

func TestLeftToOthers(t *testing.T) {
	h := headers(t, nil)
	withToken := from("10.1.0.1", map[string][]string{"X-Forwarded-User": {"jane"}})
	withToken.Token = "x"
	for name, request := range map[string]auth.Credentials{
		"nothing": from("192.0.2.1", nil), "nothing, by the proxy": from("10.1.0.1", nil),
		"a token by the proxy": withToken, "groups alone": from("10.1.0.1", map[string][]string{"X-Forwarded-Groups": {"a"}}),
	} {
		if principal, err := h.Authenticate(t.Context(), request); !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("%s: %v, %v", name, principal, err)
		}
	}
	forged := from("192.0.2.1", map[string][]string{"X-Forwarded-User": {"jane"}})
	forged.Token = "x"
	if _, err := h.Authenticate(t.Context(), forged); signalbox.ErrorCode(err) != signalbox.CodeAuthentication {
		t.Errorf("a token does not make up for a forged header: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, config := range map[string]proxy.Config{
		"no addresses":  {},
		"the world":     {CIDRs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
		"no address":    {CIDRs: []netip.Prefix{{}}},
		"one header":    {CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, UserHeader: "X-Forwarded-groups"},
		"no domains":    {CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, User: identity.UserRule{Form: identity.Email}},
		"no namespaces": {CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, User: identity.UserRule{Namespace: "a/b"}},
	} {
		if _, err := proxy.New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
