package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// Two sources make a trace. The table of deliveries has what nothing else tells.
// What a request put into an inbox as a new row is that row: its identifier is
// derived from the request, and begins with the same time.

func errNoTrace() error {
	return signalbox.Errorf(signalbox.CodeNotFound, "Nothing is known of this request: it does not exist, is not processed yet, or is forgotten")
}

// traceCursor is a place in a trace: behind a delivery, or behind an inbox row.
type traceCursor struct {
	Delivery *signalbox.DeliveryKey `json:"d,omitempty"`
	Row      string                 `json:"r,omitempty"`
}

func decodeTraceCursor(text string) (c traceCursor, err error) {
	if text == "" {
		return c, nil
	}
	err = decodeCursor(text, &c)
	_, isID := canonicalUUID(c.Row)
	if err != nil || c.Row != "" && !isID || c.Delivery != nil && !storable(string(c.Delivery.Audience)+c.Delivery.Channel+c.Delivery.Target) {
		return c, errCursor()
	}
	return c, nil
}

// RequestTrace implements [signalbox.TraceStore].
func (s *Store) RequestTrace(ctx context.Context, requestID, cursor string, limit int) (signalbox.Trace, error) {
	id, ok := canonicalUUID(requestID)
	if !ok {
		return signalbox.Trace{}, errNoTrace()
	}
	from, err := decodeTraceCursor(cursor)
	if err != nil {
		return signalbox.Trace{}, err
	}
	var trace signalbox.Trace
	// Several queries must not tell of different moments: of deliveries, and not of the
	// recipients nobody knows.
	err = s.db.InSnapshot(ctx, func(tx *sql.Tx) (err error) {
		trace, err = requestTrace(ctx, snapshot{tx}, id, from, min(max(limit, 1), signalbox.MaxTracePage))
		return err
	})
	if err != nil {
		return trace, fmt.Errorf("storage: trace: %w", err)
	}
	if trace.Request.ID == "" {
		return trace, errNoTrace()
	}
	return trace, nil
}

func requestTrace(ctx context.Context, db reading, id string, from traceCursor, limit int) (signalbox.Trace, error) {
	var trace signalbox.Trace
	rows := inboxRows{db: db, request: id}
	known, err := requestRecord(ctx, db, id, &trace.Request)
	if err != nil {
		return trace, err
	}
	if from.Delivery == nil && from.Row == "" {
		if trace.Summary, err = countDeliveries(ctx, db, id); err != nil {
			return trace, err
		}
		stored, err := rows.count(ctx)
		if err != nil {
			return trace, err
		}
		trace.Summary = addCount(trace.Summary, stored)
	}
	if from.Row == "" {
		if trace.Deliveries, err = deliveriesFrom(ctx, db, id, from.Delivery, limit+1); err != nil {
			return trace, err
		}
	}
	if len(trace.Deliveries) <= limit {
		more, err := rows.page(ctx, from.Row, limit+1-len(trace.Deliveries))
		if err != nil {
			return trace, err
		}
		trace.Deliveries = append(trace.Deliveries, more...)
	}
	if len(trace.Deliveries) > limit {
		trace.Deliveries = trace.Deliveries[:limit]
		last := trace.Deliveries[limit-1]
		if isDerived(last) {
			trace.Next = encodeCursor(traceCursor{Row: last.NotificationID})
		} else {
			trace.Next = encodeCursor(traceCursor{Delivery: &last.DeliveryKey})
		}
	}
	if !known && len(trace.Deliveries) > 0 {
		first := trace.Deliveries[0]
		trace.Request = signalbox.RequestRecord{
			ID: id, Origin: first.Origin, Created: first.Created, Updated: first.Updated, Status: signalbox.RequestProcessed,
		}
		for _, count := range trace.Summary {
			if count.Channel == signalbox.ChannelWeb {
				trace.Request.Recipients += count.Count
			}
		}
	}
	return trace, nil
}

