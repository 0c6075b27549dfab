package apitoken_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/apitoken"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is an authenticator under test, and what it works with.
type world struct {
	t *testing.T

	mu      sync.Mutex
	now     time.Time
	byHash  map[signalbox.TokenHash]signalbox.APIToken
	hashes  map[string]signalbox.TokenHash
	lookups int
	touched []string
	err     error // of lookups
	untold  error // of touches
	away    error // of the directory

	log *bytes.Buffer
	a   *apitoken.Authenticator
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: start, byHash: map[signalbox.TokenHash]signalbox.APIToken{}, hashes: map[string]signalbox.TokenHash{}, log: &bytes.Buffer{}}
	var err error
	w.a, err = apitoken.New(w, apitoken.Config{
		Ownership: w, Now: func() time.Time { return w.now },
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) TokenByHash(_ context.Context, hash signalbox.TokenHash) (signalbox.APIToken, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups++
	token, ok := w.byHash[hash]
	switch {
	case w.err != nil:
		return token, w.err
	case !ok:
		return token, signalbox.Errorf(signalbox.CodeNotFound, "There is no such token")
	}
	return token, nil
}

func (w *world) TouchToken(ctx context.Context, id string, used time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, bounded := ctx.Deadline(); !bounded {
		w.t.Error("a storage that hangs would keep the request waiting for ever")
	}
	w.touched = append(w.touched, id+" "+used.Format("15:04"))
	if hash, ok := w.hashes[id]; ok && w.untold == nil {
		token := w.byHash[hash]
		token.Used = used
		w.byHash[hash] = token
	}
	return w.untold
}

func (w *world) Ownership(ctx context.Context, user string) ([]string, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		w.t.Error("a directory that is away would keep the request waiting for ever")
	}
	return []string{user, "group:default/ops"}, w.away
}

// add makes a token that expires in an hour and returns its secret.
func (w *world) add(id string, change func(*signalbox.APIToken)) string {
	token := signalbox.APIToken{
		ID: id, Name: "laptop", User: "user:default/jane", Scopes: []signalbox.TokenScope{signalbox.TokenInbox},
		Created: start.Add(-time.Hour), Expires: start.Add(time.Hour),
	}
	if change != nil {
		change(&token)
	}
	secret := apitoken.NewSecret()
	w.change(secret, token)
	return secret
}

func (w *world) change(secret string, token signalbox.APIToken) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byHash[signalbox.HashToken(secret)] = token
	w.hashes[token.ID] = signalbox.HashToken(secret)
}

func (w *world) authenticate(secret string) (signalbox.Principal, error) {
	return w.a.Authenticate(w.t.Context(), auth.Credentials{Token: secret, Remote: netip.MustParseAddr("192.0.2.7")})
}

func TestWhoAnAPITokenIs(t *testing.T) {
	w := newWorld(t)
	jane, owned := "user:default/jane", []string{"user:default/jane", "group:default/ops"}
	for name, c := range map[string]struct {
		change func(*signalbox.APIToken)
		want   signalbox.Principal
	}{
		"inbox": {nil, signalbox.UserPrincipal{Ref: jane, Ownership: owned, Expires: start.Add(15 * time.Minute), Token: signalbox.TokenUse{ID: "x"}}},
		"read": {
			func(t *signalbox.APIToken) { t.Scopes = []signalbox.TokenScope{signalbox.TokenRead} },
			signalbox.UserPrincipal{Ref: jane, Ownership: owned, Expires: start.Add(15 * time.Minute), ReadOnly: true, Token: signalbox.TokenUse{ID: "x"}},
		},
		"admin, expires soon": {
			func(t *signalbox.APIToken) {
				t.Scopes, t.Expires = append(t.Scopes, signalbox.TokenAdmin), start.Add(time.Minute)
			},
			signalbox.UserPrincipal{Ref: jane, Ownership: owned, Expires: start.Add(time.Minute), Token: signalbox.TokenUse{ID: "x", Admin: true}},
		},
		"send": {
			func(t *signalbox.APIToken) {
				t.User, t.Origin, t.Scopes = "", "ci", []signalbox.TokenScope{signalbox.TokenSend}
			},
			signalbox.ServicePrincipal{Name: "ci", Token: signalbox.TokenUse{ID: "x"}},
		},
		// What nobody can make: it must not be able to do more.
		"no scope": {
			func(t *signalbox.APIToken) { t.Scopes = nil },
			signalbox.UserPrincipal{Ref: jane, Ownership: owned, Expires: start.Add(15 * time.Minute), ReadOnly: true, Token: signalbox.TokenUse{ID: "x"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			principal, err := w.authenticate(w.add("x", c.change))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, principal); diff != "" {
				t.Error(diff)
			}
		})
	}
	w.away = errors.New("the directory is away")
	principal, err := w.authenticate(w.add("y", nil))
	if user, ok := principal.(signalbox.UserPrincipal); err != nil || !ok || len(user.Ownership) != 1 {
		t.Errorf("an outage of the directory: %v, %v", principal, err)
	}
}

