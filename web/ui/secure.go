package ui

import (
	"regexp"

	"github.com/gofiber/fiber/v2"
)

// policy is the Content-Security-Policy, without where WebSockets may go. Trusted
// types are demanded and none is allowed: no script can turn text into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'; connect-src 'self'"

// plainHost is a host that can stand in a policy: a header's value must not end it.
var plainHost = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$`)

// secure sets the headers that keep the page from being misused.
func secure(c *fiber.Ctx) {
	csp := policy
	// Not all browsers take 'self' for the WebSocket of the same host.
	if host := c.Get(fiber.HeaderHost); plainHost.MatchString(host) {
		csp += " ws://" + host + " wss://" + host
	}
	c.Set(fiber.HeaderContentSecurityPolicy, csp)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}
