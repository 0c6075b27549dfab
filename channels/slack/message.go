package slack

import (
	"context"
	"strings"

	slackapi "github.com/slack-go/slack"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// Slack's limits for the parts of a message that are used, in characters, and what
// is kept of them so that the blocks of a message stay below the 13,000 beyond which
// Slack refuses them.
const (
	maxSection = 3_000
	maxButton  = 75
	maxURL     = 3_000
	maxSummary = 1_000
	// maxAbout is for origin and topic each: enough to tell what it is.
	maxAbout = 120
)

// The room of each part.
var (
	titleBudget       = budget{units: 1_000, bytes: 1_200}
	descriptionBudget = budget{units: maxSection, bytes: 5_500}
	linksBudget       = budget{units: 1_300, bytes: 1_300}
	aboutBudget       = budget{units: 600, bytes: 600}
	summaryBudget     = budget{units: maxSummary, bytes: 10 * maxSummary}
)

// Message is what is sent.
type Message struct {
	// Text is mrkdwn. Where there are blocks or attachments it is shown by what
	// cannot show these: notifications, screen readers.
	Text string
	// Blocks are shown above the attachments.
	Blocks      []slackapi.Block
	Attachments []slackapi.Attachment
	// link is added to the text if it is all that is sent.
	link string
}

func (m Message) isPlain() bool { return len(m.Blocks) == 0 && len(m.Attachments) == 0 }

// plain is the message as text alone.
func (m Message) plain() Message {
	text := cutMarkup(m.Text, maxSection)
	if m.link != "" {
		text += "\n<" + escaper.Replace(m.link) + ">"
	}
	return Message{Text: text}
}

// looks are how severities are shown.
var looks = map[signalbox.Severity]struct{ name, emoji, color string }{
	signalbox.SeverityCritical: {"Critical", "🚨", "#D72B3F"},
	signalbox.SeverityHigh:     {"High", "⚠️", "#E8912D"},
	signalbox.SeverityNormal:   {"Normal", "🔔", "#1D9BD1"},
	signalbox.SeverityLow:      {"Low", "ℹ️", "#868686"},
}

// render makes the message of a delivery.
func (c *Channel) render(ctx context.Context, d channels.Delivery) (Message, error) {
	n := &d.Notification
	description := parseMarkdown(n.Payload.Description)
	parts := c.parts(n, description, c.mentions(ctx, description.mentions))
	message := parts.standard()
	if c.template != nil {
		body, err := execute(c.template, parts.templateData(n))
		if err != nil {
			// It says the same without the template, only less as the operator likes it.
			c.log.WarnContext(ctx, "The template fails: a message is sent without it", "err", err, "delivery", d.ID)
		} else {
			message = parts.custom(body)
		}
	}
	if c.config.Render != nil {
		return c.config.Render(ctx, d, message)
	}
	return message, nil
}

// parts are what a message is made of; texts are escaped and cut.
type parts struct {
	severity                    signalbox.Severity
	title, description, summary string
	origin, topic, link         string
	links                       []signalbox.AdditionalLink
}

func (c *Channel) parts(n *signalbox.Notification, description document, users map[string]mention) parts {
	p := parts{severity: n.Payload.Severity, origin: n.Origin, topic: n.Payload.Topic}
	if _, ok := looks[p.severity]; !ok {
		p.severity = signalbox.SeverityNormal
	}
	emoji := looks[p.severity].emoji

	title := newWriter(titleBudget)
	title.token(emoji+" ", ' ')
	// An asterisk would end the bold text, and has no escape.
	leave := title.enter("*")
	title.text(strings.ReplaceAll(strings.TrimSpace(oneLine(n.Payload.Title)), "*", "∗"))
	leave()
	p.title = title.finish()

	p.description = description.convert(descriptionBudget, false, c.config.BaseURL, users)
	summary := newWriter(summaryBudget)
	summary.text(emoji + " " + strings.TrimSpace(n.Payload.Title))
	p.summary = summary.finish()
	if rest := description.convert(summaryBudget, true, c.config.BaseURL, users); rest != "" {
		p.summary = cutMarkup(p.summary+"\n"+rest, maxSummary)
	}

	if link := safeURL(n.Payload.Link, c.config.BaseURL); wireSize(link) <= maxURL {
		p.link = link
	}
	for _, more := range n.Payload.AdditionalLinks {
		url := safeURL(more.URL, c.config.BaseURL)
		label := strings.TrimSpace(clean(more.Title))
		if label == "" {
			label = cut(clean(more.URL), maxButton)
		}
		p.links = append(p.links, signalbox.AdditionalLink{Title: label, URL: url})
	}
	return p
}

// standard is the message as it is without a template: the title, and below it a
// coloured bar with everything else.
func (p parts) standard() Message {
	var blocks []slackapi.Block
	if p.description != "" {
		blocks = append(blocks, section(p.description))
	}
	if p.link != "" {
		blocks = append(blocks, button(p.link))
	}
	if len(p.links) > 0 {
		w := newWriter(linksBudget)
		for i, link := range p.links {
			if i > 0 {
				w.text("  ·  ")
			}
			w.link(link.URL, link.Title)
		}
		blocks = append(blocks, section(w.finish()))
	}
	about := newWriter(aboutBudget)
	about.text(looks[p.severity].name)
	for _, s := range []string{p.origin, p.topic} {
		if s = strings.TrimSpace(s); s != "" {
			about.text("  ·  " + cut(oneLine(s), maxAbout))
		}
	}
	blocks = append(blocks, slackapi.NewContextBlock("",
		slackapi.NewTextBlockObject(slackapi.MarkdownType, about.finish(), false, true)))
	return Message{
		Text:        p.summary,
		Blocks:      []slackapi.Block{section(p.title)},
		Attachments: []slackapi.Attachment{{Color: looks[p.severity].color, Blocks: slackapi.Blocks{BlockSet: blocks}}},
		link:        p.link,
	}
}

// custom is the message with the text of a template.
func (p parts) custom(body string) Message {
	blocks := []slackapi.Block{section(body)}
	if p.link != "" {
		blocks = append(blocks, button(p.link))
	}
	return Message{
		Text:        p.summary,
		Attachments: []slackapi.Attachment{{Color: looks[p.severity].color, Blocks: slackapi.Blocks{BlockSet: blocks}}},
		link:        p.link,
	}
}

// section is a block of mrkdwn. It is verbatim: Slack looks for neither links nor
// names in it, but takes those that are marked as such.
func section(mrkdwn string) slackapi.Block {
	return slackapi.NewSectionBlock(slackapi.NewTextBlockObject(slackapi.MarkdownType, mrkdwn, false, true), nil, nil)
}

func button(link string) slackapi.Block {
	b := slackapi.NewButtonBlockElement("open", "", slackapi.NewTextBlockObject(slackapi.PlainTextType, "Open", false, false))
	b.URL = link
	return slackapi.NewActionBlock("", b)
}
