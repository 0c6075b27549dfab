package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/configs"
)

// tokensHelp is the part of the help that the commands about tokens share.
//
//nolint:gosec // G101: a text about tokens
const tokensHelp = `The server is found as by "signalbox send". The credentials must be an admin's, as
those of the local server are, or a user's, for that user's own tokens; not an API
token's.

Exit codes: 0 done; 1 failure; 2 the command line is wrong, or there is no such
token; 3 the credentials were refused; 4 the server cannot be reached or is
overloaded.`

//nolint:gosec // G101: a text about tokens
const tokensHint = "; a user sees and makes its own tokens, an admin (auth.admins) those of others"

func newTokens() *cobra.Command {
	c := &cobra.Command{
		Use:   "tokens",
		Short: "Make, list and revoke API tokens",
		Long: `An API token is a credential that works until it expires or is revoked. It acts as a
user, who may hand it to a script, or sends with an origin.`,
		Example: `  signalbox tokens create --name ci --send ci
  signalbox tokens list`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokensList(), newTokensCreate(), newTokensRevoke())
	return c
}

// shownToken is an API token as the server sends it.
type shownToken struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	User      string     `json:"user"`
	Origin    string     `json:"origin"`
	Scopes    []string   `json:"scopes"`
	State     string     `json:"state"`
	CreatedBy string     `json:"createdBy"`
	Expires   time.Time  `json:"expires"`
	LastUsed  *time.Time `json:"lastUsed"`
	Token     string     `json:"token"`
}

// rawToken is a token of a list, and as it came.
type rawToken struct {
	shownToken

	raw json.RawMessage
}

// page asks for a page of tokens, and returns where the next one begins.
func (f *tokenListFlags) page(c *cobra.Command, query url.Values) (tokens []rawToken, next string, err error) {
	answer, err := f.call(c, http.MethodGet, "/tokens", query, nil, tokensHint)
	if err != nil {
		return nil, "", err
	}
	var page struct {
		Tokens     *[]json.RawMessage `json:"tokens"`
		NextCursor string             `json:"nextCursor"`
	}
	if err := decodeAnswer(answer, &page); err != nil {
		return nil, "", err
	}
	if page.Tokens == nil {
		return nil, "", unreadable(answer)
	}
	for _, raw := range *page.Tokens {
		token := rawToken{raw: raw}
		if err := decodeAnswer(raw, &token.shownToken); err != nil {
			return nil, "", err
		}
		tokens = append(tokens, token)
	}
	return tokens, page.NextCursor, nil
}

// tokenListFlags are those of list.
type tokenListFlags struct {
	serverFlags

	user, origin     string
	all, ended, json bool
}

func newTokensList() *cobra.Command {
	var f tokenListFlags
	c := &cobra.Command{
		Use:   "list [flags]",
		Short: "List API tokens, those made last first",
		Long: `List prints a line for each token that works: a user's own, or anybody's for an admin.
The secrets of tokens are kept nowhere.

` + tokensHelp,
		Example: `  signalbox tokens list
  signalbox tokens list --user user:default/jane --ended`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c, adminTimeout, "")
	flags := c.Flags()
	flags.StringVar(&f.user, "user", "", "only those of this user")
	flags.StringVar(&f.origin, "origin", "", "only those that send with this origin")
	flags.BoolVar(&f.all, "all", false, "those of everybody, where a user who is an admin asks")
	flags.BoolVar(&f.ended, "ended", false, "also those that expired or were revoked within the last 30 days")
	flags.BoolVar(&f.json, "json", false, "print JSON, one token per line")
	return c
}

func (f *tokenListFlags) run(c *cobra.Command) error {
	query := url.Values{"limit": {"500"}}
	for _, flag := range []struct{ name, value string }{{"user", f.user}, {"origin", f.origin}} {
		if c.Flags().Changed(flag.name) {
			if flag.value == "" {
				return exitWith(exitUsage, fmt.Errorf("--%s is empty", flag.name))
			}
			query.Set(flag.name, flag.value)
		}
	}
	if f.all {
		query.Set("all", "true")
	}
	if len(query) > 2 {
		return exitWith(exitUsage, errors.New("--user, --origin and --all exclude each other"))
	}
	var tokens []rawToken
	for {
		page, next, err := f.page(c, query)
		if err != nil {
			return err
		}
		for _, token := range page {
			if f.ended || token.State == "active" {
				tokens = append(tokens, token)
			}
		}
		if next == "" {
			break
		}
		query.Set("cursor", next)
	}
	if f.json {
		for _, token := range tokens {
			if err := printJSON(c.OutOrStdout(), token.raw); err != nil {
				return err
			}
		}
		return nil
	}
	if len(tokens) == 0 {
		_, err := fmt.Fprintln(c.OutOrStdout(), "No tokens.")
		return err
	}
	return printTokens(c.OutOrStdout(), tokens, time.Now())
}

// printTokens prints a line for each token.
func printTokens(out io.Writer, tokens []rawToken, now time.Time) error {
	table := newTable("ID", "NAME", "ACTS AS", "SCOPES", "EXPIRES", "LAST USED", "MADE BY")
	for _, t := range tokens {
		ends := t.State
		if t.State == "active" {
			ends = "in " + span(t.Expires.Sub(now))
		}
		used := "never"
		if t.LastUsed != nil {
			used = ago(*t.LastUsed, now)
		}
		table.add(t.ID, t.Name, t.User+t.Origin, strings.Join(t.Scopes, ","), ends, used, t.CreatedBy)
	}
	return table.print(out)
}

