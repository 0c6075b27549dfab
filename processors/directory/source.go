package directory

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox"
)

// Record is an entity with the relations that resolving follows. All references
// are canonical. Records are shared: nobody may change one after it was handed
// out.
type Record struct {
	signalbox.Entity
	// Members are the users of a group ("hasMember").
	Members []string
	// Children are the child groups of a group ("parentOf").
	Children []string
	// Parents are the groups that a group is a child of ("childOf").
	Parents []string
	// Groups are the groups that a user is a member of ("memberOf").
	Groups []string
	// Owner is who owns an entity ("ownedBy"); of several the first, as in
	// Backstage. Empty if nobody does.
	Owner string
}

// Size counts the references that the record holds, itself included: what it
// weighs in a cache.
func (r *Record) Size() int {
	return 1 + len(r.Members) + len(r.Children) + len(r.Parents) + len(r.Groups)
}

// Source is one place that entities are known in.
//
// Obligations: it is safe for concurrent use, returns soon after ctx is done,
// and puts no secret into an error. An entity that it does not know is absent
// from the answer, and no error. An error means that it cannot tell now. A walk
// asks for all references of one level at once, which may be thousands.
type Source interface {
	// Lookup returns the records of those references that it knows, by
	// reference. refs are canonical and distinct.
	Lookup(ctx context.Context, refs []string) (map[string]*Record, error)
}

// Lister is a [Source] that can list its users.
type Lister interface {
	Source
	// Users returns up to limit references of users. after is empty, or next of the
	// page before; next is empty at the end.
	Users(ctx context.Context, after string, limit int) (refs []string, next string, err error)
}

// Users lists the users of the sources that can, one source after the other, so
// that a user whom two of them know appears twice.
func (c Chain) Users(ctx context.Context, after string, limit int) (refs []string, next string, err error) {
	at, cursor := 0, ""
	if after != "" {
		place, rest, _ := strings.Cut(after, " ")
		if at, err = strconv.Atoi(place); err != nil || at < 0 {
			return nil, "", fmt.Errorf("%q is no place in the list of users", after)
		}
		cursor = rest
	}
	for ; at < len(c); at, cursor = at+1, "" {
		lister, lists := c[at].(Lister)
		if !lists {
			continue
		}
		if refs, cursor, err = lister.Users(ctx, cursor, limit); err != nil {
			return nil, "", err
		}
		if cursor == "" && at+1 < len(c) {
			return refs, strconv.Itoa(at+1) + " ", nil
		}
		if cursor != "" {
			next = strconv.Itoa(at) + " " + cursor
		}
		return refs, next, nil
	}
	return nil, "", nil
}

// Chain asks each source for what the ones before it do not know. The first
// source that knows an entity says all there is to say about it. The empty chain
// knows nothing.
type Chain []Source

// Lookup implements [Source]. A source that cannot tell fails the lookup only if
// it was asked, so that entities of the first source do not depend on the second.
func (c Chain) Lookup(ctx context.Context, refs []string) (map[string]*Record, error) {
	if len(c) == 0 || len(refs) == 0 {
		return nil, nil //nolint:nilnil // nothing is known: reading a nil map is fine
	}
	found, err := c[0].Lookup(ctx, refs)
	if err != nil || len(found) == len(refs) || len(c) == 1 {
		return found, err
	}
	missing := make([]string, 0, len(refs)-len(found))
	for _, ref := range refs {
		if found[ref] == nil {
			missing = append(missing, ref)
		}
	}
	more, err := c[1:].Lookup(ctx, missing)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return more, nil
	}
	// The answer of a source may be shared with others.
	merged := make(map[string]*Record, len(found)+len(more))
	for ref, record := range found {
		merged[ref] = record
	}
	for ref, record := range more {
		merged[ref] = record
	}
	return merged, nil
}

// unavailable marks what a source could not tell: the caller tries again.
func unavailable(err error) error {
	return signalbox.Transient(fmt.Errorf("directory: %w", err))
}
