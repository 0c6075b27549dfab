package storagetest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// model is an inbox in memory, written for clarity: what every store must do.
type model struct {
	rows []*signalbox.Notification
	// marks holds what users did to broadcasts, by user and identifier.
	marks map[[2]string]*mark
	// naps are the last snoozes, by user and identifier.
	naps map[[2]string]nap
	now  func() time.Time
}

type mark struct {
	read     time.Time
	revision int64
	saved    time.Time
}

// nap is a snooze of one revision, and what it replaced.
type nap struct {
	revision            int64
	until, before, read time.Time
}

func newModel(now func() time.Time) *model {
	return &model{marks: make(map[[2]string]*mark), naps: make(map[[2]string]nap), now: now}
}

// commit stores one notification and reports whether that changed anything.
func (m *model) commit(n signalbox.Notification) bool {
	for _, row := range m.rows {
		if row.ID == n.ID && n.Payload.Scope == "" {
			return false
		}
		if n.Payload.Scope == "" || row.User != n.User || row.Origin != n.Origin || row.Payload.Scope != n.Payload.Scope {
			continue
		}
		if n.Revision <= row.Revision {
			return false
		}
		row.Payload, row.RequestID, row.Revision = n.Payload, n.RequestID, n.Revision
		row.Updated, row.Read = n.Revised(), time.Time{}
		return true
	}
	m.rows = append(m.rows, &n)
	return true
}

// as returns a row as user sees it.
func (m *model) as(user string, row *signalbox.Notification) signalbox.Notification {
	n := *row
	if mark := m.marks[[2]string{user, n.ID}]; n.IsBroadcast() && mark != nil {
		n.Saved = mark.saved
		if mark.revision >= n.Revision {
			n.Read = mark.read
		}
	}
	switch nap := m.naps[[2]string{user, n.ID}]; {
	case nap.revision < n.Revision:
	case nap.until.After(m.now()):
		n.SnoozedUntil = nap.until
	default:
		n.Woken = nap.until
	}
	return n
}

