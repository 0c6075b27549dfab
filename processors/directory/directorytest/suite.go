package directorytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
)

// Make returns a directory of an organisation, which delivers to unknown users.
// What it opens is closed by the test's cleanup.
type Make func(t *testing.T, entities []Entity) signalbox.Directory

// Run holds the directories that make returns to the promises of
// [signalbox.Directory].
func Run(t *testing.T, makeDirectory Make) {
	t.Run("without entities", func(t *testing.T) { Nothing(t, makeDirectory(t, nil)) })
	t.Run("organisation", func(t *testing.T) { organisation(t, makeDirectory(t, Organisation())) })
	t.Run("all users", func(t *testing.T) { everybody(t, makeDirectory(t, Organisation())) })
	t.Run("large group", func(t *testing.T) { large(t, makeDirectory) })
	t.Run("long chain", func(t *testing.T) { long(t, makeDirectory) })
}

// everybody lists all users in pages of two.
func everybody(t *testing.T, d signalbox.Directory) {
	lister, lists := d.(interface {
		Users(ctx context.Context, after string, limit int) (refs []string, next string, err error)
	})
	if !lists {
		t.Fatal("the directory does not list users")
	}
	var (
		all  []string
		next string
	)
	for pages := 0; pages == 0 || next != ""; pages++ {
		refs, further, err := lister.Users(t.Context(), next, 2)
		if err != nil || len(refs) > 2 || pages > 10 {
			t.Fatalf("page %d: %v, %v", pages, refs, err)
		}
		all, next = append(all, refs...), further
	}
	slices.Sort(all)
	want := []string{"user:default/ann", "user:default/bob", "user:default/cat", "user:default/eve", "user:ops/dan"}
	if !slices.Equal(all, want) {
		t.Errorf("users %v, want %v", all, want)
	}
}

// Organisation is the one that the suite asks about.
func Organisation() []Entity {
	return []Entity{
		{Kind: "Domain", Name: "shop", Owner: "group:board"},
		{Kind: "System", Name: "checkout", Owner: "user:Ann"},
		{Kind: "Component", Name: "API", Owner: "group:Backend"},
		{Kind: "Component", Name: "orphan"},
		{Kind: "Component", Name: "widow", Owner: "group:gone"},
		{Kind: "Resource", Name: "ring-a", Owner: "resource:ring-b"},
		{Kind: "Resource", Name: "ring-b", Owner: "resource:ring-a"},
		{Kind: "API", Namespace: "ops", Name: "pager", Owner: "group:oncall"},

		{Kind: "Group", Name: "board", Title: "The Board", Email: "board@example.com", Annotations: map[string]string{signalbox.AnnotationSlack: "#board"}},
		{Kind: "Group", Name: "engineering", Parent: "group:board", Children: []string{"group:backend"}},
		{Kind: "Group", Name: "Backend", Members: []string{"user:Bob"}},
		{Kind: "Group", Name: "frontend", Parent: "group:engineering"},
		{Kind: "Group", Name: "empty"},
		{Kind: "Group", Namespace: "ops", Name: "oncall", Members: []string{"user:dan", "user:default/bob", "user:default/stranger"}},
		{Kind: "Group", Name: "loop-a", Children: []string{"group:loop-b"}, Members: []string{"user:ann"}},
		{Kind: "Group", Name: "loop-b", Children: []string{"group:loop-a"}, Members: []string{"user:eve"}},

		{Kind: "User", Name: "Ann", Title: "Ann Other", Email: "ann@example.com", MemberOf: []string{"group:board", "group:loop-a"}, Annotations: map[string]string{signalbox.AnnotationSlack: "U1"}},
		{Kind: "User", Name: "bob"},
		{Kind: "User", Name: "cat", MemberOf: []string{"group:frontend", "group:default/backend"}},
		{Kind: "User", Namespace: "ops", Name: "dan"},
		{Kind: "User", Name: "eve"},
	}
}

// Nothing checks what holds of a directory that knows nobody.
func Nothing(t *testing.T, d signalbox.Directory) {
	ctx := t.Context()
	resolve(t, d, []string{"user:default/x", "group:default/g", "component:default/c"}, []string{"user:default/y"},
		[]string{"user:default/x"}, []string{"group:default/g", "component:default/c"})
	if entities, err := d.Entities(ctx, []string{"user:default/x"}); err != nil || len(entities) != 0 {
		t.Errorf("Entities: %v, %v", entities, err)
	}
	ownership(t, d, "user:default/x", "user:default/x")
}

