package storage

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

const (
	// seenGeneration is how many entries each of the two generations of a
	// [seenCache] has room for: together some 10 MB.
	seenGeneration = 200_000
	// seenRows is how many rows one statement records.
	seenRows = 10_000
	// day is how exactly settings_seen knows when something was last seen.
	day = 24 * time.Hour
)

// seenCache knows what settings_seen has as of today, so that a commit of what is
// known adds no statement. It keeps 64-bit hashes under a seed of its own: that two of
// those it holds collide has odds of less than one in 10⁸, and costs one row on
// one user's settings page.
//
// It is two generations: when the younger is full, the older is forgotten.
type seenCache struct {
	seed  maphash.Seed
	limit int

	mu             sync.Mutex
	younger, older map[uint64]struct{}
}

func newSeenCache(limit int) *seenCache {
	return &seenCache{seed: maphash.MakeSeed(), limit: limit, younger: make(map[uint64]struct{})}
}

// seenToday is what the cache knows: something, and on which day.
type seenToday struct {
	signalbox.Received

	day int64
}

func (c *seenCache) hash(r signalbox.Received, now time.Time) uint64 {
	return maphash.Comparable(c.seed, seenToday{r, now.Unix() / int64(day/time.Second)})
}

// filter removes what is known from list, in place.
func (c *seenCache) filter(list []signalbox.Received, now time.Time) []signalbox.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(list, func(r signalbox.Received) bool {
		hash := c.hash(r, now)
		if _, known := c.younger[hash]; known {
			return true
		}
		_, known := c.older[hash]
		if known {
			c.put(hash) // it is in use, so it stays
		}
		return known
	})
}

// add remembers what was stored.
func (c *seenCache) add(list []signalbox.Received, now time.Time) {
	if len(list) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range list {
		c.put(c.hash(r, now))
	}
}

func (c *seenCache) put(hash uint64) {
	if len(c.younger) >= c.limit {
		c.older, c.younger = c.younger, make(map[uint64]struct{}, c.limit)
	}
	c.younger[hash] = struct{}{}
}

// unseen returns what a commit has to record, sorted and each once: what reaches
// users by its notifications and otherwise, without what is known to be there.
func (s *Store) unseen(entries []*entry, beside []signalbox.Received) []signalbox.Received {
	list := make([]signalbox.Received, 0, len(entries)+len(beside))
	for _, e := range entries {
		n := &e.notification
		list = append(list, signalbox.Received{User: n.User, Origin: n.Origin, Topic: n.Payload.Topic})
	}
	list = s.seen.filter(append(list, beside...), s.now())
	slices.SortFunc(list, func(a, b signalbox.Received) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Topic, b.Topic))
	})
	return slices.Compact(list)
}

// seenQueries record what reached users. PostgreSQL takes it as arrays, SQLite as
// JSON. What was seen within a day stays as it is: then several instances that find
// out the same write it once.
var seenQueries = map[database.Dialect]string{
	database.Postgres: `INSERT INTO settings_seen (last_seen, user_ref, origin, topic)
SELECT $1::timestamptz, r.* FROM unnest($2::text[], $3::text[], $4::text[]) AS r(user_ref, origin, topic)
ON CONFLICT (user_ref, origin, topic) DO UPDATE SET last_seen = excluded.last_seen
WHERE settings_seen.last_seen < excluded.last_seen - interval '1 day'`,
	database.SQLite: `INSERT INTO settings_seen (last_seen, user_ref, origin, topic)
SELECT $1, value ->> 0, value ->> 1, value ->> 2 FROM json_each($2) WHERE true
ON CONFLICT (user_ref, origin, topic) DO UPDATE SET last_seen = excluded.last_seen
WHERE settings_seen.last_seen < excluded.last_seen - 86400000000`,
}

// recordSeen records what reached users, sorted.
func (s *Store) recordSeen(ctx context.Context, tx *sql.Tx, list []signalbox.Received) error {
	last := s.db.Dialect.TimeArg(s.now())
	for part := range slices.Chunk(list, seenRows) {
		users, origins, topics := make([]string, len(part)), make([]string, len(part)), make([]string, len(part))
		for i, r := range part {
			users[i], origins[i], topics[i] = r.User, r.Origin, r.Topic
		}
		args := append([]any{last}, s.placesArgs(users, origins, topics)...)
		if _, err := tx.ExecContext(ctx, seenQueries[s.db.Dialect], args...); err != nil {
			return fmt.Errorf("seen: %w", err)
		}
	}
	return nil
}

// seenTopicsQuery takes the newest topic of every origin, then the next ones, so
// that an origin with many topics pushes out none of the others.
const seenTopicsQuery = `SELECT origin, topic FROM (
	SELECT origin, topic, max(last_seen) AS last_seen,
		row_number() OVER (PARTITION BY origin ORDER BY max(last_seen) DESC, topic) AS place
	FROM settings_seen WHERE user_ref IN ($1, '') GROUP BY origin, topic
) AS ranked ORDER BY place, last_seen DESC, origin, topic LIMIT $2`

// Seen implements [signalbox.SettingsStore].
func (s *Store) Seen(ctx context.Context, user string) ([]signalbox.SeenTopic, error) {
	if user == "" {
		return nil, errNoUser
	}
	list := []signalbox.SeenTopic{}
	if !storable(user) {
		return list, nil
	}
	rows, err := s.read.query(ctx, seenTopicsQuery, user, signalbox.MaxSeenTopics)
	err = each(rows, err, func(rows *sql.Rows) error {
		var seen signalbox.SeenTopic
		err := rows.Scan(&seen.Origin, &seen.Topic)
		list = append(list, seen)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storage: seen: %w", database.Classify(err))
	}
	return list, nil
}

// DeleteSeen forgets which origins and topics reached users that have not since before,
// in transactions of at most batch rows (1,000 if batch is not positive), and returns
// how many rows they were. A switch that the user has set is listed all the same.
func (s *Store) DeleteSeen(ctx context.Context, before time.Time, batch int) (deleted int, err error) {
	return s.deleteBatches(ctx, "seen", `DELETE FROM settings_seen WHERE last_seen < $1 AND (user_ref, origin, topic) IN
(SELECT user_ref, origin, topic FROM settings_seen WHERE last_seen < $1 LIMIT $2)`, before, batch)
}
