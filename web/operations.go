package web

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/signalbox/signalbox"
)

// readyTimeout bounds the readiness check.
const readyTimeout = 5 * time.Second

// healthy says that the process answers.
func healthy(c *fiber.Ctx) error {
	return sendJSON(c, fiber.Map{"status": "ok"})
}

// ready says whether the server should get traffic.
func (s *Server) ready(c *fiber.Ctx) error {
	if s.deps.Ready != nil {
		ctx, cancel := context.WithTimeout(s.base, readyTimeout)
		defer cancel()
		if err := s.deps.Ready(ctx); err != nil {
			return signalbox.Unavailable("Not ready", time.Second, err)
		}
	}
	return sendJSON(c, fiber.Map{"status": "ok"})
}

func (s *Server) metricsHandler() fiber.Handler {
	return adaptor.HTTPHandler(promhttp.HandlerFor(s.deps.Gatherer, promhttp.HandlerOpts{}))
}

func serveOpenAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/yaml; charset=utf-8")
	c.Response().SetBodyRaw(openAPI)
	return nil
}
