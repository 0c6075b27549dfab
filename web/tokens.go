package web

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth/apitoken"
)

const (
	// DefaultTokenAge is how long a token works that does not say, unless
	// [Config.MaxTokenAge] is less.
	DefaultTokenAge = 90 * 24 * time.Hour
	// DefaultTokensLimit is the page size of a list of tokens without a limit.
	DefaultTokensLimit = 100
)

// clockSlack is how much the clock of who asks for the longest time may be ahead.
const clockSlack = 5 * time.Minute

// apiToken is an API token on the wire.
type apiToken struct {
	ID     string                 `json:"id"`
	Name   string                 `json:"name"`
	User   *string                `json:"user"`
	Origin *string                `json:"origin"`
	Scopes []signalbox.TokenScope `json:"scopes"`
	State  string                 `json:"state"`
	// CreatedBy is the subject of who made it.
	CreatedBy string  `json:"createdBy"`
	Created   string  `json:"created"`
	Expires   string  `json:"expires"`
	LastUsed  *string `json:"lastUsed"`
	Revoked   *string `json:"revoked"`
	// Token is the secret, which only who makes it sees.
	Token string `json:"token,omitempty"`
}

func shownToken(t *signalbox.APIToken, now time.Time) apiToken {
	return apiToken{
		ID: t.ID, Name: t.Name, User: orNull(t.User), Origin: orNull(t.Origin), Scopes: t.Scopes,
		State: t.State(now), CreatedBy: t.Creator, Created: wireTime(t.Created), Expires: wireTime(t.Expires),
		LastUsed: wireTimeOrNull(t.Used), Revoked: wireTimeOrNull(t.Revoked),
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func wireTimeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return orNull(wireTime(t))
}

// tokenAttrs describe a token in the audit log.
func tokenAttrs(t *signalbox.APIToken) []slog.Attr {
	return []slog.Attr{
		slog.String("token", t.ID), slog.String("name", t.Name), slog.String("user", t.User), slog.String("origin", t.Origin),
		slog.Any("scopes", t.Scopes), slog.String("creator", t.Creator), slog.Time("expires", t.Expires),
	}
}

// listTokens shows tokens without their secrets: a user its own, an admin anybody's.
func (s *Server) listTokens(c *fiber.Ctx, principal signalbox.Principal, admin bool) error {
	q, err := readQuery(c, []string{"user", "origin", "all", "limit", "cursor"})
	if err != nil {
		return err
	}
	filter, err := q.tokenFilter(principal, admin)
	if err != nil {
		return err
	}
	limit, err := q.integer("limit", DefaultTokensLimit, signalbox.MaxTokenPage)
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	page, err := s.deps.Tokens.Tokens(ctx, filter, q.get("cursor"), max(limit, 1))
	if signalbox.ErrorCode(err) == signalbox.CodeInput {
		return errCursor()
	}
	if err != nil {
		return err
	}
	answer := struct {
		Tokens     []apiToken `json:"tokens"`
		NextCursor string     `json:"nextCursor,omitempty"`
	}{make([]apiToken, len(page.Tokens)), page.Next}
	now := time.Now()
	for i := range page.Tokens {
		answer.Tokens[i] = shownToken(&page.Tokens[i], now)
	}
	return sendJSON(c, answer)
}

// tokenFilter reads whose tokens are asked for. Without parameters, a user asks for
// its own and a service, which has none, for all.
func (q query) tokenFilter(principal signalbox.Principal, admin bool) (signalbox.TokenFilter, error) {
	var none, f signalbox.TokenFilter
	user, isUser := principal.(signalbox.UserPrincipal)
	all, err := q.boolean("all")
	if err != nil {
		return none, err
	}
	f.User, f.Origin = q.get("user"), q.get("origin")
	if f.User != "" {
		ref, err := signalbox.ParseEntityRef(f.User)
		if err != nil || !ref.IsUser() || len(f.User) > signalbox.MaxEntityRef {
			return none, signalbox.Errorf(signalbox.CodeInput, "request/query/user must be a user entity reference, such as user:default/jane")
		}
		f.User = ref.String()
	}
	given := 0
	for _, is := range []bool{f.User != "", f.Origin != "", all != nil && *all} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return none, signalbox.Errorf(signalbox.CodeInput, "request/query must have only one of user, origin and all")
	case given == 0 && isUser, isUser && f.User == user.Ref:
		return signalbox.TokenFilter{User: user.Ref}, nil
	case !admin:
		return none, signalbox.Errorf(signalbox.CodeNotAllowed, "Only admins see the tokens of others")
	default:
		return f, nil
	}
}

// newToken is the body that asks for a token.
type newToken struct {
	Name    string                 `json:"name"`
	Scopes  []signalbox.TokenScope `json:"scopes"`
	User    string                 `json:"user"`
	Origin  string                 `json:"origin"`
	Expires *string                `json:"expires"`
}

