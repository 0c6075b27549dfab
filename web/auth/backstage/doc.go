// Package backstage knows the credentials of a Backstage installation: tokens of
// its users and of its backend plugins, and those of outside services that its
// configuration lets in. It also signs the tokens with which Signalbox, which
// takes the place of the notifications and signals plugins, calls other plugins.
//
// In a chain the authenticators go plugins, users, outside services, as in
// Backstage. Each decides by the unverified header of a token whether it is its
// own, before it asks anybody for keys.
//
// It may import the root package, web/auth, web/auth/jwks and the libraries for
// tokens, keys, identifiers and rates. It reads no configuration files: the fields of its Config
// structs are those of Backstage's app-config.
package backstage

// The typ headers of Backstage's tokens.
const (
	typeUser        = "vnd.backstage.user"
	typeLimitedUser = "vnd.backstage.limited-user"
	typePlugin      = "vnd.backstage.plugin"
)

// userAudience is the audience of all user tokens.
const userAudience = "backstage"
