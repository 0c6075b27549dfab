package web

import "github.com/gofiber/fiber/v2"

// App returns the Fiber application.
func (s *Server) App() *fiber.App { return s.app }

// RouteInfo describes a route to those who check the table.
type RouteInfo struct {
	Method string
	// Path is a Fiber pattern.
	Path string
	// Access is who may use it: "public", "user", "service", "either" of these,
	// "sender" (services, and users if they may send), "own" (users about their own,
	// and admins), or "admin".
	Access string
}

// Routes lists the route table.
func (s *Server) Routes() []RouteInfo {
	list := make([]RouteInfo, 0, len(s.routes))
	for _, r := range s.routes {
		info := RouteInfo{Method: r.method, Path: r.path}
		switch {
		case r.public != nil:
			info.Access = "public"
		case r.user != nil, r.socket != nil:
			info.Access = "user"
		case r.service != nil:
			info.Access = "service"
		case r.sender != nil:
			info.Access = "sender"
		case r.own != nil:
			info.Access = "own"
		case r.either != nil:
			info.Access = "either"
		case r.admin != nil:
			info.Access = "admin"
		}
		list = append(list, info)
	}
	return list
}
