package catalogfile

import (
	"context"

	"github.com/signalbox/signalbox/processors/directory"
)

// Static is a catalog that does not change. It is a
// [directory.Source] and a [directory.Lister].
type Static struct{ index index }

var _ directory.Lister = (*Static)(nil)

// NewStatic reads a catalog from the content of one file; name is for messages.
// The error is a [*FileError].
func NewStatic(name string, content []byte) (*Static, error) {
	p, problem := parse(name, content)
	if problem != nil {
		return nil, problem
	}
	all, _ := newIndex([]contents{{name, p.entities}})
	return &Static{index: all}, nil
}

// Lookup implements [directory.Source].
func (s *Static) Lookup(_ context.Context, refs []string) (map[string]*directory.Record, error) {
	return s.index.pick(refs), nil
}

// Users implements [directory.Lister].
func (s *Static) Users(_ context.Context, after string, limit int) (refs []string, next string, err error) {
	return s.index.users(after, limit)
}
