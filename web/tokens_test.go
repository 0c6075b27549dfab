package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/apitoken"
)

// tokens is an in-memory [signalbox.TokenStore].
type tokens struct {
	mu     sync.Mutex
	list   []signalbox.APIToken
	hashes []signalbox.TokenHash
	// err fails every call.
	err error
}

func newTokens() *tokens { return &tokens{} }

// add stores a token of a user with the scope inbox, and returns its identifier.
func (s *tokens) add(user, secret string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := idOf(100 + len(s.list))
	s.list = append(s.list, signalbox.APIToken{
		ID: id, Name: "laptop", User: user, Scopes: []signalbox.TokenScope{signalbox.TokenInbox},
		Creator: user, Created: time.Now(), Expires: time.Now().Add(time.Hour),
	})
	s.hashes = append(s.hashes, signalbox.HashToken(secret))
	return id
}

func (s *tokens) AddToken(_ context.Context, token signalbox.APIToken, hash signalbox.TokenHash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.list, s.hashes = append(s.list, token), append(s.hashes, hash)
	}
	return s.err
}

func (s *tokens) find(is func(i int) bool) (signalbox.APIToken, error) {
	if s.err != nil {
		return signalbox.APIToken{}, s.err
	}
	for i := range s.list {
		if is(i) {
			return s.list[i], nil
		}
	}
	return signalbox.APIToken{}, signalbox.Errorf(signalbox.CodeNotFound, "There is no such token")
}

func (s *tokens) TokenByHash(_ context.Context, hash signalbox.TokenHash) (signalbox.APIToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(func(i int) bool { return s.hashes[i] == hash })
}

func (s *tokens) Token(_ context.Context, id string) (signalbox.APIToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(func(i int) bool { return s.list[i].ID == id })
}

func (s *tokens) Tokens(_ context.Context, filter signalbox.TokenFilter, cursor string, limit int) (signalbox.TokenPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := signalbox.TokenPage{}
	if cursor == "bad" {
		return page, signalbox.Errorf(signalbox.CodeInput, "bad cursor")
	}
	for _, token := range slices.Backward(s.list) {
		if filter != (signalbox.TokenFilter{}) && (token.User != filter.User || token.Origin != filter.Origin) || cursor != "" && token.ID >= cursor {
			continue
		}
		if len(page.Tokens) == limit {
			page.Next = page.Tokens[limit-1].ID
			break
		}
		page.Tokens = append(page.Tokens, token)
	}
	return page, s.err
}

func (s *tokens) RevokeToken(_ context.Context, id string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i].ID == id && s.list[i].Revoked.IsZero() {
			s.list[i].Revoked = time.Now()
			return true, s.err
		}
	}
	return false, s.err
}

func (s *tokens) TouchToken(context.Context, string, time.Time) error { return nil }

// withTokens lets API tokens in.
func withTokens(t *testing.T) func(*web.Deps, *web.Config) {
	return func(deps *web.Deps, _ *web.Config) {
		made, err := apitoken.New(deps.Tokens, apitoken.Config{Logger: deps.Logger})
		if err != nil {
			t.Fatal(err)
		}
		deps.Authenticator = auth.Chain{made, deps.Authenticator}
	}
}

const tokensAPI = "/api/notifications/tokens"