// list returns the rows of a page.
func (m *model) list(user string, filter signalbox.Filter, page signalbox.Page) []signalbox.Notification {
	rows := []signalbox.Notification{}
	for _, row := range m.rows {
		if n := m.as(user, row); (n.User == user || n.IsBroadcast()) && matches(n, filter) {
			rows = append(rows, n)
		}
	}
	order := page.Order
	if len(order) == 0 {
		order = []signalbox.Order{{Field: signalbox.OrderArrived, Descending: true}}
	}
	order = append(slices.Clone(order), signalbox.Order{Field: signalbox.OrderID, Descending: order[len(order)-1].Descending})
	slices.SortFunc(rows, func(a, b signalbox.Notification) int {
		for _, term := range order {
			c := compare(a, b, term.Field)
			if term.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	if page.After != nil {
		for len(rows) > 0 && cmp.Or(rows[0].Arrived().Compare(page.After.Arrived), cmp.Compare(rows[0].ID, page.After.ID)) >= 0 {
			rows = rows[1:]
		}
	}
	rows = rows[min(page.Offset, len(rows)):]
	if page.HasLimit {
		rows = rows[:min(page.Limit, len(rows))]
	}
	return rows
}

// update applies a change and returns how many flags it altered.
func (m *model) update(user string, filter signalbox.Filter, change signalbox.Change) (updated signalbox.Updated) {
	set := func(flag *time.Time, to *bool, ids *[]string, id string) {
		if to == nil || *to == !flag.IsZero() {
			return
		}
		*flag = time.Time{}
		if *to {
			*flag = m.now()
		}
		*ids = append(*ids, id)
	}
	for _, row := range m.rows {
		n := m.as(user, row)
		if n.User != user && !n.IsBroadcast() || !matches(n, filter) {
			continue
		}
		if m.snooze(user, &n, change) {
			updated.SnoozedIDs = append(updated.SnoozedIDs, n.ID)
		}
		if n.SnoozedUntil.IsZero() {
			set(&n.Read, change.Read, &updated.ReadIDs, n.ID)
		}
		set(&n.Saved, change.Saved, &updated.SavedIDs, n.ID)
		if n.IsBroadcast() {
			m.marks[[2]string{user, n.ID}] = &mark{read: n.Read, revision: n.Revision, saved: n.Saved}
		} else {
			row.Read, row.Saved = n.Read, n.Saved
		}
	}
	updated.Read, updated.Saved, updated.Snoozed = len(updated.ReadIDs), len(updated.SavedIDs), len(updated.SnoozedIDs)
	return updated
}

// snooze does what a change says of snoozing, and reports whether it did anything.
func (m *model) snooze(user string, n *signalbox.Notification, change signalbox.Change) bool {
	key := [2]string{user, n.ID}
	last := m.naps[key]
	switch {
	case change.SnoozedUntil == nil || n.SnoozedUntil.Equal(*change.SnoozedUntil):
		return false
	case change.SnoozedUntil.IsZero():
		m.naps[key] = nap{revision: n.Revision, until: last.before}
		n.SnoozedUntil = time.Time{}
		if change.Read == nil {
			n.Read = last.read
		}
		return true
	}
	next := nap{revision: n.Revision, until: *change.SnoozedUntil, before: n.Woken, read: n.Read}
	if !n.SnoozedUntil.IsZero() {
		next.before, next.read = last.before, last.read
	}
	m.naps[key] = next
	n.SnoozedUntil, n.Read = next.until, time.Time{}
	return true
}

// deleteExpired deletes the rows that arrived before a time, for everyone.
func (m *model) deleteExpired(before time.Time) int {
	all := len(m.rows)
	m.rows = slices.DeleteFunc(m.rows, func(n *signalbox.Notification) bool {
		for key, nap := range m.naps {
			if key[1] == n.ID && nap.revision >= n.Revision && !nap.until.Before(before) {
				return false
			}
		}
		return n.Revised().Before(before)
	})
	for key := range m.marks {
		if !slices.ContainsFunc(m.rows, func(n *signalbox.Notification) bool { return n.ID == key[1] }) {
			delete(m.marks, key)
		}
	}
	return all - len(m.rows)
}

// topics returns the distinct topics of the rows that filter selects.
func (m *model) topics(user string, filter signalbox.Filter) []string {
	topics := []string{}
	for _, n := range m.list(user, filter, signalbox.Page{}) {
		if n.Payload.Topic != "" {
			topics = append(topics, n.Payload.Topic)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

func matches(n signalbox.Notification, f signalbox.Filter) bool {
	search := strings.ToLower(f.Search)
	return (len(f.IDs) == 0 || slices.Contains(f.IDs, n.ID)) &&
		(f.Topic == "" || n.Payload.Topic == f.Topic) &&
		(f.Origin == "" || n.Origin == f.Origin) &&
		(strings.Contains(strings.ToLower(n.Payload.Title), search) || strings.Contains(strings.ToLower(n.Payload.Description), search)) &&
		(f.Read == nil || *f.Read == !n.Read.IsZero()) &&
		(f.Saved == nil || *f.Saved == !n.Saved.IsZero()) &&
		(f.Snoozed == !n.SnoozedUntil.IsZero() || !f.Snoozed && len(f.IDs) > 0) &&
		!n.Arrived().Before(f.CreatedAfter) &&
		(f.MinimumSeverity == "" || n.Payload.Severity.Rank() >= f.MinimumSeverity.Rank())
}

// compare compares a field; absent values are greater than all others.
func compare(a, b signalbox.Notification, field signalbox.OrderField) int {
	times := func(a, b time.Time) int {
		if a.IsZero() || b.IsZero() {
			return cmp.Compare(absent(a.IsZero()), absent(b.IsZero()))
		}
		return a.Compare(b)
	}
	switch field {
	case signalbox.OrderArrived:
		return a.Arrived().Compare(b.Arrived())
	case signalbox.OrderUpdated:
		return times(a.Updated, b.Updated)
	case signalbox.OrderRead:
		return times(a.Read, b.Read)
	case signalbox.OrderSaved:
		return times(a.Saved, b.Saved)
	case signalbox.OrderOrigin:
		return cmp.Compare(a.Origin, b.Origin)
	case signalbox.OrderTopic:
		return cmp.Or(cmp.Compare(absent(a.Payload.Topic == ""), absent(b.Payload.Topic == "")), cmp.Compare(a.Payload.Topic, b.Payload.Topic))
	case signalbox.OrderTitle:
		return cmp.Compare(a.Payload.Title, b.Payload.Title)
	case signalbox.OrderSeverity:
		return cmp.Compare(a.Payload.Severity.Rank(), b.Payload.Severity.Rank())
	default:
		return cmp.Compare(a.ID, b.ID)
	}
}

func absent(is bool) int {
	if is {
		return 1
	}
	return 0
}