// requestRecord reads the record of a request into r, and returns whether there is
// one.
func requestRecord(ctx context.Context, db reading, id string, r *signalbox.RequestRecord) (known bool, err error) {
	rows, err := db.query(ctx, `SELECT id, origin, status, recipients, unknown, stage, error, attempts, created, updated
FROM requests WHERE id = $1`, id)
	err = each(rows, err, func(rows *sql.Rows) error {
		var (
			unknown          []byte
			created, updated database.Time
		)
		if err := rows.Scan(&r.ID, &r.Origin, &r.Status, &r.Recipients, &unknown, &r.Stage, &r.Error, &r.Attempts, &created, &updated); err != nil {
			return err
		}
		known, r.Created, r.Updated = true, created.Time, updated.Time
		return json.Unmarshal(unknown, &r.Unknown)
	})
	return known, err
}

func countDeliveries(ctx context.Context, db reading, id string) ([]signalbox.TraceCount, error) {
	var counts []signalbox.TraceCount
	rows, err := db.query(ctx, `SELECT channel, status, rule, count(*) FROM deliveries WHERE request_id = $1
GROUP BY channel, status, rule ORDER BY channel, status, rule`, id)
	err = each(rows, err, func(rows *sql.Rows) error {
		var c signalbox.TraceCount
		err := rows.Scan(&c.Channel, &c.Status, &c.Rule, &c.Count)
		counts = append(counts, c)
		return err
	})
	return counts, err
}

// addCount counts inbox rows beside what was recorded.
func addCount(counts []signalbox.TraceCount, stored int) []signalbox.TraceCount {
	if stored == 0 {
		return counts
	}
	web := signalbox.TraceCount{Channel: signalbox.ChannelWeb, Status: signalbox.DeliveryDelivered, Count: stored}
	for i := range counts {
		if c := &counts[i]; c.Channel == web.Channel && c.Status == web.Status && c.Rule == "" {
			c.Count += stored
			return counts
		}
	}
	return append([]signalbox.TraceCount{web}, counts...)
}

// deliveriesFrom reads records of a request behind a key.
func deliveriesFrom(ctx context.Context, db reading, id string, behind *signalbox.DeliveryKey, limit int) ([]signalbox.DeliveryRecord, error) {
	if behind == nil {
		return scanDeliveries(db.query(ctx, "SELECT "+deliveryColumns+` FROM deliveries WHERE request_id = $1
ORDER BY audience, channel, target LIMIT $2`, id, limit))
	}
	return scanDeliveries(db.query(ctx, "SELECT "+deliveryColumns+` FROM deliveries
WHERE request_id = $1 AND (audience, channel, target) > ($2, $3, $4)
ORDER BY audience, channel, target LIMIT $5`, id, behind.Audience, behind.Channel, behind.Target, limit))
}

func scanDeliveries(rows *sql.Rows, err error) ([]signalbox.DeliveryRecord, error) {
	list := []signalbox.DeliveryRecord{}
	err = each(rows, err, func(rows *sql.Rows) error {
		r, err := scanDelivery(rows)
		list = append(list, r)
		return err
	})
	return list, err
}

// UserDeliveries implements [signalbox.TraceStore].
func (s *Store) UserDeliveries(ctx context.Context, requestID, user string) ([]signalbox.DeliveryRecord, error) {
	id, ok := canonicalUUID(requestID)
	if !ok || !storable(user) {
		return nil, nil
	}
	// Users' references begin with "user:", and ';' follows on ':'.
	list, err := scanDeliveries(s.read.query(ctx, "SELECT "+deliveryColumns+` FROM deliveries WHERE request_id = $1
AND (audience = $2 OR audience > '' AND audience < 'user:' OR audience >= 'user;')
ORDER BY audience, channel, target LIMIT $3`, id, user, signalbox.MaxTracePage))
	if err != nil {
		return nil, fmt.Errorf("storage: deliveries: %w", database.Classify(err))
	}
	return list, nil
}

