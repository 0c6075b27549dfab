package web

import (
	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// choicesBody are the choices that a user made: what the settings page shows besides
// them is inherited.
type choicesBody struct {
	Choices []choiceBody `json:"choices"`
}

type choiceBody struct {
	Channel string `json:"channel"`
	// Origin and Topic are empty for the whole channel or origin.
	Origin  string `json:"origin,omitempty"`
	Topic   string `json:"topic,omitempty"`
	Enabled bool   `json:"enabled"`
}

// readChoices lists what a user chose itself.
func (s *Server) readChoices(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	choices, err := s.deps.Settings.ChoicesOf(ctx, user.Ref)
	if err != nil {
		return err
	}
	body := choicesBody{Choices: make([]choiceBody, 0, len(choices))}
	for _, choice := range choices {
		body.Choices = append(body.Choices, choiceBody{choice.Channel, choice.Origin, choice.Topic, choice.Enabled})
	}
	return sendJSON(c, body)
}

// forgetChoice takes a choice back, so that what is less specific holds again, and
// answers with the settings as they are then.
func (s *Server) forgetChoice(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	q, err := readQuery(c, []string{"channel", "origin", "topic"})
	if err != nil {
		return err
	}
	about := signalbox.Choice{Channel: q.get("channel"), Origin: q.get("origin"), Topic: q.get("topic")}
	switch _, known := s.deps.Policy.Channel(about.Channel); {
	case !known:
		return signalbox.Errorf(signalbox.CodeInput, "Invalid channel")
	case about.Topic != "" && about.Origin == "":
		return signalbox.Errorf(signalbox.CodeInput, "request/query must have required property 'origin'")
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	if err := s.deps.Settings.ForgetChoice(ctx, user.Ref, about.Key()); err != nil {
		return err
	}
	s.deps.Signaler.Signal(ctx, signalbox.Signal{
		Channel: signalbox.SignalChannelNotifications, Recipients: []string{user.Ref}, Message: settingsChanged,
	})
	return s.sendSettings(ctx, c, user.Ref)
}
