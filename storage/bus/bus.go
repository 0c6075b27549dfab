// Package bus passes messages between the instances that share a PostgreSQL
// database, by LISTEN and NOTIFY: wake-ups of the queue, signals for the clients
// of other instances, and whatever else may be lost. It imports
// storage/database and pgx; what the messages mean is its callers' business.
//
// # What it promises
//
// A message reaches the other instances within about a millisecond, once, and in
// the order in which it was sent; or not at all. It is lost when a connection
// breaks, when messages are sent faster than PostgreSQL takes them, or when the
// other instance has just started. So nothing may hang on a message: what must
// not be lost is in a table, and [Config.OnListen] is the time to look there.
//
// # How it sends
//
// NOTIFY takes a lock that makes commits wait for each other, so it is kept out
// of everyone's transactions. Messages are gathered while the previous NOTIFY is
// on its way, and then sent together; an idle bus sends at once. An instance that
// is alone with its database sends nothing.
//
// LISTEN needs a session of its own: behind a connection pooler that shares
// sessions between transactions, the bus does not work.
//
// On SQLite there is one process, and the bus does nothing.
package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox/storage/database"
)

// Config tunes a bus. The zero value is right for production.
type Config struct {
	// Channel is the PostgreSQL notification channel; instances hear each other
	// on the same one. Defaults to "signalbox".
	Channel string
	// MaxQueued bounds the bytes of messages that wait to be sent; what overflows
	// is dropped, counted and, once a minute, logged. Defaults to 8 MiB.
	MaxQueued int
	// OnListen is called whenever listening begins: after the start, and after
	// every loss of the connection, when messages may have been missed. It must
	// not block.
	OnListen func()
	// Logger defaults to discarding. Payloads are never logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Channel == "" {
		c.Channel = "signalbox"
	}
	if c.MaxQueued == 0 {
		c.MaxQueued = 8 << 20
	}
	if c.OnListen == nil {
		c.OnListen = func() {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// PostgreSQL cuts identifiers at 63 bytes.
var channelName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func (c Config) validate() error {
	if !channelName.MatchString(c.Channel) {
		return fmt.Errorf("bus: Channel %q must match %s", c.Channel, channelName)
	}
	if c.MaxQueued < 0 {
		return fmt.Errorf("bus: MaxQueued must not be negative")
	}
	return nil
}

// Stats counts what a bus did since it was opened.
type Stats struct {
	// Sent and Received count messages, Notifies the statements they went out by.
	Sent     int64
	Received int64
	Notifies int64
	// Alone counts messages that were not sent because no other instance listens.
	Alone int64
	// Dropped counts messages that were lost here: the queue was full, the
	// connection broke, or a message came incomplete.
	Dropped int64
	// Listens counts how often listening began.
	Listens int64
}

// Bus is one instance's end. Its methods may be used concurrently.
type Bus struct {
	config   Config
	db       *database.DB
	instance string

	handlers atomic.Pointer[map[string]func([]byte)]
	register sync.Mutex

	queue    outbox
	overflow overflow
	peers    presence

	sent, received, notifies, alone, dropped, listens atomic.Int64

	// stopListening ends the listener, stopSending the sender.
	stopListening, stopSending context.CancelFunc
	closing                    chan struct{}
	once                       sync.Once
	running                    sync.WaitGroup
}

// MaxMessage is the size of the largest payload that [Bus.Send] takes.
const MaxMessage = 1 << 20

// closeTimeout bounds how long closing waits for what is still queued.
const closeTimeout = 2 * time.Second

// Open starts a bus. It returns at once and connects in the background: an
// instance works without a bus, if slower. Handlers are registered with
// [Bus.Handle].
func Open(db *database.DB, config Config) (*Bus, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	b := &Bus{
		config:   config,
		db:       db,
		instance: rand.Text(),
		queue:    newOutbox(config.MaxQueued),
		peers:    newPresence(config.Channel),
		closing:  make(chan struct{}),
	}
	b.handlers.Store(&map[string]func([]byte){})
	listening, stopListening := context.WithCancel(context.Background())
	sending, stopSending := context.WithCancel(context.Background())
	b.stopListening, b.stopSending = stopListening, stopSending
	if db.Dialect == database.Postgres {
		b.running.Go(func() { b.listen(listening) })
		b.running.Go(func() { b.send(sending) })
	}
	return b, nil
}

// Handle registers the handler of a kind, in place of an earlier one. Handlers
// are called one after the other on one goroutine, so they must not block; they
// may keep the payload. Messages of a kind without a handler are ignored.
func (b *Bus) Handle(kind string, handler func(payload []byte)) {
	b.register.Lock()
	defer b.register.Unlock()
	handlers := map[string]func([]byte){}
	for k, h := range *b.handlers.Load() {
		handlers[k] = h
	}
	handlers[kind] = handler
	b.handlers.Store(&handlers)
}

// Send passes a message to the other instances. It does not block, and does not
// keep the payload. A kind is 1 to 32 of a-z, 0-9, '-', '_' and '.'; a payload
// has at most [MaxMessage] bytes. Messages beyond that, and those for which the
// queue has no room, are dropped and counted.
func (b *Bus) Send(kind string, payload []byte) { b.enqueue(kind, payload, false) }

// SendOnce is [Bus.Send] for messages of which one is as good as many, such as
// wake-ups: nothing is sent while the same message is still queued.
func (b *Bus) SendOnce(kind string, payload []byte) { b.enqueue(kind, payload, true) }

func (b *Bus) enqueue(kind string, payload []byte, once bool) {
	if b.db.Dialect != database.Postgres {
		return
	}
	if !validKind(kind) || len(payload) > MaxMessage {
		b.dropped.Add(1)
		b.config.Logger.Warn("bus: message cannot be sent", "kind", kind, "bytes", len(payload))
		return
	}
	if b.peers.surelyNone() {
		b.alone.Add(1)
		return
	}
	if b.queue.put(kind, payload, once) {
		return
	}
	b.dropped.Add(1)
	if n, tell := b.overflow.drop(time.Now()); tell {
		b.config.Logger.Warn("bus: the queue is full, and messages are dropped", "dropped", n)
	}
}

// Alone reports whether it is known that no other instance listens, so that a
// message need not even be encoded. [Bus.Send] asks by itself.
func (b *Bus) Alone() bool {
	return b.db.Dialect != database.Postgres || b.peers.surelyNone()
}

// Stats returns the counters.
func (b *Bus) Stats() Stats {
	return Stats{
		Sent: b.sent.Load(), Received: b.received.Load(), Notifies: b.notifies.Load(),
		Alone: b.alone.Load(), Dropped: b.dropped.Load(), Listens: b.listens.Load(),
	}
}

// Close sends what is queued, within two seconds, and disconnects.
func (b *Bus) Close() error {
	b.once.Do(func() {
		close(b.closing)
		b.stopListening()
		timer := time.AfterFunc(closeTimeout, b.stopSending)
		defer timer.Stop()
		b.running.Wait()
		b.stopSending()
	})
	return nil
}

func validKind(kind string) bool {
	if len(kind) == 0 || len(kind) > 32 {
		return false
	}
	for i := range len(kind) {
		switch c := kind[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