// create makes a token, and returns its identifier and its secret.
func (h *harness) create(token, body string) (id, secret string) {
	h.t.Helper()
	got := h.post(token, tokensAPI, body)
	var made struct{ ID, Token string }
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || got.StatusCode != 201 || made.Token == "" {
		h.t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	if got.Header.Get("Cache-Control") != "no-store" {
		h.t.Error("the secret may be cached")
	}
	return made.ID, made.Token
}

func TestTokenLife(t *testing.T) {
	h := start(t, withTokens(t))
	id, secret := h.create(userToken, `{"name":" my laptop ","scopes":["inbox"]}`)
	if got := h.get(secret, "/api/notifications/status"); got.StatusCode != 200 || !slices.Equal(h.inbox.users, []string{jane}) {
		t.Errorf("%d %s, %v", got.StatusCode, got.body, h.inbox.users)
	}
	var page struct{ Tokens []map[string]any }
	got := h.get(userToken, tokensAPI)
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || len(page.Tokens) != 1 {
		t.Fatalf("%v: %s", err, got.body)
	}
	for _, field := range []string{"created", "expires"} {
		delete(page.Tokens[0], field)
	}
	want := map[string]any{
		"id": id, "name": "my laptop", "user": jane, "origin": nil, "scopes": []any{"inbox"}, "state": "active", "createdBy": jane,
		"lastUsed": nil, "revoked": nil,
	}
	if diff := cmp.Diff(want, page.Tokens[0]); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		got = h.do(request{method: "DELETE", path: tokensAPI + "/" + id, token: userToken})
		if got.StatusCode != 200 || !strings.Contains(got.body, `"state":"revoked"`) {
			t.Errorf("%d %s", got.StatusCode, got.body)
		}
	}
	log := h.logged.String()
	for _, line := range []string{
		`msg="API token created" logger=audit kind=user who=` + jane, `what="create token" token=` + id + ` name="my laptop" user=` + jane,
		`msg="API token revoked" logger=audit kind=user who=` + jane,
	} {
		if !strings.Contains(log, line) {
			t.Errorf("the audit log has no %s:\n%s", line, log)
		}
	}
	if n := strings.Count(log, "API token revoked"); n != 1 {
		t.Errorf("revoked %d times", n)
	}
	if strings.Contains(log, secret) || strings.Contains(got.body, secret) {
		t.Error("the secret is told again")
	}
}

// Who may make which tokens.
func TestTokenCreation(t *testing.T) {
	expires := func(d time.Duration) string {
		return `,"expires":"` + time.Now().Add(d).UTC().Format(time.RFC3339) + `"`
	}
	const year = 365 * 24 * time.Hour
	admin := []string{serviceName}
	for name, c := range map[string]struct {
		admins      []string
		token, body string
		status      int
		text        string
	}{
		"own, read":                 {nil, userToken, `{"name":"a","scopes":["read"]}`, 201, `"scopes":["read"]`},
		"own, by reference":         {nil, userToken, `{"name":"a","scopes":["read"],"user":"User:Jane"}`, 201, `"user":"user:default/jane"`},
		"another's":                 {nil, userToken, `{"name":"a","scopes":["read"],"user":"user:joe"}`, 403, "Only admins may make tokens of others"},
		"send":                      {nil, userToken, `{"name":"a","scopes":["send"],"origin":"ci"}`, 403, "scope send"},
		"send as oneself":           {nil, userToken, `{"name":"a","scopes":["send"],"origin":"user:default/jane"}`, 403, "scope send"},
		"admin":                     {nil, userToken, `{"name":"a","scopes":["inbox","admin"]}`, 403, "scope admin"},
		"service that is no admin":  {nil, serviceToken, `{"name":"a","scopes":["read"],"user":"user:joe"}`, 403, "'service' credentials"},
		"admin user, another's":     {[]string{jane}, userToken, `{"name":"a","scopes":["inbox"],"user":"user:joe"}`, 201, `"createdBy":"user:default/jane"`},
		"admin user, own admin":     {[]string{jane}, userToken, `{"name":"a","scopes":["admin","read"]}`, 201, `"scopes":["read","admin"]`},
		"admin service, send":       {admin, serviceToken, `{"name":"a","scopes":["send"],"origin":"ci"}`, 201, `"user":null,"origin":"ci"`},
		"admin service, whose":      {admin, serviceToken, `{"name":"a","scopes":["inbox"]}`, 400, "request/body/user must be a user entity reference"},
		"a group":                   {admin, serviceToken, `{"name":"a","scopes":["inbox"],"user":"group:a"}`, 400, "request/body/user"},
		"send without an origin":    {admin, serviceToken, `{"name":"a","scopes":["send"]}`, 400, "request/body/origin must not be empty"},
		"origin with spaces":        {admin, serviceToken, `{"name":"a","scopes":["send"],"origin":"a b"}`, 400, "request/body/origin"},
		"origin too long":           {admin, serviceToken, `{"name":"a","scopes":["send"],"origin":"` + strings.Repeat("a", 256) + `"}`, 400, "request/body/origin"},
		"send with a user":          {admin, serviceToken, `{"name":"a","scopes":["send"],"origin":"ci","user":"user:joe"}`, 400, "request/body/user goes with"},
		"inbox with an origin":      {nil, userToken, `{"name":"a","scopes":["inbox"],"origin":"ci"}`, 400, "request/body/origin goes with"},
		"two kinds":                 {nil, userToken, `{"name":"a","scopes":["inbox","send"]}`, 400, "exactly one of"},
		"no kind":                   {nil, userToken, `{"name":"a","scopes":["admin"]}`, 400, "exactly one of"},
		"no scopes":                 {nil, userToken, `{"name":"a"}`, 400, "exactly one of"},
		"a scope twice":             {nil, userToken, `{"name":"a","scopes":["read","read"]}`, 400, "duplicate"},
		"unknown scope":             {nil, userToken, `{"name":"a","scopes":["write"]}`, 400, "request/body/scopes/0"},
		"no name":                   {nil, userToken, `{"name":" ","scopes":["read"]}`, 400, "request/body/name must NOT be empty"},
		"long name":                 {nil, userToken, `{"name":"` + strings.Repeat("ü", 101) + `","scopes":["read"]}`, 400, "request/body/name"},
		"name with an escape":       {nil, userToken, `{"name":"a\u001b[31m","scopes":["read"]}`, 400, "request/body/name"},
		"misspelt":                  {nil, userToken, `{"name":"a","scopes":["read"],"expiry":"never"}`, 400, "unknown field"},
		"no JSON":                   {nil, userToken, `{`, 400, "request/body: unexpected EOF"},
		"two":                       {nil, userToken, `{"name":"a","scopes":["read"]}{}`, 400, "one JSON object"},
		"an hour":                   {nil, userToken, `{"name":"a","scopes":["read"]` + expires(time.Hour) + `}`, 201, ""},
		"a year by another's clock": {nil, userToken, `{"name":"a","scopes":["read"]` + expires(year+time.Minute) + `}`, 201, ""},
		"more than a year":          {nil, userToken, `{"name":"a","scopes":["read"]` + expires(year+time.Hour) + `}`, 400, "must not be later than"},
		"in the past":               {nil, userToken, `{"name":"a","scopes":["read"]` + expires(-time.Second) + `}`, 400, "in the future"},
		"no time":                   {nil, userToken, `{"name":"a","scopes":["read"],"expires":"soon"}`, 400, "must be a time"},
		"query":                     {nil, userToken, "", 400, "Unknown query parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, withAdmins(c.admins...))
			path := tokensAPI
			if c.body == "" {
				path += "?scope=read"
			}
			got := h.post(c.token, path, c.body)
			if got.StatusCode != c.status || !strings.Contains(got.body, c.text) {
				t.Errorf("%d %s, want %d %s", got.StatusCode, got.body, c.status, c.text)
			}
			if c.status != 201 && len(h.tokens.list) > 0 {
				t.Error("it was stored")
			}
			if c.status == 403 && !strings.Contains(got.body, "'service'") && !strings.Contains(h.logged.String(), `msg="API token refused" logger=audit`) {
				t.Errorf("it is not in the audit log: %s", h.logged)
			}
		})
	}
}

