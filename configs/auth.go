package configs

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// AuthOIDC is the identity provider at which users sign in to the page ("auth.oidc").
type AuthOIDC struct {
	// Issuer is the provider ("issuer"), written as its tokens have it. Required.
	Issuer string
	// ClientID is what the provider knows this server by ("clientId"). Required.
	ClientID string
	// ClientSecret is its password there ("clientSecret"). Defaults to none.
	ClientSecret signalbox.Secret
	// Scopes are asked for besides openid ("scopes"). Defaults to profile and email.
	Scopes []string
	// User and Groups say who somebody is ("user", "groups"). User is required.
	User   AuthUser
	Groups *AuthGroups
	// IdleTimeout ends a session that is not used ("session.idleTimeout"). Between 1m
	// and 90 days. Defaults to 12h.
	IdleTimeout time.Duration
	// MaxAge ends every session ("session.maxAge"). Between 5m and 365 days. Defaults to
	// 7 days.
	MaxAge time.Duration
}

// AuthJWT is an issuer whose bearer tokens are accepted ("auth.jwt").
type AuthJWT struct {
	// Issuer is whose tokens they are ("issuer"), verbatim. Required.
	Issuer string
	// JWKSURL is where its keys are ("jwksUrl"). Defaults to where its description says.
	JWKSURL string
	// Audiences are whom a token must be meant for, one of them ("audiences"). Required.
	Audiences []string
	// Algorithms are the accepted ones ("algorithms"). Defaults to all asymmetric ones.
	Algorithms []string
	// User, Groups and Service say for whom a token speaks ("user", "groups", "service").
	// One of User and Service is required.
	User    *AuthUser
	Groups  *AuthGroups
	Service *AuthService
}

// AuthProxy is a reverse proxy that signs users in ("auth.proxy").
type AuthProxy struct {
	// CIDRs are where it is ("cidrs"). Required.
	CIDRs []netip.Prefix
	// UserHeader and GroupsHeader are what it sets ("userHeader", "groupsHeader").
	// Default to X-Forwarded-User and X-Forwarded-Groups.
	UserHeader, GroupsHeader string
	// User and Groups say what the headers mean ("user", "groups"); without claims.
	// Groups is nil if GroupsHeader was set to nothing.
	User   AuthUser
	Groups *AuthGroups
}

// AuthUser says how a claim becomes a user.
type AuthUser struct {
	// Claim is where it is ("claim"). Required.
	Claim string
	// As is what it is ("as"): name, email or reference. Defaults to email for the claim
	// email, else to name.
	As string
	// Namespace is the one of the users ("namespace"). Defaults to default.
	Namespace string
	// Domains are those of email addresses ("domains"). Required for them.
	Domains []string
}

// AuthGroups says how a claim becomes groups.
type AuthGroups struct {
	// Claim is where they are ("claim"). Required.
	Claim string
	// As is what they are ("as"): name or reference. Defaults to name.
	As string
	// Namespace is the one of the groups ("namespace"). Defaults to default.
	Namespace string
}

// AuthService says how a claim becomes a service.
type AuthService struct {
	// Claim is where it is ("claim"). Required.
	Claim string
	// Prefix stands before it in the origin, with a colon ("prefix"). Defaults to
	// external.
	Prefix string
	// WhenClaim tells services from users, by its value if WhenValue is not empty
	// ("when.claim", "when.value"). Required if there are users.
	WhenClaim, WhenValue string
}

// The values of As.
const (
	asName      = "name"
	asEmail     = "email"
	asReference = "reference"
)

