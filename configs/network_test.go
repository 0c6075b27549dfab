package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "fd00::/8": "fd00::/8", "::1": "::1/128",
	} {
		if got, err := ParseNetwork(text); err != nil || got.String() != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                    "must be an address or a network",
		"proxy.example.com":   "must be an address or a network",
		"10.0.0.0/33":         "must be an address or a network",
		"::ffff:10.0.0.0/104": "must be an address or a network",
		"fe80::1%eth0":        "must be an address or a network",
		"0.0.0.0/0":           "must not be all addresses",
		"::/0":                "must not be all addresses",
		"10.1.2.3/8":          "it would be 10.0.0.0/8, or 10.1.2.3",
	} {
		if got, err := ParseNetwork(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func TestNetworkKeys(t *testing.T) {
	load := func(text string) (Config, string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "a.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config, _, err := Load(Sources{Files: []string{file}})
		if err != nil {
			return config, strings.ReplaceAll(err.Error(), file, "a.yaml")
		}
		config.TLS.Cert = strings.TrimPrefix(config.TLS.Cert, filepath.Dir(file))
		return config, ""
	}
	for text, want := range map[string]string{
		"tls: {cert: a}":                                "a.yaml:1:13: tls.cert: needs tls.key, too",
		"tls: {key: a}":                                 "a.yaml:1:12: tls.key: needs tls.cert, too",
		"connections: {perAddress: -1}":                 "connections.perAddress: must be between 1 and 1000000, or 0",
		"trustedProxies: [10.0.0.1, 10.0.0.1/8, x]":     "a.yaml:1:28: trustedProxies[1]: is not a network",
		"trustedProxies: [10.0.0.1, 10.0.0.0/8, \"x\"]": "a.yaml:1:40: trustedProxies[2]: must be an address",
	} {
		if _, got := load(text); !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
	config, problem := load("tls: {cert: tls/cert.pem, key: /etc/key.pem}\nconnections: {perAddress: 0}")
	if problem != "" || config.TLS.Cert != "/tls/cert.pem" || config.TLS.Key != "/etc/key.pem" || config.Connections.PerAddress != 0 {
		t.Errorf("%+v %s", config.TLS, problem)
	}
	// Behind a proxy, a loopback address is not out of reach.
	if config, _ := load("log: {}"); !config.Auth.Guest.Enabled {
		t.Error("no guest mode by default")
	}
	if config, _ := load("trustedProxies: [127.0.0.1]"); config.Auth.Guest.Enabled {
		t.Error("guest mode behind a proxy")
	}
	config = Default()
	config.TrustedProxies = append(config.TrustedProxies, config.TrustedProxies...)
	if err := config.Validate(); err != nil {
		t.Error(err)
	}
}
