package slackfake

import (
	"encoding/json"
	"net/http"
	"unicode/utf16"
)

// Slack's limits, in characters, from its reference of chat.postMessage and of
// Block Kit.
const (
	maxText        = 40_000
	maxBlocks      = 50
	maxAttachments = 100
	maxSectionText = 3_000
	maxHeader      = 150
	maxButtonText  = 75
	maxURL         = 3_000
	maxContext     = 10
	maxActions     = 25
	// maxBlocksSize is not documented: longer blocks were seen refused with
	// msg_blocks_too_long.
	maxBlocksSize = 13_000
)

type textObject struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type block struct {
	Type     string            `json:"type"`
	Text     *textObject       `json:"text"`
	Elements []json.RawMessage `json:"elements"`
}

// content reads a message and holds it to the limits. code is Slack's error, or
// empty.
func content(r *http.Request) (m Message, code string) {
	m.Text = r.Form.Get("text")
	m.Options = map[string]string{}
	for name := range r.Form {
		switch name {
		case "token", "channel", "ts", "text", "blocks", "attachments":
		default:
			m.Options[name] = r.Form.Get(name)
		}
	}
	if length(m.Text) > maxText {
		return m, "msg_too_long"
	}
	size := 0
	check := func(raw json.RawMessage) string {
		var blocks []block
		if err := json.Unmarshal(raw, &blocks); err != nil {
			return "invalid_blocks_format"
		}
		size += len(raw)
		return checkBlocks(blocks)
	}
	if raw := r.Form.Get("blocks"); raw != "" {
		m.Blocks = json.RawMessage(raw)
		if code := check(m.Blocks); code != "" {
			return m, code
		}
	}
	if raw := r.Form.Get("attachments"); raw != "" {
		m.Attachments = json.RawMessage(raw)
		var attachments []struct {
			Blocks json.RawMessage `json:"blocks"`
		}
		if err := json.Unmarshal(m.Attachments, &attachments); err != nil {
			return m, "invalid_attachments"
		}
		if len(attachments) > maxAttachments {
			return m, "too_many_attachments"
		}
		for _, attachment := range attachments {
			if attachment.Blocks == nil {
				continue
			}
			if code := check(attachment.Blocks); code != "" {
				return m, "invalid_attachments"
			}
		}
	}
	switch {
	case m.Text == "" && m.Blocks == nil && m.Attachments == nil:
		return m, "no_text"
	case size > maxBlocksSize:
		return m, "msg_blocks_too_long"
	}
	return m, ""
}

func checkBlocks(blocks []block) string {
	const invalid = "invalid_blocks"
	if len(blocks) > maxBlocks {
		return invalid
	}
	for _, b := range blocks {
		limit, most := maxSectionText, 0
		switch b.Type {
		case "section", "divider":
		case "header":
			limit = maxHeader
		case "context":
			most = maxContext
		case "actions":
			most = maxActions
		default:
			return invalid
		}
		if b.Text != nil && !within(b.Text.Text, limit) || b.Type == "section" && b.Text == nil {
			return invalid
		}
		if len(b.Elements) > most || most > 0 && len(b.Elements) == 0 {
			return invalid
		}
		for _, raw := range b.Elements {
			if !validElement(raw) {
				return invalid
			}
		}
	}
	return ""
}

func validElement(raw json.RawMessage) bool {
	var of struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(raw, &of) != nil {
		return false
	}
	switch of.Type {
	case "mrkdwn", "plain_text":
		var text textObject
		return json.Unmarshal(raw, &text) == nil && within(text.Text, maxSectionText)
	case "button":
		var button struct {
			Text textObject `json:"text"`
			URL  string     `json:"url"`
		}
		return json.Unmarshal(raw, &button) == nil && button.Text.Type == "plain_text" &&
			within(button.Text.Text, maxButtonText) && length(button.URL) <= maxURL
	}
	return false
}

func within(s string, limit int) bool { return s != "" && length(s) <= limit }

// length counts as JavaScript does, which is never less than characters.
func length(s string) int { return len(utf16.Encode([]rune(s))) }
