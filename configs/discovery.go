package configs

import (
	"slices"
	"strings"
)

// Backstage is where a Backstage installation is whose users and plugins are known.
type Backstage struct {
	// BaseURL is that of its backend.
	BaseURL   string
	Endpoints []DiscoveryEndpoint
}

// DiscoveryEndpoint is an entry of Backstage's "discovery.endpoints".
type DiscoveryEndpoint struct {
	// Internal and External are the targets; {{pluginId}} stands for the plugin.
	Internal, External string
	// Plugins are those that are there; "*" for all others.
	Plugins []string
}

// Backstage returns the Backstage installation whose tokens are taken, and whether
// there is one: "auth.backstage.baseUrl" names it; else the configuration is
// Backstage's own if its discovery says where the notifications plugin is, and
// "backend.baseUrl" is Backstage's.
func (c Config) Backstage() (Backstage, bool) {
	base := c.Auth.Backstage.BaseURL
	if base == "" && c.ownEndpoint() != nil {
		base = c.Backend.BaseURL
	}
	return Backstage{BaseURL: base, Endpoints: c.Discovery}, base != ""
}

// ownEndpoint is where Backstage finds Signalbox.
func (c Config) ownEndpoint() *DiscoveryEndpoint {
	for i := range c.Discovery {
		if slices.Contains(c.Discovery[i].Plugins, "notifications") {
			return &c.Discovery[i]
		}
	}
	return nil
}

// PublicURL is where people reach this server, without a slash at the end:
// "publicUrl"; else what Backstage's discovery says of the notifications plugin;
// else "backend.baseUrl". Empty if nothing tells.
func (c Config) PublicURL() string {
	if c.Public != "" {
		return c.Public
	}
	own := c.ownEndpoint()
	if own == nil {
		return c.Backend.BaseURL
	}
	base, ok := strings.CutSuffix(strings.TrimRight(own.External, "/"), "/api/{{pluginId}}")
	if !ok {
		base, _ = strings.CutSuffix(strings.TrimRight(own.External, "/"), "/api/notifications")
	}
	return base
}

// readDiscovery reads discovery.endpoints, as Backstage writes them.
func readDiscovery(c *Config, e entry) {
	e.items(func(s *section) {
		if !s.only("target", "plugins") {
			return
		}
		var endpoint DiscoveryEndpoint
		supported := endpoint.target(s.field("target"))
		if plugins := s.field("plugins"); plugins.need("a list of plugins, as in [notifications, signals]") {
			endpoint.Plugins, _ = plugins.list()
		}
		if supported && s.ok() {
			c.Discovery = append(c.Discovery, endpoint)
		}
	})
}

// target reads a target: one URL, or one for each side. It tells whether they are of
// a kind that is supported.
func (d *DiscoveryEndpoint) target(e entry) (supported bool) {
	if !e.need("a URL, or {internal, external}") {
		return false
	}
	if !e.isObject() {
		supported = targetURL(e, &d.Internal)
		d.External = d.Internal
		return supported
	}
	s := e.section()
	if !s.only("internal", "external") {
		return false
	}
	internal := targetURL(s.field("internal"), &d.Internal)
	return targetURL(s.field("external"), &d.External) && internal
}

func targetURL(e entry, into *string) (supported bool) {
	supported = true
	read(e, into, func(text string) (string, error) {
		if scheme, _, _ := strings.Cut(text, "://"); strings.HasSuffix(scheme, "+srv") {
			// Of whatever plugin it is: Backstage's own file must do as it is.
			e.warn("is looked up in DNS by Backstage, which is not supported: the entry is ignored")
			supported = false
			return text, nil
		}
		return text, checkBaseURL(strings.ReplaceAll(text, "{{pluginId}}", "plugin"))
	}, e.fail)
	return supported
}
