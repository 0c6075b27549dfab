package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiscoveryRefuses(t *testing.T) {
	for section, want := range map[string][]string{
		"{}":                                  {"discovery.endpoints: must be a list, not a section"},
		"[{}]":                                {"discovery.endpoints[0].target: is required: a URL, or {internal, external}", "discovery.endpoints[0].plugins: is required: a list of plugins, as in [notifications, signals]"},
		"[{target: 'http://a', plugins: {}}]": {"discovery.endpoints[0].plugins: must be a single value, not a section"},
		"[{target: {public: 'http://a'}, plugins: [a]}]":   {"discovery.endpoints[0].target.public: unknown key"},
		"[{target: 'ftp://a/{{pluginId}}', plugins: [a]}]": {"discovery.endpoints[0].target: must be an http:// or https:// URL with a host, got \"ftp://a/{{pluginId}}\""},
	} {
		_, _, problems := load(t, Sources{Files: write(t, "discovery: {endpoints: "+section+"}\n")})
		for i, problem := range problems {
			_, problems[i], _ = strings.Cut(problem, ": ") // the place
		}
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", section, diff)
		}
	}
}

func TestDiscoveryByDNS(t *testing.T) {
	got, warnings, problems := load(t, Sources{Files: write(t, "discovery: {endpoints: [{target: 'http+srv://a/{{pluginId}}', plugins: [search]}, {target: 'http://b', plugins: [catalog]}]}\n")})
	if problems != nil || len(got.Discovery) != 1 || got.Discovery[0].Internal != "http://b" || len(warnings) != 1 || !strings.Contains(warnings[0], "not supported") {
		t.Errorf("%+v, %q, %q", got.Discovery, warnings, problems)
	}
}

func TestBackstage(t *testing.T) {
	const own = "discovery: {endpoints: [{target: {internal: 'http://in/api/{{pluginId}}', external: 'https://out/base/api/{{pluginId}}'}, plugins: [signals, notifications]}]}\n"
	for name, test := range map[string]struct {
		file, backstage, public string
	}{
		"nothing":              {"", "", ""},
		"own address":          {"backend: {baseUrl: 'https://me'}", "", "https://me"},
		"named":                {"auth: {backstage: {baseUrl: 'https://b'}}\nbackend: {baseUrl: 'https://me'}", "https://b", "https://me"},
		"Backstage's own":      {own + "backend: {baseUrl: 'https://b'}", "https://b", "https://out/base"},
		"named beside its own": {own + "backend: {baseUrl: 'https://b'}\nauth: {backstage: {baseUrl: 'https://c'}}", "https://c", "https://out/base"},
		"public":               {own + "publicUrl: 'https://p/'\nbackend: {baseUrl: 'https://b'}", "https://b", "https://p"},
		"one plugin at a time": {"discovery: {endpoints: [{target: 'https://out/api/notifications', plugins: [notifications]}]}\nbackend: {baseUrl: 'https://b'}", "https://b", "https://out"},
		"another plugin's":     {"discovery: {endpoints: [{target: 'https://out/api/catalog', plugins: [catalog]}]}\nbackend: {baseUrl: 'https://me'}", "", "https://me"},
	} {
		got, _, problems := load(t, Sources{Files: write(t, test.file)})
		where, ok := got.Backstage()
		if problems != nil || where.BaseURL != test.backstage || ok != (test.backstage != "") || got.PublicURL() != test.public {
			t.Errorf("%s: Backstage is at %q, this server at %q: %v", name, where.BaseURL, got.PublicURL(), problems)
		}
		if ok && got.Auth.Guest.Enabled {
			t.Errorf("%s: guest mode is on", name)
		}
	}
}
