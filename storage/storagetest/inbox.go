package storagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// Inbox holds an implementation of [signalbox.Inbox] to its contract. open
// returns a fixture of its own each time.
func Inbox(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"an empty inbox", emptyInbox},
		{"a row comes back whole", wholeRow},
		{"search", search},
		{"users are isolated", isolation},
		{"broadcasts have flags per user", broadcastFlags},
		{"a page is the same by offset and by cursor", pages},
		{"absent values come last, ascending", absentValues},
		{"update tells what it altered", updateTells},
		{"update all", updateAll},
		{"identifiers that are none", foreignIDs},
		{"bad pages", badPages},
		{"text that no row can hold", unstorable},
		{"it does what the model does", property},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func emptyInbox(t *testing.T, f Fixture) {
	equal(t, "list", inbox(t, f.Store, alice), []signalbox.Notification{})
	topics, err := f.Store.Topics(t.Context(), alice, signalbox.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "topics", topics, []string{})
	recount(t, f.Store, alice)
	equal(t, "update", update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes}), signalbox.Updated{})
}

func wholeRow(t *testing.T, f Fixture) {
	full := notification(1, alice)
	full.Payload = signalbox.Payload{
		Title: "Title ' \" \\ %", Description: "Zeile\n2", Link: "https://example.com/?a=b&c=d", Severity: signalbox.SeverityCritical,
		Topic: "builds", Scope: "s'1", Icon: "alarm", Metadata: []byte(`{"b": 1, "a": [2, null]}`),
		AdditionalLinks: []signalbox.AdditionalLink{{Title: "Log", URL: "https://example.com/log"}, {URL: "https://example.com"}},
	}
	full.Updated = full.Created.Add(1500 * time.Microsecond)
	bare := notification(2, "")
	bare.Payload = signalbox.Payload{Title: "t", Severity: signalbox.SeverityLow}
	commit(t, f.Store, full, bare)
	equal(t, "inbox", inbox(t, f.Store, alice), []signalbox.Notification{bare, full})
	for _, want := range []signalbox.Notification{full, bare} {
		got, err := f.Store.Get(t.Context(), alice, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "get", got, want)
	}
}

