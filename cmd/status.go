package cmd

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/web"
)

// statusFlags are those of status.
type statusFlags struct {
	serverFlags

	json bool
}

func newStatus() *cobra.Command {
	var f statusFlags
	c := &cobra.Command{
		Use:   "status [flags]",
		Short: "Show how a running server is doing",
		Long: `Status shows the queues that have messages, the health of the channels as the
instance that answers sees it, and how many dead letters there are.

` + adminExitCodes,
		Example: `  signalbox status
  signalbox status --json | jq .deadLetters`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c, adminTimeout, "")
	c.Flags().BoolVar(&f.json, "json", false, "print the server's answer as it is")
	return c
}

// serverStatus is the status as the server sends it.
type serverStatus struct {
	Version   string `json:"version"`
	Instances int    `json:"instances"`
	Queues    []struct {
		Topic              string  `json:"topic"`
		Ready              int64   `json:"ready"`
		Leased             int64   `json:"leased"`
		Scheduled          int64   `json:"scheduled"`
		OldestReadySeconds float64 `json:"oldestReadySeconds"`
	} `json:"queues"`
	Channels []struct {
		Name        string           `json:"name"`
		State       web.ChannelState `json:"state"`
		PausedUntil time.Time        `json:"pausedUntil"`
		LastSuccess time.Time        `json:"lastSuccess"`
		LastFailure time.Time        `json:"lastFailure"`
		LastError   string           `json:"lastError"`
		Failures    int              `json:"consecutiveFailures"`
		InFlight    int              `json:"inFlight"`
	} `json:"channels"`
	DeadLetters int `json:"deadLetters"`
}

func (f *statusFlags) run(c *cobra.Command) error {
	answer, err := f.callAdmin(c, http.MethodGet, "/status", nil, nil)
	if err != nil {
		return err
	}
	var s serverStatus
	if err := decodeAnswer(answer, &s); err != nil {
		return err
	}
	if s.Version == "" {
		return unreadable(answer)
	}
	if f.json {
		return printJSON(c.OutOrStdout(), answer)
	}
	return s.print(c.OutOrStdout(), time.Now())
}

func (s *serverStatus) print(out io.Writer, now time.Time) error {
	instances := "1 instance"
	if s.Instances > 1 {
		instances = fmt.Sprintf("%d instances", s.Instances)
	}
	if _, err := fmt.Fprintf(out, "Signalbox %s, %s\n\n", oneLine(s.Version), instances); err != nil {
		return err
	}
	if err := s.printQueues(out); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	if err := s.printChannels(out, now); err != nil {
		return err
	}
	hint := ""
	if s.DeadLetters > 0 {
		hint = `  (see "signalbox deadletters list")`
	}
	_, err := fmt.Fprintf(out, "\nDead letters: %d%s\n", s.DeadLetters, hint)
	return err
}

func (s *serverStatus) printQueues(out io.Writer) error {
	if len(s.Queues) == 0 {
		_, err := fmt.Fprintln(out, "The queues are empty.")
		return err
	}
	lines := newTable("QUEUE", "#READY", "#IN WORK", "#SCHEDULED", "#OLDEST READY")
	for _, q := range s.Queues {
		oldest := "-"
		if q.Ready > 0 {
			oldest = span(time.Duration(q.OldestReadySeconds * float64(time.Second)))
		}
		lines.add(q.Topic, strconv.FormatInt(q.Ready, 10), strconv.FormatInt(q.Leased, 10), strconv.FormatInt(q.Scheduled, 10), oldest)
	}
	return lines.print(out)
}

func (s *serverStatus) printChannels(out io.Writer, now time.Time) error {
	if len(s.Channels) == 0 {
		_, err := fmt.Fprintln(out, "No channels besides the inbox.")
		return err
	}
	lines := newTable("CHANNEL", "STATE", "#IN WORK", "LAST SUCCESS", "LAST FAILURE", "#IN A ROW", "ERROR")
	for i := range s.Channels {
		ch := &s.Channels[i]
		state, failure := string(ch.State), ""
		if left := ch.PausedUntil.Sub(now); ch.State == web.ChannelPaused && left > 0 {
			state += ", " + span(left+time.Second-1) + " left"
		}
		// An error that a success came after explains nothing.
		if ch.Failures > 0 {
			failure = ch.LastError
		}
		lines.add(ch.Name, state, strconv.Itoa(ch.InFlight), whenever(ch.LastSuccess, now), whenever(ch.LastFailure, now),
			strconv.Itoa(ch.Failures), dash(failure))
	}
	lines.fit(screenWidth(), 40)
	return lines.print(out)
}

// whenever is ago for a time that may not have come.
func whenever(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return ago(t, now)
}
