package storagetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// Settings holds an implementation of [signalbox.SettingsStore] to its contract,
// and a [signalbox.Committer] to what it records for it. open returns a fixture
// of its own each time.
func Settings(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"nothing chosen", nothingChosen},
		{"saving merges", savingMerges},
		{"a choice is forgotten", choiceForgotten},
		{"identifiers compare case-insensitively", choicesFold},
		{"only what matters is looked up", choicesFor},
		{"a chunk of users", choicesForChunk},
		{"too many choices", tooManyChoices},
		{"choices about nothing", choicesAboutNothing},
		{"savers at once", concurrentSavers},
		{"what was received is seen", receivedIsSeen},
		{"what is beside the inbox is seen", besideInboxIsSeen},
		{"a failed commit shows nothing", failedCommitSeesNothing},
		{"retention erases neither choices nor what was seen", retentionKeepsSettings},
		{"what was not seen for long is forgotten", seenIsForgotten},
		{"no origin pushes out another", seenIsBounded},
		{"many commits at once", concurrentSeen},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func save(t *testing.T, s signalbox.SettingsStore, user string, choices ...signalbox.Choice) {
	t.Helper()
	if err := s.SaveChoices(t.Context(), user, choices); err != nil {
		t.Fatal(err)
	}
}

func choicesOf(t *testing.T, s signalbox.SettingsStore, user string) []signalbox.Choice {
	t.Helper()
	list, err := s.ChoicesOf(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// lookUp returns ChoicesFor, sorted.
func lookUp(t *testing.T, s signalbox.SettingsStore, about ...signalbox.Received) map[string][]signalbox.Choice {
	t.Helper()
	found, err := s.ChoicesFor(t.Context(), about)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range found {
		slices.SortFunc(list, func(a, b signalbox.Choice) int {
			return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Channel, b.Channel))
		})
	}
	return found
}

