package email

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"strings"
	texttemplate "text/template"
	"time"
)

//go:embed templates
var builtin embed.FS

const (
	// maxTemplate bounds a template file, maxPart what a template makes, in bytes.
	maxTemplate = 1 << 20
	maxPart     = 4 << 20
	// maxSubject is in characters: a line of a mail has room for 998 octets.
	maxSubject = 150
)

// templates make the three texts of a mail.
type templates struct {
	subject, text *texttemplate.Template
	html          *template.Template
}

// loadTemplates reads the templates, and tries them out: what fails for every
// mail fails at the start.
func loadTemplates(files Templates) (*templates, error) {
	sources := map[string]string{"subject.txt.tmpl": files.Subject, "mail.html.tmpl": files.HTML, "mail.txt.tmpl": files.Text}
	for name, file := range sources {
		content, err := readTemplate(name, file)
		if err != nil {
			return nil, fmt.Errorf("email: template: %w", err)
		}
		sources[name] = content
	}
	t := &templates{}
	var err error
	if t.subject, err = texttemplate.New("subject").Parse(sources["subject.txt.tmpl"]); err != nil {
		return nil, fmt.Errorf("email: template of the subject: %w", err)
	}
	if t.text, err = texttemplate.New("text").Parse(sources["mail.txt.tmpl"]); err != nil {
		return nil, fmt.Errorf("email: template of the text: %w", err)
	}
	if t.html, err = template.New("html").Parse(sources["mail.html.tmpl"]); err != nil {
		return nil, fmt.Errorf("email: template of the HTML: %w", err)
	}
	if _, err := t.execute(sampleContent()); err != nil {
		return nil, fmt.Errorf("email: %w", err)
	}
	return t, nil
}

func readTemplate(name, file string) (string, error) {
	if file == "" {
		content, err := builtin.ReadFile("templates/" + name)
		return string(content), err
	}
	f, err := os.Open(file) //nolint:gosec // reading the files that the operator names is the purpose
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxTemplate {
		return "", fmt.Errorf("%s is larger than %d bytes", file, maxTemplate)
	}
	return string(content), nil
}

// sampleContent has something in every field.
func sampleContent() Content {
	return Content{
		Title: "Title", Description: "Description", DescriptionHTML: "<p>Description</p>", Preview: "Description",
		Severity: "normal", Color: "#175cd3", Link: "https://example.com/", LinkText: "View details",
		Links:  []Link{{"Log", "https://example.com/log"}},
		Origin: "plugin:example", OriginName: "example", Topic: "topic", Scope: "scope", Time: time.Unix(0, 0).UTC(),
		Reason: "This was sent to you.", AppURL: "https://example.com", SettingsURL: "https://example.com/settings",
		UnsubscribeURL: "https://example.com/unsubscribe",
	}
}

// texts are what the templates made.
type texts struct{ subject, text, html string }

func (t *templates) execute(content Content) (texts, error) {
	var out texts
	for _, part := range []struct {
		name    string
		execute func(io.Writer, any) error
		into    *string
	}{
		{"subject", t.subject.Execute, &out.subject},
		{"text", t.text.Execute, &out.text},
		{"HTML", t.html.Execute, &out.html},
	} {
		var buffer limitedBuffer
		if err := part.execute(&buffer, content); err != nil {
			return texts{}, fmt.Errorf("template of the %s: %w", part.name, err)
		}
		*part.into = buffer.String()
	}
	out.subject = shorten(oneLine(out.subject), maxSubject)
	out.text = strings.TrimSpace(out.text) + "\n"
	return out, nil
}

// limitedBuffer takes no more than maxPart.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxPart {
		return 0, errors.New("makes more than 4 MiB")
	}
	return b.Buffer.Write(p)
}
