package directory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors/directory"
	"github.com/signalbox/signalbox/processors/directory/backstage"
	"github.com/signalbox/signalbox/processors/directory/catalogfile"
	"github.com/signalbox/signalbox/processors/directory/directorytest"
)

func files(t *testing.T, entities []directorytest.Entity) directory.Source {
	t.Helper()
	source, err := catalogfile.NewStatic("org.yaml", directorytest.YAML(entities))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func catalog(t *testing.T, entities []directorytest.Entity) directory.Source {
	t.Helper()
	client, err := backstage.New(backstage.Config{BaseURL: directorytest.NewCatalog(t, entities).URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestContract runs the suite on every way to put sources together.
func TestContract(t *testing.T) {
	// divide gives the users to one source and the rest to the other.
	divide := func(entities []directorytest.Entity) (users, others []directorytest.Entity) {
		for _, e := range directorytest.BothSides(entities) {
			if e.Kind == "User" {
				users = append(users, e)
			} else {
				others = append(others, e)
			}
		}
		return users, others
	}
	for name, sources := range map[string]func(*testing.T, []directorytest.Entity) []directory.Source{
		"files": func(t *testing.T, e []directorytest.Entity) []directory.Source {
			return []directory.Source{files(t, e)}
		},
		"backstage": func(t *testing.T, e []directorytest.Entity) []directory.Source {
			return []directory.Source{catalog(t, e)}
		},
		"groups in files, users in Backstage": func(t *testing.T, e []directorytest.Entity) []directory.Source {
			users, others := divide(e)
			return []directory.Source{files(t, others), catalog(t, users)}
		},
		"users in files, groups in Backstage": func(t *testing.T, e []directorytest.Entity) []directory.Source {
			users, others := divide(e)
			return []directory.Source{files(t, users), catalog(t, others)}
		},
		"three sources": func(t *testing.T, e []directorytest.Entity) []directory.Source {
			users, others := divide(e)
			half := len(others) / 2
			return []directory.Source{files(t, others[:half]), files(t, users), catalog(t, others[half:])}
		},
	} {
		t.Run(name, func(t *testing.T) {
			directorytest.Run(t, func(t *testing.T, entities []directorytest.Entity) signalbox.Directory {
				return directory.New(directory.Config{}, sources(t, entities)...)
			})
		})
	}
	t.Run("none", func(t *testing.T) { directorytest.Nothing(t, directory.New(directory.Config{})) })
}

func TestFirstSourceWins(t *testing.T) {
	first := files(t, []directorytest.Entity{{Kind: "Group", Name: "g", Members: []string{"user:a"}}})
	second := files(t, []directorytest.Entity{{Kind: "Group", Name: "g", Members: []string{"user:b"}}, {Kind: "Group", Name: "h", Members: []string{"user:b"}}})
	r, err := directory.New(directory.Config{}, first, second).Resolve(t.Context(), []string{"group:default/g", "group:default/h"}, nil)
	if err != nil || !slices.Equal(r.Users, []string{"user:default/a", "user:default/b"}) {
		t.Errorf("%v, %v", r, err)
	}
}

func TestDropUnknownUsers(t *testing.T) {
	d := directory.New(directory.Config{DropUnknownUsers: true}, files(t, directorytest.Organisation()))
	r, err := d.Resolve(t.Context(), []string{"user:default/nobody", "group:ops/oncall", "group:default/none"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"user:default/bob", "user:ops/dan"}; !slices.Equal(r.Users, want) {
		t.Errorf("users %v, want %v", r.Users, want)
	}
	if want := []string{"group:default/none", "user:default/nobody", "user:default/stranger"}; !slices.Equal(r.Unknown, want) {
		t.Errorf("unknown %v, want %v", r.Unknown, want)
	}
}

// counting is a source that counts lookups and may fail.
type counting struct {
	directory.Source
	lookups int
	err     error
}

func (c *counting) Lookup(ctx context.Context, refs []string) (map[string]*directory.Record, error) {
	c.lookups++
	if c.err != nil {
		return nil, c.err
	}
	return c.Source.Lookup(ctx, refs)
}

func TestOneLookupPerLevel(t *testing.T) {
	source := &counting{Source: files(t, directorytest.Organisation())}
	d := directory.New(directory.Config{}, source)
	if _, err := d.Resolve(t.Context(), []string{"domain:default/shop", "component:default/api", "group:default/loop-a"}, nil); err != nil {
		t.Fatal(err)
	}
	// shop, api, loop-a; board, backend, loop-b; engineering; frontend.
	if source.lookups != 4 {
		t.Errorf("%d lookups for four levels", source.lookups)
	}
}

func TestOutage(t *testing.T) {
	ctx := t.Context()
	away := &counting{err: errors.New("connection refused")}
	d := directory.New(directory.Config{}, files(t, directorytest.Organisation()), away)

	if r, err := d.Resolve(ctx, []string{"user:default/x", "group:default/board"}, []string{"user:default/ann"}); err != nil || len(r.Users) != 3 {
		t.Errorf("what the first source knows: %v, %v", r, err)
	}
	if away.lookups != 0 {
		t.Errorf("the second source was asked %d times for nothing", away.lookups)
	}
	for name, ask := range map[string]func() error{
		"refs": func() error { _, err := d.Resolve(ctx, []string{"group:default/none"}, nil); return err },
		"exclude": func() error {
			_, err := d.Resolve(ctx, []string{"user:default/x"}, []string{"group:default/none"})
			return err
		},
		"entities":  func() error { _, err := d.Entities(ctx, []string{"user:default/none"}); return err },
		"ownership": func() error { _, err := d.Ownership(ctx, "user:default/none"); return err },
		"drop": func() error {
			_, err := directory.New(directory.Config{DropUnknownUsers: true}, away).Resolve(ctx, []string{"user:default/x"}, nil)
			return err
		},
	} {
		if err := ask(); !signalbox.IsTransient(err) || !errors.Is(err, away.err) {
			t.Errorf("%s: %v, want a transient error", name, err)
		}
	}
}

// endless is a source in which every group has another child.
type endless struct{}

func (endless) Lookup(_ context.Context, refs []string) (map[string]*directory.Record, error) {
	found := make(map[string]*directory.Record)
	for _, ref := range refs {
		found[ref] = &directory.Record{Children: []string{ref + "x"}, Parents: []string{ref + "x"}, Groups: []string{"group:default/g"}}
	}
	return found, nil
}

func TestBound(t *testing.T) {
	d := directory.New(directory.Config{MaxEntities: 100}, endless{})
	if _, err := d.Resolve(t.Context(), []string{"group:default/g"}, nil); !signalbox.IsPermanent(err) {
		t.Errorf("Resolve: %v, want a permanent error", err)
	}
	if _, err := d.Ownership(t.Context(), "user:default/u"); !signalbox.IsPermanent(err) {
		t.Errorf("Ownership: %v, want a permanent error", err)
	}
}

func ExampleDirectory() {
	org, err := catalogfile.NewStatic("org.yaml", []byte(`
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: team-a}
spec: {members: [jane, joe]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: checkout}
spec: {owner: team-a}
`))
	if err != nil {
		panic(err)
	}
	d := directory.New(directory.Config{}, org)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := d.Resolve(ctx, []string{"component:default/checkout", "group:default/nobody"}, []string{"user:default/joe"})
	fmt.Println(r.Users, r.Unknown, err)
	// Output: [user:default/jane] [group:default/nobody] <nil>
}
