package email

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/unsubscribe"
)

// Content is what templates are given. Texts are as the sender wrote them:
// html/template escapes them, and only DescriptionHTML is markup.
type Content struct {
	// Title is one line.
	Title string
	// Description is Markdown; DescriptionHTML is made of it: it loads nothing, and
	// holds no markup of the sender's.
	Description     string
	DescriptionHTML template.HTML
	// Preview is the beginning of the description, on one line, which programs show
	// beside the subject.
	Preview string
	// Severity is critical, high, normal or low; Color stands for it (#rrggbb).
	Severity, Color string
	// Link is where the button leads: the notification's link, else the
	// application; LinkText is what it says. Both may be empty.
	Link, LinkText string
	// Links are further links.
	Links []Link
	// Origin is who sent it, OriginName the same without a prefix such as "plugin:".
	Origin, OriginName string
	// Topic and Scope may be empty.
	Topic, Scope string
	// Time is when this revision was sent, UTC. Update is set for a revision after
	// the first.
	Time   time.Time
	Update bool
	// Broadcast is set for what everyone gets.
	Broadcast bool
	// Reason is a sentence that says why one gets this.
	Reason string
	// AppURL, SettingsURL and UnsubscribeURL may be empty.
	AppURL, SettingsURL, UnsubscribeURL string
}

// Link is a link with its title, which is the URL if there was none.
type Link struct{ Title, URL string }

// colors are dark enough for white text on them (WCAG AA).
var colors = map[signalbox.Severity]string{
	signalbox.SeverityCritical: "#b42318",
	signalbox.SeverityHigh:     "#b54708",
	signalbox.SeverityNormal:   "#175cd3",
	signalbox.SeverityLow:      "#475467",
}

// previewLength is about what programs show of a mail in a list.
const previewLength = 140

// content makes the data of the templates.
func (c *Channel) content(d channels.Delivery) (Content, error) {
	n := &d.Notification
	severity := signalbox.SeverityFromRank(n.Payload.Severity.Rank())
	out := Content{
		Title:       oneLine(n.Payload.Title),
		Description: strings.TrimSpace(printable(n.Payload.Description)),
		Severity:    string(severity),
		Color:       colors[severity],
		Origin:      oneLine(n.Origin),
		OriginName:  originName(n.Origin),
		Topic:       oneLine(n.Payload.Topic),
		Scope:       oneLine(n.Payload.Scope),
		Time:        n.Revised().UTC(),
		Update:      d.Previous != nil,
		Broadcast:   d.Audience == signalbox.Everyone,
		Reason:      reason(d),
		AppURL:      c.config.AppURL,
		SettingsURL: c.config.SettingsURL,
	}
	out.DescriptionHTML = c.markdown.render(out.Description)
	out.Preview = shorten(oneLine(out.Description), previewLength)
	if out.Link = c.link(n.Payload.Link); out.Link != "" {
		out.LinkText = "View details"
	} else if c.config.AppURL != "" {
		out.Link, out.LinkText = c.config.AppURL+"/notifications", "Open notifications"
	}
	for _, link := range n.Payload.AdditionalLinks {
		to := c.link(link.URL)
		if to == "" {
			continue
		}
		title := oneLine(link.Title)
		if title == "" {
			title = to
		}
		out.Links = append(out.Links, Link{title, to})
	}
	if c.config.Unsubscribe != nil && d.Audience.IsUser() {
		link, err := c.config.Unsubscribe.URL(unsubscribe.Subject{
			User: string(d.Audience), Channel: Name, Origin: n.Origin, Topic: n.Payload.Topic,
		}, n.Revised())
		if err != nil {
			return Content{}, fmt.Errorf("email: link to unsubscribe: %w", err)
		}
		out.UnsubscribeURL = link
	}
	return out, nil
}

// link resolves a link against the application, and returns "" for what a mail
// must not link to.
func (c *Channel) link(text string) string { return safeLink(c.config.AppURL, text) }

func safeLink(base, text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || text == "" {
		return ""
	}
	if u.Scheme == "" && u.Host == "" && base != "" {
		if strings.HasPrefix(u.Path, "/") {
			return base + u.String() // the application may live below a path
		}
		return base + "/" + u.String()
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		if u.Host == "" {
			return ""
		}
	case "mailto":
	default:
		return ""
	}
	return u.String()
}

// reason says why somebody gets a delivery.
func reason(d channels.Delivery) string {
	switch {
	case d.Audience == signalbox.Everyone:
		return "This was sent to everyone."
	case d.Audience == "":
		return "The sender named this address."
	case d.Named || len(d.Via) == 0:
		return "This was sent to you."
	}
	const shown = 3
	names := make([]string, 0, shown)
	for _, ref := range d.Via[:min(len(d.Via), shown)] {
		names = append(names, strings.Replace(oneLine(ref), ":default/", ":", 1))
	}
	text := "This was sent to " + strings.Join(names, ", ")
	if more := len(d.Via) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + ", which you belong to or own."
}

// originName is an origin as people say it: "scaffolder" for "plugin:scaffolder".
func originName(origin string) string {
	origin = oneLine(origin)
	for _, prefix := range []string{"plugin:", "external:"} {
		if name, ok := strings.CutPrefix(origin, prefix); ok && name != "" {
			return name
		}
	}
	return origin
}

// printable drops control characters that have no place in a text.
func printable(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r < ' ' && r != '\n' && r != '\t', r >= 0x7f && r < 0xa0:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// shorten cuts a text to at most n characters, at a space if one is near.
func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	cut := string(runes[:n-1])
	if space := strings.LastIndexByte(cut, ' '); space > len(cut)*3/4 {
		cut = cut[:space]
	}
	return strings.TrimRight(cut, " ") + "…"
}
