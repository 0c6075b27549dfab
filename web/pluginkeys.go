package web

import (
	"github.com/gofiber/fiber/v2"
)

// pluginKeysPath is where Backstage's plugins look for the keys of the plugin that
// calls them.
const pluginKeysPath = "/.backstage/auth/v1/jwks.json"

// pluginKeys serves the public keys of this server's own tokens. Without Backstage
// there is no such page, which tells a plugin that there is nobody to trust.
func (s *Server) pluginKeys(c *fiber.Ctx) error {
	if s.deps.PluginKeys == nil {
		return fiber.ErrNotFound
	}
	if _, err := readQuery(c); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	document, err := s.deps.PluginKeys(ctx)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSONCharsetUTF8)
	return c.Send(document)
}