// seenBy returns the "origin/topic" pairs that a user saw, in order.
func seenBy(t *testing.T, s signalbox.SettingsStore, user string) []string {
	t.Helper()
	seen, err := s.Seen(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, one := range seen {
		list = append(list, one.Origin+"/"+one.Topic)
	}
	slices.Sort(list)
	return list
}

func of(origin, topic string) func(*signalbox.Notification) {
	return func(n *signalbox.Notification) { n.Origin, n.Payload.Topic = origin, topic }
}

func nothingChosen(t *testing.T, f Fixture) {
	equal(t, "choices", choicesOf(t, f.Store, alice), []signalbox.Choice{})
	equal(t, "looked up", len(lookUp(t, f.Store, signalbox.Received{User: alice, Origin: "ci"})), 0)
	equal(t, "looked up for nobody", len(lookUp(t, f.Store)), 0)
	equal(t, "seen", seenBy(t, f.Store, alice), []string{})
	save(t, f.Store, alice)
	for _, odd := range []string{"a\x00b", "\xff"} {
		equal(t, "choices of what cannot be", len(choicesOf(t, f.Store, odd)), 0)
		equal(t, "seen by what cannot be", len(seenBy(t, f.Store, odd)), 0)
		equal(t, "looked up what cannot be", len(lookUp(t, f.Store, signalbox.Received{User: alice, Origin: odd, Topic: odd})), 0)
	}
	if _, err := f.Store.ChoicesOf(t.Context(), ""); err == nil {
		t.Error("choices of no user")
	}
	if _, err := f.Store.Seen(t.Context(), ""); err == nil {
		t.Error("seen by no user")
	}
	if err := f.Store.SaveChoices(t.Context(), "", []signalbox.Choice{{Channel: "Web"}}); err == nil {
		t.Error("choices saved for no user")
	}
}

func savingMerges(t *testing.T, f Fixture) {
	save(t, f.Store, alice,
		signalbox.Choice{Channel: "Web", Origin: "ci", Topic: "a", Enabled: false},
		signalbox.Choice{Channel: "Web", Origin: "ci", Enabled: true},
		signalbox.Choice{Channel: "Web", Enabled: false},
		signalbox.Choice{Channel: "Slack", Origin: "ops", Enabled: false},
	)
	save(t, f.Store, bob, signalbox.Choice{Channel: "Web", Origin: "ci", Enabled: false})
	save(t, f.Other, alice,
		signalbox.Choice{Channel: "Web", Origin: "ci", Enabled: true},
		signalbox.Choice{Channel: "Web", Origin: "ci", Enabled: false}, // the last counts
		signalbox.Choice{Channel: "Web", Origin: "ci", Topic: "b", Enabled: true},
	)
	equal(t, "alice", choicesOf(t, f.Store, alice), []signalbox.Choice{
		{Channel: "Web", Enabled: false},
		{Channel: "Web", Origin: "ci", Enabled: false},
		{Channel: "Web", Origin: "ci", Topic: "a", Enabled: false},
		{Channel: "Web", Origin: "ci", Topic: "b", Enabled: true},
		{Channel: "Slack", Origin: "ops", Enabled: false},
	})
	equal(t, "bob", choicesOf(t, f.Store, bob), []signalbox.Choice{{Channel: "Web", Origin: "ci", Enabled: false}})
}

func choiceForgotten(t *testing.T, f Fixture) {
	about := signalbox.Choice{Channel: "Web", Origin: "CI", Topic: "Straße"}
	others := []signalbox.Choice{
		{Channel: "Web"}, {Channel: "Web", Origin: "ci"}, {Channel: "Slack", Origin: "ci", Topic: "straße"}, {Channel: "Web", Origin: "ci", Topic: "strasse"},
	}
	save(t, f.Store, alice, append(others, about)...)
	save(t, f.Store, bob, about)
	for range 2 { // the second time there is nothing
		if err := f.Other.ForgetChoice(t.Context(), alice, signalbox.Choice{Channel: "WEB", Origin: "ci", Topic: "STRAßE"}.Key()); err != nil {
			t.Fatal(err)
		}
	}
	save(t, f.Store, "user:default/carol", others...)
	equal(t, "the others stay", choicesOf(t, f.Store, alice), choicesOf(t, f.Store, "user:default/carol"))
	equal(t, "bob's stays", choicesOf(t, f.Store, bob), []signalbox.Choice{about})
	if err := f.Store.ForgetChoice(t.Context(), alice, signalbox.ChoiceKey{Channel: "web", Origin: "a\x00"}); err != nil {
		t.Errorf("what cannot be: %v", err)
	}
	if err := f.Store.ForgetChoice(t.Context(), "", about.Key()); err == nil {
		t.Error("forgotten for no user")
	}
}

func choicesFold(t *testing.T, f Fixture) {
	save(t, f.Store, alice, signalbox.Choice{Channel: "Web", Origin: "Straße-Σ", Topic: "Deploys", Enabled: true})
	save(t, f.Store, alice, signalbox.Choice{Channel: "WEB", Origin: "stRAßE-ς", Topic: "dEPLOYS", Enabled: false})
	want := []signalbox.Choice{{Channel: "WEB", Origin: "stRAßE-ς", Topic: "dEPLOYS", Enabled: false}}
	equal(t, "one choice", choicesOf(t, f.Store, alice), want)
	found := lookUp(t, f.Store, signalbox.Received{User: alice, Origin: "STRAßE-σ", Topic: "DEPLOYS"})
	equal(t, "found in any case", found, map[string][]signalbox.Choice{alice: want})
}

func choicesFor(t *testing.T, f Fixture) {
	mine := []signalbox.Choice{
		{Channel: "Web", Enabled: true},
		{Channel: "Slack", Origin: "ci", Enabled: false},
		{Channel: "Web", Origin: "ci", Enabled: false},
		{Channel: "Web", Origin: "ci", Topic: "a", Enabled: true},
	}
	save(t, f.Store, alice, append(slices.Clone(mine),
		signalbox.Choice{Channel: "Web", Origin: "ci", Topic: "b"},
		signalbox.Choice{Channel: "Web", Origin: "ops"},
		signalbox.Choice{Channel: "Web", Origin: "ops", Topic: "a"})...)
	save(t, f.Store, bob, signalbox.Choice{Channel: "Web", Origin: "ops"})
	about := signalbox.Received{User: alice, Origin: "ci", Topic: "a"}
	equal(t, "for a topic", lookUp(t, f.Store, about, about, signalbox.Received{User: bob, Origin: "ci"}), map[string][]signalbox.Choice{alice: mine})
	about.Topic = ""
	equal(t, "without a topic", lookUp(t, f.Store, about), map[string][]signalbox.Choice{alice: mine[:3]})
	equal(t, "for a broadcast", len(lookUp(t, f.Store, signalbox.Received{Origin: "ops"})), 0)
	equal(t, "for two", lookUp(t, f.Store, signalbox.Received{User: alice, Origin: "x"}, signalbox.Received{User: bob, Origin: "ops"}),
		map[string][]signalbox.Choice{alice: mine[:1], bob: {{Channel: "Web", Origin: "ops"}}})
}

func choicesForChunk(t *testing.T, f Fixture) {
	var about []signalbox.Received
	for i := range 12_000 { // more than one statement looks up
		user := fmt.Sprintf("user:default/u%d", i)
		if i%1000 == 0 {
			save(t, f.Store, user, signalbox.Choice{Channel: "Web", Origin: "ci", Enabled: i%2000 == 0})
		}
		about = append(about, signalbox.Received{User: user, Origin: "ci", Topic: "x"})
	}
	found := lookUp(t, f.Store, about...)
	equal(t, "users who chose", len(found), 12)
	for i := 0; i < 12_000; i += 1000 {
		equal(t, "choice", found[fmt.Sprintf("user:default/u%d", i)], []signalbox.Choice{{Channel: "Web", Origin: "ci", Enabled: i%2000 == 0}})
	}
}

func tooManyChoices(t *testing.T, f Fixture) {
	var all []signalbox.Choice
	for i := range signalbox.MaxChoices {
		all = append(all, signalbox.Choice{Channel: "Web", Origin: fmt.Sprintf("o%05d", i), Enabled: true})
	}
	save(t, f.Store, alice, all...)
	err := f.Store.SaveChoices(t.Context(), alice, []signalbox.Choice{{Channel: "Web", Origin: "o00000"}, {Channel: "Web", Origin: "new"}})
	if signalbox.ErrorCode(err) != signalbox.CodeInput {
		t.Errorf("one too many: %v, want an input error", err)
	}
	equal(t, "nothing of it was stored", lookUp(t, f.Store, signalbox.Received{User: alice, Origin: "o00000"}),
		map[string][]signalbox.Choice{alice: {{Channel: "Web", Origin: "o00000", Enabled: true}}})
	save(t, f.Store, alice, signalbox.Choice{Channel: "Web", Origin: "o00000"}) // no more than before
	save(t, f.Store, bob, signalbox.Choice{Channel: "Web", Origin: "new"})
}

func choicesAboutNothing(t *testing.T, f Fixture) {
	for _, c := range []signalbox.Choice{
		{Origin: "ci"}, {Channel: "Web", Topic: "t"}, {Channel: "Web", Origin: "a\x00"}, {Channel: "Web", Origin: "a", Topic: "\xff"},
	} {
		err := f.Store.SaveChoices(t.Context(), alice, []signalbox.Choice{{Channel: "Web"}, c})
		if err == nil || signalbox.IsTransient(err) {
			t.Errorf("%+v: %v, want the caller's mistake", c, err)
		}
	}
	equal(t, "stored", len(choicesOf(t, f.Store, alice)), 0)
}

func concurrentSavers(t *testing.T, f Fixture) {
	var group sync.WaitGroup
	for worker := range 6 {
		store := []Store{f.Store, f.Other}[worker%2]
		group.Go(func() {
			for round := range 10 {
				var choices []signalbox.Choice
				for i := range 20 {
					choices = append(choices, signalbox.Choice{
						Channel: "Web", Origin: fmt.Sprintf("o%d", (i*7+worker*3)%20), Enabled: (round+worker)%2 == 0,
					})
				}
				if err := store.SaveChoices(t.Context(), alice, choices); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	equal(t, "switches", len(choicesOf(t, f.Store, alice)), 20)
}

func receivedIsSeen(t *testing.T, f Fixture) {
	commit(t, f.Store,
		notification(1, alice, of("ci", "a")), notification(2, alice, of("ci", "a")), notification(3, alice, of("ci", "")),
		notification(4, bob, of("ops", "b")), notification(5, "", of("news", "c")), notification(6, alice, of("CI", "A"), scoped("s")))
	// What is known to be there already, by this store or another.
	commit(t, f.Store, notification(7, alice, of("ci", "a")))
	commit(t, f.Other, notification(8, alice, of("ci", "a")), notification(9, "", of("news", "c")))
	commit(t, f.Other, notification(10, alice, of("late", "x")))
	equal(t, "alice", seenBy(t, f.Store, alice), []string{"CI/A", "ci/", "ci/a", "late/x", "news/c"})
	equal(t, "bob", seenBy(t, f.Store, bob), []string{"news/c", "ops/b"})
	equal(t, "somebody new", seenBy(t, f.Store, "user:default/new"), []string{"news/c"})
}

func besideInboxIsSeen(t *testing.T, f Fixture) {
	for range 2 {
		if _, err := f.Store.Commit(t.Context(), signalbox.Commit{Received: []signalbox.Received{
			{User: bob, Origin: "ops"}, {User: alice, Origin: "ci", Topic: "a"}, {User: alice, Origin: "ci", Topic: "a"}, {Origin: "news"},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "alice", seenBy(t, f.Store, alice), []string{"ci/a", "news/"})
	equal(t, "bob", seenBy(t, f.Other, bob), []string{"news/", "ops/"})
	equal(t, "inbox", len(inbox(t, f.Store, alice)), 0)
}

func failedCommitSeesNothing(t *testing.T, f Fixture) {
	c := signalbox.Commit{
		Notifications: []signalbox.Notification{notification(1, alice, of("ci", "a"))},
		Messages:      []signalbox.Message{{Topic: "x"}},
	}
	f.FailPublishing(fmt.Errorf("no"))
	if _, err := f.Store.Commit(t.Context(), c); err == nil {
		t.Fatal("it was committed")
	}
	equal(t, "seen", seenBy(t, f.Store, alice), []string{})
	f.FailPublishing(nil)
	if _, err := f.Store.Commit(t.Context(), c); err != nil { // the failure must not be remembered as stored
		t.Fatal(err)
	}
	equal(t, "seen", seenBy(t, f.Store, alice), []string{"ci/a"})
}

func retentionKeepsSettings(t *testing.T, f Fixture) {
	commit(t, f.Store, notification(1, alice, of("ci", "a")), notification(2, "", of("news", "")))
	save(t, f.Store, alice, signalbox.Choice{Channel: "Web", Origin: "ci", Topic: "a"})
	equal(t, "expired", expire(t, f, start.Add(10_000*time.Hour), 10), 2)
	equal(t, "seen", seenBy(t, f.Store, alice), []string{"ci/a", "news/"})
	equal(t, "choices", len(choicesOf(t, f.Store, alice)), 1)
}

func seenIsForgotten(t *testing.T, f Fixture) {
	const day = 24 * time.Hour
	begun := f.Clock.Now()
	receive := func(s signalbox.Committer, topics ...string) {
		t.Helper()
		var c signalbox.Commit
		for _, topic := range topics {
			c.Received = append(c.Received, signalbox.Received{User: alice, Origin: "ci", Topic: topic})
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	forget := func(before time.Time, want int) {
		t.Helper()
		n, err := f.Store.DeleteSeen(t.Context(), before, 2)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "forgotten", n, want)
	}
	receive(f.Store, "a", "b", "c", "d")
	receive(f.Other, "a", "e")
	forget(begun, 0)
	for range 10 { // it is kept up to date, by whoever gets it
		f.Clock.Advance(day)
		receive(f.Store, "a")
		f.Clock.Advance(day)
		receive(f.Other, "a")
	}
	save(t, f.Store, alice, signalbox.Choice{Channel: "Web", Origin: "ci", Topic: "b"})
	forget(f.Clock.Now().Add(-3*day), 4)
	equal(t, "seen", seenBy(t, f.Store, alice), []string{"ci/a"})
	equal(t, "choices", len(choicesOf(t, f.Store, alice)), 1)
	receive(f.Store, "a", "c") // what comes again is listed again
	equal(t, "seen", seenBy(t, f.Store, alice), []string{"ci/a", "ci/c"})
}

func seenIsBounded(t *testing.T, f Fixture) {
	c := signalbox.Commit{Received: []signalbox.Received{{User: alice, Origin: "quiet", Topic: "a"}, {User: alice, Origin: "quiet", Topic: "b"}}}
	if _, err := f.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c.Received = nil
	for i := range 2 * signalbox.MaxSeenTopics {
		c.Received = append(c.Received, signalbox.Received{User: alice, Origin: "noisy", Topic: fmt.Sprintf("build-%d", i)})
	}
	f.Clock.Advance(time.Hour)
	if _, err := f.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	seen := seenBy(t, f.Store, alice)
	equal(t, "listed", len(seen), signalbox.MaxSeenTopics)
	quiet := slices.DeleteFunc(seen, func(s string) bool { return strings.HasPrefix(s, "noisy/") })
	equal(t, "of the quiet origin", quiet, []string{"quiet/a", "quiet/b"}, cmpopts.EquateEmpty())
}

// concurrentSeen makes many commits meet on the same new rows; the suite's caller
// looks for deadlocks.
func concurrentSeen(t *testing.T, f Fixture) {
	for round := range int64(5) {
		var group sync.WaitGroup
		for worker := range int64(6) {
			store := []Store{f.Store, f.Other}[worker%2]
			group.Go(func() {
				var c signalbox.Commit
				for i := range int64(30) {
					user := fmt.Sprintf("user:default/u%d", (i*7+worker*11)%30)
					c.Notifications = append(c.Notifications, notification(round*10_000+worker*100+i, user, of(fmt.Sprintf("o%d", round), "t")))
					c.Received = append(c.Received, signalbox.Received{User: user, Origin: "beside", Topic: fmt.Sprint(round)})
				}
				if worker%3 == 0 {
					c.Notifications[0].Payload.Scope = "s"
				}
				if _, err := store.Commit(t.Context(), c); err != nil {
					t.Error(err)
				}
				// Without rows in the inbox nothing but their order keeps commits
				// from waiting for each other in a circle.
				c = signalbox.Commit{}
				for i := range int64(300) {
					place := (i + worker*50) % 300
					if worker%2 == 0 {
						place = 299 - place
					}
					c.Received = append(c.Received, signalbox.Received{User: bob, Origin: fmt.Sprintf("o%d", round), Topic: fmt.Sprint(place)})
				}
				if _, err := store.Commit(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	equal(t, "seen", len(seenBy(t, f.Store, "user:default/u7")), 10)
	recount(t, f.Store, "user:default/u7")
}
