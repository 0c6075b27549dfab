package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/configs"
)

// adminExitCodes is the part of the help that the commands for admins share.
const adminExitCodes = `The server is found as by "signalbox send". Its token must be an admin's: the local
server's is, others are named in auth.admins.

Exit codes: 0 done; 1 failure, or some were not found; 2 the command line is wrong;
3 the credentials were refused; 4 the server cannot be reached or is overloaded.`

func newDeadLetters() *cobra.Command {
	c := &cobra.Command{
		Use:   "deadletters",
		Short: "Look at what was given up, and retry or drop it",
		Long: `A dead letter is a send request or a delivery that was given up, kept with its
history until a person acts.`,
		Example: `  signalbox deadletters list
  signalbox deadletters retry --all --stage Slack`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newDeadLettersList(), newDeadLettersShow(), newDeadLettersRetry(), newDeadLettersDrop())
	return c
}

// letterFlags are the flags that choose dead letters.
type letterFlags struct {
	stage, origin, request, since, until string
}

func (f *letterFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.stage, "stage", "", "only those of this stage, such as recipients or a channel's name")
	flags.StringVar(&f.origin, "origin", "", "only those of this origin")
	flags.StringVar(&f.request, "request", "", "only those of this send request")
	flags.StringVar(&f.since, "since", "", "only those that died since then: 2h, \"3 days\", or a time such as 2026-11-21T08:00")
	flags.StringVar(&f.until, "until", "", "only those that died before then")
}

// filter returns the fields that were given, by their names in the API. One that
// is given must not be empty: a variable of a script that is not set must not
// choose everything.
func (f *letterFlags) filter(c *cobra.Command, now time.Time) (map[string]string, error) {
	filter := map[string]string{}
	for _, flag := range []struct {
		name, field, value string
		when               bool
	}{
		{"stage", "stage", f.stage, false},
		{"origin", "origin", f.origin, false},
		{"request", "request", f.request, false},
		{"since", "after", f.since, true},
		{"until", "before", f.until, true},
	} {
		if !c.Flags().Changed(flag.name) {
			continue
		}
		if flag.value == "" {
			return nil, fmt.Errorf("--%s is empty", flag.name)
		}
		if flag.when {
			at, err := parseMoment(flag.value, now)
			if err != nil {
				return nil, fmt.Errorf("--%s: %w", flag.name, err)
			}
			flag.value = at.Format(time.RFC3339Nano)
		}
		filter[flag.field] = flag.value
	}
	return filter, nil
}

// parseMoment reads a time, or how long ago it was.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if ago, err := configs.ParseDuration(s); err == nil {
		return now.Add(-ago).UTC(), nil
	}
	at, err := signalbox.ParseTime(s)
	if err != nil {
		return at, fmt.Errorf("%q is neither a duration, such as 2h or \"3 days\", nor a time, such as 2026-11-21T08:00 (UTC)", s)
	}
	return at, nil
}

// takeFlags are those of retry and drop.
type takeFlags struct {
	serverFlags
	letterFlags

	all, yes bool
}

func newDeadLettersRetry() *cobra.Command {
	var f takeFlags
	c := &cobra.Command{
		Use:   "retry {ID... | --all} [flags]",
		Short: "Put dead letters back on their queues",
		Long: `Retry puts dead letters back on their queues, to be tried afresh: with new attempts.
What fails again becomes a dead letter again.

` + adminExitCodes,
		Example: `  signalbox deadletters retry 019aa3f2-5c3e-7b1c-9d51-0c6c3a1f2b4d/recipients

  # everything that Slack refused in the last two hours
  signalbox deadletters retry --all --stage Slack --since 2h`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, ids []string) error {
			return f.run(c, ids, "/dead-letters/retry", func(n int) string {
				if n == 1 {
					return "1 dead letter is back on its queue"
				}
				return fmt.Sprintf("%d dead letters are back on their queues", n)
			}, nil)
		},
	}
	f.register(c)
	return c
}

func newDeadLettersDrop() *cobra.Command {
	var f takeFlags
	c := &cobra.Command{
		Use:   "drop {ID... | --all} [flags]",
		Short: "Delete dead letters",
		Long: `Drop deletes dead letters for good. The trace of their requests goes on saying that
they failed, and why. On a terminal it asks before; elsewhere it wants --yes.

` + adminExitCodes,
		Example: `  signalbox deadletters drop 019aa3f2-5c3e-7b1c-9d51-0c6c3a1f2b4d/recipients
  signalbox deadletters drop --all --until "30 days" --yes`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, ids []string) error {
			return f.run(c, ids, "/dead-letters/drop", func(n int) string {
				return "dropped " + count(n)
			}, f.confirm)
		},
	}
	f.register(c)
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return c
}

