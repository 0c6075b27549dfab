// Package storage keeps the inbox, the commits of the pipeline and the accepted
// submissions on PostgreSQL and SQLite, and what became of every delivery. [Store]
// implements the root package's seams signalbox.Inbox, signalbox.Snoozes,
// signalbox.Committer, signalbox.Accepter, signalbox.SettingsStore,
// signalbox.ScheduleStore, signalbox.DeliveryStore, signalbox.TraceStore,
// signalbox.DeadLetterStore, signalbox.TokenStore, signalbox.SessionStore and
// signalbox.KeyStore.
//
// It imports the root package and storage/database. The queue comes in as a [Queue],
// so that messages are published in the transaction that stores what they tell of.
//
// Locks are always taken in one order, so that transactions wait for each other
// and do not deadlock: counts of users (sorted; the broadcasts have the empty
// user and come first), rows of broadcasts, rows of notifications (sorted by user,
// origin, scope), dead letters, what was seen (sorted by user, origin, topic), once
// keys, deliveries, threads, requests (each sorted by their keys), messages. A
// settlement begins with the messages that it leased, which nobody else waits for with
// a lock in hand.
package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// Queue is what the store needs of the queue. storage/queue implements it.
type Queue interface {
	// PublishTx stores messages in a transaction of the store and tells nobody.
	PublishTx(ctx context.Context, tx *sql.Tx, msgs ...signalbox.Message) error
	// Publish stores messages durably, and wakes their consumers after that.
	Publish(ctx context.Context, msgs ...signalbox.Message) error
	// RemoveTx removes messages that were handled, and returns those that were
	// there.
	RemoveTx(ctx context.Context, tx *sql.Tx, positions []int64) (removed []int64, err error)
	// PostponeTx puts back the messages of settlements that are Postponed, if they
	// still have the lease. It returns the positions of those that do, and the topics
	// to wake after the commit.
	PostponeTx(ctx context.Context, tx *sql.Tx, list []signalbox.Settlement) (postponed []int64, topics []string, err error)
	// Wake tells consumers that messages were committed; a topic occurs once per
	// message. It must not block.
	Wake(topics ...string)
}

// Config tunes a [Store]. The zero value is good for production.
type Config struct {
	// Now gives the time of read and saved marks and of claims. Defaults to
	// [time.Now].
	Now func() time.Time
}

// Store is the storage of a router. It is safe for concurrent use, and starts no
// goroutine.
type Store struct {
	db    *database.DB
	queue Queue
	now   func() time.Time

	// read and write keep prepared statements where the driver does not.
	read, write statements

	// seen knows what settings_seen has, as far as there is room.
	seen *seenCache
}

var (
	_ signalbox.Inbox           = (*Store)(nil)
	_ signalbox.Snoozes         = (*Store)(nil)
	_ signalbox.Committer       = (*Store)(nil)
	_ signalbox.Accepter        = (*Store)(nil)
	_ signalbox.SettingsStore   = (*Store)(nil)
	_ signalbox.DeliveryStore   = (*Store)(nil)
	_ signalbox.ScheduleStore   = (*Store)(nil)
	_ signalbox.TraceStore      = (*Store)(nil)
	_ signalbox.DeadLetterStore = (*Store)(nil)
	_ signalbox.TokenStore      = (*Store)(nil)
	_ signalbox.SessionStore    = (*Store)(nil)
	_ signalbox.KeyStore        = (*Store)(nil)
)

// New returns a store on a migrated database. db stays the caller's to close.
func New(db *database.DB, queue Queue, config Config) (*Store, error) {
	if db == nil {
		return nil, errors.New("storage: a database is required")
	}
	if queue == nil {
		return nil, errors.New("storage: a queue is required")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	prepare := db.Dialect == database.SQLite
	return &Store{
		db: db, queue: queue, now: config.Now,
		read:  statements{db: db.Reader, prepare: prepare},
		write: statements{db: db.Writer, prepare: prepare},
		seen:  newSeenCache(seenGeneration),
	}, nil
}
