package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/contrib/websocket"

	"github.com/signalbox/signalbox"
)

// closers is how many connections [Hub.Close] writes to at once.
const closers = 64

// Reasons for refusing a connection.
var (
	errClosed = errors.New("the server is stopping")
	errFull   = errors.New("too many signals clients are connected")
)

// Hub delivers signals to the clients connected to this process. It implements
// [signalbox.Signaler]. All its methods may be called concurrently.
type Hub struct {
	config  Config
	log     *slog.Logger
	metrics metrics
	shards  []*shard

	lastID        atomic.Uint64
	connections   atomic.Int64
	subscriptions atomic.Int64

	// goroutines are the readers and the pinger; a reader waits for its writer.
	goroutines sync.WaitGroup
	stop       chan struct{}

	mu      sync.Mutex
	pinging bool
	closed  bool
}

var _ signalbox.Signaler = (*Hub)(nil)

// New returns a hub without connections. It starts no goroutine; the first
// connection does. It fails on an invalid config, or if its metrics are
// registered already.
func New(config Config) (*Hub, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	h := &Hub{
		config: config,
		log:    config.Logger,
		shards: make([]*shard, config.Shards),
		stop:   make(chan struct{}),
	}
	for i := range h.shards {
		h.shards[i] = newShard()
	}
	m, err := newMetrics(h, config.Registerer)
	if err != nil {
		return nil, err
	}
	h.metrics = m
	return h, nil
}

// Connections returns how many clients are connected.
func (h *Hub) Connections() int { return int(h.connections.Load()) }

// Subscriptions returns how many subscriptions the connected clients have.
func (h *Hub) Subscriptions() int { return int(h.subscriptions.Load()) }

// Signal queues each signal, in order, for every connection that subscribed its
// channel and whose user owns one of its recipients, or for all that subscribed
// it if it is a broadcast. It returns without waiting for any client. A signal
// whose message is not JSON, or that is bigger than [Config.QueueBytes], is
// logged and dropped. The context is only used for logging: a signal tells of
// something that is committed already.
func (h *Hub) Signal(ctx context.Context, signals ...signalbox.Signal) {
	if h.connections.Load() == 0 {
		return
	}
	var few [32]*connection
	targets := few[:0]
	for i := range signals {
		targets = h.signal(ctx, &signals[i], targets)
	}
}

// signal queues one signal. It returns targets, which it uses as scratch space.
func (h *Hub) signal(ctx context.Context, s *signalbox.Signal, targets []*connection) []*connection {
	var f frame
	for _, shard := range h.shards {
		targets = shard.appendTargets(targets[:0], s)
		if len(targets) == 0 {
			continue
		}
		if f == nil {
			var err error
			if f, err = h.encode(s); err != nil {
				h.metrics.dropped.Inc()
				h.log.ErrorContext(ctx, "signal dropped", "channel", s.Channel, "error", err)
				return targets
			}
		}
		for _, c := range targets {
			c.send(f)
		}
	}
	return targets
}

// encode makes the frame that all receivers of a signal share.
func (h *Hub) encode(s *signalbox.Signal) (frame, error) {
	f, err := newSignalFrame(s)
	if err != nil {
		return nil, err
	}
	if len(f) > h.config.QueueBytes {
		return nil, fmt.Errorf("%d bytes are more than a queue may hold (%d)", len(f), h.config.QueueBytes)
	}
	return f, nil
}

// Close closes every connection with code 1012, after what is queued for it, and
// refuses new ones. It returns when all of the hub's goroutines have ended. When
// ctx ends first, the remaining connections are cut and its error is returned.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.stop)
	}
	h.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		h.closeConnections()
		h.goroutines.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	left := h.all()
	for _, c := range left {
		c.kill()
	}
	<-done
	return fmt.Errorf("close signals hub: %d connections cut: %w", len(left), context.Cause(ctx))
}

// closeConnections writes a close frame to every connection.
func (h *Hub) closeConnections() {
	conns := h.all()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(closers, len(conns)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(conns)); i = next.Add(1) - 1 {
				conns[i].flushAndClose(restartFrame)
			}
		})
	}
	workers.Wait()
}

// all returns the connections of all shards.
func (h *Hub) all() []*connection {
	conns := make([]*connection, 0, h.Connections())
	for _, shard := range h.shards {
		conns = shard.appendAll(conns)
	}
	return conns
}

// admissible says why a new connection would be refused now.
func (h *Hub) admissible() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.admissibleLocked()
}

func (h *Hub) admissibleLocked() error {
	switch {
	case h.closed:
		return errClosed
	case h.Connections() >= h.config.MaxConnections:
		h.metrics.refused.Inc()
		return errFull
	default:
		return nil
	}
}

// enter counts a new connection in, or says why not. Whoever entered must leave.
func (h *Hub) enter(c *connection) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.admissibleLocked(); err != nil {
		return err
	}
	h.connections.Add(1)
	h.goroutines.Add(1)
	if !h.pinging {
		h.pinging = true
		h.goroutines.Go(h.pingAll)
	}
	// Within the lock: Close must find every connection that got in before it.
	c.shard.add(c)
	return nil
}

func (h *Hub) leave() {
	h.connections.Add(-1)
	h.goroutines.Done()
}

// pingAll pings every connection once per interval, one shard at a time, so that
// the work is spread over the interval.
func (h *Hub) pingAll() {
	ticker := time.NewTicker(max(h.config.PingInterval/time.Duration(len(h.shards)), time.Millisecond))
	defer ticker.Stop()
	var conns []*connection
	for i := 0; ; i = (i + 1) % len(h.shards) {
		select {
		case <-h.stop:
			return
		case <-ticker.C:
		}
		conns = h.shards[i].appendAll(conns[:0])
		for _, c := range conns {
			c.sendPing()
		}
		// The scratch space must not keep closed connections alive.
		clear(conns)
	}
}

// serve runs one connection until it ends.
func (h *Hub) serve(ws *websocket.Conn, c *connection) {
	if err := h.enter(c); err != nil {
		closing := fullFrame
		if errors.Is(err, errClosed) {
			closing = restartFrame
		}
		// Best effort: the client sees a lost connection otherwise.
		_ = c.writeBatch([][]byte{closing})
		return
	}
	defer h.leave()
	r := &reader{connection: c, ws: ws}
	r.run()
}
