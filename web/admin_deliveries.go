package web

import (
	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// recentDelivery is a delivery in the list of all.
type recentDelivery struct {
	tracedDelivery
	// Request is null if the row in the inbox was sent again by another one.
	Request *string `json:"request"`
	Origin  string  `json:"origin"`
	Created string  `json:"created"`
}

// DefaultRecentLimit is the page size of the list of deliveries without a limit.
const DefaultRecentLimit = 100

// recentDeliveries lists deliveries to whomever, the latest first.
func (s *Server) recentDeliveries(c *fiber.Ctx, _ signalbox.Principal) error {
	q, err := readQuery(c, []string{"channel", "status", "origin", "recipient", "before"}, traceParameters)
	if err != nil {
		return err
	}
	filter, err := deliveryFilter(q)
	if err != nil {
		return err
	}
	limit, err := q.integer("limit", DefaultRecentLimit, signalbox.MaxTracePage)
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	page, err := s.deps.Trace.RecentDeliveries(ctx, filter, q.get("cursor"), max(limit, 1))
	if signalbox.ErrorCode(err) == signalbox.CodeInput {
		return errCursor()
	}
	if err != nil {
		return err
	}
	answer := struct {
		Deliveries []recentDelivery `json:"deliveries"`
		Reached    *string          `json:"reached"`
		NextCursor string           `json:"nextCursor,omitempty"`
	}{Deliveries: []recentDelivery{}, NextCursor: page.Next}
	for i := range page.Deliveries {
		record := &page.Deliveries[i]
		one := recentDelivery{tracedDelivery: traced(record), Origin: record.Origin, Created: wireTime(record.Created)}
		if record.RequestID != "" {
			one.Request = &record.RequestID
		}
		answer.Deliveries = append(answer.Deliveries, one)
	}
	if !page.Reached.IsZero() {
		reached := wireTime(page.Reached)
		answer.Reached = &reached
	}
	return sendJSON(c, answer)
}

// deliveryFilter reads the parameters that choose deliveries.
func deliveryFilter(q query) (signalbox.DeliveryFilter, error) {
	f := signalbox.DeliveryFilter{
		Channel: q.get("channel"), Status: signalbox.DeliveryStatus(q.get("status")), Origin: q.get("origin"),
		Audience: signalbox.Audience(q.get("recipient")),
	}
	switch f.Status {
	case "", signalbox.DeliveryQueued, signalbox.DeliveryDelivered, signalbox.DeliverySuppressed, signalbox.DeliveryFailed:
	default:
		return f, signalbox.Errorf(signalbox.CodeInput, "request/query/status must be queued, delivered, suppressed or failed")
	}
	if f.Audience != "" && f.Audience != signalbox.Everyone {
		ref, err := signalbox.NormalizeEntityRef(string(f.Audience))
		if err != nil {
			return f, signalbox.Errorf(signalbox.CodeInput, "request/query/recipient must be the reference of an entity, or *: %v", err)
		}
		f.Audience = signalbox.Audience(ref)
	}
	if before := q.get("before"); before != "" {
		var err error
		if f.Before, err = signalbox.ParseTime(before); err != nil {
			return f, signalbox.Errorf(signalbox.CodeInput, "request/query/before must be a time such as 2026-11-21T01:58:16Z")
		}
	}
	return f, nil
}

// showDeliveries tells admins what became of a request or of a notification,
// whoever's it is.
func (s *Server) showDeliveries(c *fiber.Ctx, _ signalbox.Principal) error {
	q, err := readQuery(c, []string{"id"}, traceParameters)
	if err != nil {
		return err
	}
	limit, err := q.integer("limit", DefaultLimit, signalbox.MaxTracePage)
	if err != nil {
		return err
	}
	id, ok := canonicalUUID(q.get("id"))
	if !ok {
		return signalbox.Errorf(signalbox.CodeInput, "request/query/id must be the identifier of a request or of a notification")
	}
	all := func(string) bool { return true }
	return s.requestDeliveries(c, all, id, q.get("cursor"), max(limit, 1))
}
