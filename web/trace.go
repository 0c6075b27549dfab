package web

import (
	"context"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// tracePage is the answer about the deliveries of a request, or of one user's part
// of it.
type tracePage struct {
	// Request is only shown to the sending service.
	Request *tracedRequest `json:"request,omitempty"`
	// Summary is only there on the first page of a whole request.
	Summary    []tracedCount    `json:"summary,omitempty"`
	Deliveries []tracedDelivery `json:"deliveries"`
	NextCursor string           `json:"nextCursor,omitempty"`
}

type tracedRequest struct {
	ID         string                  `json:"id"`
	Origin     string                  `json:"origin"`
	Created    string                  `json:"created"`
	Status     signalbox.RequestStatus `json:"status"`
	Recipients int                     `json:"recipients"`
	Unknown    []string                `json:"unknown"`
	// Stage, Error and Attempts tell of failures.
	Stage    string `json:"stage,omitempty"`
	Error    string `json:"error,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
}

type tracedCount struct {
	Channel string                   `json:"channel"`
	Status  signalbox.DeliveryStatus `json:"status"`
	Rule    signalbox.Rule           `json:"rule,omitempty"`
	Text    string                   `json:"text,omitempty"`
	Count   int                      `json:"count"`
}

type tracedDelivery struct {
	Channel string                   `json:"channel"`
	Status  signalbox.DeliveryStatus `json:"status"`
	// Recipient is a user, another entity, "*" for everyone, or null for a direct
	// target.
	Recipient    *string `json:"recipient"`
	Notification string  `json:"notification"`
	// Target is where it went on the channel.
	Target   *string        `json:"target"`
	Rule     signalbox.Rule `json:"rule,omitempty"`
	Text     string         `json:"text,omitempty"`
	Detail   string         `json:"detail,omitempty"`
	Provider string         `json:"providerId,omitempty"`
	Attempts int            `json:"attempts"`
	Next     *string        `json:"nextAttempt"`
	Updated  string         `json:"updated"`
}

var traceParameters = []string{"limit", "cursor"}

// deliveries tells what became of a notification, to its user, or of a request, to
// the service that sent it. Both may name either: a user sees its own part of a
// request.
func (s *Server) deliveries(c *fiber.Ctx, principal signalbox.Principal) error {
	q, err := readQuery(c, traceParameters)
	if err != nil {
		return err
	}
	limit, err := q.integer("limit", DefaultLimit, signalbox.MaxTracePage)
	if err != nil {
		return err
	}
	id, ok := canonicalUUID(c.Params("id"))
	if !ok {
		return signalbox.Errorf(signalbox.CodeNotFound, "Notification not found")
	}
	if user, is := principal.(signalbox.UserPrincipal); is {
		return s.userDeliveries(c, user.Ref, id)
	}
	mine := func(origin string) bool { return origin == principal.Subject() }
	return s.requestDeliveries(c, mine, id, q.get("cursor"), max(limit, 1))
}

func (s *Server) userDeliveries(c *fiber.Ctx, user, id string) error {
	ctx, cancel := s.requestContext(0)
	defer cancel()
	notification, err := s.deps.Inbox.Get(ctx, user, id)
	if signalbox.ErrorCode(err) == signalbox.CodeNotFound {
		unknown := err
		notification, err = s.deps.Inbox.Get(ctx, user, signalbox.NotificationID(id, user))
		if signalbox.ErrorCode(err) == signalbox.CodeNotFound {
			return s.deliveriesBeside(ctx, c, user, id, unknown)
		}
	}
	if err != nil {
		return err
	}
	list, err := s.deps.Trace.UserDeliveries(ctx, notification.RequestID, user)
	if err != nil {
		return err
	}
	return s.sendUserDeliveries(c, withInbox(list, &notification))
}

// deliveriesBeside tells a user what became of a request that is not in its inbox.
// unknown is the answer if nothing did.
func (s *Server) deliveriesBeside(ctx context.Context, c *fiber.Ctx, user, request string, unknown error) error {
	list, err := s.deps.Trace.UserDeliveries(ctx, request, user)
	if err != nil {
		return err
	}
	// What became of it for groups is only the business of who got it, too.
	list = slices.DeleteFunc(list, func(r signalbox.DeliveryRecord) bool { return r.Audience != signalbox.UserAudience(user) })
	if len(list) == 0 {
		return unknown
	}
	return s.sendUserDeliveries(c, list)
}

func (s *Server) sendUserDeliveries(c *fiber.Ctx, list []signalbox.DeliveryRecord) error {
	page := tracePage{Deliveries: []tracedDelivery{}}
	// Processors are not channels, and none of the user's business.
	for _, record := range list {
		if _, known := s.deps.Policy.Channel(record.Channel); known {
			page.Deliveries = append(page.Deliveries, traced(&record))
		}
	}
	return sendJSON(c, page)
}

// withInbox adds that a notification is in the inbox, unless it is recorded.
func withInbox(list []signalbox.DeliveryRecord, n *signalbox.Notification) []signalbox.DeliveryRecord {
	for _, record := range list {
		if record.Channel == signalbox.ChannelWeb && record.Status == signalbox.DeliveryDelivered {
			return list
		}
	}
	return append([]signalbox.DeliveryRecord{{
		DeliveryKey: signalbox.DeliveryKey{
			RequestID: n.RequestID, Audience: signalbox.UserAudience(n.User), Channel: signalbox.ChannelWeb,
		},
		NotificationID: n.ID, Origin: n.Origin, Status: signalbox.DeliveryDelivered, Attempts: 1,
		Created: n.Created, Updated: n.Revised(),
	}}, list...)
}

// requestDeliveries tells of a request, or of one notification, whose origin may know.
func (s *Server) requestDeliveries(c *fiber.Ctx, mine func(origin string) bool, id, cursor string, limit int) error {
	ctx, cancel := s.requestContext(0)
	defer cancel()
	trace, err := s.deps.Trace.RequestTrace(ctx, id, cursor, limit)
	if signalbox.ErrorCode(err) == signalbox.CodeNotFound {
		unknown := err
		notification, err := s.deps.Trace.Lookup(ctx, id)
		switch {
		case signalbox.ErrorCode(err) == signalbox.CodeNotFound, err == nil && !mine(notification.Origin):
			return unknown
		case err != nil:
			return err
		}
		list, err := s.deps.Trace.UserDeliveries(ctx, notification.RequestID, notification.User)
		if err != nil {
			return err
		}
		page := tracePage{Deliveries: []tracedDelivery{}}
		for _, record := range withInbox(list, &notification) {
			page.Deliveries = append(page.Deliveries, traced(&record))
		}
		return sendJSON(c, page)
	}
	if err != nil {
		return err
	}
	if !mine(trace.Request.Origin) {
		return signalbox.Errorf(signalbox.CodeNotFound, "Nothing is known of this request: it does not exist, is not processed yet, or is forgotten")
	}
	return sendJSON(c, pageOf(&trace))
}

func pageOf(t *signalbox.Trace) tracePage {
	page := tracePage{
		Request: &tracedRequest{
			ID: t.Request.ID, Origin: t.Request.Origin, Created: wireTime(t.Request.Created), Status: t.Request.Status,
			Recipients: t.Request.Recipients, Unknown: append([]string{}, t.Request.Unknown...),
		},
		Deliveries: make([]tracedDelivery, len(t.Deliveries)),
		NextCursor: t.Next,
	}
	if t.Request.Status != signalbox.RequestProcessed {
		page.Request.Stage, page.Request.Error, page.Request.Attempts = t.Request.Stage, t.Request.Error, t.Request.Attempts
	}
	for _, count := range t.Summary {
		page.Summary = append(page.Summary, tracedCount{
			Channel: count.Channel, Status: count.Status, Rule: count.Rule, Text: textOf(count.Rule), Count: count.Count,
		})
	}
	for i := range t.Deliveries {
		page.Deliveries[i] = traced(&t.Deliveries[i])
	}
	return page
}

func traced(r *signalbox.DeliveryRecord) tracedDelivery {
	d := tracedDelivery{
		Channel: r.Channel, Status: r.Status, Notification: r.NotificationID,
		Rule: r.Rule, Text: textOf(r.Rule), Detail: r.Detail, Provider: r.ProviderID,
		Attempts: r.Attempts, Updated: wireTime(r.Updated),
	}
	if r.Audience != "" {
		recipient := string(r.Audience)
		d.Recipient = &recipient
	}
	if target := r.Address; target != "" {
		d.Target = &target
	} else if r.Target != "" {
		d.Target = &r.Target
	}
	if !r.Next.IsZero() {
		next := wireTime(r.Next)
		d.Next = &next
	}
	return d
}

// textOf is what people read of a rule.
func textOf(rule signalbox.Rule) string {
	if rule == "" {
		return ""
	}
	return rule.Text()
}