func TestRefusedTokens(t *testing.T) {
	w := newWorld(t)
	good := w.add("x", nil)
	other := map[bool]string{true: "b", false: "a"}[good[10] == 'a']
	for name, c := range map[string]struct{ token, message string }{
		"expired":     {w.add("id-1", func(t *signalbox.APIToken) { t.Expires = start }), "Invalid API token: id-1 has expired"},
		"revoked":     {w.add("id-2", func(t *signalbox.APIToken) { t.Revoked = start.Add(-time.Minute) }), "Invalid API token: id-2 was revoked"},
		"unknown":     {apitoken.NewSecret(), "Invalid API token: it does not exist (any more)"},
		"cut":         {good[:len(good)-1], "Invalid API token: it was not copied in full"},
		"mistyped":    {good[:10] + other + good[11:], "Invalid API token: it was not copied in full"},
		"prefix only": {"sbx_", "Invalid API token: it was not copied in full"},
	} {
		principal, err := w.authenticate(c.token)
		if principal != nil || signalbox.ErrorCode(err) != signalbox.CodeAuthentication || err.Error() != c.message {
			t.Errorf("%s: %v, %v", name, principal, err)
		}
	}
	if w.lookups != 3 {
		t.Errorf("%d lookups: what cannot be a token is looked up", w.lookups)
	}
	for _, other := range []string{"", "x", "eyJhbGciOi", "SBX_x", "sbx"} {
		if _, err := w.authenticate(other); !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("%q: %v", other, err)
		}
	}
	// Which was the first is random, and one line per second is enough.
	log := w.log.String()
	if n := strings.Count(log, "\n"); n != 1 || !strings.Contains(log, `msg="API token refused" logger=audit kind=user who=user:default/jane remote=192.0.2.7 what="use `) ||
		!strings.Contains(log, ` token" token=id-`) || !strings.Contains(log, " name=laptop\n") {
		t.Errorf("the log is %s", log)
	}
	if len(w.touched) > 0 {
		t.Errorf("a use of what is refused is recorded: %v", w.touched)
	}
}

// What is known is believed for seconds, and not longer: not when a token is
// revoked, not when it expires, and not when the storage is away.
func TestFreshness(t *testing.T) {
	w := newWorld(t)
	secret := w.add("x", nil)
	want := func(lookups int, code signalbox.Code) {
		t.Helper()
		_, err := w.authenticate(secret)
		if w.lookups != lookups || signalbox.ErrorCode(err) != code || (err != nil) != (code != "") {
			t.Errorf("%d lookups, want %d; %v, want %q", w.lookups, lookups, err, code)
		}
	}
	want(1, "")
	w.now = w.now.Add(apitoken.Freshness - 1)
	want(1, "")
	token := w.byHash[signalbox.HashToken(secret)]
	token.Revoked = w.now
	w.change(secret, token)
	want(1, "")
	w.now = w.now.Add(1)
	want(2, signalbox.CodeAuthentication)
	token.Revoked, token.Expires = time.Time{}, w.now.Add(apitoken.Freshness+time.Second)
	w.change(secret, token)
	w.now = w.now.Add(apitoken.Freshness)
	want(3, "")
	w.now = w.now.Add(time.Second) // it expires while it is believed
	want(3, signalbox.CodeAuthentication)
	token.Expires = start.Add(time.Hour)
	w.change(secret, token)
	w.now = w.now.Add(apitoken.Freshness)
	want(4, "")
	w.err = signalbox.Transient(errors.New("database gone"))
	want(4, "")
	w.now = w.now.Add(apitoken.Freshness)
	want(5, signalbox.CodeUnavailable)
	w.err = errors.New("an error of no kind")
	want(6, signalbox.CodeUnavailable)
	w.err = nil
	want(7, "")
	w.now = w.now.Add(-time.Minute) // a clock that was set back
	want(8, "")
}

// A use is recorded at most once in ten minutes, and keeps nobody out.
func TestUses(t *testing.T) {
	w := newWorld(t)
	secret := w.add("x", nil)
	for range 25 {
		if _, err := w.authenticate(secret); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
	}
	if diff := cmp.Diff([]string{"x 12:00", "x 12:10", "x 12:20"}, w.touched); diff != "" {
		t.Error(diff)
	}
	w.now, w.untold = w.now.Add(10*time.Minute), errors.New("disk full")
	if _, err := w.authenticate(secret); err != nil || !strings.Contains(w.log.String(), "disk full") {
		t.Errorf("%v, %s", err, w.log)
	}
}

// However many tokens there are, they all work, and some are remembered.
func TestManyTokens(t *testing.T) {
	w := newWorld(t)
	secrets := make([]string, apitoken.MaxKnown+10)
	for i := range secrets {
		secrets[i] = w.add(fmt.Sprint(i), nil)
	}
	var group sync.WaitGroup
	for part := range 4 {
		group.Go(func() {
			for i := part; i < len(secrets); i += 4 {
				principal, err := w.authenticate(secrets[i])
				if user, ok := principal.(signalbox.UserPrincipal); err != nil || !ok || user.Token.ID != fmt.Sprint(i) {
					t.Errorf("%v, %v", principal, err)
					return
				}
			}
		})
	}
	group.Wait()
	if n := apitoken.Known(w.a); n < 1 || n > apitoken.MaxKnown {
		t.Errorf("%d are remembered", n)
	}
}
