package backstage

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// pluginID is what a plugin can be called. It is stricter than Backstage, which
// takes capitals too: "catalog" and "CATALOG" would be one server's keys under
// two names.
var pluginID = regexp.MustCompile(`^[a-z0-9_-]+$`)

// maxPluginID bounds it, in bytes.
const maxPluginID = 128

// IsPluginID reports whether a text can be the identifier of a Backstage plugin:
// 1 to 128 of a-z, 0-9, "_" and "-". Only such a text is put into a URL.
func IsPluginID(s string) bool { return len(s) <= maxPluginID && pluginID.MatchString(s) }

// Endpoint is an entry of discovery.endpoints: where some plugins are.
type Endpoint struct {
	// Internal and External are target.internal and target.external, or both the
	// target if it is one text. {{pluginId}} stands for the plugin. One may be
	// empty.
	Internal, External string
	// Plugins are the plugins that are there; "*" is all that no other entry names.
	Plugins []string
}

// DiscoveryConfig configures a [Discovery].
type DiscoveryConfig struct {
	// BaseURL is backend.baseUrl. Plugins that no endpoint names are below it at
	// /api/<plugin>. Required.
	BaseURL string
	// Endpoints are discovery.endpoints; a later one wins. Defaults to none.
	Endpoints []Endpoint
}

// Discovery knows where the plugins of a Backstage installation are, as
// Backstage's own discovery does: at the internal address if there is one.
type Discovery struct {
	internal, external map[string]string
	fallback           string
}

// NewDiscovery checks the addresses. Targets of the kind http+srv:// are an
// error: they are not supported.
func NewDiscovery(config DiscoveryConfig) (*Discovery, error) {
	base := strings.TrimRight(config.BaseURL, "/")
	if err := checkTarget(base); err != nil {
		return nil, fmt.Errorf("backend.baseUrl: %w", err)
	}
	d := &Discovery{
		internal: make(map[string]string), external: make(map[string]string),
		fallback: base + "/api/{{pluginId}}",
	}
	for i, endpoint := range config.Endpoints {
		for _, target := range []struct {
			url  string
			into map[string]string
		}{{endpoint.Internal, d.internal}, {endpoint.External, d.external}} {
			if target.url == "" {
				continue
			}
			if err := checkTarget(target.url); err != nil {
				return nil, fmt.Errorf("discovery.endpoints[%d]: %w", i, err)
			}
			for _, plugin := range endpoint.Plugins {
				if plugin != "*" && !IsPluginID(plugin) {
					return nil, fmt.Errorf("discovery.endpoints[%d]: %q is not the identifier of a plugin", i, plugin)
				}
				target.into[plugin] = strings.TrimRight(target.url, "/")
			}
		}
	}
	return d, nil
}

var placeholder = regexp.MustCompile(`\{\{\s*pluginId\s*\}\}`)

// checkTarget does not tell a URL, which could hold a password.
func checkTarget(target string) error {
	filled := placeholder.ReplaceAllLiteralString(target, "plugin")
	parsed, err := url.Parse(filled)
	switch {
	case err != nil || parsed.Hostname() == "":
		return errors.New("it must be an http:// or https:// URL")
	case strings.HasSuffix(parsed.Scheme, "+srv"):
		return errors.New("targets that are looked up by DNS SRV records are not supported")
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return errors.New("it must be an http:// or https:// URL")
	case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return errors.New("it must have no password, query or fragment")
	}
	return nil
}

// Base returns where the API of a plugin is, without a slash at the end. The
// plugin must be one by [IsPluginID].
func (d *Discovery) Base(plugin string) string {
	target := d.fallback
	for _, candidate := range []struct {
		from map[string]string
		key  string
	}{{d.internal, plugin}, {d.internal, "*"}, {d.external, plugin}, {d.external, "*"}} {
		if known, ok := candidate.from[candidate.key]; ok {
			target = known
			break
		}
	}
	return placeholder.ReplaceAllLiteralString(target, plugin)
}
