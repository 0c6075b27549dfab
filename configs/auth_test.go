package configs

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox"

	"github.com/google/go-cmp/cmp"
)

var compareAuth = cmp.AllowUnexported(signalbox.Secret{})

func TestLogins(t *testing.T) {
	c, warnings, problems := load(t, Sources{Environ: []string{"SECRET=hidden"}, Files: write(t, `
publicUrl: https://signalbox.example.com
auth:
  providers: {oidc: {}} # Backstage's
  oidc:
    issuer: https://id.example.com/realms/main/
    clientId: signalbox
    clientSecret: ${SECRET}
    scopes: [groups]
    user: {claim: email, domains: [example.com, example.org], namespace: staff}
    groups: {claim: groups, as: reference}
    session: {idleTimeout: {hours: 1}, maxAge: 1 day}
  jwt:
    - issuer: https://token.example.com
      jwksUrl: https://token.example.com/keys
      audiences: signalbox, other
      algorithms: [ES256]
      service: {claim: sub, prefix: gitlab}
    - issuer: https://id.example.com
      audiences: [signalbox]
      user: {claim: sub, as: reference}
      groups: {claim: roles, namespace: idp}
      service: {claim: azp, when: {claim: gty, value: client-credentials}}
  proxy:
    cidrs: [10.1.2.3/16, "::1", 192.0.2.7]
    userHeader: Remote-User
    user: {as: email, domains: [example.com]}
`)})
	if problems != nil || warnings != nil {
		t.Fatalf("problems %q, warnings %q", problems, warnings)
	}
	want := Auth{
		Guest: Guest{User: "user:default/guest"}, Tokens: Default().Auth.Tokens,
		OIDC: &AuthOIDC{
			Issuer: "https://id.example.com/realms/main/", ClientID: "signalbox", ClientSecret: signalbox.NewSecret("hidden"), Scopes: []string{"groups"},
			User:   AuthUser{Claim: "email", As: "email", Namespace: "staff", Domains: []string{"example.com", "example.org"}},
			Groups: &AuthGroups{Claim: "groups", As: "reference"}, IdleTimeout: time.Hour, MaxAge: 24 * time.Hour,
		},
		JWT: []AuthJWT{
			{
				Issuer: "https://token.example.com", JWKSURL: "https://token.example.com/keys", Audiences: []string{"signalbox", "other"},
				Algorithms: []string{"ES256"}, Service: &AuthService{Claim: "sub", Prefix: "gitlab"},
			},
			{
				Issuer: "https://id.example.com", Audiences: []string{"signalbox"},
				User: &AuthUser{Claim: "sub", As: "reference"}, Groups: &AuthGroups{Claim: "roles", As: "name", Namespace: "idp"},
				Service: &AuthService{Claim: "azp", Prefix: "external", WhenClaim: "gty", WhenValue: "client-credentials"},
			},
		},
		Proxy: &AuthProxy{
			CIDRs:      []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.0.2.7/32")},
			UserHeader: "Remote-User", GroupsHeader: "X-Forwarded-Groups",
			User: AuthUser{As: "email", Domains: []string{"example.com"}}, Groups: &AuthGroups{As: "name"},
		},
	}
	if diff := cmp.Diff(want, c.Auth, compareAuth, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is forgotten or mistyped in a login is an error and no open door.
func TestLoginProblems(t *testing.T) {
	const user = "user: {claim: preferred_username}"
	for name, test := range map[string]struct{ yaml, want string }{
		"nothing":             {"oidc: {}", "auth.oidc.issuer: is required"},
		"no client":           {"oidc: {issuer: https://id.example.com, " + user + "}", "auth.oidc.clientId: is required"},
		"no user":             {"oidc: {issuer: https://id.example.com, clientId: x}", "auth.oidc.user: is required"},
		"no claim":            {"oidc: {issuer: https://id.example.com, clientId: x, user: {as: name}}", "auth.oidc.user.claim: is required"},
		"a strange issuer":    {"oidc: {issuer: id.example.com, clientId: x, " + user + "}", "auth.oidc.issuer: must be an http"},
		"a password":          {"oidc: {issuer: https://a:hidden@id.example.com, clientId: x, " + user + "}", "auth.oidc.issuer: must not hold a user or password"},
		"a typo":              {"oidc: {issuer: https://id.example.com, clientID: x, " + user + "}", "auth.oidc.clientID: unknown key; did you mean clientId?"},
		"addresses of all":    {"oidc: {issuer: https://id.example.com, clientId: x, user: {claim: email}}", "auth.oidc.user.domains: is required for email addresses"},
		"domains of names":    {"oidc: {issuer: https://id.example.com, clientId: x, user: {claim: sub, domains: [a.example]}}", "auth.oidc.user.domains: is for email addresses only"},
		"a pattern":           {"oidc: {issuer: https://id.example.com, clientId: x, user: {claim: email, domains: ['*.example.com']}}", "must be domains"},
		"an unknown form":     {"oidc: {issuer: https://id.example.com, clientId: x, user: {claim: sub, as: id}}", "auth.oidc.user.as: must be one of name, email, reference"},
		"two namespaces":      {"oidc: {issuer: https://id.example.com, clientId: x, user: {claim: sub, as: reference, namespace: a}}", "auth.oidc.user.namespace: must not be there"},
		"no namespace":        {"oidc: {issuer: https://id.example.com, clientId: x, user: {claim: sub, namespace: a/b}}", "auth.oidc.user.namespace: must be 1 to 63"},
		"groups by address":   {"oidc: {issuer: https://id.example.com, clientId: x, " + user + ", groups: {claim: g, as: email}}", "auth.oidc.groups.as: must be one of name, reference"},
		"a session for ever":  {"oidc: {issuer: https://id.example.com, clientId: x, " + user + ", session: {maxAge: 2 years}}", "auth.oidc.session.maxAge: "},
		"two scopes in one":   {"oidc: {issuer: https://id.example.com, clientId: x, " + user + ", scopes: [a b]}", "auth.oidc.scopes: must have no spaces"},
		"text":                {"oidc: https://id.example.com", "auth.oidc: must be a section"},
		"no audience":         {"jwt: [{issuer: https://id.example.com, " + user + "}]", "auth.jwt[0].audiences: is required"},
		"nobody":              {"jwt: [{issuer: https://id.example.com, audiences: [a]}]", "auth.jwt[0].user: or service is required"},
		"a symmetric one":     {"jwt: [{issuer: https://id.example.com, audiences: [a], algorithms: [HS256], " + user + "}]", "auth.jwt[0].algorithms: must be some of"},
		"no algorithm":        {"jwt: [{issuer: https://id.example.com, audiences: [a], algorithms: [none], " + user + "}]", "auth.jwt[0].algorithms: must be some of"},
		"no way to tell":      {"jwt: [{issuer: https://id.example.com, audiences: [a], " + user + ", service: {claim: sub}}]", "auth.jwt[0].service.when: is required"},
		"a prefix of two":     {"jwt: [{issuer: https://id.example.com, audiences: [a], service: {claim: sub, prefix: a b}}]", "auth.jwt[0].service.prefix: must be"},
		"no list":             {"jwt: {issuer: https://id.example.com}", "auth.jwt: must be a list"},
		"no proxies":          {"proxy: {}", "auth.proxy.cidrs: is required"},
		"an empty list":       {"proxy: {cidrs: []}", "auth.proxy.cidrs: is required"},
		"the world":           {"proxy: {cidrs: [0.0.0.0/0]}", "auth.proxy.cidrs: must not hold every address"},
		"a name":              {"proxy: {cidrs: [proxy.example.com]}", "auth.proxy.cidrs: must be networks or addresses"},
		"one header":          {"proxy: {cidrs: [10.0.0.1], groupsHeader: x-forwarded-user}", "auth.proxy.groupsHeader: must be the name of another header"},
		"no header":           {"proxy: {cidrs: [10.0.0.1], userHeader: ''}", "auth.proxy.userHeader: must be the name of a header"},
		"a claim of a header": {"proxy: {cidrs: [10.0.0.1], user: {claim: x}}", "auth.proxy.user.claim: unknown key"},
		"groups from nowhere": {"proxy: {cidrs: [10.0.0.1], groupsHeader: '', groups: {namespace: a}}", "auth.proxy.groups: needs a groupsHeader"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, problems := load(t, Sources{Files: write(t, "publicUrl: https://signalbox.example.com\nauth:\n  "+test.yaml+"\n")})
			all := strings.Join(problems, "\n")
			if !strings.Contains(all, test.want) || strings.Contains(all, "hidden") {
				t.Errorf("got %s\nwant %s", all, test.want)
			}
		})
	}
	_, _, problems := load(t, Sources{Files: write(t, "auth:\n  oidc: {issuer: https://id.example.com, clientId: x, "+user+"}\n")})
	if len(problems) != 1 || !strings.Contains(problems[0], "auth.oidc: needs to know where browsers reach this server: set publicUrl") {
		t.Errorf("without a public URL: %q", problems)
	}
}

func TestProxyGroupsOfTheDirectory(t *testing.T) {
	c, _, problems := load(t, Sources{Files: write(t, "auth:\n  proxy: {cidrs: [10.0.0.1], groupsHeader: ''}\n")})
	if problems != nil || c.Auth.Proxy.Groups != nil || c.Auth.Proxy.GroupsHeader != "" {
		t.Errorf("%q, %+v", problems, c.Auth.Proxy)
	}
}

// Guest mode beside a login is only what somebody asked for, and a login is enough to
// be reached by others.
func TestLoginEndsGuestMode(t *testing.T) {
	for name, yaml := range map[string]string{
		"oidc":  "publicUrl: http://localhost:7080\nauth:\n  oidc: {issuer: https://id.example.com, clientId: x, user: {claim: sub}}\n",
		"jwt":   "auth:\n  jwt: [{issuer: https://id.example.com, audiences: [a], user: {claim: sub}}]\n",
		"proxy": "auth:\n  proxy: {cidrs: [10.0.0.1]}\n",
	} {
		for _, listen := range []string{"127.0.0.1:1", ":1"} {
			c, warnings, problems := load(t, Sources{Files: write(t, yaml), Overrides: []Override{{Key: "listen", Value: listen}}})
			if problems != nil || warnings != nil || c.Auth.Guest.Enabled {
				t.Errorf("%s on %s: problems %q, warnings %q, guests %v", name, listen, problems, warnings, c.Auth.Guest.Enabled)
			}
		}
		c, _, problems := load(t, Sources{Files: write(t, yaml), Overrides: []Override{{Key: "auth.guest.enabled", Value: "true"}}})
		if problems != nil || !c.Auth.Guest.Enabled {
			t.Errorf("%s, with guests: %q, %v", name, problems, c.Auth.Guest.Enabled)
		}
	}
}

// Backstage's library takes all of these, so a file that works there works here.
func TestLegacySecretsInEveryBase64(t *testing.T) {
	const want = "+/+/MDEyMzQ1Njc4OWFiY2RlZg==" // with what the alphabets differ in
	for _, secret := range []string{want, "-_-_MDEyMzQ1Njc4OWFiY2RlZg", "-_-_MDEyMzQ1Njc4OWFiY2RlZg==", `"+/+/MDEyMzQ1\nNjc4OWFiY2RlZg\n"`} {
		c, _, problems := load(t, Sources{Files: write(t, "backend: {auth: {keys: [{secret: "+secret+"}]}}")})
		if problems != nil {
			t.Errorf("%s: %q", secret, problems)
			continue
		}
		if got := c.Backend.Auth.LegacyKeys[0].Secret.Reveal(); got != want {
			t.Errorf("%s is read as %s", secret, got)
		}
	}
	for _, secret := range []string{"hunter2 hunter2 hunter2 !", "MDEyMzQ1Njc4OWFiY2Rl", `"MDEyMzQ1Njc4OWFiY2RlZg=M"`} {
		if _, _, problems := load(t, Sources{Files: write(t, "backend: {auth: {keys: [{secret: "+secret+"}]}}")}); len(problems) != 1 || strings.Contains(problems[0], "hunter2") {
			t.Errorf("%s: %q", secret, problems)
		}
	}
}
