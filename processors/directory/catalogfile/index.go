package catalogfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/processors/directory"
)

// index is the entities of all files with their relations, by reference.
type index map[string]*directory.Record

// contents are the entities of one file.
type contents struct {
	name     string
	entities []entity
}

// newIndex derives the relations. What one side states holds for the other side
// too: spec.memberOf of a user makes a member of the group. An entity that two
// files define is that of the first; the others are conflicts.
func newIndex(files []contents) (index, []FileError) {
	var (
		all       = make(index)
		lines     = make(map[string]FileError)
		conflicts []FileError
		counted   []*entity
	)
	for _, f := range files {
		for i := range f.entities {
			e := &f.entities[i]
			if first, ok := lines[e.Ref]; ok {
				conflicts = append(conflicts, FileError{
					f.name, e.line,
					fmt.Sprintf("%s is ignored: it is defined in %s:%d", e.Ref, first.File, first.Line),
				})
				continue
			}
			lines[e.Ref] = FileError{File: f.name, Line: e.line}
			all[e.Ref] = &directory.Record{Entity: e.Entity}
			counted = append(counted, e)
		}
	}
	for _, e := range counted {
		all.relate(e)
	}
	for _, record := range all {
		record.Members = sorted(record.Members)
		record.Children = sorted(record.Children)
		record.Parents = sorted(record.Parents)
		record.Groups = sorted(record.Groups)
	}
	return all, conflicts
}

// relate adds what e states to both sides, as far as they exist.
func (x index) relate(e *entity) {
	self := x[e.Ref]
	self.Groups = append(self.Groups, e.memberOf...)
	self.Members = append(self.Members, e.members...)
	self.Parents = append(self.Parents, e.parent...)
	self.Children = append(self.Children, e.children...)
	if len(e.owner) > 0 {
		self.Owner = e.owner[0]
	}
	each := func(refs []string, add func(other *directory.Record)) {
		for _, ref := range refs {
			if other := x[ref]; other != nil {
				add(other)
			}
		}
	}
	each(e.memberOf, func(group *directory.Record) { group.Members = append(group.Members, e.Ref) })
	each(e.members, func(user *directory.Record) { user.Groups = append(user.Groups, e.Ref) })
	each(e.parent, func(group *directory.Record) { group.Children = append(group.Children, e.Ref) })
	each(e.children, func(group *directory.Record) { group.Parents = append(group.Parents, e.Ref) })
}

// pick returns the records of refs.
func (x index) pick(refs []string) map[string]*directory.Record {
	found := make(map[string]*directory.Record)
	for _, ref := range refs {
		if record := x[ref]; record != nil {
			found[ref] = record
		}
	}
	return found
}

// users returns a page of the users, in order.
func (x index) users(after string, limit int) (refs []string, next string, err error) {
	for ref := range x {
		if strings.HasPrefix(ref, "user:") && ref > after {
			refs = append(refs, ref)
		}
	}
	slices.Sort(refs)
	if len(refs) > limit {
		refs = refs[:limit]
		next = refs[limit-1]
	}
	return refs, next, nil
}
