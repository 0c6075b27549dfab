package web

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// Unsubscription is what a link in a mail switches off, and for whom. Topic may be
// empty: then it is the origin's switch.
type Unsubscription struct {
	User, Channel, Origin, Topic string
}

func (u Unsubscription) choice(enabled bool) signalbox.Choice {
	return signalbox.Choice{Channel: u.Channel, Origin: u.Origin, Topic: u.Topic, Enabled: enabled}
}

// Errors of [Deps.Unsubscribe]. Any other is of what never was a whole link.
var (
	// ErrLinkForged is a link that this installation did not make, or not as it is.
	ErrLinkForged = errors.New("web: the link is not genuine")
	// ErrLinkExpired is a genuine link that is too old.
	ErrLinkExpired = errors.New("web: the link has expired")
)

// unsubscribePath is where links lead.
const unsubscribePath = notificationsAPI + "/unsubscribe/:token"

// The fields of a form. A mail program sends oneClickField (RFC 8058); the others
// are those of our own page.
const (
	oneClickField = "List-Unsubscribe"
	oneClick      = "One-Click"
	confirmField  = "confirm"
	undoField     = "undo"
	// beforeField has what the user's own choice was, for undo.
	beforeField = "before"
)

// showUnsubscribe shows what a link would switch off. It changes nothing: scanners
// follow every link of a mail.
func (s *Server) showUnsubscribe(c *fiber.Ctx) error {
	link, refused := s.readLink(c)
	if refused != nil {
		return s.sendPage(c, *refused)
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	now, err := s.standing(ctx, link)
	switch {
	case err != nil:
		return s.sendFailure(c, err)
	case now.required():
		return s.sendPage(c, requiredPage(link, fiber.StatusOK))
	case now.own == ownOff:
		return s.sendPage(c, offPage(link, now, ""))
	case !now.on:
		return s.sendPage(c, alreadyOffPage(link, now))
	default:
		return s.sendPage(c, askPage(link, now))
	}
}

// unsubscribe does what a link is for. Doing it again changes nothing more, and
// answers the same.
func (s *Server) unsubscribe(c *fiber.Ctx) error {
	link, refused := s.readLink(c)
	if refused != nil {
		return s.sendPage(c, *refused)
	}
	form, err := readForm(c)
	if err != nil {
		return s.sendFailure(c, err)
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	now, err := s.standing(ctx, link)
	if err != nil {
		return s.sendFailure(c, err)
	}
	var answer linkPage
	switch {
	case strings.EqualFold(form.Get(oneClickField), oneClick):
		answer, err = s.switchOff(ctx, c, link, now, now.own.kept())
	case form.Get(confirmField) != "":
		answer, err = s.switchOff(ctx, c, link, now, ownChoice(form.Get(beforeField)).kept())
	case form.Get(undoField) != "":
		answer, err = s.undo(ctx, c, link, now, ownChoice(form.Get(beforeField)).kept())
	default:
		err = signalbox.Errorf(signalbox.CodeInput, "The request does not say what to do. Open the link, and use the button.")
	}
	if err != nil {
		return s.sendFailure(c, err)
	}
	return s.sendPage(c, answer)
}

// switchOff switches a link's subject off. before is what undo shall put back.
func (s *Server) switchOff(ctx context.Context, c *fiber.Ctx, link Unsubscription, now standing, before ownChoice) (linkPage, error) {
	if now.required() {
		return requiredPage(link, fiber.StatusForbidden), nil
	}
	if now.own != ownOff {
		if err := s.deps.Settings.SaveChoices(ctx, link.User, []signalbox.Choice{link.choice(false)}); err != nil {
			return linkPage{}, err
		}
		s.changed(ctx, c, link, "off")
	}
	return offPage(link, now, before), nil
}

// undo puts back what was there before the subject was switched off. It leaves a
// choice that the user made since then.
func (s *Server) undo(ctx context.Context, c *fiber.Ctx, link Unsubscription, now standing, before ownChoice) (linkPage, error) {
	if now.own == ownOff {
		var err error
		if before == ownOn {
			err = s.deps.Settings.SaveChoices(ctx, link.User, []signalbox.Choice{link.choice(true)})
		} else {
			err = s.deps.Settings.ForgetChoice(ctx, link.User, link.choice(false).Key())
		}
		if err != nil {
			return linkPage{}, err
		}
		s.changed(ctx, c, link, "undone")
		if now, err = s.standing(ctx, link); err != nil {
			return linkPage{}, err
		}
	}
	if !now.on {
		return alreadyOffPage(link, now), nil
	}
	return onPage(link, now), nil
}

// changed tells the user's clients, and the audit log.
func (s *Server) changed(ctx context.Context, c *fiber.Ctx, link Unsubscription, what string) {
	s.deps.Signaler.Signal(ctx, signalbox.Signal{
		Channel: signalbox.SignalChannelNotifications, Recipients: []string{link.User}, Message: settingsChanged,
	})
	s.log.LogAttrs(ctx, slog.LevelInfo, "settings changed by unsubscribe link",
		slog.String("logger", "audit"), slog.String("user", link.User), slog.String("channel", link.Channel),
		slog.String("origin", link.Origin), slog.String("topic", link.Topic),
		slog.String("address", s.clientOf(c).addr.String()), slog.String("what", what))
}

// ownChoice is what a user chose about exactly the subject of a link. It is empty
// for nothing.
type ownChoice string

const (
	ownOn  ownChoice = "on"
	ownOff ownChoice = "off"
)

// kept is what undo can put back: the choice to have it, or none.
func (o ownChoice) kept() ownChoice {
	if o == ownOn {
		return ownOn
	}
	return ""
}

// standing is what holds for the subject of a link.
type standing struct {
	own ownChoice
	// on tells that something of it is delivered without the operator demanding it.
	on bool
	// mandatory is the least severity that the operator demands; empty for none.
	mandatory signalbox.Severity
}

// required reports whether the user has no say.
func (s standing) required() bool { return s.mandatory == signalbox.SeverityLow }

// standing asks the one place that decides about each severity.
func (s *Server) standing(ctx context.Context, link Unsubscription) (standing, error) {
	about := signalbox.Received{User: link.User, Origin: link.Origin, Topic: link.Topic}
	stored, err := s.deps.Settings.ChoicesFor(ctx, []signalbox.Received{about})
	if err != nil {
		return standing{}, err
	}
	var now standing
	key := link.choice(false).Key()
	for _, choice := range stored[link.User] {
		switch {
		case choice.Key() != key:
		case choice.Enabled:
			now.own = ownOn
		default:
			now.own = ownOff
		}
	}
	choices := signalbox.NewChoices(stored[link.User])
	for _, severity := range signalbox.Severities() { // most severe first
		decision := s.deps.Policy.Decide(signalbox.Subject{
			Channel: link.Channel, Origin: link.Origin, Topic: link.Topic, Severity: severity,
		}, choices)
		switch {
		case decision.Rule == signalbox.RuleMandatory:
			now.mandatory = severity
		case decision.Delivered:
			now.on = true
		}
	}
	return now, nil
}

// readLink reads the link of a request, or says why it is refused.
func (s *Server) readLink(c *fiber.Ctx) (Unsubscription, *linkPage) {
	refuse := func(p linkPage) (Unsubscription, *linkPage) { return Unsubscription{}, &p }
	if s.deps.Unsubscribe == nil {
		return refuse(unknownPage())
	}
	link, err := s.deps.Unsubscribe(strings.Clone(c.Params("token")))
	switch {
	case err == nil:
		return link, nil
	case errors.Is(err, ErrLinkExpired):
		return refuse(expiredPage())
	case errors.Is(err, ErrLinkForged):
		return refuse(forgedPage())
	default:
		return refuse(malformedPage())
	}
}
