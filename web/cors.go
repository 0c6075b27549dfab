package web

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/cors"

	"github.com/signalbox/signalbox/web/auth"
)

// crossOrigin lets the pages of configured origins use the API. Those that are named
// may use the session of who is signed in here, as far as browsers send its cookie
// along; where all are allowed, no cookie counts.
func (s *Server) crossOrigin() fiber.Handler {
	origins, methods := s.config.AllowedOrigins, []string{fiber.MethodHead}
	everybody := slices.Contains(origins, "*")
	if everybody {
		origins = []string{"*"}
	}
	for _, r := range s.routes {
		if !slices.Contains(methods, r.method) {
			methods = append(methods, r.method)
		}
	}
	return cors.New(cors.Config{
		AllowOrigins:     strings.Join(origins, ","),
		AllowCredentials: !everybody,
		AllowMethods:     strings.Join(methods, ","),
		AllowHeaders: strings.Join([]string{
			fiber.HeaderAuthorization, fiber.HeaderContentType, auth.HeaderRequest, headerPrefer, headerIdempotencyKey,
			headerGuestUser, headerGuestGroups,
		}, ","),
		ExposeHeaders: strings.Join([]string{fiber.HeaderRetryAfter, headerPreferenceApplied, headerReplayed}, ","),
		MaxAge:        600,
	})
}
