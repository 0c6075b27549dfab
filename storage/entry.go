package storage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox"
)

// A statement writes at most this many rows and about this many bytes, whatever
// the size of a commit.
const (
	batchRows  = 1000
	batchBytes = 4 << 20
)

// entry is a notification on its way into the database.
type entry struct {
	index        int // in the commit
	notification signalbox.Notification
	search       string
	links        string
	// stored is the row as an attempt left it, if it changed anything.
	stored  signalbox.Notification
	changed bool
	// settled entries are not written: the row is there.
	settled bool
}

// mark takes note that an attempt wrote the entry.
func (e *entry) mark() { e.changed, e.stored = true, e.notification }

// kind tells the statements of a commit apart.
type kind struct{ broadcast, scoped bool }

func (e *entry) kind() kind {
	return kind{broadcast: e.notification.IsBroadcast(), scoped: e.notification.Payload.Scope != ""}
}

// place identifies a scoped notification.
type place struct{ user, origin, scope string }

func (e *entry) place() place {
	return place{e.notification.User, e.notification.Origin, e.notification.Payload.Scope}
}

func (e *entry) bytes() int {
	p := &e.notification.Payload
	return 256 + len(p.Title) + len(p.Description) + len(p.Link) + len(p.Icon) + len(p.Metadata) + len(e.search) + len(e.links)
}

// batch is what one statement writes.
type batch struct {
	kind    kind
	entries []*entry
}

// entriesOf checks notifications and brings them into the order in which they
// are written: the same for every commit, so that concurrent ones cannot wait
// for each other in a circle.
func entriesOf(notifications []signalbox.Notification) ([]*entry, error) {
	entries := make([]*entry, len(notifications))
	ids := make(map[string]struct{}, len(notifications))
	for i, n := range notifications {
		e, err := entryOf(n)
		if err != nil {
			return nil, fmt.Errorf("notification %d: %w", i, err)
		}
		e.index, entries[i] = i, e
		if _, repeated := ids[e.notification.ID]; repeated {
			return nil, fmt.Errorf("notification %d: id %s appears twice in one commit", i, e.notification.ID)
		}
		ids[e.notification.ID] = struct{}{}
	}
	slices.SortStableFunc(entries, func(a, b *entry) int {
		return cmp.Or(
			cmp.Compare(rank(a.kind()), rank(b.kind())),
			cmp.Compare(a.notification.User, b.notification.User),
			cmp.Compare(a.notification.Origin, b.notification.Origin),
			cmp.Compare(a.notification.Payload.Scope, b.notification.Payload.Scope),
			cmp.Compare(a.notification.ID, b.notification.ID),
		)
	})
	for i := 1; i < len(entries); i++ {
		if e := entries[i]; e.kind().scoped && e.place() == entries[i-1].place() {
			return nil, fmt.Errorf("notification %d: scope %q of origin %q appears twice for the same user in one commit",
				e.index, e.notification.Payload.Scope, e.notification.Origin)
		}
	}
	return entries, nil
}

// rank orders kinds: broadcasts first.
func rank(k kind) int {
	return pick(k.broadcast, 0, 2) + pick(k.scoped, 0, 1)
}

func entryOf(n signalbox.Notification) (*entry, error) {
	var ok bool
	if n.ID, ok = canonicalUUID(n.ID); !ok {
		return nil, errors.New("the id is not a UUID")
	}
	if n.RequestID, ok = canonicalUUID(n.RequestID); !ok {
		return nil, errors.New("the request id is not a UUID")
	}
	if n.Created.IsZero() {
		return nil, errors.New("the time of creation is missing")
	}
	e := &entry{search: searchText(n.Payload)}
	if len(n.Payload.AdditionalLinks) > 0 {
		links, err := json.Marshal(n.Payload.AdditionalLinks)
		if err != nil {
			return nil, fmt.Errorf("additional links: %w", err)
		}
		e.links = string(links)
	} else {
		n.Payload.AdditionalLinks = nil
	}
	if len(n.Payload.Metadata) == 0 {
		n.Payload.Metadata = nil
	}
	// As the row will be read.
	n.Payload.Severity = signalbox.SeverityFromRank(n.Payload.Severity.Rank())
	n.Created, n.Updated = storedTime(n.Created), storedTime(n.Updated)
	n.Read, n.Saved, n.SnoozedUntil, n.Woken = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	e.notification = n
	return e, nil
}

// storedTime is t as the database keeps it: UTC, microseconds.
func storedTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// batchesOf cuts sorted entries into statements.
func batchesOf(entries []*entry) []batch {
	var (
		batches []batch
		size    int
	)
	for _, e := range entries {
		if e.settled {
			continue
		}
		last := len(batches) - 1
		if last < 0 || batches[last].kind != e.kind() || len(batches[last].entries) >= batchRows || size >= batchBytes {
			batches, size = append(batches, batch{kind: e.kind()}), 0
			last++
		}
		batches[last].entries = append(batches[last].entries, e)
		size += e.bytes()
	}
	return batches
}

// lockedUsers returns the sorted users whose counts a transaction of these
// batches locks first; none when a single statement of new rows locks them in
// order by itself.
func lockedUsers(batches []batch) []string {
	if len(batches) == 0 || len(batches) == 1 && !batches[0].kind.scoped {
		return nil
	}
	var users []string
	for _, b := range batches {
		users = append(users, b.users()...)
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// users returns the users of a batch, in order; the empty one for broadcasts.
func (b batch) users() []string {
	users := make([]string, 0, len(b.entries))
	for _, e := range b.entries {
		if n := len(users); n == 0 || users[n-1] != e.notification.User {
			users = append(users, e.notification.User)
		}
	}
	return users
}
