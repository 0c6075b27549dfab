package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// The list of recent deliveries has no index of its own, which every delivery would
// pay for. The keys of the three tables that tell of deliveries begin with a time, so
// the list goes back along them, and merges what it finds.

// recentReach is how many rows of a table one page looks at, so that a filter that
// matches next to nothing does not read whole tables.
const recentReach = 5_000

// recentSource is a table that tells of deliveries.
type recentSource struct {
	table string
	// key are the columns of the primary key; the first one begins with the time.
	key []string
	// columns are those that scanDelivery reads.
	columns string
	// audience is the column, or the constant.
	audience string
	// rows says that the table is of the inbox.
	rows bool
}

var recentSources = []recentSource{
	{table: "deliveries", key: []string{"request_id", "audience", "channel", "target"}, columns: deliveryColumns, audience: "audience"},
	{table: "broadcasts", key: []string{"id"}, columns: rowAsDelivery("'*'"), audience: "'*'", rows: true},
	{table: "notifications", key: []string{"id"}, columns: rowAsDelivery("user_ref"), audience: "user_ref", rows: true},
}

// rowAsDelivery are the columns of a delivery to the inbox.
func rowAsDelivery(audience string) string {
	return "request_id, " + audience + ", '" + signalbox.ChannelWeb + "', '', id, origin, '" + string(signalbox.DeliveryDelivered) +
		"', '', '', '', '', 1, NULL, created, created"
}

// recentCursor has a place for each of recentSources: the key behind which the list
// goes on, or a part of it, or nothing for the beginning.
type recentCursor [][]string

func decodeRecentCursor(text string) (recentCursor, error) {
	c := make(recentCursor, len(recentSources))
	if text == "" {
		return c, nil
	}
	if err := decodeCursor(text, &c); err != nil || len(c) != len(recentSources) {
		return nil, errCursor()
	}
	for i, place := range c {
		if len(place) == 0 {
			continue
		}
		id, isID := canonicalUUID(place[0])
		if !isID || len(place) > len(recentSources[i].key) || !storable(strings.Join(place, "")) {
			return nil, errCursor()
		}
		place[0] = id
	}
	return c, nil
}

// recentPart is what a page found in one source.
type recentPart struct {
	list []signalbox.DeliveryRecord
	// keys are those of list.
	keys [][]string
	// end is how far the source was read; nil if there is nothing behind.
	end []string
}

// RecentDeliveries implements [signalbox.TraceStore].
func (s *Store) RecentDeliveries(ctx context.Context, filter signalbox.DeliveryFilter, cursor string, limit int) (signalbox.DeliveryPage, error) {
	places, err := decodeRecentCursor(cursor)
	if err != nil {
		return signalbox.DeliveryPage{}, err
	}
	limit = min(max(limit, 1), signalbox.MaxTracePage)
	parts := make([]recentPart, len(recentSources))
	for i, source := range recentSources {
		if places[i] == nil && !filter.Before.IsZero() {
			places[i] = []string{uuidAt(filter.Before)}
		}
		if parts[i], err = s.recent(ctx, source, filter, places[i], limit); err != nil {
			return signalbox.DeliveryPage{}, fmt.Errorf("storage: recent deliveries: %w", database.Classify(err))
		}
	}
	return mergeRecent(parts, places, limit), nil
}

// recent reads what a filter chooses of a source behind a place.
func (s *Store) recent(ctx context.Context, source recentSource, f signalbox.DeliveryFilter, behind []string, limit int) (recentPart, error) {
	var part recentPart
	if source.rows && (f.Channel != "" && f.Channel != signalbox.ChannelWeb || f.Status != "" && f.Status != signalbox.DeliveryDelivered) ||
		!storable(f.Channel+string(f.Status)+f.Origin+string(f.Audience)) {
		return part, nil
	}
	q := &statement{dialect: s.db.Dialect}
	within := source.behind(q, behind)
	chosen := source.chosen(q, f)
	if chosen != "" {
		floor, err := s.recentFloor(ctx, source, behind)
		if err != nil {
			return part, err
		}
		if part.end = floor; floor != nil {
			within += " AND " + source.compare(q, ">=", floor)
		}
	}
	list, err := scanDeliveries(s.read.query(ctx, "SELECT "+source.columns+" FROM "+source.table+
		" WHERE "+within+chosen+source.order()+" LIMIT "+q.arg(limit+1), q.args...))
	if err != nil {
		return part, err
	}
	for i := range list {
		part.keys = append(part.keys, source.keyOf(&list[i]))
		if source.rows && list[i].NotificationID != signalbox.NotificationID(list[i].RequestID, userOf(list[i].Audience)) {
			list[i].RequestID = ""
		}
	}
	if part.list = list; len(list) > limit {
		part.list, part.keys = list[:limit], part.keys[:limit]
		part.end = part.keys[limit-1]
	}
	return part, nil
}

