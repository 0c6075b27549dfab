package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// TLS says with which certificate the server speaks TLS.
type TLS struct {
	// Cert is the file of the certificate, followed by those between it and the
	// root ("tls.cert"), Key that of its private key ("tls.key"), both PEM. In a
	// configuration file they are relative to that file. They are read again when
	// they change. Default to none: plain HTTP.
	Cert, Key string
}

// Enabled reports whether the server speaks TLS.
func (t TLS) Enabled() bool { return t.Cert != "" }

// Connections bounds who may be connected.
type Connections struct {
	// PerAddress is how many connections one IPv4 address or IPv6 /64 may have, with
	// WebSockets ("connections.perAddress"); 0 is no limit. Trusted proxies and the
	// machine itself have none. Defaults to 4096.
	PerAddress int
}

func networkKeys() []key {
	return []key{
		{path: "tls.cert", read: file(func(c *Config) *string { return &c.TLS.Cert })},
		{path: "tls.key", read: file(func(c *Config) *string { return &c.TLS.Key })},
		{path: "trustedProxies", read: readTrustedProxies},
		{path: "connections.perAddress", read: value(asInt, func(c *Config) *int { return &c.Connections.PerAddress })},
	}
}

func readTrustedProxies(c *Config, e entry) {
	items, ok := e.list()
	if !ok {
		return
	}
	c.TrustedProxies = nil
	for i, item := range items {
		prefix, err := ParseNetwork(item)
		if err != nil {
			key := e.item(i, nil).path
			e.at(e.node(key), key).fail(err.Error())
			continue
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
}

// ParseNetwork reads an address, or a network as an address and the length of its
// prefix. All addresses are none.
func ParseNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	prefix, err := netip.ParsePrefix(text)
	if addr, single := netip.ParseAddr(text); single == nil && addr.Zone() == "" {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil || prefix.Addr().Is4In6():
		return netip.Prefix{}, errors.New("must be an address or a network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8")
	case prefix.Bits() == 0:
		return netip.Prefix{}, errors.New("must not be all addresses: everybody could pretend to be anybody")
	case prefix.Masked() != prefix:
		return netip.Prefix{}, fmt.Errorf("is not a network: it would be %s, or %s for the one address", prefix.Masked(), prefix.Addr())
	}
	return prefix, nil
}

func (c Config) invalidNetwork(found *checks) {
	switch {
	case c.TLS.Cert != "" && c.TLS.Key == "":
		found.add("tls.cert", "needs tls.key, too")
	case c.TLS.Key != "" && c.TLS.Cert == "":
		found.add("tls.key", "needs tls.cert, too")
	}
	const most = 1_000_000
	if n := c.Connections.PerAddress; n < 0 || n > most {
		found.add("connections.perAddress", fmt.Sprintf("must be between 1 and %d, or 0 for no limit", most))
	}
	for i, network := range c.TrustedProxies {
		if _, err := ParseNetwork(network.String()); err != nil {
			found.add(fmt.Sprintf("trustedProxies[%d]", i), err.Error())
		}
	}
}