// tokenCreateFlags are those of create.
type tokenCreateFlags struct {
	serverFlags

	name, user, send, expires string
	readOnly, admin, json     bool
}

func newTokensCreate() *cobra.Command {
	var f tokenCreateFlags
	c := &cobra.Command{
		Use:   "create --name NAME [flags]",
		Short: "Make an API token",
		Long: `Create makes a token and prints its secret to standard output, and what it may do to
standard error. The secret is shown this once: only its hash is kept.

Without --send, the token acts as a user: it reads and changes the inbox and the
settings, but does not send.

` + tokensHelp,
		Example: `  # for a program that sends
  signalbox tokens create --name "CI of shop" --send ci:shop > token

  # for a script that looks at an inbox
  signalbox tokens create --name laptop --user user:default/jane --read-only --expires "30 days"`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c, adminTimeout, "")
	flags := c.Flags()
	flags.StringVar(&f.name, "name", "", "what it is for (required)")
	flags.StringVar(&f.user, "user", "", "the user that it acts as (default: the user who makes it)")
	flags.StringVar(&f.send, "send", "", "let it send, with this origin; for admins")
	flags.BoolVar(&f.readOnly, "read-only", false, "let it only read")
	flags.BoolVar(&f.admin, "admin", false, "let it be an admin where its user or origin is one; for admins")
	flags.StringVar(&f.expires, "expires", "", `when it expires: "30 days" from now, or a time such as 2027-01-31 (default 90 days)`)
	flags.BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// tokenRequest is the body that asks for a token.
type tokenRequest struct {
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	User    string   `json:"user,omitempty"`
	Origin  string   `json:"origin,omitempty"`
	Expires string   `json:"expires,omitempty"`
}

func (f *tokenCreateFlags) request(c *cobra.Command, now time.Time) (tokenRequest, error) {
	request := tokenRequest{Name: f.name, User: f.user, Origin: f.send}
	for _, flag := range []struct{ name, value string }{
		{"name", f.name}, {"user", f.user}, {"send", f.send}, {"expires", f.expires},
	} {
		if flag.value == "" && (flag.name == "name" || c.Flags().Changed(flag.name)) {
			return request, fmt.Errorf("--%s is empty", flag.name)
		}
	}
	switch {
	case f.send != "" && (f.user != "" || f.readOnly):
		return request, errors.New("--send excludes --user and --read-only")
	case f.send != "":
		request.Scopes = []string{"send"}
	case f.readOnly:
		request.Scopes = []string{"read"}
	default:
		request.Scopes = []string{"inbox"}
	}
	if f.admin {
		request.Scopes = append(request.Scopes, "admin")
	}
	if f.expires == "" {
		return request, nil
	}
	if age, err := configs.ParseDuration(f.expires); err == nil {
		request.Expires = now.Add(age).UTC().Format(time.RFC3339)
		return request, nil
	}
	at, err := parseMoment(f.expires, now)
	if err != nil {
		return request, fmt.Errorf("--expires: %w", err)
	}
	request.Expires = at.Format(time.RFC3339)
	return request, nil
}

func (f *tokenCreateFlags) run(c *cobra.Command) error {
	request, err := f.request(c, time.Now())
	if err != nil {
		return exitWith(exitUsage, err)
	}
	raw, err := f.call(c, http.MethodPost, "/tokens", nil, request, tokensHint)
	if err != nil {
		return err
	}
	var token shownToken
	if err := decodeAnswer(raw, &token); err != nil {
		return errors.New("the server's answer cannot be read; the token may have been made: see \"signalbox tokens list\"")
	}
	if token.Token == "" {
		return errors.New("the server's answer has no token")
	}
	if f.json {
		return printJSON(c.OutOrStdout(), raw)
	}
	// So that a script can keep what is on stdout.
	details := fmt.Sprintf("ID       %s\nName     %s\nActs as  %s\nScopes   %s\nExpires  %s\n\nThis is the token. It is not shown again:\n",
		token.ID, oneLine(token.Name), oneLine(token.User+token.Origin), strings.Join(token.Scopes, ", "), moment(token.Expires))
	if _, err := io.WriteString(c.ErrOrStderr(), details); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), token.Token)
	return err
}

func newTokensRevoke() *cobra.Command {
	var f serverFlags
	c := &cobra.Command{
		Use:   "revoke ID... [flags]",
		Short: "Revoke API tokens",
		Long: `Revoke ends tokens for good. Within seconds they are refused everywhere. Revoking one
again does nothing.

` + tokensHelp,
		Example: `  signalbox tokens revoke 019aa3f2-5c3e-7b1c-9d51-0c6c3a1f2b4d`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, ids []string) error {
			if len(ids) == 0 {
				return exitWith(exitUsage, fmt.Errorf("name IDs (see %q)", c.CommandPath()+" --help"))
			}
			for _, id := range ids {
				if strings.HasPrefix(id, "sbx_") {
					return exitWith(exitUsage, errors.New("this is a token; give its ID, which \"signalbox tokens list\" shows"))
				}
			}
			return revokeTokens(c, &f, ids)
		},
	}
	f.register(c, adminTimeout, "")
	return c
}

func revokeTokens(c *cobra.Command, f *serverFlags, ids []string) error {
	for _, id := range ids {
		raw, err := f.call(c, http.MethodDelete, "/tokens/"+url.PathEscape(id), nil, nil, tokensHint)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		var token shownToken
		if err := decodeAnswer(raw, &token); err != nil || token.ID == "" {
			return unreadable(raw)
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "revoked %s (%s, %s)\n", token.ID, oneLine(token.Name), oneLine(token.User+token.Origin)); err != nil {
			return err
		}
	}
	return nil
}
