package directory

import (
	"context"
	"fmt"

	"github.com/signalbox/signalbox"
)

// Config tunes a [Directory]. The zero value has the defaults.
type Config struct {
	// DropUnknownUsers takes out users that no source knows, and reports them as
	// unknown. Defaults to false: a user reference stands for that user, known or
	// not, as in Backstage, and no source is asked for it.
	DropUnknownUsers bool
	// MaxEntities bounds how many entities one request may lead to. What is
	// larger fails for good. Defaults to 1,000,000.
	MaxEntities int
}

// Directory resolves references over one or more sources. It implements
// [signalbox.Directory] and is safe for concurrent use.
type Directory struct {
	source Source
	config Config
}

var _ signalbox.Directory = (*Directory)(nil)

// New returns a directory over sources, which are asked in this order, see
// [Chain]. Without a source only users resolve, to themselves.
func New(config Config, sources ...Source) *Directory {
	if config.MaxEntities <= 0 {
		config.MaxEntities = 1_000_000
	}
	return &Directory{source: Chain(sources), config: config}
}

// Resolve implements [signalbox.Directory]. Each level of the graph is one
// lookup.
func (d *Directory) Resolve(ctx context.Context, refs, exclude []string) (signalbox.Resolution, error) {
	// Whoever is excluded is marked as seen before the walk begins.
	excluded := d.walk()
	for _, ref := range exclude {
		if isGroup(ref) { // of anything else the reference alone is taken out
			excluded.meet(ref)
		}
	}
	if err := excluded.run(ctx); err != nil {
		return signalbox.Resolution{}, err
	}
	included := d.walk()
	included.seen = excluded.seen
	for _, ref := range exclude {
		included.seen[ref] = struct{}{}
	}
	for _, ref := range refs {
		included.meet(ref)
	}
	if err := included.run(ctx); err != nil {
		return signalbox.Resolution{}, err
	}
	result := signalbox.Resolution{Users: included.users, Unknown: append(included.unknown, excluded.unknown...)}
	if d.config.DropUnknownUsers {
		return d.dropUnknown(ctx, result)
	}
	return result, nil
}

// usersPerLookup bounds how many users are looked up at once. Groups come in
// the numbers that an organisation has; users come in the numbers of a group.
const usersPerLookup = 5_000

// dropUnknown moves the users that no source knows to the unknown.
func (d *Directory) dropUnknown(ctx context.Context, r signalbox.Resolution) (signalbox.Resolution, error) {
	known := r.Users[:0]
	for rest := r.Users; len(rest) > 0; {
		chunk := rest[:min(usersPerLookup, len(rest))]
		rest = rest[len(chunk):]
		records, err := d.source.Lookup(ctx, chunk)
		if err != nil {
			return signalbox.Resolution{}, unavailable(err)
		}
		for _, user := range chunk {
			if records[user] != nil {
				known = append(known, user)
			} else {
				r.Unknown = append(r.Unknown, user)
			}
		}
	}
	r.Users = known
	return r, nil
}

// Entities implements [signalbox.Directory].
func (d *Directory) Entities(ctx context.Context, refs []string) (map[string]signalbox.Entity, error) {
	entities := make(map[string]signalbox.Entity, len(refs))
	distinct := unique(refs)
	for len(distinct) > 0 {
		chunk := distinct[:min(usersPerLookup, len(distinct))]
		distinct = distinct[len(chunk):]
		records, err := d.source.Lookup(ctx, chunk)
		if err != nil {
			return nil, unavailable(err)
		}
		for ref, record := range records {
			entities[ref] = record.Entity
		}
	}
	return entities, nil
}

// Users lists all users that the sources know, page by page: up to limit of them
// (a page may be empty), and where the next page begins, which is empty at the end.
// Errors are transient.
func (d *Directory) Users(ctx context.Context, after string, limit int) (refs []string, next string, err error) {
	chain, _ := d.source.(Chain)
	if refs, next, err = chain.Users(ctx, after, limit); err != nil {
		return nil, "", unavailable(err)
	}
	return refs, next, nil
}

// Ownership implements [signalbox.Directory].
func (d *Directory) Ownership(ctx context.Context, user string) ([]string, error) {
	owned := []string{user}
	seen := map[string]struct{}{user: {}}
	for level := owned; len(level) > 0; {
		records, err := d.source.Lookup(ctx, level)
		if err != nil {
			return nil, unavailable(err)
		}
		var next []string
		for _, ref := range level {
			record := records[ref]
			if record == nil {
				continue
			}
			above := record.Parents
			if ref == user {
				above = record.Groups
			}
			for _, group := range above {
				if _, ok := seen[group]; !ok {
					seen[group] = struct{}{}
					next = append(next, group)
				}
			}
		}
		if len(seen) > d.config.MaxEntities {
			return nil, tooMany(d.config.MaxEntities)
		}
		owned = append(owned, next...)
		level = next
	}
	return owned, nil
}

func tooMany(limit int) error {
	return signalbox.Permanent(fmt.Errorf("directory: the references lead to more than %d entities", limit))
}

func unique(refs []string) []string {
	seen := make(map[string]struct{}, len(refs))
	distinct := make([]string, 0, len(refs))
	for _, ref := range refs {
		if _, ok := seen[ref]; !ok {
			seen[ref] = struct{}{}
			distinct = append(distinct, ref)
		}
	}
	return distinct
}
