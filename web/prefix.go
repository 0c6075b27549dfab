package web

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// prefix is the path that a proxy puts before every other, without a slash at the end;
// empty for none. Some proxies take it away before they pass a request on, some do not.
type prefix string

// prefixOf is the path of the URL at which browsers reach the server.
func prefixOf(publicURL string) prefix {
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return prefix(strings.TrimRight(u.EscapedPath(), "/"))
}

// ambiguous reports whether one of the server's own paths begins with it: then nobody
// can tell whether a proxy has taken it away.
func (p prefix) ambiguous(routes []route) bool {
	for _, r := range routes {
		if r.path == string(p) || strings.HasPrefix(r.path, string(p)+"/") {
			return true
		}
	}
	return false
}

// take takes the prefix off a request before anything else looks at its path.
func (p prefix) take(header *fasthttp.RequestHeader) {
	uri := header.RequestURI()
	begin := pathOf(uri)
	rest, ok := bytes.CutPrefix(uri[begin:], []byte(p))
	if ok && len(rest) > 0 && rest[0] == '/' {
		header.SetRequestURIBytes(slices.Concat(uri[:begin], rest))
	}
}

// pathOf is where the path begins: proxies may put scheme and host before it.
func pathOf(uri []byte) int {
	scheme, rest, ok := bytes.Cut(uri, []byte("://"))
	if !ok || bytes.IndexByte(scheme, '/') >= 0 {
		return 0
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 || rest[end] != '/' {
		return 0
	}
	return len(uri) - len(rest) + end
}

// complete leads who leaves out the slash at the end to the page: what the page refers
// to is relative to where it is.
func (p prefix) complete(c *fiber.Ctx) error {
	to := string(p) + "/"
	if query := c.Context().QueryArgs().QueryString(); len(query) > 0 {
		to += "?" + string(query)
	}
	return c.Redirect(to, fiber.StatusPermanentRedirect)
}

// pattern is the path as Fiber has it, to which some characters mean something.
func (p prefix) pattern() string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, "*", `\*`, "+", `\+`).Replace(string(p))
}
