package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// Tokens is the contract of [signalbox.TokenStore].
func Tokens(t *testing.T, open func(*testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"a token is found", tokenFound},
		{"lists have pages", tokenPages},
		{"revoking", tokenRevoked},
		{"uses", tokenTouched},
		{"limits", tokenLimits},
		{"limits hold for makers at once", tokenLimitsAtOnce},
		{"retention", tokensExpire},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// tokenOf returns the nth token of a user, which expires in a day.
func tokenOf(f Fixture, n int64, user string) signalbox.APIToken {
	now := f.Clock.Now().UTC()
	return signalbox.APIToken{
		ID: requestID(start.Add(time.Duration(n)*time.Second), n), Name: fmt.Sprintf("laptop %d", n), User: user,
		Scopes: []signalbox.TokenScope{signalbox.TokenInbox}, Creator: user, Created: now, Expires: now.Add(24 * time.Hour),
	}
}

// originToken is a token of a service.
func originToken(f Fixture, n int64, origin string) signalbox.APIToken {
	token := tokenOf(f, n, "")
	token.Origin, token.Scopes, token.Creator = origin, []signalbox.TokenScope{signalbox.TokenSend, signalbox.TokenAdmin}, "root"
	return token
}

// hashOf is the hash of the nth token's secret.
func hashOf(n int64) signalbox.TokenHash { return signalbox.HashToken(fmt.Sprint(n)) }

func addToken(t *testing.T, f Fixture, n int64, token signalbox.APIToken) signalbox.APIToken {
	t.Helper()
	if err := f.Store.AddToken(t.Context(), token, hashOf(n)); err != nil {
		t.Fatal(err)
	}
	return token
}

func tokenByHash(t *testing.T, s Store, n int64) signalbox.APIToken {
	t.Helper()
	token, err := s.TokenByHash(t.Context(), hashOf(n))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func tokenFound(t *testing.T, f Fixture) {
	mine := addToken(t, f, 1, tokenOf(f, 1, alice))
	service := addToken(t, f, 2, originToken(f, 2, "ci"))
	for n, want := range map[int64]signalbox.APIToken{1: mine, 2: service} {
		equal(t, "by its hash", tokenByHash(t, f.Other, n), want)
		for _, id := range []string{want.ID, strings.ToUpper(want.ID)} {
			got, err := f.Other.Token(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "by its identifier", got, want)
		}
	}
	if _, err := f.Store.TokenByHash(t.Context(), hashOf(3)); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
		t.Errorf("an unknown hash: %v", err)
	}
	for _, id := range []string{"", "x", "' OR 1=1", "\x00", requestID(start, 99)} {
		if _, err := f.Store.Token(t.Context(), id); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
			t.Errorf("an unknown identifier: %v", err)
		}
	}
	if err := f.Store.AddToken(t.Context(), tokenOf(f, 3, alice), hashOf(1)); err == nil {
		t.Error("two tokens have one secret")
	}
}

