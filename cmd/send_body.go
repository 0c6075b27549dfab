package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/signalbox/signalbox"
)

// body makes the request of the file and the flags. The server validates it.
func (f *sendFlags) body(stdin io.Reader) ([]byte, error) {
	request := map[string]any{}
	if f.file != "" {
		if err := readRequest(f.file, stdin, &request); err != nil {
			return nil, err
		}
	}
	if err := f.recipients(request); err != nil {
		return nil, err
	}
	payload, ok := request["payload"].(map[string]any)
	switch {
	case !ok && request["payload"] != nil:
		return nil, errors.New("--file: the payload is not an object")
	case payload == nil:
		payload = map[string]any{}
	}
	for key, value := range map[string]string{
		"title": f.title, "description": f.description, "link": f.link, "severity": f.severity,
		"topic": f.topic, "scope": f.scope, "icon": f.icon,
	} {
		if value != "" {
			payload[key] = value
		}
	}
	if len(f.additionalLinks) > 0 {
		payload["additionalLinks"] = parseLinks(f.additionalLinks)
	}
	if len(f.metadata) > 0 {
		metadata, err := parseMetadata(f.metadata)
		if err != nil {
			return nil, err
		}
		payload["metadata"] = metadata
	}
	request["payload"] = payload
	if title, _ := payload["title"].(string); title == "" {
		return nil, errors.New("--title is missing")
	}
	return json.Marshal(request)
}

func readRequest(name string, stdin io.Reader, request *map[string]any) error {
	source := stdin
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // G304: the user names the file to send
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		defer func() { _ = file.Close() }()
		source = file
	}
	decoder := json.NewDecoder(source)
	decoder.UseNumber()
	if err := decoder.Decode(request); err != nil {
		return fmt.Errorf("--file: the request is not a JSON object: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("--file: there is more than one JSON value")
	}
	return nil
}

func (f *sendFlags) recipients(request map[string]any) error {
	switch {
	case f.broadcast && len(f.to) > 0:
		return errors.New("--broadcast and --to exclude each other")
	case f.broadcast:
		request["recipients"] = map[string]any{"type": signalbox.RecipientsBroadcast}
	case len(f.to) > 0:
		request["recipients"] = map[string]any{"type": signalbox.RecipientsEntity, "entityRef": f.to}
	case request["recipients"] == nil:
		return errors.New("nobody is to get it: use --to ENTITY or --broadcast")
	}
	if len(f.exclude) > 0 {
		recipients, ok := request["recipients"].(map[string]any)
		if !ok {
			return errors.New("--exclude: the file's recipients are not an object")
		}
		recipients["excludeEntityRef"] = f.exclude
	}
	return nil
}

// parseLinks reads "URL" or "TITLE=URL". A URL may hold an equals sign, so only
// one before the scheme separates.
func parseLinks(flags []string) []signalbox.AdditionalLink {
	links := make([]signalbox.AdditionalLink, 0, len(flags))
	for _, flag := range flags {
		title, url, ok := strings.Cut(flag, "=")
		if !ok || strings.Contains(title, "://") || strings.HasPrefix(title, "/") {
			title, url = "", flag
		}
		links = append(links, signalbox.AdditionalLink{Title: title, URL: url})
	}
	return links
}

// parseMetadata keeps JSON as it is written: a version 1.10 is not the number 1.1.
func parseMetadata(flags []string) (map[string]json.RawMessage, error) {
	metadata := map[string]json.RawMessage{}
	for _, flag := range flags {
		if strings.HasPrefix(strings.TrimSpace(flag), "{") {
			if err := json.Unmarshal([]byte(flag), &metadata); err != nil {
				return nil, fmt.Errorf("--metadata: %w", err)
			}
			continue
		}
		key, text, ok := strings.Cut(flag, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--metadata: %q is neither KEY=VALUE nor a JSON object", flag)
		}
		value := json.RawMessage(text)
		if !json.Valid(value) {
			quoted, err := json.Marshal(text)
			if err != nil {
				return nil, fmt.Errorf("--metadata: %w", err)
			}
			value = quoted
		}
		metadata[key] = value
	}
	return metadata, nil
}
