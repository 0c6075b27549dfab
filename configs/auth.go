package configs

import (
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

// readIssuer reads whose tokens they are.
func readIssuer(s *section, into *string, whose string) {
	s.field("issuer").required(entry.url, into, "the URL of the "+whose+", as its tokens have it")
}

// readTexts reads a list without empty entries. required says, if it is not empty, why
// there must be some.
func readTexts(e entry, required string) []string {
	items, ok := e.texts()
	if ok && len(items) == 0 && required != "" {
		e.failSecret(required)
	}
	refuseItems(e, items, func(item string) bool { return item == "" }, "must have no empty entries")
	return items
}

// refuseItems reports every item that is wrong.
func refuseItems(e entry, items []string, wrong func(string) bool, message string) {
	for _, item := range items {
		if wrong(item) {
			e.failSecret(message)
		}
	}
}

// readAs reads what a claim is, as one of a few words. It is not shown.
func readAs(s *section, into *string, words ...string) {
	e, as := s.field("as"), ""
	if !e.line(&as) || as == "" {
		return
	}
	if _, err := oneOf(words...)(as); err != nil {
		e.failSecret(err.Error())
		return
	}
	*into = as
}

// readNamespace reads what a namespace looks like.
func readNamespace(s *section, into *string, as string) {
	e := s.field("namespace")
	e.line(into)
	switch {
	case *into == "":
	case as == asReference:
		e.failSecret("must not be there: a reference has a namespace of its own")
	case !entityName.MatchString(strings.ToLower(*into)):
		e.failSecret("must be 1 to 63 of a-z, 0-9, '-', '_' and '.'")
	}
}

// readClaim reads where something is, unless it is in a header.
func readClaim(s *section, header bool, into *string, example string, known ...string) {
	if header {
		s.only(known...)
		return
	}
	s.only(append([]string{"claim"}, known...)...)
	s.field("claim").required(entry.line, into, "the name of a claim, as in "+example)
}

// readUser reads a user mapping; nil if there is none.
func readUser(s *section, header bool) *AuthUser {
	if s == nil {
		return nil
	}
	var user AuthUser
	readClaim(s, header, &user.Claim, "preferred_username", "as", "namespace", "domains")
	user.As = asName
	if user.Claim == "email" {
		user.As = asEmail
	}
	readAs(s, &user.As, asName, asEmail, asReference)
	readNamespace(s, &user.Namespace, user.As)
	domains, required := s.field("domains"), ""
	if user.As == asEmail {
		required = "is required for email addresses: without, jane@ anywhere would be the same Jane"
	}
	user.Domains = readTexts(domains, required)
	refuseItems(domains, user.Domains, func(domain string) bool { return strings.ContainsAny(domain, "@*/ ") },
		"must be domains, as in example.com; subdomains are listed one by one")
	if user.As != asEmail && len(user.Domains) > 0 {
		domains.failSecret("is for email addresses only (as: email)")
	}
	return &user
}

// readGroups reads a group mapping; nil if there is none.
func readGroups(s *section, header bool) *AuthGroups {
	if s == nil {
		return nil
	}
	groups := AuthGroups{As: asName}
	readClaim(s, header, &groups.Claim, "groups", "as", "namespace")
	readAs(s, &groups.As, asName, asReference)
	readNamespace(s, &groups.Namespace, groups.As)
	return &groups
}

// readService reads a service mapping; nil if there is none.
func readService(s *section, users bool) *AuthService {
	if s == nil {
		return nil
	}
	service := AuthService{Prefix: "external"}
	readClaim(s, false, &service.Claim, "azp", "prefix", "when")
	prefix := s.field("prefix")
	prefix.line(&service.Prefix)
	if !withoutSpace.MatchString(service.Prefix) || len(service.Prefix) > 100 {
		prefix.failSecret("must be 1 to 100 characters without spaces")
	}
	if users {
		s.field("when").need("it tells the tokens of services from those of users")
	}
	if when := s.field("when").section(); when != nil {
		when.only("claim", "value")
		when.field("claim").required(entry.line, &service.WhenClaim, "the name of a claim that tokens of services have")
		when.field("value").line(&service.WhenValue)
	}
	return &service
}

// readOIDC reads the provider for the page.
func readOIDC(c *Config, e entry) {
	s := e.section()
	if s == nil {
		return
	}
	s.only("issuer", "clientId", "clientSecret", "scopes", "user", "groups", "session")
	into := AuthOIDC{IdleTimeout: 12 * time.Hour, MaxAge: 7 * day, Scopes: []string{"profile", "email"}}
	readIssuer(s, &into.Issuer, "identity provider")
	s.field("clientId").required(entry.line, &into.ClientID, "what the identity provider knows this server by")
	var password string
	s.field("clientSecret").line(&password)
	into.ClientSecret = signalbox.NewSecret(password)
	scopes := s.field("scopes")
	if list := readTexts(scopes, ""); list != nil {
		into.Scopes = list
		refuseItems(scopes, list, func(scope string) bool { return !withoutSpace.MatchString(scope) }, "must have no spaces within an entry")
	}
	user := s.field("user")
	user.need("which claim says who somebody is, as in {claim: preferred_username}")
	if user := readUser(user.section(), false); user != nil {
		into.User = *user
	}
	into.Groups = readGroups(s.field("groups").section(), false)
	if session := s.field("session").section(); session != nil {
		session.only("idleTimeout", "maxAge")
		session.field("idleTimeout").lasting(time.Minute, 90*day, &into.IdleTimeout)
		session.field("maxAge").lasting(5*time.Minute, 365*day, &into.MaxAge)
	}
	if s.ok() {
		c.Auth.OIDC = &into
	}
}

// readJWT reads the issuers of bearer tokens.
func readJWT(c *Config, e entry) {
	e.items(func(s *section) {
		s.only("issuer", "jwksUrl", "audiences", "algorithms", "user", "groups", "service")
		var into AuthJWT
		readIssuer(s, &into.Issuer, "issuer")
		s.field("jwksUrl").url(&into.JWKSURL)
		into.Audiences = readTexts(s.field("audiences"), "is required: without, a token for any other application would open this one")
		algorithms := s.field("algorithms")
		into.Algorithms = readTexts(algorithms, "")
		refuseItems(algorithms, into.Algorithms, func(name string) bool { return !slices.Contains(jwtAlgorithms, name) },
			"must be some of "+strings.Join(jwtAlgorithms, ", "))
		into.User = readUser(s.field("user").section(), false)
		into.Groups = readGroups(s.field("groups").section(), false)
		into.Service = readService(s.field("service").section(), s.has("user"))
		if !s.has("user") && !s.has("service") {
			s.field("user").failSecret("or service is required: for whom a token speaks, as in {claim: preferred_username}")
		}
		if s.ok() {
			c.Auth.JWT = append(c.Auth.JWT, into)
		}
	})
}

// readProxy reads the proxy that signs users in.
func readProxy(c *Config, e entry) {
	s := e.section()
	if s == nil {
		return
	}
	s.only("cidrs", "userHeader", "groupsHeader", "user", "groups")
	into := AuthProxy{UserHeader: "X-Forwarded-User", GroupsHeader: "X-Forwarded-Groups", User: AuthUser{As: asName}}
	cidrs := s.field("cidrs")
	for _, text := range readTexts(cidrs, "") {
		prefix, err := netip.ParsePrefix(text)
		if address, notPrefix := netip.ParseAddr(text); notPrefix == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil:
			cidrs.failSecret("must be networks or addresses, as in 10.1.0.0/16 and 127.0.0.1")
		case prefix.Bits() == 0:
			cidrs.failSecret("must not hold every address: everybody could be everybody")
		default:
			into.CIDRs = append(into.CIDRs, prefix.Masked())
		}
	}
	if cidrs.missing() || s.ok() && len(into.CIDRs) == 0 {
		cidrs.failSecret("is required: the addresses of the proxies; from elsewhere the headers are refused")
	}
	userHeader, groupsHeader := s.field("userHeader"), s.field("groupsHeader")
	userHeader.line(&into.UserHeader)
	if !headerName.MatchString(into.UserHeader) {
		userHeader.failSecret("must be the name of a header")
	}
	groupsHeader.line(&into.GroupsHeader)
	if user := readUser(s.field("user").section(), true); user != nil {
		into.User = *user
	}
	groups := readGroups(s.field("groups").section(), true)
	switch {
	case into.GroupsHeader != "" && (!headerName.MatchString(into.GroupsHeader) || strings.EqualFold(into.UserHeader, into.GroupsHeader)):
		groupsHeader.failSecret("must be the name of another header")
	case into.GroupsHeader != "" && groups == nil:
		into.Groups = &AuthGroups{As: asName}
	case into.GroupsHeader != "":
		into.Groups = groups
	case groups != nil:
		s.field("groups").failSecret("needs a groupsHeader")
	}
	if s.ok() {
		c.Auth.Proxy = &into
	}
}

// invalidLogin adds what is wrong between the login and the rest.
func (c Config) invalidLogin(found *checks) {
	if c.Auth.OIDC != nil && c.PublicURL() == "" {
		found.add("auth.oidc", "needs to know where browsers reach this server: set publicUrl; the identity provider sends them back to /auth/callback there")
	}
}