func (f *takeFlags) register(c *cobra.Command) {
	f.serverFlags.register(c, adminTimeout, "")
	f.letterFlags.register(c)
	c.Flags().BoolVar(&f.all, "all", false, "all dead letters, or all that the other flags choose")
}

func count(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}

// idsPerCall is how many identifiers the server takes at a time.
const idsPerCall = 200

// run chooses, asks, acts and tells.
func (f *takeFlags) run(c *cobra.Command, ids []string, path string, told func(n int) string, ask func(c *cobra.Command, what string) error) error {
	selections, what, err := f.selections(c, ids)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	if ask != nil {
		if err := ask(c, what); err != nil {
			return err
		}
	}
	done, wanted := 0, 0
	for _, selection := range selections {
		var answer struct {
			Count *int `json:"count"`
		}
		raw, err := f.callAdmin(c, http.MethodPost, path, nil, selection)
		if err == nil {
			err = decodeAnswer(raw, &answer)
		}
		if err == nil && answer.Count == nil {
			err = unreadable(raw)
		}
		if err != nil {
			if done > 0 {
				err = fmt.Errorf("%s, then: %w", told(done), err)
			}
			return err
		}
		done, wanted = done+*answer.Count, wanted+len(selection.IDs)
	}
	if missing := wanted - done; missing > 0 {
		if done > 0 {
			return fmt.Errorf("%s; %d of %d were not found", told(done), missing, wanted)
		}
		return errors.New("not found: there is no such dead letter (any more)")
	}
	if done == 0 {
		_, err = fmt.Fprintln(c.OutOrStdout(), "there are no such dead letters")
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), told(done))
	return err
}

// selection is the body that says which dead letters to take.
type selection struct {
	IDs     []string `json:"ids,omitempty"`
	All     bool     `json:"all,omitempty"`
	Stage   string   `json:"stage,omitempty"`
	Origin  string   `json:"origin,omitempty"`
	Request string   `json:"request,omitempty"`
	After   string   `json:"after,omitempty"`
	Before  string   `json:"before,omitempty"`
}

// selections are the bodies to send, and what they choose in words.
func (f *takeFlags) selections(c *cobra.Command, ids []string) ([]selection, string, error) {
	filter, err := f.filter(c, time.Now())
	switch {
	case err != nil:
		return nil, "", err
	case f.all && len(ids) > 0:
		return nil, "", errors.New("IDs and --all exclude each other")
	case f.all:
		what := "all dead letters"
		for _, flag := range []struct{ name, value string }{
			{"stage", f.stage}, {"origin", f.origin}, {"request", f.request}, {"since", f.since}, {"until", f.until},
		} {
			if flag.value != "" {
				what += fmt.Sprintf(", %s %s", flag.name, flag.value)
			}
		}
		return []selection{{
			All: true, Stage: filter["stage"], Origin: filter["origin"], Request: filter["request"],
			After: filter["after"], Before: filter["before"],
		}}, what, nil
	case len(ids) == 0 && len(filter) > 0:
		return nil, "", errors.New("nothing is chosen: filters go with --all")
	case len(ids) == 0:
		return nil, "", fmt.Errorf("nothing is chosen: name IDs, or use --all (see %q)", c.CommandPath()+" --help")
	case len(filter) > 0:
		return nil, "", errors.New("filters go with --all, not with IDs")
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var list []selection
	for part := range slices.Chunk(ids, idsPerCall) {
		list = append(list, selection{IDs: part})
	}
	return list, count(len(ids)), nil
}

// confirm asks whether what is meant.
func (f *takeFlags) confirm(c *cobra.Command, what string) error {
	if f.yes {
		return nil
	}
	err := errNoAnswer
	if isTerminal(c.InOrStdin()) {
		err = askYes(c.InOrStdin(), c.ErrOrStderr(), fmt.Sprintf("Delete %s for good?", printable(what)))
	}
	if errors.Is(err, errNoAnswer) {
		return exitWith(exitUsage, fmt.Errorf("this would delete %s for good: say --yes if that is meant", what))
	}
	return err
}

// errNoAnswer means that nobody is there who could answer.
var errNoAnswer = errors.New("no answer")

// isTerminal reports whether somebody may be there to answer.
func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// askYes asks a question and returns an error unless the answer is yes.
func askYes(in io.Reader, out io.Writer, question string) error {
	if _, err := fmt.Fprintf(out, "%s [y/N] ", question); err != nil {
		return err
	}
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && answer == "" { // such as /dev/null, which looks like a terminal
		_, _ = fmt.Fprintln(out)
		return errNoAnswer
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was deleted")
	}
	return nil
}

// letterQuery is a filter as the query of a request.
func letterQuery(filter map[string]string) url.Values {
	query := url.Values{}
	for field, value := range filter {
		query.Set(field, value)
	}
	return query
}