// Lookup implements [signalbox.TraceStore].
func (s *Store) Lookup(ctx context.Context, id string) (signalbox.Notification, error) {
	canonical, ok := canonicalUUID(id)
	if ok {
		for _, query := range []string{
			"SELECT " + rowColumns + " FROM notifications WHERE id = $1",
			"SELECT " + broadcastColumns + " FROM broadcasts WHERE id = $1",
		} {
			rows, err := s.read.query(ctx, query, canonical)
			found, err := scanNotifications(s.now(), rows, err)
			if err != nil {
				return signalbox.Notification{}, fmt.Errorf("storage: look up: %w", database.Classify(err))
			}
			if len(found) > 0 {
				return found[0], nil
			}
		}
	}
	return signalbox.Notification{}, signalbox.Errorf(signalbox.CodeNotFound, "Notification not found")
}

// isDerived reports whether a record was read off an inbox row. What is recorded
// of the inbox is about rows that other requests made, or about none.
func isDerived(r signalbox.DeliveryRecord) bool {
	return r.Channel == signalbox.ChannelWeb && r.Status == signalbox.DeliveryDelivered &&
		r.NotificationID == signalbox.NotificationID(r.RequestID, userOf(r.Audience))
}

// userOf is the user of an audience as notifications have it.
func userOf(a signalbox.Audience) string {
	if a == signalbox.Everyone {
		return ""
	}
	return string(a)
}

// inboxRows are the rows that a request added to the inbox.
type inboxRows struct {
	db      reading
	request string
}

// inboxStep is how many rows of the same millisecond are looked at in one query.
const inboxStep = 5000

// each calls found for the rows behind an identifier, until it returns false.
func (r inboxRows) each(ctx context.Context, behind string, found func(signalbox.DeliveryRecord) bool) error {
	stamp := strings.ToLower(r.request[:13]) // 48 bits and a dash
	for _, table := range []string{"broadcasts", "notifications"} {
		// Broadcasts come first, and a cursor does not say which table it is of: of
		// one request there is one broadcast, or rows of users.
		user := pick(table == "broadcasts", "''", "user_ref")
		query := "SELECT id, " + user + ", origin, created FROM " + table +
			" WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
		last := stamp + "-0000-0000-000000000000"
		if behind != "" {
			last = behind
		}
		for more := true; more; {
			scanned, stopped := 0, false
			rows, err := r.db.query(ctx, query, last, stamp+"-ffff-ffff-ffffffffffff", inboxStep)
			if err := each(rows, err, func(rows *sql.Rows) error {
				record := signalbox.DeliveryRecord{Status: signalbox.DeliveryDelivered, Attempts: 1}
				var (
					user    string
					created database.Time
				)
				if err := rows.Scan(&last, &user, &record.Origin, &created); err != nil {
					return err
				}
				scanned++
				if stopped || last != signalbox.NotificationID(r.request, user) {
					return nil
				}
				record.DeliveryKey = signalbox.DeliveryKey{
					RequestID: r.request, Audience: signalbox.UserAudience(user), Channel: signalbox.ChannelWeb,
				}
				record.NotificationID, record.Created, record.Updated = last, created.Time, created.Time
				stopped = !found(record)
				return nil
			}); err != nil {
				return err
			}
			if stopped {
				return nil
			}
			more = scanned == inboxStep
		}
	}
	return nil
}

func (r inboxRows) count(ctx context.Context) (n int, err error) {
	err = r.each(ctx, "", func(signalbox.DeliveryRecord) bool { n++; return true })
	return n, err
}

func (r inboxRows) page(ctx context.Context, behind string, limit int) (list []signalbox.DeliveryRecord, err error) {
	err = r.each(ctx, behind, func(record signalbox.DeliveryRecord) bool {
		list = append(list, record)
		return len(list) < limit
	})
	return list, err
}
