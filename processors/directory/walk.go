package directory

import (
	"context"
	"strings"
)

// walk expands references level by level, so that a source is asked once per
// level and not once per entity. An entity is visited once, so cycles end.
type walk struct {
	source Source
	limit  int
	// seen are the references that were met, or are not to be followed.
	seen map[string]struct{}
	// next is the level to visit.
	next []string

	users   []string
	unknown []string
}

func (d *Directory) walk() *walk {
	return &walk{source: d.source, limit: d.config.MaxEntities, seen: make(map[string]struct{})}
}

// meet adds a reference to the next level, or to the users, unless it was met
// before.
func (w *walk) meet(ref string) {
	if _, ok := w.seen[ref]; ok {
		return
	}
	w.seen[ref] = struct{}{}
	if isUser(ref) {
		w.users = append(w.users, ref) // a user stands for itself and needs no lookup
		return
	}
	w.next = append(w.next, ref)
}

// run visits one level after the other until nothing new is met.
func (w *walk) run(ctx context.Context) error {
	for len(w.next) > 0 {
		level := w.next
		w.next = nil
		records, err := w.source.Lookup(ctx, level)
		if err != nil {
			return unavailable(err)
		}
		for _, ref := range level {
			record := records[ref]
			if record == nil {
				w.unknown = append(w.unknown, ref)
				continue
			}
			w.visit(ref, record)
		}
		if len(w.seen) > w.limit {
			return tooMany(w.limit)
		}
	}
	return nil
}

// visit meets what an entity stands for.
func (w *walk) visit(ref string, record *Record) {
	if !isGroup(ref) {
		if record.Owner != "" {
			w.meet(record.Owner)
		}
		return
	}
	for _, member := range record.Members {
		if isUser(member) {
			w.meet(member)
		}
	}
	for _, child := range record.Children {
		w.meet(child)
	}
}

func isUser(ref string) bool  { return strings.HasPrefix(ref, "user:") }
func isGroup(ref string) bool { return strings.HasPrefix(ref, "group:") }
