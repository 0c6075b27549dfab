package configs

import (
	"fmt"
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
func readDiscovery(r *reader, c *Config, n *node, path string) {
	if n.kind != sequence {
		r.fail(n, path, "must be a list, not "+n.kind.String())
		return
	}
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !r.section(item, at, "target", "plugins") {
			continue
		}
		var e DiscoveryEndpoint
		targetOK := r.discoveryTarget(item, join(at, "target"), &e)
		plugins := item.child("plugins")
		if plugins.missing() {
			r.fail(item, join(at, "plugins"), "is required: a list of plugins, as in [notifications, signals]")
			continue
		}
		names, ok := r.list(plugins, join(at, "plugins"))
		if e.Plugins = names; ok && targetOK {
			c.Discovery = append(c.Discovery, e)
		}
	}
}

// discoveryTarget reads a target: one URL, or one for each side.
func (r *reader) discoveryTarget(item *node, path string, into *DiscoveryEndpoint) bool {
	n := item.child("target")
	if n.missing() {
		r.fail(item, path, "is required: a URL, or {internal, external}")
		return false
	}
	if n.kind != mapping || len(n.fields) == 1 && strings.HasPrefix(n.fields[0].key, "$") {
		text, ok := r.text(n, path)
		into.Internal, into.External = text, text
		return ok && r.targetURL(n, path, text)
	}
	if !r.section(n, path, "internal", "external") {
		return false
	}
	ok := true
	for name, field := range map[string]*string{"internal": &into.Internal, "external": &into.External} {
		if child := n.child(name); !child.missing() {
			text, isText := r.text(child, join(path, name))
			*field = text
			ok = isText && r.targetURL(child, join(path, name), text) && ok
		}
	}
	return ok
}

func (r *reader) targetURL(n *node, path, text string) bool {
	if scheme, _, _ := strings.Cut(text, "://"); strings.HasSuffix(scheme, "+srv") {
		// Of whatever plugin it is: Backstage's own file must do as it is.
		r.warn(n.at, path, "is looked up in DNS by Backstage, which is not supported: the entry is ignored")
		return false
	}
	if err := checkBaseURL(strings.ReplaceAll(text, "{{pluginId}}", "plugin")); err != nil {
		r.fail(n, path, err.Error())
		return false
	}
	return true
}
