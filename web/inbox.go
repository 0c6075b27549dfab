package web

import (
	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// page is the answer to a list query.
type page struct {
	TotalCount    int                      `json:"totalCount"`
	Notifications []signalbox.Notification `json:"notifications"`
	// NextCursor continues the list; only in the default order, and if there is
	// more.
	NextCursor string `json:"nextCursor,omitempty"`
}

func (s *Server) list(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	q, err := readQuery(c, filterParameters, pageParameters)
	if err != nil {
		return err
	}
	filter, err := q.filter()
	if err != nil {
		return err
	}
	cut, err := q.page()
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	var answer page
	if answer.TotalCount, err = s.deps.Inbox.Count(ctx, user.Ref, filter); err != nil {
		return err
	}
	limit := cut.Limit
	if limit > 0 {
		cut.Limit++ // the one more tells whether there is more
		if answer.Notifications, err = s.deps.Inbox.List(ctx, user.Ref, filter, cut); err != nil {
			return err
		}
		if len(answer.Notifications) > limit {
			answer.Notifications = answer.Notifications[:limit]
			if len(cut.Order) == 0 {
				answer.NextCursor = encodeCursor(&answer.Notifications[limit-1])
			}
		}
	}
	answer.Notifications = notificationList(answer.Notifications)
	return sendJSON(c, answer)
}

func (s *Server) get(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	id, ok := canonicalUUID(c.Params("id"))
	if !ok {
		return signalbox.Errorf(signalbox.CodeNotFound, "Notification not found")
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	notification, err := s.deps.Inbox.Get(ctx, user.Ref, id)
	if err != nil {
		return err
	}
	return sendJSON(c, notification)
}

func (s *Server) status(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	status, err := s.deps.Inbox.Status(ctx, user.Ref)
	if err != nil {
		return err
	}
	return sendJSON(c, status)
}

func (s *Server) topics(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	q, err := readQuery(c, filterParameters)
	if err != nil {
		return err
	}
	filter, err := q.filter()
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	topics, err := s.deps.Inbox.Topics(ctx, user.Ref, filter)
	if err != nil {
		return err
	}
	if topics == nil {
		topics = []string{}
	}
	return sendJSON(c, fiber.Map{"topics": topics})
}
