package binary

import (
	"fmt"
	"strings"
)

func tokenOf(origin string) string { return "token-of-" + origin + "-for-tests" }

// Senders is a configuration with a sender for each of the origins.
func Senders(origins ...string) string {
	var text strings.Builder
	text.WriteString("backend:\n  auth:\n    externalAccess:\n")
	for _, origin := range origins {
		fmt.Fprintf(&text, "      - {type: static, options: {token: %s, subject: %s}}\n", tokenOf(origin), origin)
	}
	return text.String()
}

// As makes the next requests those of another sender, one of [Senders]. A server that
// has only its local sender keeps that.
func (s *Server) As(origin string) *Server {
	if !s.local {
		s.Token = tokenOf(origin)
	}
	return s
}