func organisation(t *testing.T, d signalbox.Directory) {
	user := func(names ...string) []string {
		refs := make([]string, len(names))
		for i, name := range names {
			refs[i] = "user:default/" + name
		}
		return refs
	}
	for _, c := range []struct {
		name          string
		refs, exclude []string
		users         []string
		unknown       []string
	}{
		{name: "nothing"},
		{name: "a user", refs: user("ann"), users: user("ann")},
		{name: "an unknown user stands for itself", refs: user("nobody"), users: user("nobody")},
		{name: "a group", refs: []string{"group:default/backend"}, users: user("bob", "cat")},
		{name: "a group without members", refs: []string{"group:default/empty"}},
		{name: "child groups", refs: []string{"group:default/engineering"}, users: user("bob", "cat")},
		{name: "grandchild groups", refs: []string{"group:default/board"}, users: user("ann", "bob", "cat")},
		{name: "another namespace, and a member nobody knows", refs: []string{"group:ops/oncall"}, users: []string{"user:default/bob", "user:default/stranger", "user:ops/dan"}},
		{name: "groups in a circle", refs: []string{"group:default/loop-b"}, users: user("ann", "eve")},
		{name: "an owner who is a group", refs: []string{"component:default/api"}, users: user("bob", "cat")},
		{name: "an owner who is a user", refs: []string{"system:default/checkout"}, users: user("ann")},
		{name: "an owner with child groups", refs: []string{"domain:default/shop"}, users: user("ann", "bob", "cat")},
		{name: "owners in a circle", refs: []string{"resource:default/ring-a"}},
		{name: "no owner", refs: []string{"component:default/orphan"}},
		{name: "an owner that nobody knows", refs: []string{"component:default/widow"}, unknown: []string{"group:default/gone"}},
		{name: "an owner in the entity's namespace", refs: []string{"api:ops/pager"}, users: []string{"user:default/bob", "user:default/stranger", "user:ops/dan"}},
		{
			name: "doubles", refs: []string{"user:default/bob", "group:default/backend", "component:default/api", "user:default/bob"},
			users: user("bob", "cat"),
		},
		{
			name: "an unknown reference leaves the others alone", refs: []string{"group:default/none", "user:default/ann", "component:default/none"},
			users: user("ann"), unknown: []string{"group:default/none", "component:default/none"},
		},
		{name: "without a user", refs: []string{"group:default/board"}, exclude: user("bob"), users: user("ann", "cat")},
		{name: "without the user that is named", refs: user("ann", "bob"), exclude: user("ann"), users: user("bob")},
		{name: "without a group on the way", refs: []string{"group:default/board"}, exclude: []string{"group:default/engineering"}, users: user("ann")},
		{name: "without the members of a group", refs: append(user("bob", "eve"), "group:default/loop-a"), exclude: []string{"group:default/backend"}, users: user("ann", "eve")},
		{name: "without the members of child groups", refs: user("cat", "eve"), exclude: []string{"group:default/board"}, users: user("eve")},
		{name: "without the group that is named", refs: []string{"group:default/backend"}, exclude: []string{"group:default/backend"}},
		{name: "without an entity, whose owner stays", refs: []string{"component:default/api", "system:default/checkout", "group:default/backend"}, exclude: []string{"component:default/api", "system:default/checkout"}, users: user("bob", "cat")},
		{name: "without what nobody knows", refs: user("ann"), exclude: []string{"group:default/none"}, users: user("ann"), unknown: []string{"group:default/none"}},
	} {
		t.Run(c.name, func(t *testing.T) { resolve(t, d, c.refs, c.exclude, c.users, c.unknown) })
	}

	t.Run("records", func(t *testing.T) { records(t, d) })
	t.Run("ownership", func(t *testing.T) {
		ownership(t, d, "user:default/eve", "user:default/eve", "group:default/loop-a", "group:default/loop-b")
		ownership(t, d, "user:default/cat", "user:default/cat", "group:default/backend", "group:default/board", "group:default/engineering", "group:default/frontend")
		ownership(t, d, "user:ops/dan", "user:ops/dan", "group:ops/oncall")
		ownership(t, d, "user:default/nobody", "user:default/nobody")
	})
	t.Run("many at once", func(t *testing.T) {
		done := make(chan struct{})
		for range 16 {
			go func() {
				defer func() { done <- struct{}{} }()
				resolve(t, d, []string{"group:default/board"}, nil, user("ann", "bob", "cat"), nil)
			}()
		}
		for range 16 {
			<-done
		}
	})
}

