package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// deliveryColumns are those of a record, in the order in which scanDelivery reads
// them.
const deliveryColumns = `request_id, audience, channel, target, notification_id, origin, status, rule,
	address, detail, provider_id, attempts, next_attempt, created, updated`

func scanDelivery(rows interface{ Scan(into ...any) error }) (signalbox.DeliveryRecord, error) {
	var (
		r                      signalbox.DeliveryRecord
		next, created, updated database.Time
	)
	err := rows.Scan(&r.RequestID, &r.Audience, &r.Channel, &r.Target, &r.NotificationID, &r.Origin, &r.Status, &r.Rule,
		&r.Address, &r.Detail, &r.ProviderID, &r.Attempts, &next, &created, &updated)
	r.Next, r.Created, r.Updated = next.Time, created.Time, updated.Time
	return r, err
}

// deliveryRow is a record as the write statements read it out of JSON: one text
// fits any number of rows on both databases.
type deliveryRow struct {
	RequestID      string `json:"request_id"`
	Audience       string `json:"audience"`
	Channel        string `json:"channel"`
	Target         string `json:"target"`
	NotificationID string `json:"notification_id"`
	Origin         string `json:"origin"`
	Status         string `json:"status"`
	Rule           string `json:"rule"`
	Address        string `json:"address"`
	Detail         string `json:"detail"`
	ProviderID     string `json:"provider_id"`
	Attempts       int    `json:"attempts"`
	Next           any    `json:"next_attempt"`
	Created        any    `json:"created"`
	Updated        any    `json:"updated"`
}

func (s *Store) deliveryRow(r *signalbox.DeliveryRecord) deliveryRow {
	return deliveryRow{
		RequestID: r.RequestID, Audience: string(r.Audience), Channel: r.Channel, Target: printable(r.Target),
		NotificationID: r.NotificationID, Origin: r.Origin, Status: string(r.Status), Rule: string(r.Rule),
		Address: printable(r.Address), Detail: printable(r.Detail), ProviderID: printable(r.ProviderID), Attempts: r.Attempts,
		Next: s.db.Dialect.TimeArg(r.Next), Created: s.db.Dialect.TimeArg(r.Created), Updated: s.db.Dialect.TimeArg(r.Updated),
	}
}

// deliverySource is a table of the rows in $1.
var deliverySource = map[database.Dialect]string{
	database.Postgres: `SELECT ` + deliveryColumns + ` FROM json_to_recordset($1::json) AS r(request_id uuid, audience text,
	channel text, target text, notification_id uuid, origin text, status text, rule text, address text, detail text,
	provider_id text, attempts integer, next_attempt timestamptz, created timestamptz, updated timestamptz) WHERE true`,
	database.SQLite: `SELECT value ->> 'request_id', value ->> 'audience', value ->> 'channel', value ->> 'target',
	value ->> 'notification_id', value ->> 'origin', value ->> 'status', value ->> 'rule', value ->> 'address', value ->> 'detail',
	value ->> 'provider_id', value ->> 'attempts', value ->> 'next_attempt', value ->> 'created', value ->> 'updated'
FROM json_each($1) WHERE true`,
}

// deliveryRows is how many records one statement writes.
const deliveryRows = 1000

// addDeliveries adds records that are not there and returns the messages of those.
func (s *Store) addDeliveries(ctx context.Context, tx *sql.Tx, list []signalbox.NewDelivery) ([]signalbox.Message, error) {
	if len(list) == 0 {
		return nil, nil
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b signalbox.NewDelivery) int { return compareKeys(a.DeliveryKey, b.DeliveryKey) })
	query := "INSERT INTO deliveries (" + deliveryColumns + ") " + deliverySource[s.db.Dialect] +
		" ON CONFLICT (request_id, audience, channel, target) DO NOTHING RETURNING request_id, audience, channel, target"
	var messages []signalbox.Message
	for part := range slices.Chunk(list, deliveryRows) {
		byKey := make(map[signalbox.DeliveryKey]*signalbox.Message, len(part))
		rows := make([]deliveryRow, len(part))
		for i := range part {
			part[i].Target = printable(part[i].Target) // as it comes back
			rows[i] = s.deliveryRow(&part[i].DeliveryRecord)
			byKey[part[i].DeliveryKey] = part[i].Message
		}
		added, err := s.writeDeliveries(ctx, tx, query, rows)
		if err != nil {
			return nil, err
		}
		// In the order of the list, so that messages go out in it.
		for i := range part {
			if message := byKey[part[i].DeliveryKey]; message != nil && added[part[i].DeliveryKey] {
				messages = append(messages, *message)
			}
			// The same one may be in the list again: two consumers split a delivery.
			delete(added, part[i].DeliveryKey)
		}
	}
	return messages, nil
}

