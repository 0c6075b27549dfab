package cmd

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox"
)

// deadLetter is a dead letter as the server sends it.
type deadLetter struct {
	ID       string    `json:"id"`
	Died     time.Time `json:"died"`
	Created  time.Time `json:"created"`
	Stage    string    `json:"stage"`
	Origin   string    `json:"origin"`
	Request  string    `json:"request"`
	Delivery *struct {
		Channel  string             `json:"channel"`
		Audience signalbox.Audience `json:"audience"`
		Target   string             `json:"target"`
	} `json:"delivery"`
	Topic    string `json:"topic"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
	History  []struct {
		At    time.Time `json:"at"`
		Error string    `json:"error"`
	} `json:"history"`
	Payload json.RawMessage `json:"payload"`
	Binary  []byte          `json:"payloadBase64"`
}

// decodeAnswer reads an answer of the server.
func decodeAnswer(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return unreadable(raw)
	}
	return nil
}

// listFlags are those of list.
type listFlags struct {
	serverFlags
	letterFlags

	limit int
	json  bool
}

func newDeadLettersList() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list [flags]",
		Short: "List dead letters, those that died last first",
		Long:  "List prints a line for each dead letter.\n\n" + adminExitCodes,
		Example: `  signalbox deadletters list
  signalbox deadletters list --stage Slack --since 2h

  # how many of each error
  signalbox deadletters list --limit 10000 --json | jq -r '.deadLetters[].error' | sort | uniq -c`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.serverFlags.register(c, adminTimeout, "")
	f.letterFlags.register(c)
	c.Flags().IntVar(&f.limit, "limit", 50, "show at most so many")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// lettersPage is how many the server sends at a time.
const lettersPage = 500

func (f *listFlags) run(c *cobra.Command) error {
	filter, err := f.filter(c, time.Now())
	if err == nil && f.limit < 1 {
		err = errors.New("--limit must be positive")
	}
	if err != nil {
		return exitWith(exitUsage, err)
	}
	query := letterQuery(filter)
	raw := []json.RawMessage{}
	more := true
	for more && len(raw) < f.limit {
		query.Set("limit", strconv.Itoa(min(f.limit-len(raw), lettersPage)))
		answer, err := f.callAdmin(c, http.MethodGet, "/dead-letters", query, nil)
		if err != nil {
			return err
		}
		var page struct {
			DeadLetters *[]json.RawMessage `json:"deadLetters"`
			NextCursor  string             `json:"nextCursor"`
		}
		if err := decodeAnswer(answer, &page); err != nil {
			return err
		}
		if page.DeadLetters == nil {
			return unreadable(answer)
		}
		raw = append(raw, *page.DeadLetters...)
		query.Set("cursor", page.NextCursor)
		more = page.NextCursor != "" && len(*page.DeadLetters) > 0
	}
	if err := f.print(c, raw); err != nil || !more {
		return err
	}
	_, err = fmt.Fprintf(c.ErrOrStderr(), "There are older ones; --limit %d would show more.\n", 10*f.limit)
	return err
}

func (f *listFlags) print(c *cobra.Command, raw []json.RawMessage) error {
	if f.json {
		all, err := json.Marshal(map[string]any{"deadLetters": raw})
		if err != nil {
			return err
		}
		return printJSON(c.OutOrStdout(), all)
	}
	if len(raw) == 0 {
		_, err := fmt.Fprintln(c.OutOrStdout(), "No dead letters.")
		return err
	}
	lines := newTable("ID", "DIED", "STAGE", "ORIGIN", "#ATTEMPTS", "ERROR")
	now := time.Now()
	for i := range raw {
		var d deadLetter
		if err := decodeAnswer(raw[i], &d); err != nil {
			return err
		}
		lines.add(d.ID, ago(d.Died, now), d.Stage, dash(d.Origin), strconv.Itoa(d.Attempts), d.Error)
	}
	lines.fit(screenWidth(), 40)
	return lines.print(c.OutOrStdout())
}

// screenWidth is how many characters a line should have.
func screenWidth() int {
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return 140
}

// showFlags are those of show.
type showFlags struct {
	serverFlags

	json bool
}

func newDeadLettersShow() *cobra.Command {
	var f showFlags
	c := &cobra.Command{
		Use:   "show ID [flags]",
		Short: "Show a dead letter with its history and its payload",
		Long: `Show prints all that is known of a dead letter. The payload is the message on the
queue, and holds the notification.

` + adminExitCodes,
		Example: `  signalbox deadletters show 019aa3f2-5c3e-7b1c-9d51-0c6c3a1f2b4d/recipients`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return exitWith(exitUsage, fmt.Errorf("name one ID, as \"signalbox deadletters list\" shows it (see %q)", c.CommandPath()+" --help"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.register(c, adminTimeout, "")
	c.Flags().BoolVar(&f.json, "json", false, "print the server's answer as it is")
	return c
}

func (f *showFlags) run(c *cobra.Command, id string) error {
	answer, err := f.callAdmin(c, http.MethodGet, "/dead-letters/show", url.Values{"id": {id}}, nil)
	if err != nil {
		return err
	}
	var d deadLetter
	if err := decodeAnswer(answer, &d); err != nil {
		return err
	}
	if d.ID == "" {
		return unreadable(answer)
	}
	if f.json {
		return printJSON(c.OutOrStdout(), answer)
	}
	_, err = fmt.Fprint(c.OutOrStdout(), d.text(time.Now()))
	return err
}

// text is all of a dead letter, for people.
func (d *deadLetter) text(now time.Time) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, oneLine(fmt.Sprintf(format, args...)))
	}
	line("Dead letter", "%s", d.ID)
	line("Died", "%s (%s)", moment(d.Died), ago(d.Died, now))
	line("Stage", "%s", d.Stage)
	if d.Request != "" {
		line("Request", "%s, accepted %s", d.Request, moment(d.Created))
	}
	if d.Origin != "" {
		line("Origin", "%s", d.Origin)
	}
	if d.Delivery != nil {
		line("Delivery", "%s", d.deliveryText())
	}
	line("Queue", "%s", d.Topic)
	line("Attempts", "%d", d.Attempts)
	line("Error", "%s", d.Error)
	if len(d.History) > 0 {
		b.WriteString("\nHistory\n")
		for _, failure := range d.History {
			fmt.Fprintf(&b, "  %s  %s\n", moment(failure.At), oneLine(failure.Error))
		}
	}
	b.WriteString("\nPayload\n")
	b.WriteString(d.payloadText())
	return b.String()
}

// deliveryText says where it was to go.
func (d *deadLetter) deliveryText() string {
	to := string(d.Delivery.Audience)
	switch {
	case d.Delivery.Audience == signalbox.Everyone:
		to = "everyone"
	case to == "":
		return d.Delivery.Channel + " to " + d.Delivery.Target
	}
	if d.Delivery.Target != "" {
		to += " at " + d.Delivery.Target
	}
	return d.Delivery.Channel + " to " + to
}

// payloadText is the payload, indented; what is no JSON is shown as base64.
func (d *deadLetter) payloadText() string {
	var indented bytes.Buffer
	text := base64.StdEncoding.EncodeToString(d.Binary) + "  (base64)"
	if len(d.Payload) > 0 && json.Indent(&indented, d.Payload, "", "  ") == nil {
		text = indented.String()
	}
	return "  " + strings.ReplaceAll(printable(text), "\n", "\n  ") + "\n"
}
