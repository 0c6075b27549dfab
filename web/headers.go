package web

import (
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

const headerResourcePolicy = "Cross-Origin-Resource-Policy"

// strictTransport tells browsers to come by https only, for a year. Without
// includeSubDomains: other hosts are not ours to speak for.
const strictTransport = "max-age=31536000"

// setTransportHeaders sets what all answers have. Handlers may override it.
func (s *Server) setTransportHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	// Browsers keep it for a host, whatever the port: not for one where people develop
	// other things, too.
	if client := s.clientOf(c); client.secure && !isLocalHost(client.host) {
		c.Set(fiber.HeaderStrictTransportSecurity, strictTransport)
	}
}

// isLocalHost reports whether a Host header names the machine itself.
func isLocalHost(host string) bool {
	if addr, err := netip.ParseAddrPort(host); err == nil {
		return addr.Addr().IsLoopback()
	}
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.IsLoopback()
	}
	name, _, _ := strings.Cut(host, ":")
	return strings.EqualFold(strings.TrimSuffix(name, "."), "localhost")
}
