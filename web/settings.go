package web

import (
	"context"
	"encoding/json"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// readSettings shows a user its settings.
func (s *Server) readSettings(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	return s.sendSettings(ctx, c, user.Ref)
}

func (s *Server) sendSettings(ctx context.Context, c *fiber.Ctx, user string) error {
	choices, err := s.deps.Settings.ChoicesOf(ctx, user)
	if err != nil {
		return err
	}
	seen, err := s.deps.Settings.Seen(ctx, user)
	if err != nil {
		return err
	}
	return sendJSON(c, s.deps.Policy.Page(choices, seen))
}

// settingsChanged is the message of [signalbox.ActionSettingsChanged].
var settingsChanged = json.RawMessage(`{"action":"` + signalbox.ActionSettingsChanged + `"}`)

// saveSettings stores the choices of a request beside those that it does not
// mention, and shows the user the settings as they are then.
func (s *Server) saveSettings(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	request, err := signalbox.DecodeSettings(c.Request().Body())
	if err != nil {
		return err
	}
	for _, id := range request.Channels {
		if _, known := s.deps.Policy.Channel(id); !known {
			return signalbox.Errorf(signalbox.CodeInput, "Invalid channel")
		}
	}
	for i := range request.Choices {
		request.Choices[i].Channel, _ = s.deps.Policy.Channel(request.Choices[i].Channel)
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	if choices := s.deps.Policy.Settable(request.Choices); len(choices) > 0 {
		if err := s.deps.Settings.SaveChoices(ctx, user.Ref, choices); err != nil {
			return err
		}
		s.deps.Signaler.Signal(ctx, signalbox.Signal{
			Channel: signalbox.SignalChannelNotifications, Recipients: []string{user.Ref}, Message: settingsChanged,
		})
	}
	return s.sendSettings(ctx, c, user.Ref)
}

// previewParameters are those of a preview.
var previewParameters = []string{"user", "origin", "topic", "severity"}

// preview is what would become of a notification.
type preview struct {
	User     string             `json:"user"`
	Origin   string             `json:"origin"`
	Topic    *string            `json:"topic"`
	Severity signalbox.Severity `json:"severity"`
	Channels []previewedChannel `json:"channels"`
}

// previewedChannel is what would become of it on one channel, and why.
type previewedChannel struct {
	Channel   string         `json:"channel"`
	Delivered bool           `json:"delivered"`
	Rule      signalbox.Rule `json:"rule"`
	Text      string         `json:"text"`
}

// previewSettings tells what would be delivered where: a user about itself, a
// service about any user.
func (s *Server) previewSettings(c *fiber.Ctx, principal signalbox.Principal) error {
	q, err := readQuery(c, previewParameters)
	if err != nil {
		return err
	}
	answer, err := q.preview(principal)
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	about := signalbox.Received{User: answer.User, Origin: answer.Origin, Topic: q.get("topic")}
	stored, err := s.deps.Settings.ChoicesFor(ctx, []signalbox.Received{about})
	if err != nil {
		return err
	}
	choices := signalbox.NewChoices(stored[answer.User])
	answer.Channels = []previewedChannel{}
	for _, channel := range s.deps.Policy.Channels() {
		decision := s.deps.Policy.Decide(signalbox.Subject{
			Channel: channel, Origin: about.Origin, Topic: about.Topic, Severity: answer.Severity,
		}, choices)
		answer.Channels = append(answer.Channels, previewedChannel{channel, decision.Delivered, decision.Rule, decision.Rule.Text()})
	}
	return sendJSON(c, answer)
}

// preview reads what to preview, and for whom.
func (q query) preview(principal signalbox.Principal) (preview, error) {
	p := preview{Origin: q.get("origin"), Severity: signalbox.SeverityNormal}
	user, err := q.previewedUser(principal)
	if err != nil {
		return p, err
	}
	p.User = user
	if p.Origin == "" {
		return p, signalbox.Errorf(signalbox.CodeInput, "request/query must have required property 'origin'")
	}
	if topic := q.get("topic"); topic != "" {
		p.Topic = &topic
	}
	for _, text := range []struct {
		field string
		limit int
	}{{"origin", signalbox.MaxOrigin}, {"topic", signalbox.MaxTopic}} {
		value := q.get(text.field)
		switch {
		case !utf8.ValidString(value):
			return p, signalbox.Errorf(signalbox.CodeInput, "request/query/%s must be valid UTF-8", text.field)
		case utf8.RuneCountInString(value) > text.limit:
			return p, signalbox.Errorf(signalbox.CodeInput, "request/query/%s must NOT have more than %d characters", text.field, text.limit)
		}
	}
	if severity := q.get("severity"); severity != "" {
		if p.Severity, err = signalbox.ParseSeverity(severity); err != nil {
			return p, signalbox.Errorf(signalbox.CodeInput, "request/query/severity %v", err)
		}
	}
	return p, nil
}

// previewedUser returns whose settings are asked about.
func (q query) previewedUser(principal signalbox.Principal) (string, error) {
	self, isUser := principal.(signalbox.UserPrincipal)
	named := q.get("user")
	if named == "" {
		if isUser {
			return self.Ref, nil
		}
		return "", signalbox.Errorf(signalbox.CodeInput, "request/query must have required property 'user'")
	}
	if len(named) > signalbox.MaxEntityRef {
		return "", signalbox.Errorf(signalbox.CodeInput, "request/query/user must NOT have more than %d characters", signalbox.MaxEntityRef)
	}
	ref, err := signalbox.ParseEntityRef(named)
	if err != nil || !ref.IsUser() {
		return "", signalbox.Errorf(signalbox.CodeInput, "request/query/user must be a user entity reference, such as user:default/jane")
	}
	if isUser && ref.String() != self.Ref {
		return "", signalbox.Errorf(signalbox.CodeNotAllowed, "Users see their own settings only")
	}
	return ref.String(), nil
}
