package directorytest

import (
	"fmt"
	"slices"
	"strings"
)

// Entity is an entity as its author writes it. References may leave the
// namespace to that of the entity.
type Entity struct {
	Kind, Namespace, Name string
	Title, Email          string
	Annotations           map[string]string
	// MemberOf is of users, Members, Parent and Children of groups, Owner of the
	// others. All are references with a kind.
	MemberOf, Members []string
	Parent            string
	Children          []string
	Owner             string
}

// Ref is the canonical reference.
func (e Entity) Ref() string { return absolute(e.Kind+":"+e.Name, e.Namespace) }

// absolute adds a namespace to a reference, and folds it.
func absolute(ref, namespace string) string {
	kind, name, _ := strings.Cut(ref, ":")
	if before, after, ok := strings.Cut(name, "/"); ok {
		namespace, name = before, after
	}
	if namespace == "" {
		namespace = "default"
	}
	return strings.ToLower(kind + ":" + namespace + "/" + name)
}

// YAML writes an organisation as a catalog file.
func YAML(entities []Entity) []byte {
	var b strings.Builder
	for _, e := range entities {
		fmt.Fprintf(&b, "---\napiVersion: backstage.io/v1alpha1\nkind: %s\nmetadata:\n  name: %s\n", e.Kind, e.Name)
		if e.Namespace != "" {
			fmt.Fprintf(&b, "  namespace: %s\n", e.Namespace)
		}
		if len(e.Annotations) > 0 {
			b.WriteString("  annotations:\n")
			for key, value := range e.Annotations {
				fmt.Fprintf(&b, "    %s: %q\n", key, value)
			}
		}
		b.WriteString("spec:\n")
		fmt.Fprintf(&b, "  profile: {displayName: %q, email: %q}\n", e.Title, e.Email)
		list := func(key string, refs []string) {
			if len(refs) == 0 {
				return
			}
			fmt.Fprintf(&b, "  %s:\n", key)
			for _, ref := range refs {
				fmt.Fprintf(&b, "    - %q\n", ref)
			}
		}
		list("memberOf", e.MemberOf)
		list("members", e.Members)
		list("children", e.Children)
		for key, ref := range map[string]string{"parent": e.Parent, "owner": e.Owner} {
			if ref != "" {
				fmt.Fprintf(&b, "  %s: %q\n", key, ref)
			}
		}
	}
	return []byte(b.String())
}

// Relation is one side of a relation between entities, as Backstage's catalog
// has it.
type Relation struct {
	Type   string `json:"type"`
	Target string `json:"targetRef"`
}

// Relations derives the relations of all entities, sorted as the catalog does.
func Relations(entities []Entity) map[string][]Relation {
	all := make(map[string][]Relation)
	add := func(source, there, target, back string) {
		all[source] = append(all[source], Relation{there, target})
		all[target] = append(all[target], Relation{back, source})
	}
	for _, e := range entities {
		self := e.Ref()
		for _, ref := range e.MemberOf {
			add(self, "memberOf", absolute(ref, e.Namespace), "hasMember")
		}
		for _, ref := range e.Members {
			add(self, "hasMember", absolute(ref, e.Namespace), "memberOf")
		}
		for _, ref := range e.Children {
			add(self, "parentOf", absolute(ref, e.Namespace), "childOf")
		}
		if e.Parent != "" {
			add(self, "childOf", absolute(e.Parent, e.Namespace), "parentOf")
		}
		if e.Owner != "" {
			add(self, "ownedBy", absolute(e.Owner, e.Namespace), "ownerOf")
		}
	}
	for ref, relations := range all {
		slices.SortFunc(relations, func(a, b Relation) int {
			return strings.Compare(a.Type+" "+a.Target, b.Type+" "+b.Target)
		})
		all[ref] = slices.Compact(relations)
	}
	return all
}

// BothSides returns the organisation with every relation stated by both sides, so
// that it can be divided among sources.
func BothSides(entities []Entity) []Entity {
	relations := Relations(entities)
	whole := slices.Clone(entities)
	for i := range whole {
		e := &whole[i]
		e.MemberOf, e.Members, e.Children = nil, nil, nil
		for _, relation := range relations[e.Ref()] {
			switch relation.Type {
			case "memberOf":
				e.MemberOf = append(e.MemberOf, relation.Target)
			case "hasMember":
				e.Members = append(e.Members, relation.Target)
			case "parentOf":
				e.Children = append(e.Children, relation.Target)
			}
		}
	}
	return whole
}