// writeDeliveries runs a statement that returns the keys of what it wrote.
func (s *Store) writeDeliveries(ctx context.Context, tx *sql.Tx, query string, rows []deliveryRow) (map[signalbox.DeliveryKey]bool, error) {
	encoded, err := json.Marshal(rows)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	written := make(map[signalbox.DeliveryKey]bool, len(rows))
	found, err := tx.QueryContext(ctx, query, string(encoded))
	if err := each(found, err, func(rows *sql.Rows) error {
		var key signalbox.DeliveryKey
		err := rows.Scan(&key.RequestID, &key.Audience, &key.Channel, &key.Target)
		written[key] = true
		return err
	}); err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	return written, nil
}

func compareKeys(a, b signalbox.DeliveryKey) int {
	return cmp.Or(cmp.Compare(a.RequestID, b.RequestID), cmp.Compare(a.Audience, b.Audience),
		cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Target, b.Target))
}

// Delivery implements [signalbox.DeliveryStore].
func (s *Store) Delivery(ctx context.Context, key signalbox.DeliveryKey) (signalbox.DeliveryRecord, bool, error) {
	request, ok := canonicalUUID(key.RequestID)
	if !ok {
		return signalbox.DeliveryRecord{}, false, nil
	}
	row := s.db.Reader.QueryRowContext(ctx, "SELECT "+deliveryColumns+` FROM deliveries
WHERE request_id = $1 AND audience = $2 AND channel = $3 AND target = $4`, request, key.Audience, key.Channel, printable(key.Target))
	record, err := scanDelivery(row)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return record, false, nil
	case err != nil:
		return record, false, fmt.Errorf("storage: delivery: %w", database.Classify(err))
	}
	return record, true, nil
}

// replaceDeliveries stores records as they are now. What was delivered stays so:
// a second attempt, by a consumer whose lease ran out, may know less. It returns the
// keys of the others.
func (s *Store) replaceDeliveries(ctx context.Context, tx *sql.Tx, records []signalbox.DeliveryRecord) (map[signalbox.DeliveryKey]bool, error) {
	// A statement may meet a key once.
	latest := make(map[signalbox.DeliveryKey]signalbox.DeliveryRecord, len(records))
	for _, r := range records {
		if have, twice := latest[r.DeliveryKey]; !twice || have.Status != signalbox.DeliveryDelivered {
			latest[r.DeliveryKey] = r
		}
	}
	rows := make([]deliveryRow, 0, len(latest))
	for _, r := range latest {
		rows = append(rows, s.deliveryRow(&r))
	}
	slices.SortFunc(rows, func(a, b deliveryRow) int {
		return cmp.Or(cmp.Compare(a.RequestID, b.RequestID), cmp.Compare(a.Audience, b.Audience),
			cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Target, b.Target))
	})
	query := "INSERT INTO deliveries AS d (" + deliveryColumns + ") " + deliverySource[s.db.Dialect] +
		` ON CONFLICT (request_id, audience, channel, target) DO UPDATE SET status = excluded.status, rule = excluded.rule,
	address = excluded.address, detail = excluded.detail, provider_id = excluded.provider_id, attempts = excluded.attempts,
	next_attempt = excluded.next_attempt, updated = excluded.updated
WHERE d.status <> 'delivered' RETURNING request_id, audience, channel, target`
	replaced := make(map[signalbox.DeliveryKey]bool, len(rows))
	for part := range slices.Chunk(rows, deliveryRows) {
		written, err := s.writeDeliveries(ctx, tx, query, part)
		if err != nil {
			return nil, err
		}
		maps.Copy(replaced, written)
	}
	return replaced, nil
}

// Settle implements [signalbox.DeliveryStore].
func (s *Store) Settle(ctx context.Context, settlements []signalbox.Settlement) error {
	var wake []string
	err := s.db.InTx(ctx, func(tx *sql.Tx) error {
		valid, topics, err := s.endLeases(ctx, tx, settlements)
		if err != nil {
			return err
		}
		messages, err := s.writeChanges(ctx, tx, changesOf(valid), valid)
		if err != nil {
			return err
		}
		wake = slices.Concat(topics, topicsOf(messages))
		if len(messages) == 0 {
			return nil
		}
		return s.queue.PublishTx(ctx, tx, messages...)
	})
	if err != nil {
		return fmt.Errorf("storage: settle: %w", err)
	}
	if len(wake) > 0 {
		slices.Sort(wake)
		s.queue.Wake(wake...)
	}
	return nil
}

// changes are what settlements do to the tables, each in one list.
type changes struct {
	letters  []signalbox.DeadLetter
	records  []signalbox.DeliveryRecord
	split    []signalbox.DeliveryKey
	children []signalbox.NewDelivery
	held     []signalbox.HeldDelivery
	unheld   []signalbox.DeliveryKey
}

