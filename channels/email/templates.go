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
	// of is "digest's " for those of digests.
	of            string
	subject, text *texttemplate.Template
	html          *template.Template
}

// source is where a template is: in an operator's file, or built in.
type source struct{ builtin, file string }

func mailTemplates(files Templates) (*templates, error) {
	return loadTemplates("", sampleContent(), source{"subject.txt.tmpl", files.Subject},
		source{"mail.html.tmpl", files.HTML}, source{"mail.txt.tmpl", files.Text})
}

func digestTemplates(files Templates) (*templates, error) {
	return loadTemplates("digest's ", sampleDigest(), source{"digest_subject.txt.tmpl", files.DigestSubject},
		source{"digest.html.tmpl", files.DigestHTML}, source{"digest.txt.tmpl", files.DigestText})
}

// loadTemplates reads templates, and tries them out with a sample: what fails for
// every mail fails at the start. of tells in errors whose they are.
func loadTemplates(of string, sample any, subject, html, text source) (*templates, error) {
	t := &templates{
		of: of, subject: texttemplate.New("subject"), text: texttemplate.New("text"), html: template.New("html"),
	}
	if err := addTemplate("the head", source{builtin: "head.html.tmpl"}, t.html.New("head").Parse); err != nil {
		return nil, err
	}
	err := addTemplate("the "+of+"subject", subject, t.subject.Parse)
	if err == nil {
		err = addTemplate("the "+of+"text", text, t.text.Parse)
	}
	if err == nil {
		err = addTemplate("the "+of+"HTML", html, t.html.Parse)
	}
	if err != nil {
		return nil, err
	}
	if _, err := t.execute(sample); err != nil {
		return nil, fmt.Errorf("email: %w", err)
	}
	return t, nil
}

func addTemplate[T any](what string, from source, parse func(string) (T, error)) error {
	content, err := readTemplate(from)
	if err == nil {
		_, err = parse(content)
	}
	if err != nil {
		return fmt.Errorf("email: template of %s: %w", what, err)
	}
	return nil
}

func readTemplate(from source) (string, error) {
	if from.file == "" {
		content, err := builtin.ReadFile("templates/" + from.builtin)
		return string(content), err
	}
	f, err := os.Open(from.file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxTemplate {
		return "", fmt.Errorf("%s is larger than %d bytes", from.file, maxTemplate)
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

// sampleDigest has something in every field.
func sampleDigest() DigestContent {
	at := time.Unix(0, 0).UTC()
	entry := DigestEntry{
		Title: "Title", Text: "Description", Severity: "high", Color: "#b54708", Link: "https://example.com/", Scope: "scope",
		Time: at, When: "00:00", Updates: 2,
	}
	return DigestContent{
		Title: "2 notifications", Count: 2, More: 1, Urgent: "1 high", From: "example", Preview: "Title",
		Severity: "high", Color: "#b54708", Severities: []DigestSeverity{{"high", "#b54708", 1, true}},
		Groups: []DigestGroup{{"plugin:example", "example", []DigestTopic{{"topic", []DigestEntry{entry}}}}},
		Time:   at, Zone: "UTC", Link: "https://example.com/", LinkText: "Open notifications",
		Reason: "These were held.", Origin: "plugin:example", Topic: "topic", AppURL: "https://example.com",
		SettingsURL: "https://example.com/settings", UnsubscribeURL: "https://example.com/unsubscribe",
	}
}

// texts are what the templates made.
type texts struct{ subject, text, html string }

func (t *templates) execute(content any) (texts, error) {
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
			return texts{}, fmt.Errorf("template of the %s%s: %w", t.of, part.name, err)
		}
		*part.into = buffer.String()
	}
	out.subject = shorten(oneLine(out.subject), maxSubject)
	out.text = strings.TrimSpace(out.text) + "\n"
	return out, nil
}

// errTooLarge is that a template makes more than maxPart.
var errTooLarge = errors.New("makes more than 4 MiB")

// limitedBuffer takes no more than maxPart.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxPart {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}