func records(t *testing.T, d signalbox.Directory) {
	refs := []string{"user:default/ann", "group:default/board", "component:default/api", "user:default/nobody", "user:default/ann"}
	entities, err := d.Entities(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	if len(entities) != 3 {
		t.Errorf("%d records of 3", len(entities))
	}
	for ref, want := range map[string]signalbox.Entity{
		"user:default/ann":      {Title: "Ann Other", Email: "ann@example.com", Annotations: map[string]string{signalbox.AnnotationSlack: "U1"}},
		"group:default/board":   {Title: "The Board", Email: "board@example.com", Annotations: map[string]string{signalbox.AnnotationSlack: "#board"}},
		"component:default/api": {Title: "API"},
	} {
		got := entities[ref]
		if got.Ref != ref || got.Title != want.Title || got.Email != want.Email || !maps.Equal(got.Annotations, want.Annotations) {
			t.Errorf("%s is %+v, want %+v", ref, got, want)
		}
	}
}

// large is a group of the size that the product promises.
func large(t *testing.T, makeDirectory Make) {
	const members = 50_000
	group := Entity{Kind: "Group", Name: "large"}
	entities := make([]Entity, 0, members+1)
	for i := range members {
		name := fmt.Sprintf("u%05d", i)
		group.Members = append(group.Members, "user:"+name)
		if i%50 == 0 { // for most of them the group's word is enough
			entities = append(entities, Entity{Kind: "User", Name: name})
		}
	}
	d := makeDirectory(t, append(entities, group))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := d.Resolve(ctx, []string{"group:default/large"}, []string{"user:default/u00007"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Users) != members-1 || len(r.Unknown) != 0 {
		t.Errorf("%d users, %d unknown", len(r.Users), len(r.Unknown))
	}
	slices.Sort(r.Users)
	if distinct := len(slices.Compact(r.Users)); distinct != members-1 {
		t.Errorf("%d distinct users", distinct)
	}
}

// long is a hierarchy that is deeper than any should be.
func long(t *testing.T, makeDirectory Make) {
	const depth = 60
	var entities []Entity
	for i := range depth {
		entities = append(entities,
			Entity{Kind: "Group", Name: fmt.Sprintf("g%d", i), Children: []string{fmt.Sprintf("group:g%d", (i+1)%depth)}},
			Entity{Kind: "User", Name: fmt.Sprintf("u%d", i), MemberOf: []string{fmt.Sprintf("group:g%d", i)}})
	}
	r, err := makeDirectory(t, entities).Resolve(t.Context(), []string{"group:default/g30"}, nil)
	if err != nil || len(r.Users) != depth || len(r.Unknown) != 0 {
		t.Errorf("%d users of %d, unknown %v, error %v", len(r.Users), depth, r.Unknown, err)
	}
}

// resolve compares regardless of order, which is checked to be stable.
func resolve(t *testing.T, d signalbox.Directory, refs, exclude, users, unknown []string) {
	t.Helper()
	given, givenExclude := slices.Clone(refs), slices.Clone(exclude)
	r, err := d.Resolve(t.Context(), refs, exclude)
	if err != nil {
		t.Errorf("Resolve: %v", err)
		return
	}
	again, err := d.Resolve(t.Context(), refs, exclude)
	if err != nil || !slices.Equal(again.Users, r.Users) {
		t.Errorf("the second time: %v, %v; before: %v", again.Users, err, r.Users)
	}
	if !slices.Equal(given, refs) || !slices.Equal(givenExclude, exclude) {
		t.Error("the arguments were changed")
	}
	same(t, "users", r.Users, users)
	same(t, "unknown", r.Unknown, unknown)
}

func ownership(t *testing.T, d signalbox.Directory, user string, want ...string) {
	t.Helper()
	got, err := d.Ownership(t.Context(), user)
	if err != nil {
		t.Errorf("Ownership(%s): %v", user, err)
		return
	}
	if len(got) == 0 || got[0] != user {
		t.Errorf("Ownership(%s) does not begin with the user: %v", user, got)
	}
	same(t, "ownership of "+user, got, want)
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