func search(t *testing.T, f Fixture) {
	texts := []signalbox.Payload{
		{Title: "100% done", Description: "a_b"},
		{Title: "1000 done", Description: "axb"},
		{Title: `back\slash`, Description: "it's"},
		{Title: "ÄRGER im Großraum", Description: "İstanbul"},
		{Title: "rocket 🚀 launched", Description: ""},
		{Title: "first half", Description: "second half"},
	}
	var rows []signalbox.Notification
	for i, p := range texts {
		user := alice
		if i%2 == 0 {
			user = "" // broadcasts are searched alike
		}
		rows = append(rows, notification(int64(i), user, titled(p.Title, p.Description)))
	}
	commit(t, f.Store, rows...)
	for _, test := range []struct {
		search string
		want   []int
	}{
		{"%", []int{0}},
		{"_", []int{0}},
		{"A_B", []int{0}},
		{"DONE", []int{1, 0}},
		{`\`, []int{2}},
		{"'", []int{2}},
		{"ärger", []int{3}},
		{"ÄRGER", []int{3}},
		{"GROßRAUM", []int{3}},
		{"İSTANBUL", []int{3}},
		{"stanbul", []int{3}},
		{"🚀", []int{4}},
		{"half", []int{5}},
		{"half second", nil},
		{"nothing", nil},
	} {
		want := []string{}
		for _, i := range test.want {
			want = append(want, rows[i].ID)
		}
		filter := signalbox.Filter{Search: test.search}
		equal(t, "search "+test.search, idsOf(list(t, f.Store, alice, filter, signalbox.Page{})), want)
		count, err := f.Store.Count(t.Context(), alice, filter)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "count "+test.search, count, len(want))
	}
}

func isolation(t *testing.T, f Fixture) {
	hers, his, everyones := notification(1, alice), notification(2, bob), notification(3, "")
	hers.Payload.Topic, his.Payload.Topic = "hers", "his"
	commit(t, f.Store, hers, his, everyones)

	equal(t, "alice's inbox", idsOf(inbox(t, f.Store, alice)), []string{everyones.ID, hers.ID})
	equal(t, "bob's inbox", idsOf(inbox(t, f.Store, bob)), []string{everyones.ID, his.ID})
	equal(t, "asked by id", list(t, f.Store, alice, signalbox.Filter{IDs: []string{his.ID}}, signalbox.Page{}), []signalbox.Notification{})
	if _, err := f.Store.Get(t.Context(), alice, his.ID); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
		t.Errorf("get: %v, want not found", err)
	}
	topics, err := f.Store.Topics(t.Context(), alice, signalbox.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "topics", topics, []string{"hers"})

	updated := update(t, f.Store, alice, signalbox.Filter{IDs: []string{his.ID}}, signalbox.Change{Read: yes, Saved: yes})
	equal(t, "update of what is bob's", updated, signalbox.Updated{})
	updated = update(t, f.Store, alice, signalbox.Filter{}, signalbox.Change{Read: yes, Saved: yes})
	equal(t, "update of all", updated.Read, 2)
	for _, n := range inbox(t, f.Store, bob) {
		if !n.Read.IsZero() || !n.Saved.IsZero() {
			t.Errorf("alice changed bob's %s", n.ID)
		}
	}
	recount(t, f.Store, alice, bob, "user:default/nobody")
	// The empty user must not open a door.
	if rows, err := f.Store.List(t.Context(), "", signalbox.Filter{}, signalbox.Page{}); err == nil {
		t.Errorf("the empty user has an inbox of %d rows", len(rows))
	}
}

func broadcastFlags(t *testing.T, f Fixture) {
	first := notification(1, "", scoped("outage"))
	commit(t, f.Store, first)
	filter := signalbox.Filter{IDs: []string{first.ID}}
	update(t, f.Store, alice, filter, signalbox.Change{Read: yes, Saved: yes})
	read := f.Clock.Now()
	f.Clock.Advance(time.Minute)
	equal(t, "marked again", update(t, f.Store, alice, filter, signalbox.Change{Read: yes}), signalbox.Updated{})
	equal(t, "alice's row", inbox(t, f.Store, alice)[0].Read, read)
	recount(t, f.Store, alice, bob)

	// A re-send makes it unread for everyone; saved stays.
	again := notification(2, "", scoped("outage"))
	commit(t, f.Store, again)
	row := inbox(t, f.Store, alice)[0]
	if row.ID != first.ID || !row.Read.IsZero() || row.Saved.IsZero() || !row.Updated.Equal(again.Created) {
		t.Errorf("after a re-send: %+v", row)
	}
	recount(t, f.Store, alice, bob)
	equal(t, "read once more", update(t, f.Store, alice, filter, signalbox.Change{Read: yes}).ReadIDs, []string{first.ID})
	equal(t, "unsaved", update(t, f.Store, alice, filter, signalbox.Change{Saved: no}).SavedIDs, []string{first.ID})
	row = inbox(t, f.Store, alice)[0]
	if row.Read.IsZero() || !row.Saved.IsZero() {
		t.Errorf("unsaving touched the read mark: %+v", row)
	}
	recount(t, f.Store, alice, bob)
}

func pages(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(60) {
		n := notification(i, []string{alice, "", bob}[i%3])
		n.Created = start.Add(time.Duration(i/20) * time.Microsecond) // many ties
		rows = append(rows, n)
	}
	commit(t, f.Store, rows...)
	all := idsOf(inbox(t, f.Store, alice))
	equal(t, "rows", len(all), 40)
	byOffset, byCursor := []string{}, []string{}
	for offset := 0; offset < len(all)+7; offset += 7 {
		page := list(t, f.Store, alice, signalbox.Filter{}, signalbox.Page{Offset: offset, Limit: 7, HasLimit: true})
		byOffset = append(byOffset, idsOf(page)...)
	}
	for page := (signalbox.Page{Limit: 7, HasLimit: true}); ; {
		part := list(t, f.Store, alice, signalbox.Filter{}, page)
		if len(part) == 0 {
			break
		}
		byCursor = append(byCursor, idsOf(part)...)
		last := part[len(part)-1]
		page.After = &signalbox.Cursor{Arrived: last.Arrived(), ID: last.ID}
	}
	equal(t, "by offset", byOffset, all)
	equal(t, "by cursor", byCursor, all)
	equal(t, "limit 0", list(t, f.Store, alice, signalbox.Filter{}, signalbox.Page{HasLimit: true}), []signalbox.Notification{})
	equal(t, "offset alone", idsOf(list(t, f.Store, alice, signalbox.Filter{}, signalbox.Page{Offset: 35})), all[35:])
	const most = int(^uint(0) >> 1)
	equal(t, "a huge page", idsOf(list(t, f.Store, alice, signalbox.Filter{}, signalbox.Page{Offset: 1, Limit: most, HasLimit: true})), all[1:])
	equal(t, "a huge offset", idsOf(list(t, f.Store, alice, signalbox.Filter{}, signalbox.Page{Offset: most, Limit: 1, HasLimit: true})), []string{})
}

func absentValues(t *testing.T, f Fixture) {
	with, without := notification(1, alice), notification(2, alice)
	with.Payload.Topic = "zebra"
	with.Updated = with.Created
	commit(t, f.Store, with, without)
	update(t, f.Store, alice, signalbox.Filter{IDs: []string{with.ID}}, signalbox.Change{Read: yes, Saved: yes})
	for _, field := range []signalbox.OrderField{signalbox.OrderTopic, signalbox.OrderUpdated, signalbox.OrderRead, signalbox.OrderSaved} {
		for descending, want := range map[bool][]string{false: {with.ID, without.ID}, true: {without.ID, with.ID}} {
			page := signalbox.Page{Order: []signalbox.Order{{Field: field, Descending: descending}}}
			equal(t, fmt.Sprintf("%s, descending %t", field, descending), idsOf(list(t, f.Store, alice, signalbox.Filter{}, page)), want)
		}
	}
}

func updateTells(t *testing.T, f Fixture) {
	a, b, c := notification(1, alice), notification(2, alice), notification(3, "")
	commit(t, f.Store, a, b, c)
	sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	step := func(what string, filter signalbox.Filter, change signalbox.Change, want signalbox.Updated) {
		t.Helper()
		equal(t, what, update(t, f.Store, alice, filter, change), want, sorted, cmpopts.EquateEmpty())
		recount(t, f.Store, alice)
	}
	all := signalbox.Filter{}
	step("no change asked", all, signalbox.Change{}, signalbox.Updated{})
	step("one read", signalbox.Filter{IDs: []string{a.ID}}, signalbox.Change{Read: yes}, signalbox.Updated{ReadIDs: []string{a.ID}, Read: 1})
	step("both flags, one of them new", signalbox.Filter{IDs: []string{a.ID, c.ID}}, signalbox.Change{Read: yes, Saved: yes},
		signalbox.Updated{ReadIDs: []string{c.ID}, SavedIDs: []string{a.ID, c.ID}, Read: 1, Saved: 2})
	// The filter looks at the rows as they were, although the change alters what
	// it asks for.
	step("both flags by a flag", signalbox.Filter{Read: yes, Saved: yes}, signalbox.Change{Read: no, Saved: no},
		signalbox.Updated{ReadIDs: []string{a.ID, c.ID}, SavedIDs: []string{a.ID, c.ID}, Read: 2, Saved: 2})
	step("nothing left", all, signalbox.Change{Read: no, Saved: no}, signalbox.Updated{})

	limited, err := f.Store.Update(t.Context(), alice, all, signalbox.Change{Read: yes, Saved: yes}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(limited.ReadIDs) != 2 || len(limited.SavedIDs) != 2 || limited.Read != 3 || limited.Saved != 3 {
		t.Errorf("limit 2: %+v", limited)
	}
	before := inbox(t, f.Store, alice)
	f.Clock.Advance(time.Hour)
	step("as they are", all, signalbox.Change{Read: yes, Saved: yes}, signalbox.Updated{})
	equal(t, "the times of the first time", inbox(t, f.Store, alice), before)
}

func updateAll(t *testing.T, f Fixture) {
	var rows []signalbox.Notification
	for i := range int64(3000) {
		rows = append(rows, notification(i, []string{alice, alice, bob}[i%3]))
	}
	commit(t, f.Store, rows...)
	updated, err := f.Store.Update(t.Context(), alice, signalbox.Filter{}, signalbox.Change{Read: yes}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if updated.Read != 2000 || len(updated.ReadIDs) != 10 {
		t.Errorf("%d read and %d ids, want 2000 and 10", updated.Read, len(updated.ReadIDs))
	}
	recount(t, f.Store, alice, bob)
}

func foreignIDs(t *testing.T, f Fixture) {
	n := notification(1, alice)
	commit(t, f.Store, n)
	for _, id := range []string{"", "nope", "'; DROP TABLE notifications; --", n.ID + "0", "{" + n.ID[1:35] + "}", "\x00", n.RequestID} {
		if _, err := f.Store.Get(t.Context(), alice, id); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
			t.Errorf("get %q: %v, want not found", id, err)
		}
		equal(t, "list "+id, list(t, f.Store, alice, signalbox.Filter{IDs: []string{id}}, signalbox.Page{}), []signalbox.Notification{})
		equal(t, "update "+id, update(t, f.Store, alice, signalbox.Filter{IDs: []string{id}}, signalbox.Change{Read: yes}), signalbox.Updated{})
	}
	updated := update(t, f.Store, alice, signalbox.Filter{IDs: []string{"nope", n.ID}}, signalbox.Change{Read: yes})
	equal(t, "the good one among bad ones", updated.ReadIDs, []string{n.ID})
}

func badPages(t *testing.T, f Fixture) {
	cursor := &signalbox.Cursor{Arrived: start, ID: requestID(start, 1)}
	for name, page := range map[string]signalbox.Page{
		"negative offset":   {Offset: -1},
		"negative limit":    {Limit: -1, HasLimit: true},
		"unknown field":     {Order: []signalbox.Order{{Field: "id; DROP TABLE notifications"}}},
		"cursor and offset": {After: cursor, Offset: 1},
		"cursor and order":  {After: cursor, Order: []signalbox.Order{{Field: signalbox.OrderTitle}}},
		"cursor without id": {After: &signalbox.Cursor{Arrived: start, ID: "x"}},
	} {
		if _, err := f.Store.List(t.Context(), alice, signalbox.Filter{}, page); signalbox.ErrorCode(err) != signalbox.CodeInput {
			t.Errorf("%s: %v, want an input error", name, err)
		}
	}
}

func unstorable(t *testing.T, f Fixture) {
	commit(t, f.Store, notification(1, alice), notification(2, ""))
	for _, text := range []string{"\x00", "a\x00b", "\xff"} {
		for _, filter := range []signalbox.Filter{{Search: text}, {Topic: text}, {Origin: text}} {
			equal(t, "list", list(t, f.Store, alice, filter, signalbox.Page{}), []signalbox.Notification{})
			count, err := f.Store.Count(t.Context(), alice, filter)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "count", count, 0)
			equal(t, "update", update(t, f.Store, alice, filter, signalbox.Change{Read: yes}), signalbox.Updated{})
		}
	}
}

// property does the same random things to the store and to the model, and
// compares all that can be seen.
func property(t *testing.T, f Fixture) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	m := newModel(f.Clock.Now)
	users := []string{alice, bob, "user:default/carol"}
	var sent []signalbox.Notification
	next := int64(1)
	send := func() signalbox.Notification {
		if len(sent) > 0 && random.IntN(4) == 0 {
			return sent[random.IntN(len(sent))] // once more, perhaps late
		}
		next++
		n := notification(next, choose(random, append(users, "")), func(n *signalbox.Notification) {
			n.Origin = choose(random, []string{"ci", "cd"})
			hours := random.IntN(8)
			n.Created = start.Add(time.Duration(hours) * time.Hour)
			n.RequestID = requestID(n.Created, next)
			n.ID = signalbox.NotificationID(n.RequestID, n.User)
			n.Payload.Scope = choose(random, []string{"", "a", "b"})
			n.Payload.Topic = choose(random, []string{"", "x", "y"})
			n.Payload.Title = choose(random, []string{"Üben", "übel", "Zoo", "alpha"})
			n.Payload.Description = choose(random, []string{"", "50%", "ÜBER"})
			n.Payload.Severity = choose(random, signalbox.Severities())
			if random.IntN(5) == 0 {
				n.Updated = n.Created.Add(time.Hour) // two revisions in one
				hours++
			}
			n.Revision = int64(hours)*10_000 + next // so many come late
		})
		sent = append(sent, n)
		return n
	}
	for round := range 120 {
		switch random.IntN(8) {
		case 0, 1, 2, 3:
			batch := map[string]signalbox.Notification{}
			places := map[[3]string]bool{}
			for range random.IntN(6) {
				n := send()
				place := [3]string{n.User, n.Origin, n.Payload.Scope}
				if n.Payload.Scope == "" || !places[place] {
					batch[n.ID], places[place] = n, true
				}
			}
			var rows []signalbox.Notification
			for _, n := range batch {
				rows = append(rows, n)
			}
			for i, outcome := range commit(t, f.Store, rows...) {
				equal(t, "changed", outcome.Changed, m.commit(rows[i]))
			}
		case 4, 5, 6:
			user, filter := choose(random, users), randomFilter(random, sent)
			f.Clock.Advance(time.Duration(random.IntN(3)) * time.Second)
			change := signalbox.Change{
				Read: choose(random, []*bool{nil, yes, no}), Saved: choose(random, []*bool{nil, yes, no}),
				SnoozedUntil: choose(random, []*time.Time{nil, nil, {}, snoozeTime(f, 1+random.IntN(6))}),
			}
			equal(t, fmt.Sprintf("update %+v by %+v", change, filter), update(t, f.Store, user, filter, change),
				m.update(user, filter, change),
				cmpopts.SortSlices(func(a, b string) bool { return a < b }), cmpopts.EquateEmpty())
		case 7:
			if round%4 != 0 {
				continue
			}
			before := start.Add(time.Duration(random.IntN(3)) * time.Hour)
			deleted, err := f.Store.DeleteExpired(t.Context(), before, 1+random.IntN(5))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "deleted", deleted, m.deleteExpired(before))
		}
		recount(t, f.Store, users...)
		user, filter, page := choose(random, users), randomFilter(random, sent), randomPage(random, sent)
		what := fmt.Sprintf("with %+v, %+v", filter, page)
		equal(t, "list "+what, list(t, f.Store, user, filter, page), m.list(user, filter, page), cmpopts.EquateEmpty())
		count, err := f.Store.Count(t.Context(), user, filter)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "count "+what, count, len(m.list(user, filter, signalbox.Page{})))
		topics, err := f.Store.Topics(t.Context(), user, filter)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "topics "+what, topics, m.topics(user, filter))
	}
}

func choose[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

func randomFilter(random *rand.Rand, sent []signalbox.Notification) (f signalbox.Filter) {
	if random.IntN(4) == 0 && len(sent) > 0 {
		for range 1 + random.IntN(10) {
			f.IDs = append(f.IDs, choose(random, sent).ID)
		}
	}
	if random.IntN(3) == 0 {
		f.Topic = choose(random, []string{"x", "y", "z"})
	}
	if random.IntN(3) == 0 {
		f.Origin = choose(random, []string{"ci", "cd"})
	}
	if random.IntN(3) == 0 {
		f.Search = choose(random, []string{"üb", "%", "ZOO", "über", "A"})
	}
	f.Read = choose(random, []*bool{nil, nil, yes, no})
	f.Saved = choose(random, []*bool{nil, nil, yes, no})
	if random.IntN(3) == 0 {
		f.CreatedAfter = start.Add(time.Duration(random.IntN(8)) * time.Hour)
	}
	f.Snoozed = random.IntN(5) == 0
	if random.IntN(3) == 0 {
		f.MinimumSeverity = choose(random, signalbox.Severities())
	}
	return f
}

func randomPage(random *rand.Rand, sent []signalbox.Notification) (p signalbox.Page) {
	if random.IntN(2) == 0 {
		p.Limit, p.HasLimit = random.IntN(8), true
	}
	switch random.IntN(3) {
	case 0:
		if len(sent) > 0 {
			n := choose(random, sent)
			p.After = &signalbox.Cursor{Arrived: n.Arrived(), ID: n.ID}
		}
		return p
	case 1:
		fields := slices.Clone(signalbox.OrderFields())
		random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		for _, field := range fields[:1+random.IntN(3)] {
			p.Order = append(p.Order, signalbox.Order{Field: field, Descending: random.IntN(2) == 0})
		}
	}
	p.Offset = random.IntN(5)
	return p
}
