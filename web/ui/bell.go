package ui

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// bellScript is what a foreign page loads for its bell.
const bellScript = "bell.js"

// bellFiles are those of the bell and its demo. They are at the root and not among the
// assets, because others refer to them: their addresses stay the same.
var bellFiles = []string{bellScript, "bell-demo.html", "bell-demo.css", "bell-demo.js"}

// bellPaths lists where they are, as Fiber patterns.
func bellPaths() []string {
	paths := make([]string, len(bellFiles))
	for i, name := range bellFiles {
		paths[i] = "/" + name
	}
	return paths
}

// takeBell takes a file if it is one of the bell's.
func (p *Page) takeBell(name, kind string, content []byte) bool {
	if !slices.Contains(bellFiles, name) {
		return false
	}
	if name == bellScript {
		content = slimmed(content)
	}
	p.bell[name] = newAsset(kind, content)
	return true
}

// findBell returns the file at an address, in any case and with a slash at its end, as
// the routes allow.
func (p *Page) findBell(at string) *asset {
	return p.bell[strings.ToLower(strings.Trim(at, "/"))]
}

// share lets pages of all origins load the script, as a module and below a
// Cross-Origin-Embedder-Policy. It is no secret, and knows nobody's.
func share(c *fiber.Ctx) {
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	c.Set("Cross-Origin-Resource-Policy", "cross-origin")
}
