package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// Accepter holds an implementation of [signalbox.Accepter] to its contract.
// open returns a fixture of its own each time.
func Accepter(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"without claims", acceptPlain},
		{"a claim is honoured", claimHonoured},
		{"a claim expires", claimExpires},
		{"some claims are new", someClaims},
		{"nothing is stored when publishing fails", acceptFails},
		{"claims that repeat", claimsRepeat},
		{"the same claim in two places", concurrentClaims},
		{"batches of claims do not deadlock", concurrentBatches},
		{"old claims are deleted", deleteClaims},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// accept accepts claims with one message for each that is new, and returns the
// earlier claims.
func accept(t *testing.T, s signalbox.Accepter, claims ...signalbox.Claim) []*signalbox.Claim {
	t.Helper()
	var seen []*signalbox.Claim
	err := s.Accept(t.Context(), claims, func(earlier []*signalbox.Claim) []signalbox.Message {
		seen = earlier
		var messages []signalbox.Message
		for i, claim := range claims {
			if earlier[i] == nil {
				messages = append(messages, signalbox.Message{Topic: "notifications", ID: claim.Key, Payload: claim.Receipt})
			}
		}
		return messages
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func claim(key, content string) signalbox.Claim {
	return signalbox.Claim{Origin: "ci", Key: key, Fingerprint: "of " + content, Receipt: []byte(content)}
}

func acceptPlain(t *testing.T, f Fixture) {
	want := []signalbox.Message{{Topic: "notifications", ID: "1", Payload: []byte("x")}}
	if err := f.Store.Accept(t.Context(), nil, func(earlier []*signalbox.Claim) []signalbox.Message {
		equal(t, "earlier", len(earlier), 0)
		return want
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, "published", f.Published(t), want)
	equal(t, "woken", f.Woken(), []string{"notifications"})
	if err := f.Store.Accept(t.Context(), nil, func([]*signalbox.Claim) []signalbox.Message { return nil }); err != nil {
		t.Fatal(err)
	}
	equal(t, "woken for nothing", len(f.Woken()), 0)
}

func claimHonoured(t *testing.T, f Fixture) {
	first := claim("k", "one")
	equal(t, "first", accept(t, f.Store, first), []*signalbox.Claim{nil})
	equal(t, "woken", f.Woken(), []string{"notifications"})
	equal(t, "repeated", accept(t, f.Other, claim("k", "two")), []*signalbox.Claim{&first})
	equal(t, "woken for nothing", len(f.Woken()), 0)
	another := claim("k", "three")
	another.Origin = "cd"
	equal(t, "another origin", accept(t, f.Store, another), []*signalbox.Claim{nil})
	empty := signalbox.Claim{Origin: "ci", Key: "empty"}
	accept(t, f.Store, empty)
	equal(t, "empty receipt", accept(t, f.Store, empty), []*signalbox.Claim{&empty}, cmpopts.EquateEmpty())
	equal(t, "published", len(f.Published(t)), 3)
}

func claimExpires(t *testing.T, f Fixture) {
	first, second := claim("k", "one"), claim("k", "two")
	accept(t, f.Store, first)
	f.Clock.Advance(signalbox.IdempotencyWindow - time.Second)
	equal(t, "just before", accept(t, f.Store, second), []*signalbox.Claim{&first})
	f.Clock.Advance(2 * time.Second)
	equal(t, "just after", accept(t, f.Store, second), []*signalbox.Claim{nil})
	equal(t, "the new one", accept(t, f.Store, first), []*signalbox.Claim{&second})
	f.Clock.Advance(signalbox.IdempotencyWindow - time.Second)
	equal(t, "counted from the new one", accept(t, f.Store, first), []*signalbox.Claim{&second})
}

func someClaims(t *testing.T, f Fixture) {
	b := claim("b", "old b")
	accept(t, f.Store, b)
	got := accept(t, f.Store, claim("c", "c"), claim("b", "new b"), claim("a", "a"))
	equal(t, "earlier", got, []*signalbox.Claim{nil, &b, nil})
	equal(t, "published", len(f.Published(t)), 3)
}

func acceptFails(t *testing.T, f Fixture) {
	f.FailPublishing(errors.New("no"))
	build := func([]*signalbox.Claim) []signalbox.Message {
		return []signalbox.Message{{Topic: "notifications", Payload: []byte("x")}}
	}
	for name, claims := range map[string][]signalbox.Claim{"with a claim": {claim("k", "one")}, "without": nil} {
		if err := f.Store.Accept(t.Context(), claims, build); !signalbox.IsTransient(err) {
			t.Errorf("%s: %v, want a transient error", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Store.Accept(ctx, []signalbox.Claim{claim("k", "one")}, build); !signalbox.IsTransient(err) {
		t.Errorf("done context: %v, want a transient error", err)
	}
	equal(t, "woken", len(f.Woken()), 0)
	f.FailPublishing(nil)
	equal(t, "the key is free", accept(t, f.Store, claim("k", "two")), []*signalbox.Claim{nil})
	equal(t, "published", len(f.Published(t)), 1)
}

func claimsRepeat(t *testing.T, f Fixture) {
	err := f.Store.Accept(t.Context(), []signalbox.Claim{claim("k", "one"), claim("k", "two")}, func([]*signalbox.Claim) []signalbox.Message {
		t.Error("build was called")
		return nil
	})
	if err == nil || signalbox.IsTransient(err) {
		t.Errorf("%v, want the caller's mistake", err)
	}
}

func concurrentClaims(t *testing.T, f Fixture) {
	for round := range 10 {
		key := fmt.Sprintf("k%d", round)
		var (
			group sync.WaitGroup
			won   atomic.Int32
		)
		for i := range 6 {
			store := []Store{f.Store, f.Other}[i%2]
			mine := claim(key, fmt.Sprintf("content %d", i))
			group.Go(func() {
				var earlier *signalbox.Claim
				err := store.Accept(t.Context(), []signalbox.Claim{mine}, func(claims []*signalbox.Claim) []signalbox.Message {
					if earlier = claims[0]; earlier != nil {
						return nil
					}
					return []signalbox.Message{{Topic: "notifications", ID: key, Payload: mine.Receipt}}
				})
				switch {
				case err != nil:
					t.Error(err)
				case earlier == nil:
					won.Add(1)
				case earlier.Key != key || len(earlier.Receipt) == 0:
					t.Errorf("earlier claim %+v", earlier)
				}
			})
		}
		group.Wait()
		equal(t, "winners", won.Load(), int32(1))
	}
	equal(t, "published", len(f.Published(t)), 10)
}

func concurrentBatches(t *testing.T, f Fixture) {
	var group sync.WaitGroup
	for worker := range 6 {
		store := []Store{f.Store, f.Other}[worker%2]
		group.Go(func() {
			for round := range 10 {
				var claims []signalbox.Claim
				for i := range 10 {
					claims = append(claims, claim(fmt.Sprintf("r%d-%d", round, (i*7+worker*3)%10), "x"))
				}
				if err := store.Accept(t.Context(), claims, func([]*signalbox.Claim) []signalbox.Message { return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func deleteClaims(t *testing.T, f Fixture) {
	for i := range 25 {
		accept(t, f.Store, claim(fmt.Sprintf("old%d", i), "x"))
	}
	f.Clock.Advance(signalbox.IdempotencyWindow)
	young := claim("young", "x")
	accept(t, f.Store, young)
	deleted, err := f.Store.DeleteClaims(t.Context(), f.Clock.Now(), 10)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", deleted, 25)
	equal(t, "young", accept(t, f.Store, young), []*signalbox.Claim{&young})
}
