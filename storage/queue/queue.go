// Package queue owns the SQL pub/sub: watermill-sql's Publisher and Subscriber
// over one table, with adapters of our own for PostgreSQL and SQLite, leases
// instead of long transactions, and wake-ups instead of polling. It imports the
// root package, storage/database and Watermill.
//
// # Delivery
//
// Every message is delivered at least once to one consumer of its topic. A
// consumer leases a few rows by one autocommitted statement, which moves their
// visible_at into the future, hands the messages over one after the other, and
// deletes the rows that were acknowledged. What it does not acknowledge becomes
// visible again: at once if the message was never handed over, else when the
// lease ends. So a delay, a retry, a crash and a competing instance are all the
// same range of one index.
//
// One consumer gets the messages of a topic in the order in which they became
// due. Several consumers share a topic, and then there is no order.
//
// # Waiting
//
// A consumer with nothing to do asks the database for nothing. It is woken by
// [Queue.Wake] after a publish, by the time at which the topic's next row
// becomes visible, or by a slow safety poll, which one consumer per topic does
// for all of them.
package queue

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"

	"github.com/signalbox/signalbox/storage/database"
)

// Config tunes a queue. The zero value is right for production.
type Config struct {
	// Lease is how long a consumer may keep a message before it is given to
	// another one; the message's context ends then. A crashed consumer's messages
	// come back after this and a quarter more. Defaults to 30 s.
	Lease time.Duration
	// BatchSize bounds how many messages one consumer leases at a time. Slow
	// handlers get fewer, down to one, so that no message waits behind them. It is
	// rounded down to a power of two. Defaults to 16.
	BatchSize int
	// Poll is how often an idle topic is looked at although nothing woke it. It
	// bounds the latency of a message whose wake-up was lost. Defaults to 10 s.
	Poll time.Duration
	// Resend is the pause before a nacked message is handed over again. Defaults
	// to 500 ms.
	Resend time.Duration
	// CloseTimeout bounds how long closing waits for the message in hand to be
	// acknowledged. Defaults to 10 s.
	CloseTimeout time.Duration
	// Logger defaults to discarding. Payloads are never logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Lease == 0 {
		c.Lease = 30 * time.Second
	}
	if c.BatchSize == 0 {
		c.BatchSize = 16
	}
	if c.Poll == 0 {
		c.Poll = 10 * time.Second
	}
	if c.Resend == 0 {
		c.Resend = 500 * time.Millisecond
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// maxBatchSize keeps a lease within SQLite's limit of bound parameters.
const maxBatchSize = 1000

func (c Config) validate() error {
	for _, field := range []struct {
		name  string
		value time.Duration
	}{
		{"Lease", c.Lease}, {"Poll", c.Poll}, {"Resend", c.Resend}, {"CloseTimeout", c.CloseTimeout},
	} {
		if field.value < time.Millisecond {
			return fmt.Errorf("queue: %s must be at least 1ms, not %s", field.name, field.value)
		}
	}
	if c.BatchSize < 1 || c.BatchSize > maxBatchSize {
		return fmt.Errorf("queue: BatchSize must be between 1 and %d, not %d", maxBatchSize, c.BatchSize)
	}
	return nil
}

// Queue is the pub/sub on one database. It holds no goroutine and no connection
// of its own; its subscribers do, until they are closed.
type Queue struct {
	db     *database.DB
	config Config
	logger logger

	durable *watermillsql.Publisher
	waiting waitList
	relay   atomic.Pointer[func(topics []string)]
}

// New makes a queue on a migrated database.
func New(db *database.DB, config Config) (*Queue, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	q := &Queue{
		db:     db,
		config: config,
		logger: logger{slog: config.Logger},
	}
	var err error
	q.durable, err = q.publisherOn(watermillsql.BeginnerFromStdSQL(db.Writer))
	if err != nil {
		return nil, err
	}
	return q, nil
}

// Recover gives back what a process that was killed had leased, instead of waiting
// for the end of its leases. Call it before the first consumer. It does so on
// SQLite only, where there is no other process whose leases it could take.
func (q *Queue) Recover(ctx context.Context) error {
	if q.db.Dialect != database.SQLite {
		return nil
	}
	if _, err := q.db.Writer.ExecContext(ctx, `UPDATE queue_messages SET visible_at = due_at
WHERE leases > 0 AND visible_at > due_at`); err != nil {
		return database.Classify(fmt.Errorf("queue: recover: %w", err))
	}
	return nil
}

// Wake tells consumers of the topics that there is something for them; call it
// after the commit. A topic that occurs n times wakes up to n idle consumers of
// this process. Topics for which none was idle are passed to the hook of
// [Queue.OnWake], so that another instance may take the message.
func (q *Queue) Wake(topics ...string) {
	var relay []string
	for _, topic := range topics {
		if !q.waiting.wake(topic) && !slices.Contains(relay, topic) {
			relay = append(relay, topic)
		}
	}
	q.passOn(relay)
}

// WakeLocal is [Queue.Wake] without the hook: for wake-ups that came from
// another instance.
func (q *Queue) WakeLocal(topics ...string) {
	for _, topic := range topics {
		q.waiting.wake(topic)
	}
}

// WakeAll makes every idle consumer of this process look once: for when wake-ups
// may have been lost.
func (q *Queue) WakeAll() { q.waiting.wakeAll() }

// OnWake sets the hook that passes wake-ups to other instances. It is called
// on the goroutine that published, so it must not block, and must not keep the
// slice.
func (q *Queue) OnWake(hook func(topics []string)) { q.relay.Store(&hook) }

// wake is Wake for n messages of one topic.
func (q *Queue) wake(topic string, n int) {
	idle := true
	for range n {
		if idle = q.waiting.wake(topic); !idle {
			break
		}
	}
	if !idle {
		q.passOn([]string{topic})
	}
}

func (q *Queue) passOn(topics []string) {
	if hook := q.relay.Load(); hook != nil && len(topics) > 0 {
		(*hook)(topics)
	}
}

// TopicDepth counts the messages of a topic.
type TopicDepth struct {
	Topic string
	// Ready messages wait for a consumer.
	Ready int64
	// Leased messages are with a consumer.
	Leased int64
	// Scheduled messages are not due yet.
	Scheduled int64
	// OldestReady is for how long the oldest ready message has been due; 0
	// without one.
	OldestReady time.Duration
}

// Depth counts the messages of every topic that has any, in order of the topic.
// It reads the whole table: call it to watch, not to decide.
func (q *Queue) Depth(ctx context.Context) ([]TopicDepth, error) {
	rows, err := depthQuery(ctx, q.db)
	if err != nil {
		return nil, database.Classify(fmt.Errorf("queue: depth: %w", err))
	}
	defer rows.Close()
	var depths []TopicDepth
	for rows.Next() {
		var (
			depth  TopicDepth
			micros sql.NullInt64
		)
		if err := rows.Scan(&depth.Topic, &depth.Ready, &depth.Leased, &depth.Scheduled, &micros); err != nil {
			return nil, database.Classify(fmt.Errorf("queue: depth: %w", err))
		}
		depth.OldestReady = max(0, time.Duration(micros.Int64)*time.Microsecond)
		depths = append(depths, depth)
	}
	if err := rows.Err(); err != nil {
		return nil, database.Classify(fmt.Errorf("queue: depth: %w", err))
	}
	return depths, nil
}
