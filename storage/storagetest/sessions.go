package storagetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// Sessions holds an implementation of [signalbox.SessionStore] to its contract. open
// returns a fixture of its own each time.
func Sessions(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, one, other Store)
	}{
		{"other instances find it", sessionIsShared},
		{"an end is one everywhere", sessionEnds},
		{"use", sessionIsTouched},
		{"one renews", oneRenews},
		{"those that ended", endedAreTold},
		{"too many of one user", sessionsAreBounded},
		{"the expired are deleted", expiredSessionsGo},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := open(t)
			test.run(t, f.Store, f.Other)
		})
	}
}

func session(n int, user string) signalbox.Session {
	created := start.Add(time.Duration(n) * time.Hour)
	return signalbox.Session{
		ID: fmt.Sprintf("%064x", n), User: user, Subject: fmt.Sprintf("subject\x00%d", n), Groups: []string{"group:default/a", "group:default/b"},
		Created: created, Seen: created, Expires: created.Add(1000 * time.Hour), Renew: created.Add(time.Hour), Sealed: []byte{0, 1, 255},
	}
}

func addSession(t *testing.T, s Store, sessions ...signalbox.Session) {
	t.Helper()
	for _, one := range sessions {
		if err := s.AddSession(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
}

// sessionOf returns nil for one that is not there.
func sessionOf(t *testing.T, s Store, id string) *signalbox.Session {
	t.Helper()
	found, ok, err := s.SessionByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return nil
	}
	return &found
}

func sessionIsShared(t *testing.T, one, other Store) {
	full, bare := session(1, alice), session(2, bob)
	bare.Groups, bare.Renew, bare.Sealed = nil, time.Time{}, nil
	addSession(t, one, full, bare)
	full.Subject = "subject\uFFFD1" // what PostgreSQL cannot have
	bare.Subject = "subject\uFFFD2"
	for _, want := range []signalbox.Session{full, bare} {
		if diff := cmp.Diff(&want, sessionOf(t, other, want.ID), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for _, id := range []string{"", "x", "x\x00", "\xff", full.ID[1:]} {
		if found := sessionOf(t, one, id); found != nil {
			t.Errorf("%q is a session: %+v", id, found)
		}
	}
}

func sessionEnds(t *testing.T, one, other Store) {
	addSession(t, one, session(1, alice), session(2, alice), session(3, alice), session(4, bob))
	for range 2 {
		if err := other.EndSession(t.Context(), session(1, alice).ID); err != nil {
			t.Fatal(err)
		}
	}
	if sessionOf(t, one, session(1, alice).ID) != nil {
		t.Error("it goes on at the other instance")
	}
	// What was about to be done with it brings nothing back.
	if err := one.RenewSession(t.Context(), session(1, alice)); err != nil {
		t.Error(err)
	}
	if err := one.TouchSession(t.Context(), session(1, alice).ID, start.Add(time.Hour*9)); err != nil {
		t.Error(err)
	}
	if sessionOf(t, one, session(1, alice).ID) != nil {
		t.Error("it is back")
	}
	n, err := other.EndSessionsOf(t.Context(), alice)
	if err != nil || n != 2 {
		t.Errorf("ended %d: %v", n, err)
	}
	if sessionOf(t, one, session(2, alice).ID) != nil || sessionOf(t, one, session(4, bob).ID) == nil {
		t.Error("not those of the user")
	}
	for _, nobody := range []string{"", "user:default/nobody", "x\x00"} {
		if n, err := one.EndSessionsOf(t.Context(), nobody); err != nil || n != 0 {
			t.Errorf("of %q ended %d: %v", nobody, n, err)
		}
	}
}

func sessionIsTouched(t *testing.T, one, other Store) {
	s := session(1, alice)
	addSession(t, one, s)
	later := s.Seen.Add(time.Minute)
	for _, seen := range []time.Time{later, s.Seen.Add(-time.Hour)} {
		if err := other.TouchSession(t.Context(), s.ID, seen); err != nil {
			t.Fatal(err)
		}
	}
	if got := sessionOf(t, one, s.ID).Seen; !got.Equal(later) {
		t.Errorf("seen %s, want %s", got, later)
	}
}

func oneRenews(t *testing.T, one, other Store) {
	s := session(1, alice)
	addSession(t, one, s)
	next := s.Renew.Add(time.Minute)
	var claimed atomic.Int64
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			mine, err := []Store{one, other}[i%2].ClaimRenewal(t.Context(), s.ID, s.Renew, next)
			if err != nil {
				t.Error(err)
			}
			if mine {
				claimed.Add(1)
			}
		})
	}
	callers.Wait()
	if claimed.Load() != 1 {
		t.Errorf("%d renew at once", claimed.Load())
	}
	s.Groups, s.Sealed, s.Renew = []string{"group:default/c"}, []byte("x"), s.Renew.Add(time.Hour)
	if err := other.RenewSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	got := sessionOf(t, one, s.ID)
	if diff := cmp.Diff(s, *got, cmpopts.IgnoreFields(s, "Subject")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if mine, err := one.ClaimRenewal(t.Context(), session(2, alice).ID, s.Renew, next); mine || err != nil {
		t.Errorf("a session that is not there: %v, %v", mine, err)
	}
}

func endedAreTold(t *testing.T, one, other Store) {
	a, b, c := session(1, alice), session(2, alice), session(3, bob)
	b.Expires = start.Add(10 * time.Hour)
	c.Seen = start
	addSession(t, one, a, b, c)
	ids := []string{a.ID, b.ID, c.ID, session(9, bob).ID}
	for _, test := range []struct {
		now, seen time.Time
		want      []string
	}{
		{start.Add(9 * time.Hour), start, []string{ids[3]}},
		{b.Expires, start, []string{b.ID, ids[3]}},
		{start.Add(9 * time.Hour), start.Add(time.Microsecond), []string{c.ID, ids[3]}},
	} {
		ended, err := other.EndedSessions(t.Context(), ids, test.now, test.seen)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ended)
		if diff := cmp.Diff(test.want, ended); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if ended, err := one.EndedSessions(t.Context(), nil, start, start); err != nil || len(ended) != 0 {
		t.Errorf("of none: %v, %v", ended, err)
	}
}

func sessionsAreBounded(t *testing.T, one, other Store) {
	for i := range signalbox.MaxSessions + 3 {
		addSession(t, one, session(i, alice))
	}
	addSession(t, one, session(9_000, bob))
	for i, gone := range map[int]bool{0: true, 2: true, 3: false, signalbox.MaxSessions + 2: false, 9_000: false} {
		if found := sessionOf(t, other, session(i, alice).ID); (found == nil) != gone {
			t.Errorf("session %d: gone is %v", i, found == nil)
		}
	}
	// The new one stays also if its clock is behind.
	behind := session(8_000, alice)
	behind.Seen = start.Add(-time.Hour)
	addSession(t, one, behind)
	if sessionOf(t, other, behind.ID) == nil {
		t.Error("who signs in is signed out at once")
	}
}

func expiredSessionsGo(t *testing.T, one, other Store) {
	for i := range 25 {
		addSession(t, one, session(i, fmt.Sprintf("user:default/u%d", i)))
	}
	edge := session(20, alice).Expires
	if n, err := other.DeleteSessions(t.Context(), edge, 7); err != nil || n != 20 {
		t.Errorf("deleted %d: %v", n, err)
	}
	if sessionOf(t, one, session(20, alice).ID) == nil || sessionOf(t, one, session(19, alice).ID) != nil {
		t.Error("the edge")
	}
}
