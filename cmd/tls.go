package cmd

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/signalbox/signalbox/configs"
	"github.com/signalbox/signalbox/web/certificate"
)

// tlsConfig reads the certificate; nil if the server speaks plain HTTP.
func tlsConfig(c configs.TLS, log *slog.Logger) (*tls.Config, error) {
	if !c.Enabled() {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	cert, err := certificate.Open(certificate.Config{CertFile: c.Cert, KeyFile: c.Key, Logger: log})
	if err != nil {
		return nil, exitWith(exitUsage, fmt.Errorf("tls: %w", err))
	}
	return cert.TLS(), nil
}

// scheme is that of the server's own addresses: base is "http" or "ws".
func scheme(c configs.TLS, base string) string {
	if c.Enabled() {
		return base + "s"
	}
	return base
}

// thisMachine are the addresses at which processes of this machine, and proxies that
// nobody named, connect.
func thisMachine() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}