func tokenPages(t *testing.T, f Fixture) {
	for n := range int64(5) {
		addToken(t, f, n, tokenOf(f, n, alice))
	}
	addToken(t, f, 5, tokenOf(f, 5, bob))
	addToken(t, f, 6, originToken(f, 6, alice)) // an origin that is called like a user
	walk := func(filter signalbox.TokenFilter) (names []string) {
		cursor := ""
		for {
			page, err := f.Other.Tokens(t.Context(), filter, cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range page.Tokens {
				names = append(names, strings.TrimPrefix(token.Name, "laptop "))
			}
			if page.Next == "" {
				return names
			}
			cursor = page.Next
		}
	}
	equal(t, "of a user", walk(signalbox.TokenFilter{User: alice}), []string{"4", "3", "2", "1", "0"})
	equal(t, "of an origin", walk(signalbox.TokenFilter{Origin: alice}), []string{"6"})
	equal(t, "all", walk(signalbox.TokenFilter{}), []string{"6", "5", "4", "3", "2", "1", "0"})
	for _, odd := range []string{"nobody", "\x00", "\xff"} {
		equal(t, "of nobody", len(walk(signalbox.TokenFilter{User: odd})), 0)
	}
	// An identifier is no cursor, nor are "x" and [] behind the encoding.
	for _, odd := range []string{"x", requestID(start, 1), "Ingi", "W10"} {
		if _, err := f.Store.Tokens(t.Context(), signalbox.TokenFilter{}, odd, 2); signalbox.ErrorCode(err) != signalbox.CodeInput {
			t.Errorf("the cursor %q: %v", odd, err)
		}
	}
}

func revokeToken(t *testing.T, s Store, id string) bool {
	t.Helper()
	revoked, err := s.RevokeToken(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

func tokenRevoked(t *testing.T, f Fixture) {
	token := addToken(t, f, 1, tokenOf(f, 1, alice))
	other := addToken(t, f, 2, tokenOf(f, 2, alice))
	f.Clock.Advance(time.Hour)
	at := f.Clock.Now().UTC()
	equal(t, "the first time", revokeToken(t, f.Other, token.ID), true)
	f.Clock.Advance(time.Hour)
	equal(t, "once more", revokeToken(t, f.Store, token.ID), false)
	token.Revoked = at
	equal(t, "revoked", tokenByHash(t, f.Store, 1), token)
	equal(t, "the other", tokenByHash(t, f.Store, 2), other)
	for _, id := range []string{"", "x", "\x00", requestID(start, 99)} {
		equal(t, "one that is not there", revokeToken(t, f.Store, id), false)
	}
}

func tokenTouched(t *testing.T, f Fixture) {
	token := addToken(t, f, 1, tokenOf(f, 1, alice))
	for _, minutes := range []int{10, 5, 20} {
		if err := f.Store.TouchToken(t.Context(), token.ID, start.Add(time.Duration(minutes)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		token.Used = start.Add(time.Duration(max(minutes, 10)) * time.Minute)
		token.Used = token.Used.Truncate(time.Microsecond)
		equal(t, "used", tokenByHash(t, f.Other, 1), token)
	}
	if err := f.Store.TouchToken(t.Context(), requestID(start, 99), start); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}

func tokenLimits(t *testing.T, f Fixture) {
	var first signalbox.APIToken
	for n := range int64(signalbox.MaxTokens) {
		token := addToken(t, f, n, tokenOf(f, n, alice))
		if n == 0 {
			first = token
		}
	}
	more := func(n int64, token signalbox.APIToken) signalbox.Code {
		return signalbox.ErrorCode(f.Other.AddToken(t.Context(), token, hashOf(n)))
	}
	equal(t, "one too many", more(1000, tokenOf(f, 1000, alice)), signalbox.CodeConflict)
	equal(t, "somebody else's", more(1001, tokenOf(f, 1001, bob)), signalbox.Code(""))
	equal(t, "an origin's of the same name", more(1002, originToken(f, 1002, alice)), signalbox.Code(""))
	revokeToken(t, f.Store, first.ID)
	equal(t, "in place of one that is revoked", more(1003, tokenOf(f, 1003, alice)), signalbox.Code(""))
	equal(t, "one too many again", more(1004, tokenOf(f, 1004, alice)), signalbox.CodeConflict)
	f.Clock.Advance(24 * time.Hour)
	equal(t, "when all expired", more(1005, tokenOf(f, 1005, alice)), signalbox.Code(""))
	for n := int64(2000); ; n++ { // the ended ones are bounded, too
		token := tokenOf(f, n, alice)
		token.Expires = f.Clock.Now()
		if code := more(n, token); code != "" {
			equal(t, "too many have ended", code, signalbox.CodeConflict)
			equal(t, "ended", n, int64(2000+signalbox.MaxKeptTokens-signalbox.MaxTokens-1))
			break
		}
	}
}

func tokenLimitsAtOnce(t *testing.T, f Fixture) {
	for n := range int64(signalbox.MaxTokens - 5) {
		addToken(t, f, n, tokenOf(f, n, alice))
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		codes []signalbox.Code
	)
	for n := range int64(20) {
		store := []Store{f.Store, f.Other}[n%2]
		group.Go(func() {
			err := store.AddToken(t.Context(), tokenOf(f, 1000+n, alice), hashOf(1000+n))
			mu.Lock()
			defer mu.Unlock()
			codes = append(codes, signalbox.ErrorCode(err))
		})
	}
	group.Wait()
	slices.Sort(codes)
	equal(t, "stored", slices.Index(codes, signalbox.CodeConflict), 5)
}

func tokensExpire(t *testing.T, f Fixture) {
	const hour = time.Hour
	now := f.Clock.Now()
	for n := range int64(6) {
		token := tokenOf(f, n, alice)
		token.Expires = now.Add(time.Duration(n+1) * hour)
		addToken(t, f, n, token)
	}
	revokeToken(t, f.Store, tokenByHash(t, f.Store, 5).ID) // ends now
	f.Clock.Advance(10 * hour)
	revokeToken(t, f.Store, tokenByHash(t, f.Store, 4).ID) // expired before
	for _, c := range []struct {
		before time.Time
		want   int
	}{{now, 0}, {now.Add(time.Minute), 1}, {now.Add(3*hour + 1), 2}, {now.Add(3*hour + time.Second), 1}, {now.Add(5*hour + time.Second), 2}} {
		deleted, err := f.Store.DeleteTokens(t.Context(), c.before, 1)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "deleted", deleted, c.want)
	}
	if _, err := f.Store.TokenByHash(t.Context(), hashOf(5)); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
		t.Errorf("a deleted token: %v", err)
	}
}