// recentFloor is the last key that a page looks at, or nil if it comes to the end.
func (s *Store) recentFloor(ctx context.Context, source recentSource, behind []string) ([]string, error) {
	q := &statement{dialect: s.db.Dialect}
	floor := make([]string, len(source.key))
	into := make([]any, len(floor))
	for i := range floor {
		into[i] = &floor[i]
	}
	err := s.db.Reader.QueryRowContext(ctx, "SELECT "+strings.Join(source.key, ", ")+" FROM "+source.table+
		" WHERE "+source.behind(q, behind)+source.order()+" LIMIT 1 OFFSET "+q.arg(recentReach-1), q.args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return floor, err
}

// order is from the newest to the oldest.
func (r recentSource) order() string {
	return " ORDER BY " + strings.Join(r.key, " DESC, ") + " DESC"
}

// behind is what comes after a place in that order; all without a place.
func (r recentSource) behind(q *statement, place []string) string {
	if len(place) == 0 {
		return "1 = 1"
	}
	return r.compare(q, "<", place)
}

// compare compares the key with a place, which may be a part of a key.
func (r recentSource) compare(q *statement, comparison string, place []string) string {
	arguments := make([]string, len(place))
	for i := range place {
		arguments[i] = q.arg(place[i])
	}
	return "(" + strings.Join(r.key[:len(place)], ", ") + ") " + comparison + " (" + strings.Join(arguments, ", ") + ")"
}

// chosen is what a filter demands beside the time.
func (r recentSource) chosen(q *statement, f signalbox.DeliveryFilter) string {
	var terms strings.Builder
	equal := func(column, value string) {
		if value != "" {
			terms.WriteString(" AND " + column + " = " + q.arg(value))
		}
	}
	if !r.rows {
		equal("channel", f.Channel)
		equal("status", string(f.Status))
	}
	equal("origin", f.Origin)
	equal(r.audience, string(f.Audience))
	return terms.String()
}

func (r recentSource) keyOf(d *signalbox.DeliveryRecord) []string {
	if r.rows {
		return []string{d.NotificationID}
	}
	return []string{d.RequestID, string(d.Audience), d.Channel, d.Target}
}

func stampOf(key []string) string { return key[0][:stampSize] }

// mergeRecent makes one page of the parts, which go back differently far, and moves
// the places behind it.
func mergeRecent(parts []recentPart, places recentCursor, limit int) signalbox.DeliveryPage {
	page := signalbox.DeliveryPage{Deliveries: []signalbox.DeliveryRecord{}}
	// A part that was cut short may still hold rows newer than rows of other parts, so
	// the page must not go past its end.
	reached := ""
	for i := range parts {
		if parts[i].end != nil {
			reached = max(reached, stampOf(parts[i].end))
		}
	}
	taken, last := make([]int, len(parts)), ""
	for len(page.Deliveries) < limit {
		next := -1
		for i := range parts {
			if taken[i] == len(parts[i].list) || stampOf(parts[i].keys[taken[i]]) < reached {
				continue
			}
			if next < 0 || stampOf(parts[i].keys[taken[i]]) > stampOf(parts[next].keys[taken[next]]) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		page.Deliveries = append(page.Deliveries, parts[next].list[taken[next]])
		places[next] = parts[next].keys[taken[next]]
		last = stampOf(places[next])
		taken[next]++
	}
	more := false
	for i := range parts {
		switch {
		case taken[i] < len(parts[i].list):
			more = true
		case parts[i].end != nil:
			more = true
			places[i] = parts[i].end
		}
	}
	if !more {
		return page
	}
	if len(page.Deliveries) == limit {
		reached = last
	}
	page.Reached = timeOfStamp(reached)
	places.below(uuidAt(page.Reached.Add(time.Millisecond)))
	page.Next = encodeCursor(places)
	return page
}

// below moves places down to where a page ended. A part of which the page had nothing
// would begin with what came meanwhile, which belongs before that page.
func (c recentCursor) below(id string) {
	for i, place := range c {
		if len(place) == 0 || place[0] > id {
			c[i] = []string{id}
		}
	}
}