// createToken makes a token and shows its secret, this once.
func (s *Server) createToken(c *fiber.Ctx, principal signalbox.Principal, admin bool) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	token, err := s.decodeToken(c.Request().Body(), principal)
	if err != nil {
		return err
	}
	if err := mayCreate(principal, admin, &token); err != nil {
		s.audit(c, "API token refused", principal, "create token", append(tokenAttrs(&token), slog.Any("err", err))...)
		return err
	}
	secret := apitoken.NewSecret()
	ctx, cancel := s.requestContext(0)
	defer cancel()
	if err := s.deps.Tokens.AddToken(ctx, token, signalbox.HashToken(secret)); err != nil {
		return err
	}
	s.audit(c, "API token created", principal, "create token", tokenAttrs(&token)...)
	shown := shownToken(&token, token.Created)
	shown.Token = secret
	c.Status(fiber.StatusCreated)
	return sendJSON(c, shown)
}

// mayCreate lets users make tokens that may do less than they may themselves, and
// admins any.
func mayCreate(principal signalbox.Principal, admin bool, t *signalbox.APIToken) error {
	user, isUser := principal.(signalbox.UserPrincipal)
	refuse := func(message string) error { return signalbox.Errorf(signalbox.CodeNotAllowed, "%s", message) }
	switch {
	case isUser && user.Guest:
		// Else a token would outlive guest mode, in which everybody is anybody.
		return refuse("Guests may not make tokens: nobody knows that they are who they say")
	case isUser && user.ReadOnly:
		return refuse("These credentials may only read")
	case admin:
		return nil
	case t.Has(signalbox.TokenSend):
		return refuse("Only admins may make tokens with the scope send")
	case t.Has(signalbox.TokenAdmin):
		return refuse("Only admins may make tokens with the scope admin")
	case !isUser || t.User != user.Ref:
		return refuse("Only admins may make tokens of others")
	default:
		return nil
	}
}

// decodeToken reads what token is asked for.
func (s *Server) decodeToken(body []byte, principal signalbox.Principal) (signalbox.APIToken, error) {
	var (
		none  signalbox.APIToken
		asked newToken
	)
	if err := decodeStrictly(body, &asked); err != nil {
		return none, err
	}
	// The storage keeps microseconds, the wire shows milliseconds.
	now := time.Now().UTC().Truncate(time.Millisecond)
	t := signalbox.APIToken{
		ID: uuid.Must(uuid.NewV7()).String(), Name: strings.TrimSpace(asked.Name), User: asked.User, Origin: asked.Origin,
		Scopes: asked.Scopes, Creator: principal.Subject(), Created: now,
	}
	if user, ok := principal.(signalbox.UserPrincipal); ok && t.User == "" && !t.Has(signalbox.TokenSend) {
		t.User = user.Ref
	}
	if err := t.Validate(); err != nil {
		return none, err
	}
	var err error
	t.Expires, err = tokenExpiry(asked.Expires, now, s.config.MaxTokenAge)
	return t, err
}

// tokenExpiry reads when a token is to expire.
func tokenExpiry(asked *string, now time.Time, most time.Duration) (time.Time, error) {
	if asked == nil {
		return now.Add(min(DefaultTokenAge, most)), nil
	}
	at, err := signalbox.ParseTime(*asked)
	switch latest := now.Add(most); {
	case err != nil:
		return at, signalbox.Errorf(signalbox.CodeInput, "request/body/expires must be a time such as 2026-11-21T01:58:16Z")
	case !at.After(now):
		return at, signalbox.Errorf(signalbox.CodeInput, "request/body/expires must be in the future")
	case at.After(latest.Add(clockSlack)):
		return at, signalbox.Errorf(signalbox.CodeInput, "request/body/expires must not be later than %s", wireTime(latest))
	case at.After(latest):
		return latest, nil
	default:
		return at.UTC().Truncate(time.Millisecond), nil
	}
}

// revokeToken ends a token. One that is not there, or ended already, is as well.
func (s *Server) revokeToken(c *fiber.Ctx, principal signalbox.Principal, admin bool) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	token, err := s.ownToken(ctx, strings.Clone(c.Params("id")), principal, admin)
	if err != nil {
		return err
	}
	revoked, err := s.deps.Tokens.RevokeToken(ctx, token.ID)
	if err != nil {
		return err
	}
	if revoked {
		s.audit(c, "API token revoked", principal, "revoke token", tokenAttrs(&token)...)
		if token, err = s.deps.Tokens.Token(ctx, token.ID); err != nil {
			return err
		}
	}
	return sendJSON(c, shownToken(&token, time.Now()))
}

// ownToken returns a token that somebody may revoke. To others it does not exist.
func (s *Server) ownToken(ctx context.Context, id string, principal signalbox.Principal, admin bool) (signalbox.APIToken, error) {
	token, err := s.deps.Tokens.Token(ctx, id)
	if err != nil {
		return token, err
	}
	user, isUser := principal.(signalbox.UserPrincipal)
	if !admin && (!isUser || token.User != user.Ref) {
		return signalbox.APIToken{}, signalbox.Errorf(signalbox.CodeNotFound, "There is no such token")
	}
	return token, nil
}
