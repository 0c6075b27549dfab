package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// linkPage is what the holder of a link sees.
type linkPage struct {
	status int

	// Icon is bell, done or alert.
	Icon        string
	Title, Text string
	// Hint is what to do instead.
	Hint string
	// Link is what it is about; nil in a refusal, which tells nothing.
	Link *Unsubscription
	Note string
	// Button is a form with one button; nil for none.
	Button *button
	// SettingsURL is where all choices are made; it may be empty.
	SettingsURL string
}

// button sends a form to the address of the page itself.
type button struct {
	Label, Field string
	Before       ownChoice
	// Quiet is for what few will want.
	Quiet bool
}

func askPage(link Unsubscription, now standing) linkPage {
	return linkPage{
		Icon: "bell", Title: "Stop these emails?", Text: "You would no longer get emails about this.",
		Link: &link, Note: note(link, now),
		Button: &button{Label: "Unsubscribe", Field: confirmField, Before: now.own.kept()},
	}
}

func offPage(link Unsubscription, now standing, before ownChoice) linkPage {
	return linkPage{
		Icon: "done", Title: "You are unsubscribed", Text: "You will no longer get emails about this.",
		Link: &link, Note: note(link, now),
		Button: &button{Label: "Undo", Field: undoField, Before: before, Quiet: true},
	}
}

func onPage(link Unsubscription, now standing) linkPage {
	return linkPage{
		Icon: "done", Title: "You get these emails again", Text: "Your choice is as it was before.",
		Link:   &link,
		Button: &button{Label: "Unsubscribe", Field: confirmField, Before: now.own.kept(), Quiet: true},
	}
}

func alreadyOffPage(link Unsubscription, now standing) linkPage {
	return linkPage{
		Icon: "done", Title: "These emails are off",
		Text: "You get no emails about this, because of another setting. There is nothing to switch off here.",
		Link: &link, Note: note(link, now),
	}
}

func requiredPage(link Unsubscription, status int) linkPage {
	return linkPage{
		status: status,
		Icon:   "alert", Title: "These emails cannot be switched off",
		Text: "Your organisation requires them for everyone. Nothing has been changed.",
		Link: &link,
	}
}

// note says what comes all the same.
func note(link Unsubscription, now standing) string {
	switch {
	case now.mandatory == signalbox.SeverityCritical:
		return "Critical ones still come: your organisation requires them."
	case now.mandatory != "":
		return fmt.Sprintf("Those of severity %s and above still come: your organisation requires them.", now.mandatory)
	case link.Topic == "":
		return "Topics that are switched on by themselves still come, and so do messages that go to everyone."
	default:
		return "This is about email only. Messages that go to everyone still come."
	}
}

// elsewhere is what remains without a link.
const elsewhere = "You can unsubscribe in the notification settings, or by the link in a newer email."

func malformedPage() linkPage {
	return linkPage{
		status: fiber.StatusBadRequest, Icon: "alert", Title: "This link is not complete",
		Text: "Part of it may have been lost on the way. Copy the whole link from the email. Nothing has been changed.", Hint: elsewhere,
	}
}

func forgedPage() linkPage {
	return linkPage{
		status: fiber.StatusForbidden, Icon: "alert", Title: "This link is not valid",
		Text: "It was altered, or it is no longer recognised. Nothing has been changed.", Hint: elsewhere,
	}
}

func expiredPage() linkPage {
	return linkPage{
		status: fiber.StatusGone, Icon: "alert", Title: "This link has expired",
		Text: "The email that it is from is too old. Nothing has been changed.", Hint: elsewhere,
	}
}

// unknownPage is for installations without links.
func unknownPage() linkPage {
	return linkPage{
		status: fiber.StatusNotFound, Icon: "alert", Title: "This link is not valid",
		Text: "Links to unsubscribe are not in use here. Nothing has been changed.",
		Hint: "You can unsubscribe in the notification settings.",
	}
}

//go:embed unsubscribe.html.tmpl
var pageHTML string

//go:embed unsubscribe.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// pagePolicy lets a page do nothing but show itself, with its own style sheet, and
// send its form back to where it came from.
var pagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// sendPage answers with a page. As its address is a credential, nothing may keep it
// or pass it on.
func (s *Server) sendPage(c *fiber.Ctx, p linkPage) error {
	p.SettingsURL = s.config.SettingsURL
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		linkPage
		Style template.CSS
	}{p, template.CSS(pageStyle)}) //nolint:gosec // G203: our own style sheet
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if p.status != 0 {
		c.Status(p.status)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderContentSecurityPolicy, pagePolicy)
	c.Set("X-Robots-Tag", "noindex, nofollow")
	c.Response().SetBodyRaw(b.Bytes())
	return nil
}

// sendFailure answers with a page that says what went wrong, as [Server.writeError]
// does to programs.
func (s *Server) sendFailure(c *fiber.Ctx, err error) error {
	var body errorBody
	p := linkPage{Icon: "alert", Title: "That did not work"}
	p.status = s.describe(&body, c, unsubscribePath, err)
	p.Text = body.Error.Message
	return s.sendPage(c, p)
}