var (
	entityName = regexp.MustCompile(`^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// jwtAlgorithms are the asymmetric ones: a public key must never serve as a secret.
var jwtAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// identifiesUsers reports whether users can prove who they are without Backstage.
func (a Auth) identifiesUsers() bool { return a.OIDC != nil || len(a.JWT) > 0 || a.Proxy != nil }

// authReader reads a section of auth; ok turns false at the first problem.
type authReader struct {
	*reader
	n    *node
	path string
	ok   bool
}

// authSection reads a section, of which only these fields are known.
func (r *reader) authSection(n *node, path string, known ...string) *authReader {
	a := &authReader{reader: r, n: n, path: path}
	a.ok = r.section(n, path, known...)
	if n.kind != mapping {
		// Nothing in it can be read.
		a.n = &node{kind: mapping, at: n.at}
	}
	return a
}

func (a *authReader) refuse(field, message string) {
	at := a.n.child(field)
	if at.missing() {
		at = a.n
	}
	a.failSecret(at, join(a.path, field), message)
	a.ok = false
}

// text reads a field that may be missing.
func (a *authReader) text(field string, into *string) {
	text, present := a.optional(a.n, a.path, field)
	switch {
	case text == nil:
		a.ok = a.ok && !present
	case strings.ContainsFunc(*text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		a.refuse(field, "must be one line without control characters")
	default:
		*into = strings.TrimSpace(*text)
	}
}

// required is text for a field that must be there.
func (a *authReader) required(field string, into *string, what string) {
	a.text(field, into)
	if *into == "" && a.n.kind == mapping {
		a.refuse(field, "is required: "+what)
	}
}

func (a *authReader) url(field string, into *string) {
	a.text(field, into)
	if *into == "" {
		return
	}
	if err := checkBaseURL(*into); err != nil {
		a.refuse(field, err.Error())
	}
}

func (a *authReader) texts(field string) []string {
	child := a.n.child(field)
	if child.missing() {
		return nil
	}
	items, ok := a.list(child, join(a.path, field))
	a.ok = a.ok && ok
	for i := range items {
		if items[i] = strings.TrimSpace(items[i]); items[i] == "" {
			a.refuse(field, "must have no empty entries")
		}
	}
	return items
}

func (a *authReader) choice(field string, into *string, words ...string) {
	a.text(field, into)
	if *into != "" && !slices.Contains(words, *into) {
		a.refuse(field, "must be one of "+strings.Join(words, ", "))
	}
}

func (a *authReader) lasting(n *node, path, field string, least, most time.Duration, into *time.Duration) {
	child := n.child(field)
	if child.missing() {
		return
	}
	d, ok := a.duration(child, join(path, field))
	if ok && (d < least || d > most) {
		a.failSecret(child, join(path, field), fmt.Sprintf("must be between %s and %s", plain(least), plain(most)))
		ok = false
	}
	*into, a.ok = d, a.ok && ok
}

// sub reads a section within, if it is there.
func (a *authReader) sub(field string, known ...string) (*authReader, bool) {
	child := a.n.child(field)
	if child.missing() {
		return nil, false
	}
	s := a.authSection(child, join(a.path, field), known...)
	return s, true
}

// namespace is what a namespace looks like.
func (a *authReader) namespace(into *string, as string) {
	a.text("namespace", into)
	switch {
	case *into == "":
	case as == asReference:
		a.refuse("namespace", "must not be there: a reference has a namespace of its own")
	case !entityName.MatchString(strings.ToLower(*into)):
		a.refuse("namespace", "must be 1 to 63 of a-z, 0-9, '-', '_' and '.'")
	}
}

// user reads a user mapping; header says that the text is in a header, not a claim.
func (a *authReader) user(header bool) *AuthUser {
	known := []string{"claim", "as", "namespace", "domains"}
	if header {
		known = known[1:]
	}
	s, there := a.sub("user", known...)
	if !there {
		return nil
	}
	var user AuthUser
	if !header {
		s.required("claim", &user.Claim, "the name of a claim, as in preferred_username")
	}
	s.choice("as", &user.As, asName, asEmail, asReference)
	if user.As == "" {
		user.As = asName
		if user.Claim == "email" {
			user.As = asEmail
		}
	}
	s.namespace(&user.Namespace, user.As)
	user.Domains = s.texts("domains")
	for _, domain := range user.Domains {
		if strings.ContainsAny(domain, "@*/ ") {
			s.refuse("domains", "must be domains, as in example.com; subdomains are listed one by one")
		}
	}
	switch {
	case user.As == asEmail && len(user.Domains) == 0:
		s.refuse("domains", "is required for email addresses: without, jane@ anywhere would be the same Jane")
	case user.As != asEmail && len(user.Domains) > 0:
		s.refuse("domains", "is for email addresses only (as: email)")
	}
	a.ok = a.ok && s.ok
	return &user
}

func (a *authReader) groups(header bool) *AuthGroups {
	known := []string{"claim", "as", "namespace"}
	if header {
		known = known[1:]
	}
	s, there := a.sub("groups", known...)
	if !there {
		return nil
	}
	groups := AuthGroups{As: asName}
	if !header {
		s.required("claim", &groups.Claim, "the name of a claim, as in groups")
	}
	s.choice("as", &groups.As, asName, asReference)
	s.namespace(&groups.Namespace, groups.As)
	a.ok = a.ok && s.ok
	return &groups
}

func (a *authReader) service(users bool) *AuthService {
	s, there := a.sub("service", "claim", "prefix", "when")
	if !there {
		return nil
	}
	service := AuthService{Prefix: "external"}
	s.required("claim", &service.Claim, "the name of a claim, as in azp")
	s.text("prefix", &service.Prefix)
	if !withoutSpace.MatchString(service.Prefix) || len(service.Prefix) > 100 {
		s.refuse("prefix", "must be 1 to 100 characters without spaces")
	}
	if when, there := s.sub("when", "claim", "value"); there {
		when.required("claim", &service.WhenClaim, "the name of a claim that tokens of services have")
		when.text("value", &service.WhenValue)
		s.ok = s.ok && when.ok
	} else if users {
		s.refuse("when", "is required: it tells the tokens of services from those of users")
	}
	a.ok = a.ok && s.ok
	return &service
}

// readOIDC reads the provider for the page.
func readOIDC(r *reader, c *Config, n *node, path string) {
	a := r.authSection(n, path, "issuer", "clientId", "clientSecret", "scopes", "user", "groups", "session")
	into := AuthOIDC{IdleTimeout: 12 * time.Hour, MaxAge: 7 * day, Scopes: []string{"profile", "email"}}
	a.required("issuer", &into.Issuer, "the URL of the identity provider, as its tokens have it")
	a.url("issuer", &into.Issuer)
	a.required("clientId", &into.ClientID, "what the identity provider knows this server by")
	var secret string
	a.text("clientSecret", &secret)
	into.ClientSecret = signalbox.NewSecret(secret)
	if scopes := a.texts("scopes"); scopes != nil {
		into.Scopes = scopes
		for _, scope := range scopes {
			if !withoutSpace.MatchString(scope) {
				a.refuse("scopes", "must have no spaces within an entry")
			}
		}
	}
	if user := a.user(false); user != nil {
		into.User = *user
	} else if a.n.child("user").missing() {
		a.refuse("user", "is required: which claim says who somebody is, as in {claim: preferred_username}")
	}
	into.Groups = a.groups(false)
	if session, there := a.sub("session", "idleTimeout", "maxAge"); there {
		session.lasting(session.n, session.path, "idleTimeout", time.Minute, 90*day, &into.IdleTimeout)
		session.lasting(session.n, session.path, "maxAge", 5*time.Minute, 365*day, &into.MaxAge)
		a.ok = a.ok && session.ok
	}
	if a.ok {
		c.Auth.OIDC = &into
	}
}

// readJWT reads the issuers of bearer tokens.
func readJWT(r *reader, c *Config, n *node, path string) {
	r.items(n, path, func(n *node, path string) {
		a := r.authSection(n, path, "issuer", "jwksUrl", "audiences", "algorithms", "user", "groups", "service")
		var into AuthJWT
		a.required("issuer", &into.Issuer, "the URL of the issuer, as its tokens have it")
		a.url("issuer", &into.Issuer)
		a.url("jwksUrl", &into.JWKSURL)
		into.Audiences = a.texts("audiences")
		if len(into.Audiences) == 0 {
			a.refuse("audiences", "is required: without, a token for any other application would open this one")
		}
		into.Algorithms = a.texts("algorithms")
		for _, algorithm := range into.Algorithms {
			if !slices.Contains(jwtAlgorithms, algorithm) {
				a.refuse("algorithms", "must be some of "+strings.Join(jwtAlgorithms, ", "))
			}
		}
		into.User = a.user(false)
		into.Groups = a.groups(false)
		into.Service = a.service(!a.n.child("user").missing())
		if a.n.child("user").missing() && a.n.child("service").missing() {
			a.refuse("user", "or service is required: for whom a token speaks, as in {claim: preferred_username}")
		}
		if a.ok {
			c.Auth.JWT = append(c.Auth.JWT, into)
		}
	})
}

// readProxy reads the proxy that signs users in.
func readProxy(r *reader, c *Config, n *node, path string) {
	a := r.authSection(n, path, "cidrs", "userHeader", "groupsHeader", "user", "groups")
	into := AuthProxy{UserHeader: "X-Forwarded-User", GroupsHeader: "X-Forwarded-Groups", User: AuthUser{As: asName}}
	for _, text := range a.texts("cidrs") {
		prefix, err := netip.ParsePrefix(text)
		if address, notPrefix := netip.ParseAddr(text); notPrefix == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil:
			a.refuse("cidrs", "must be networks or addresses, as in 10.1.0.0/16 and 127.0.0.1")
		case prefix.Bits() == 0:
			a.refuse("cidrs", "must not hold every address: everybody could be everybody")
		default:
			into.CIDRs = append(into.CIDRs, prefix.Masked())
		}
	}
	if a.n.child("cidrs").missing() || a.ok && len(into.CIDRs) == 0 {
		a.refuse("cidrs", "is required: the addresses of the proxies; from elsewhere the headers are refused")
	}
	a.text("userHeader", &into.UserHeader)
	if !headerName.MatchString(into.UserHeader) {
		a.refuse("userHeader", "must be the name of a header")
	}
	a.text("groupsHeader", &into.GroupsHeader)
	if user := a.user(true); user != nil {
		into.User = *user
	}
	groups := a.groups(true)
	switch {
	case into.GroupsHeader != "" && (!headerName.MatchString(into.GroupsHeader) || strings.EqualFold(into.UserHeader, into.GroupsHeader)):
		a.refuse("groupsHeader", "must be the name of another header")
	case into.GroupsHeader != "" && groups == nil:
		into.Groups = &AuthGroups{As: asName}
	case into.GroupsHeader != "":
		into.Groups = groups
	case groups != nil:
		a.refuse("groups", "needs a groupsHeader")
	}
	if a.ok {
		c.Auth.Proxy = &into
	}
}

// invalidLogin adds what is wrong between the login and the rest.
func (c Config) invalidLogin(found *checks) {
	if c.Auth.OIDC != nil && c.PublicURL() == "" {
		found.add("auth.oidc", "needs to know where browsers reach this server: set publicUrl; the identity provider sends them back to /auth/callback there")
	}
}