func changesOf(settlements []signalbox.Settlement) changes {
	var c changes
	for _, one := range settlements {
		switch {
		case one.Record.RequestID == "":
		case (len(one.Children) > 0 || one.Replaced) && one.Postponed == nil:
			c.split = append(c.split, one.Record.DeliveryKey)
		default:
			c.records = append(c.records, one.Record)
		}
		c.records = append(c.records, one.Members...)
		if one.Held != nil {
			c.held = append(c.held, *one.Held)
		}
		if one.Unhold {
			c.unheld = append(c.unheld, one.Record.DeliveryKey)
		}
		c.children = append(c.children, one.Children...)
		if one.DeadLetter != nil {
			c.letters = append(c.letters, *one.DeadLetter)
		}
	}
	return c
}

// writeChanges writes the changes of settlements in the order of locks, and returns
// the messages of deliveries that are new.
func (s *Store) writeChanges(ctx context.Context, tx *sql.Tx, c changes, settlements []signalbox.Settlement) ([]signalbox.Message, error) {
	if err := s.bury(ctx, tx, c.letters); err != nil {
		return nil, err
	}
	replaced, err := s.replaceDeliveries(ctx, tx, c.records)
	if err != nil {
		return nil, err
	}
	if err := s.removeDeliveries(ctx, tx, c.split); err != nil {
		return nil, err
	}
	messages, err := s.addDeliveries(ctx, tx, c.children)
	if err != nil {
		return nil, err
	}
	if err := s.releaseThreads(ctx, tx, settlements); err != nil {
		return nil, err
	}
	// A digest has carried the others along meanwhile: nothing of them waits.
	held := slices.DeleteFunc(c.held, func(h signalbox.HeldDelivery) bool {
		h.Target = printable(h.Target)
		return !replaced[h.DeliveryKey]
	})
	if err := s.hold(ctx, tx, held); err != nil {
		return nil, err
	}
	return messages, s.unhold(ctx, tx, c.unheld)
}

// endLeases removes and postpones the messages at hand, and returns the settlements
// that count with the topics to wake. A consumer whose lease ran out may be settling a
// message that another consumer holds or has settled. Its settlement is dropped,
// because it would leave a record waiting for a message that is gone. A successful
// delivery counts anyway.
func (s *Store) endLeases(ctx context.Context, tx *sql.Tx, settlements []signalbox.Settlement) (valid []signalbox.Settlement, wake []string, err error) {
	var (
		done      []int64
		postponed []signalbox.Settlement
	)
	for _, one := range settlements {
		switch {
		case one.Lease.Position == 0: // there is no message at hand
		case one.Postponed != nil:
			postponed = append(postponed, one)
		default:
			done = append(done, one.Lease.Position)
		}
	}
	removed, err := s.queue.RemoveTx(ctx, tx, done)
	if err != nil {
		return nil, nil, err
	}
	back, wake, err := s.queue.PostponeTx(ctx, tx, postponed)
	if err != nil {
		return nil, nil, err
	}
	for _, one := range settlements {
		ended := removed
		if one.Postponed != nil {
			ended = back
		}
		if one.Lease.Position == 0 || sent(one) || slices.Contains(ended, one.Lease.Position) {
			valid = append(valid, one)
		}
	}
	return valid, wake, nil
}

// sent reports whether a settlement tells of something that was delivered: by itself,
// or in a digest, which need not tell of the delivery that carried it.
func sent(one signalbox.Settlement) bool {
	delivered := func(r signalbox.DeliveryRecord) bool { return r.Status == signalbox.DeliveryDelivered }
	return delivered(one.Record) || slices.ContainsFunc(one.Members, delivered)
}

// removeDeliveries removes records that others took the place of.
func (s *Store) removeDeliveries(ctx context.Context, tx *sql.Tx, keys []signalbox.DeliveryKey) error {
	slices.SortFunc(keys, compareKeys)
	for _, key := range keys {
		if _, err := tx.ExecContext(ctx, "DELETE FROM deliveries WHERE request_id = $1 AND audience = $2 AND channel = $3 AND target = $4",
			key.RequestID, key.Audience, key.Channel, key.Target); err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
	}
	return nil
}

// DeleteTrace deletes what is known of the requests that were accepted before, and
// of their deliveries, in transactions of at most batch rows (1,000 if batch is not
// positive), and returns how many rows they were. The inbox, dead letters and
// what is still on its way stay.
func (s *Store) DeleteTrace(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	if batch <= 0 {
		batch = defaultDeleteBatch
	}
	for _, statement := range []string{
		`DELETE FROM deliveries WHERE status <> 'queued' AND (request_id, audience, channel, target) IN
(SELECT request_id, audience, channel, target FROM deliveries WHERE request_id < $1 AND status <> 'queued'
 ORDER BY request_id, audience, channel, target LIMIT $2)`,
		`DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE id < $1 ORDER BY id LIMIT $2)`,
	} {
		n, err := s.deleteUntil(ctx, "trace", statement, uuidAt(before), batch)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}
