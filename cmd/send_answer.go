package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/signalbox/signalbox"
)

// print tells a person what happened: the outcome on out, what else there is to
// know on notes.
func (f *sendFlags) print(out, notes io.Writer, status int, answer []byte) error {
	if status == http.StatusOK {
		return f.printMade(out, answer)
	}
	var receipt signalbox.Receipt
	if err := json.Unmarshal(answer, &receipt); err != nil || receipt.ID == "" {
		return unreadable(answer)
	}
	for _, warning := range receipt.Warnings {
		if _, err := fmt.Fprintln(notes, "warning:", warning); err != nil {
			return err
		}
	}
	if f.json {
		return printJSON(out, answer)
	}
	suffix := ""
	if f.wait > 0 {
		suffix = "  (not processed yet)"
	}
	_, err := fmt.Fprintf(out, "accepted  %s%s\n", receipt.ID, suffix)
	return err
}

// printMade prints the notifications that a server answers with who was asked to
// wait for them, or is Backstage.
func (f *sendFlags) printMade(out io.Writer, answer []byte) error {
	var made []struct {
		ID      string  `json:"id"`
		User    *string `json:"user"`
		Updated *string `json:"updated"`
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		return unreadable(answer)
	}
	if f.json {
		return printJSON(out, answer)
	}
	if len(made) == 0 {
		_, err := fmt.Fprintln(out, "accepted, and it reached nobody")
		return err
	}
	for _, n := range made {
		who, what := "everyone", "delivered"
		if n.User != nil {
			who = *n.User
		}
		if n.Updated != nil {
			what = "updated"
		}
		if _, err := fmt.Fprintf(out, "%s  %s  %s\n", what, n.ID, who); err != nil {
			return err
		}
	}
	return nil
}
