package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/signalbox/signalbox"
)

// maxTemplateOutput bounds what a template writes, in bytes.
const maxTemplateOutput = 64 << 10

// TemplateData is what a template gets. All texts are escaped and safe to write:
// links are complete, the description is mrkdwn. Empty texts are absent.
//
// Beside the functions of text/template there are {{link URL LABEL}}, which writes a
// link, {{cut N TEXT}}, which shortens to N characters, and {{raw TEXT}}, which undoes
// the escaping: what it writes can mention and link.
type TemplateData struct {
	Title, Description    string
	Origin, Topic, Scope  string
	Severity, Emoji, Link string
	Links                 []TemplateLink
	// User is the reference of the receiving user; empty for what is no single user's.
	User string
	// Created is when it was sent first, Updated when it was sent again.
	Created, Updated time.Time
	// Metadata is the notification's, with all texts in it escaped.
	Metadata map[string]any
}

// TemplateLink is an additional link.
type TemplateLink struct{ Title, URL string }

func (p parts) templateData(n *signalbox.Notification) TemplateData {
	data := TemplateData{
		Title: Escape(oneLine(n.Payload.Title)), Description: p.description,
		Origin: Escape(n.Origin), Topic: Escape(n.Payload.Topic), Scope: Escape(n.Payload.Scope),
		Severity: string(p.severity), Emoji: looks[p.severity].emoji, Link: Escape(p.link),
		User: Escape(n.User), Created: n.Created, Updated: n.Updated,
		Metadata: map[string]any{},
	}
	for _, link := range p.links {
		data.Links = append(data.Links, TemplateLink{Title: Escape(link.Title), URL: Escape(link.URL)})
	}
	if len(n.Payload.Metadata) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(n.Payload.Metadata))
		decoder.UseNumber()
		var metadata map[string]any
		if decoder.Decode(&metadata) == nil {
			for key, value := range metadata {
				data.Metadata[Escape(key)] = escapeAll(value)
			}
		}
	}
	return data
}

// escapeAll escapes every text in a decoded JSON value.
func escapeAll(value any) any {
	switch value := value.(type) {
	case string:
		return Escape(value)
	case json.Number:
		return Escape(value.String())
	case []any:
		for i := range value {
			value[i] = escapeAll(value[i])
		}
	case map[string]any:
		escaped := make(map[string]any, len(value))
		for key, value := range value {
			escaped[Escape(key)] = escapeAll(value)
		}
		return escaped
	}
	return value
}

// parseTemplate reads a template and tries it, so that an unknown field is found
// when the channel is made.
func parseTemplate(source string) (*template.Template, error) {
	t, err := template.New("slack").Option("missingkey=zero").Funcs(template.FuncMap{
		"link": func(url, label string) string {
			w := newWriter(budget{units: maxSection, bytes: maxTemplateOutput})
			w.link(safeURL(unescaper.Replace(url), ""), unescaper.Replace(label))
			return w.finish()
		},
		"cut": func(n int, text string) string { return cutMarkup(text, max(n, 1)) },
		"raw": unescaper.Replace,
	}).Parse(source)
	if err != nil {
		return nil, fmt.Errorf("slack: the template: %w", err)
	}
	trial := TemplateData{Title: "Title", Severity: "normal", Metadata: map[string]any{}, Links: []TemplateLink{{Title: "Title", URL: "https://example.com/"}}}
	var missing template.ExecError
	if _, err := execute(t, trial); errors.As(err, &missing) && strings.Contains(err.Error(), "can't evaluate field") {
		return nil, fmt.Errorf("slack: the template: %w", err)
	}
	return t, nil
}

var (
	errEmptyTemplate = errors.New("it writes nothing")
	errLongTemplate  = fmt.Errorf("it writes more than %d bytes", maxTemplateOutput)
)

// execute writes a text of a section's length.
func execute(t *template.Template, data TemplateData) (string, error) {
	var b boundedBuffer
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	// text/template writes this for metadata that is not there.
	text := strings.TrimSpace(strings.ReplaceAll(clean(b.String()), "<no value>", ""))
	if text == "" {
		return "", errEmptyTemplate
	}
	return closeFence(cutMarkup(text, maxSection), maxSection), nil
}

// boundedBuffer takes a limited number of bytes.
type boundedBuffer struct{ bytes.Buffer }

// Write implements [io.Writer].
func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxTemplateOutput {
		return 0, errLongTemplate
	}
	return b.Buffer.Write(p)
}
