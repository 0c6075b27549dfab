package web

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// client is who is at the far end of a request, with the proxies in between that are
// trusted left out.
type client struct {
	// addr is its address; invalid if the connection has none.
	addr netip.Addr
	// secure reports whether it came by https, host is the host that it asked for.
	secure bool
	host   string
}

// clientOf tells who made a request. This is the one place that heeds X-Forwarded-*
// headers: everybody can send them, so only those of trusted proxies count.
func (s *Server) clientOf(c *fiber.Ctx) client {
	found := client{addr: remoteAddr(c), secure: c.Context().IsTLS(), host: c.Get(fiber.HeaderHost)}
	if !contains(s.config.TrustedProxies, found.addr) {
		return found
	}
	found.addr = behindProxies(found.addr, allHeaders(c, fiber.HeaderXForwardedFor), s.config.TrustedProxies)
	// The last value is of the proxy that is trusted for certain, the nearest one.
	if proto := lastValue(c, fiber.HeaderXForwardedProto); proto != "" {
		found.secure = strings.EqualFold(proto, "https")
	}
	if host := lastValue(c, fiber.HeaderXForwardedHost); host != "" {
		found.host = host
	}
	return found
}

// behindProxies follows the list that proxies append their clients to, from its end,
// as long as these are trusted proxies themselves. What is left of the first other
// one is only what that one says.
func behindProxies(peer netip.Addr, lists []string, trusted []netip.Prefix) netip.Addr {
	addr := peer
	for _, list := range slices.Backward(lists) {
		for more := true; more; {
			var item string
			at := strings.LastIndexByte(list, ',')
			if more = at >= 0; more {
				list, item = list[:at], list[at+1:]
			} else {
				item = list
			}
			next, ok := forwardedAddr(strings.TrimSpace(item))
			if !ok {
				return addr
			}
			addr = next
			if !contains(trusted, addr) {
				return addr
			}
		}
	}
	return addr
}

// forwardedAddr reads an item of X-Forwarded-For: an address, by some proxies with a
// port.
func forwardedAddr(item string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(strings.Trim(item, "[]")); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if both, err := netip.ParseAddrPort(item); err == nil {
		return both.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func lastValue(c *fiber.Ctx, header string) string {
	values := allHeaders(c, header)
	if len(values) == 0 {
		return ""
	}
	last := values[len(values)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// neighbourhood is what one client holds of addresses: of IPv6, a network of 2⁶⁴.
func neighbourhood(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil { // no address
		return netip.Prefix{}
	}
	return prefix
}
