package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/signalbox/signalbox"
)

// refused turns an error answer into an error with the fitting exit code.
func (f *sendFlags) refused(response *http.Response, answer []byte) error {
	var body struct {
		Error struct{ Name, Message string }
	}
	message := brief(answer)
	if err := json.Unmarshal(answer, &body); err == nil && body.Error.Message != "" {
		message = body.Error.Message
	}
	status := response.StatusCode
	code := exitFailure
	switch {
	case status < http.StatusBadRequest:
		code = exitUsage
		message = fmt.Sprintf("it redirects to %q; use that address as --url", response.Header.Get("Location"))
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		code = exitDenied
		// Guest mode takes who has no token for a user, who may not send.
		if response.Request.Header.Get("Authorization") == "" {
			message += "; no token was found: use --token-file or SIGNALBOX_TOKEN, or --data for the folder of a local server"
		}
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable ||
		status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		code = exitUnavailable
	case status < http.StatusInternalServerError:
		code = exitUsage
	}
	return exitWith(code, fmt.Errorf("the server refused (%d): %s", status, message))
}

// brief makes one line of an answer that is not what was expected, such as the
// page of a proxy.
func brief(answer []byte) string {
	const most = 200
	text := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(string(answer), "\uFFFD")), " "))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

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

func printJSON(out io.Writer, answer []byte) error {
	_, err := fmt.Fprintln(out, strings.TrimSpace(string(answer)))
	return err
}

func unreadable(answer []byte) error {
	return fmt.Errorf("this does not look like the answer of a notifications server (is --url right?): %s", brief(answer))
}
