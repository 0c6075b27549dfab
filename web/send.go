package web

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

const (
	headerIdempotencyKey    = "Idempotency-Key"
	headerReplayed          = "Idempotency-Replayed"
	headerPrefer            = "Prefer"
	headerPreferenceApplied = "Preference-Applied"
)

// send accepts one send request.
func (s *Server) send(c *fiber.Ctx, sender signalbox.Principal) error {
	rights, rules := s.rightsOf(sender)
	decoded, err := signalbox.DecodeSendRequest(c.Request().Body(), rules)
	if err != nil {
		s.recordRefusedSender(c, sender, err)
		return err
	}
	if err := s.takeRate(c, sender, rights, 1); err != nil {
		return err
	}
	submitted, err := s.submit(c, sender.Subject(), "single", []signalbox.Decoded{decoded})
	if err != nil || submitted.answered {
		return err
	}
	c.Status(fiber.StatusAccepted)
	// RFC 9110, section 15.3.3: a 202 points to where its status can be seen. Users
	// do not see what becomes of what others got.
	if _, service := sender.(signalbox.ServicePrincipal); !service {
		return sendJSON(c, submitted.receipts[0])
	}
	c.Set(fiber.HeaderLocation, notificationsAPI+"/notifications/"+submitted.receipts[0].ID+"/deliveries")
	return sendJSON(c, submitted.receipts[0])
}

// sendBatch accepts an array of send requests, all or none.
func (s *Server) sendBatch(c *fiber.Ctx, sender signalbox.Principal) error {
	rights, rules := s.rightsOf(sender)
	batch, err := signalbox.DecodeBatch(c.Request().Body(), rules)
	if err != nil {
		s.recordRefusedSender(c, sender, err)
		return err
	}
	if err := s.takeRate(c, sender, rights, len(batch)); err != nil {
		return err
	}
	submitted, err := s.submit(c, sender.Subject(), "batch", batch)
	if err != nil || submitted.answered {
		return err
	}
	c.Status(fiber.StatusAccepted)
	return sendJSON(c, submitted.receipts)
}

// submission is what became of a submission: its receipts, and whether it was
// answered already.
type submission struct {
	answered bool
	receipts []signalbox.Receipt
}

// submit makes the requests durable, and answers at once if the sender waited
// for the notifications and got them. kind tells what the body was read as.
func (s *Server) submit(c *fiber.Ctx, origin, kind string, batch []signalbox.Decoded) (submission, error) {
	request := signalbox.Submission{Requests: make([]signalbox.SendRequest, len(batch))}
	for i := range batch {
		request.Requests[i] = batch[i].Request
		request.Requests[i].Origin = origin
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return submission{}, err
	}
	if key != "" {
		request.IdempotencyKey, request.Fingerprint = key, fingerprint(kind, c.Request().Body())
	}
	request.Wait = preferredWait(c.Request().Header.PeekAll(headerPrefer))
	ctx, cancel := s.requestContext(request.Wait)
	defer cancel()
	submitted, err := s.deps.Submitter.Submit(ctx, request)
	if err != nil {
		return submission{}, err
	}
	if submitted.Repeated {
		c.Set(headerReplayed, "true")
	} else if request.Wait > 0 {
		c.Set(headerPreferenceApplied, "wait="+strconv.Itoa(int(request.Wait/time.Second)))
		if submitted.Done {
			return submission{answered: true, receipts: submitted.Receipts}, sendJSON(c, notificationList(submitted.Notifications))
		}
	}
	for i := range submitted.Receipts {
		// A repetition has the same body, and so the same warnings.
		if i < len(batch) {
			submitted.Receipts[i].Warnings = batch[i].Warnings
		}
	}
	return submission{receipts: submitted.Receipts}, nil
}

// notificationList makes an empty list [], not null.
func notificationList(list []signalbox.Notification) []signalbox.Notification {
	if list == nil {
		return []signalbox.Notification{}
	}
	return list
}

// idempotencyKey reads the header of that name, or "".
func idempotencyKey(c *fiber.Ctx) (string, error) {
	values := c.Request().Header.PeekAll(headerIdempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	ok := len(values) == 1 && len(key) > 0 && len(key) <= signalbox.MaxIdempotencyKey
	for _, char := range key {
		ok = ok && char >= ' ' && char <= '~'
	}
	if !ok {
		return "", signalbox.Errorf(signalbox.CodeInput,
			"%s must be given once, with 1 to %d printable ASCII characters", headerIdempotencyKey, signalbox.MaxIdempotencyKey)
	}
	return string(key), nil
}

// fingerprint identifies what a body asks for.
func fingerprint(kind string, body []byte) string {
	hash := sha256.New()
	hash.Write([]byte(kind))
	hash.Write([]byte{0})
	hash.Write(body)
	return hex.EncodeToString(hash.Sum(nil))
}