func TestTokenExpiryByDefault(t *testing.T) {
	for most, want := range map[time.Duration]time.Duration{0: web.DefaultTokenAge, time.Hour: time.Hour} {
		h := start(t, func(_ *web.Deps, config *web.Config) { config.MaxTokenAge = most })
		h.create(userToken, `{"name":"a","scopes":["read"]}`)
		if got := h.tokens.list[0]; got.Expires.Sub(got.Created) != want {
			t.Errorf("it works for %v, want %v", got.Expires.Sub(got.Created), want)
		}
	}
}

// A guest's token would outlive guest mode.
func TestGuestsMakeNoTokens(t *testing.T) {
	h := start(t, withGuest, withAdmins(auth.DefaultGuest))
	if got := h.post("", tokensAPI, `{"name":"a","scopes":["inbox"]}`); got.StatusCode != 403 || !strings.Contains(got.body, "Guests may not make tokens") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := h.get("", tokensAPI); got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

func TestTokensOfOthers(t *testing.T) {
	h := start(t, withAdmins(serviceName))
	mine, other := h.tokens.add(jane, "a"), h.tokens.add("user:default/joe", "b")
	h.tokens.list = append(h.tokens.list, signalbox.APIToken{ID: idOf(300), Name: "ci", Origin: "ci", Scopes: []signalbox.TokenScope{"send"}, Expires: time.Now().Add(time.Hour)})
	ids := func(token, query string) (list []string) {
		t.Helper()
		var page struct {
			Tokens     []struct{ ID string }
			NextCursor string
		}
		got := h.get(token, tokensAPI+query)
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.StatusCode != 200 {
			return []string{fmt.Sprint(got.StatusCode)}
		}
		for _, token := range page.Tokens {
			list = append(list, token.ID)
		}
		if page.NextCursor != "" {
			list = append(list, "more")
		}
		return list
	}
	all := []string{idOf(300), other, mine}
	for _, c := range []struct {
		token, query string
		want         []string
	}{
		{userToken, "", []string{mine}},
		{userToken, "?user=user:jane", []string{mine}},
		{userToken, "?all=false", []string{mine}},
		{userToken, "?user=user:joe", []string{"403"}},
		{userToken, "?origin=ci", []string{"403"}},
		{userToken, "?all=true", []string{"403"}},
		{serviceToken, "", all},
		{serviceToken, "?all=true", all},
		{serviceToken, "?limit=2", append(slices.Clone(all[:2]), "more")},
		{serviceToken, "?limit=2&cursor=" + other, []string{mine}},
		{serviceToken, "?user=user:joe", []string{other}},
		{serviceToken, "?origin=ci", []string{idOf(300)}},
		{serviceToken, "?origin=ci&user=user:joe", []string{"400"}},
		{serviceToken, "?user=joe", []string{"400"}},
		{serviceToken, "?user=group:joe", []string{"400"}},
		{serviceToken, "?cursor=bad", []string{"400"}},
		{serviceToken, "?limit=501", []string{"400"}},
		{serviceToken, "?all=maybe", []string{"400"}},
	} {
		if diff := cmp.Diff(c.want, ids(c.token, c.query)); diff != "" {
			t.Errorf("%s: %s", c.query, diff)
		}
	}
	for _, c := range []struct {
		token, id string
		want      int
	}{{userToken, other, 404}, {userToken, idOf(300), 404}, {userToken, idOf(999), 404}, {serviceToken, other, 200}, {serviceToken, idOf(999), 404}, {userToken, mine, 200}} {
		if got := h.do(request{method: "DELETE", path: tokensAPI + "/" + c.id, token: c.token}); got.StatusCode != c.want {
			t.Errorf("%s: %d %s", c.id, got.StatusCode, got.body)
		}
	}
	h.tokens.err = signalbox.Transient(errors.New("database gone"))
	for _, r := range []request{
		{method: "GET", path: tokensAPI}, {method: "DELETE", path: tokensAPI + "/" + mine}, {method: "POST", path: tokensAPI, body: `{"name":"a","scopes":["read"]}`},
	} {
		r.token = userToken
		if got := h.do(r); got.StatusCode != 503 || strings.Contains(got.body, "gone") {
			t.Errorf("%s: %d %s", r.method, got.StatusCode, got.body)
		}
	}
}

// What API tokens may do at every route: no more than their scopes, never what
// concerns tokens, and what is for admins only with the scope.
func TestAccessOfTokens(t *testing.T) {
	h := start(t, withTokens(t), withAdmins(jane, serviceName), func(_ *web.Deps, config *web.Config) { config.UsersMaySend = true })
	secrets := map[string]string{}
	for name, body := range map[string]string{
		"inbox":       `{"name":"a","scopes":["inbox"]}`,
		"read":        `{"name":"a","scopes":["read"]}`,
		"read admin":  `{"name":"a","scopes":["read","admin"]}`,
		"inbox admin": `{"name":"a","scopes":["inbox","admin"]}`,
		"send":        `{"name":"a","scopes":["send"],"origin":"` + serviceName + `"}`,
		"send admin":  `{"name":"a","scopes":["send","admin"],"origin":"` + serviceName + `"}`,
	} {
		_, secrets[name] = h.create(userToken, body)
	}
	for _, r := range h.server.Routes() {
		if r.Access == "public" {
			continue
		}
		for name, secret := range secrets {
			kind, _, admin := strings.Cut(name, " ")
			path := strings.Replace(r.Path, ":id", idOf(1), 1)
			got := h.do(request{method: r.Method, path: path, token: secret, body: map[string]string{"POST": "{"}[r.Method]})
			want := map[string]bool{
				"user": kind != "send", "service": kind == "send", "sender": kind == "send", "either": true, "own": false, "admin": admin,
			}[r.Access] && (kind != "read" || r.Method == http.MethodGet)
			if allowed := got.StatusCode != 403; allowed != want || got.StatusCode == 401 {
				t.Errorf("%s %s with %s: %d %s", r.Method, r.Path, name, got.StatusCode, got.body)
			}
		}
	}
	if log := h.logged.String(); strings.Contains(log, "sbx_") {
		t.Errorf("the log has a token: %s", log)
	}
}
