package configs

import (
	"fmt"
	"slices"
)

// entry is a place in the configuration and what is written there, if anything is.
type entry struct {
	*reader
	n      *node // nil if it is missing
	around *node // the section that it is missing from
	path   string
}

// at is what is written as n.
func (r *reader) at(n *node, path string) entry { return entry{reader: r, n: n, path: path} }

// name is where the name of a field stands in the section at path.
func (r *reader) name(f field, path string) entry {
	return r.at(&node{at: f.at}, join(path, f.key))
}

func (e entry) missing() bool { return e.n == nil }

// place is where to report what is wrong.
func (e entry) place() *node {
	if e.missing() {
		return e.around
	}
	return e.n
}

// fail reports a problem, and what was written.
func (e entry) fail(message string) {
	e.problems = append(e.problems, problemAt(e.place(), e.path, message))
}

// failSecret reports a problem without showing the value.
func (e entry) failSecret(message string) {
	e.problems = append(e.problems, secretProblemAt(e.place(), e.path, message))
}

func (e entry) warn(message string) {
	e.warnings = append(e.warnings, secretProblemAt(e.place(), e.path, message))
}

// need reports that an entry is missing. what says what belongs there, if the name
// does not.
func (e entry) need(what string) bool {
	if e.missing() {
		e.failSecret(isRequired(what))
	}
	return !e.missing()
}

func isRequired(what string) string {
	if what == "" {
		return "is required"
	}
	return "is required: " + what
}

// section is an entry with fields.
type section struct {
	entry
	before int // the problems there were
}

// section reads an entry as a section: nil if it is missing or is none.
func (e entry) section() *section {
	switch {
	case e.missing():
		return nil
	case e.n.kind != mapping:
		e.fail("must be a section, not " + e.n.kind.String())
		return nil
	}
	return &section{entry: e, before: len(e.problems)}
}

// items reads an entry as a list of sections.
func (e entry) items(read func(*section)) {
	switch {
	case e.missing():
		return
	case e.n.kind != sequence:
		e.fail("must be a list, not " + e.n.kind.String())
		return
	}
	for i, n := range e.n.items {
		if s := e.item(i, n).section(); s != nil {
			read(s)
		}
	}
}

// item is an entry of a list, read from n.
func (e entry) item(i int, n *node) entry { return e.at(n, fmt.Sprintf("%s[%d]", e.path, i)) }

// ok tells whether nothing is wrong so far, with all that is in the section.
func (s *section) ok() bool { return len(s.problems) == s.before }

// only refuses fields other than these.
func (s *section) only(known ...string) (ok bool) {
	ok = true
	for _, f := range s.n.fields {
		if !slices.Contains(known, f.key) {
			s.name(f, s.path).failSecret("unknown key" + didYouMean(suggest(f.key, known)))
			ok = false
		}
	}
	return ok
}

// field is what the section has under a name. A null is as good as nothing.
func (s *section) field(name string) entry {
	n := s.n.child(name)
	if n != nil && n.kind == null {
		n = nil
	}
	return entry{reader: s.reader, n: n, around: s.n, path: join(s.path, name)}
}

func (s *section) has(name string) bool { return !s.field(name).missing() }
