package hub

import (
	"net"
	"slices"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
)

// A connection is one client: its queue, its writer and its close. What reads
// from it is in reader.go.
//
// A connection is open until someone sets closing; from then on nothing more is
// queued. Its last frame is the close frame, after which it waits a moment for
// the client's answer. It is dead once its socket is closed.
type connection struct {
	hub   *Hub
	shard *shard
	id    uint64
	user  string
	// refs are the user's ownership references, each once.
	refs []string
	// expires is when the user's credential does; zero for never. session is the
	// session it belongs to; empty for none.
	expires time.Time
	session string
	// socket is what lies below the WebSocket library and fasthttp's wrapper,
	// whose Close does nothing. Its methods may be called concurrently.
	socket net.Conn

	// writers waits for the writer goroutine, of which there is one while
	// writing is set.
	writers sync.WaitGroup

	mu          sync.Mutex
	queue       net.Buffers
	queuedBytes int
	// ping and pong have their own places so that a full queue cannot refuse
	// them and they cannot fill it.
	ping    bool
	pong    frame
	closing frame
	writing bool
	dead    bool
}

func newConnection(h *Hub, socket net.Conn, user signalbox.UserPrincipal) *connection {
	refs := append([]string{user.Ref}, user.Ownership...)
	slices.Sort(refs)
	id := h.lastID.Add(1)
	return &connection{
		hub:    h,
		shard:  h.shards[id%uint64(len(h.shards))],
		id:     id,
		user:   user.Ref,
		refs:   slices.Clip(slices.Compact(refs)),
		socket: socket,

		expires: user.Expires, session: user.Session,
	}
}

// send queues a signal. It never waits for the client: if the queue is full, the
// client is closed instead.
func (c *connection) send(f frame) {
	c.mu.Lock()
	if c.closing != nil || c.dead {
		c.mu.Unlock()
		return
	}
	slow := len(c.queue) >= c.hub.config.QueueLength || c.queuedBytes+len(f) > c.hub.config.QueueBytes
	if slow {
		c.queue, c.queuedBytes, c.closing = nil, 0, slowFrame
	} else {
		c.queue = append(c.queue, f)
		c.queuedBytes += len(f)
	}
	c.startWriter()
	c.mu.Unlock()

	if slow {
		c.hub.metrics.slow.Inc()
		c.hub.log.Info("signals client is too slow, closing it", "user", c.user, "connection", c.id)
	}
}

// sendPing queues a ping, unless one is waiting already.
func (c *connection) sendPing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil && !c.dead {
		c.ping = true
		c.startWriter()
	}
}

// sendPong queues the answer to a ping. As RFC 6455 allows, only the newest of
// several unanswered pings is answered.
func (c *connection) sendPong(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil && !c.dead {
		c.pong = f
		c.startWriter()
	}
}

// close asks for the end of the connection with a close frame, and forgets what
// is queued. The first caller decides the code.
func (c *connection) close(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil && !c.dead {
		c.queue, c.queuedBytes, c.closing = nil, 0, f
		c.startWriter()
	}
}

// flushAndClose writes what is queued and the close frame before it returns, if
// no writer is at it already. It is for a caller that bounds how many
// connections are written at once.
func (c *connection) flushAndClose(f frame) {
	c.mu.Lock()
	if c.closing == nil && !c.dead {
		c.closing = f
	}
	claimed := c.claimWriter()
	c.mu.Unlock()
	if claimed {
		c.write()
	}
}

// startWriter makes sure that a writer looks at the connection again. The caller
// holds the lock.
func (c *connection) startWriter() {
	if c.claimWriter() {
		go c.write()
	}
}

// claimWriter reports whether the caller has become the writer and must call
// write. The caller holds the lock.
func (c *connection) claimWriter() bool {
	if c.writing || c.dead {
		return false
	}
	c.writing = true
	c.writers.Add(1)
	return true
}

// write empties the queue and returns. After the close frame or a failure the
// connection stays marked as being written, so that no other writer starts.
func (c *connection) write() {
	defer c.writers.Done()
	for {
		batch, signals, last := c.takeBatch()
		if len(batch) == 0 {
			return
		}
		if err := c.writeBatch(batch); err != nil {
			// The stream may have ended within a frame: no close frame can follow.
			c.kill()
			return
		}
		c.hub.metrics.sent.Add(float64(signals))
		if last {
			c.awaitAnswer()
			return
		}
	}
}

// takeBatch takes everything that waits to be written, how many of it are
// signals, and whether it ends with the close frame. If there is nothing, the
// caller is no longer the writer.
func (c *connection) takeBatch() (batch net.Buffers, signals int, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch, signals = c.queue, len(c.queue)
	c.queue, c.queuedBytes = nil, 0
	if c.ping {
		batch, c.ping = append(batch, pingFrame), false
	}
	if c.pong != nil {
		batch, c.pong = append(batch, c.pong), nil
	}
	if c.closing != nil {
		batch, last = append(batch, c.closing), true
	}
	if len(batch) == 0 {
		c.writing = false
	}
	return batch, signals, last
}

// writeBatch writes whole frames with as few system calls as possible. Each
// frame is written under the socket's own lock, so it cannot mix with the close
// frame that the WebSocket library sends by itself on a protocol error.
func (c *connection) writeBatch(batch net.Buffers) error {
	if err := c.socket.SetWriteDeadline(time.Now().Add(c.hub.config.WriteTimeout)); err != nil {
		return err
	}
	if len(batch) == 1 {
		_, err := c.socket.Write(batch[0])
		return err
	}
	_, err := batch.WriteTo(c.socket)
	return err
}

// awaitAnswer gives the client a bounded time to answer the close frame. Closing
// at once could reset the connection before the client has read the code.
func (c *connection) awaitAnswer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A failure here means that the socket is closed, which ends the reader too.
	_ = c.socket.SetReadDeadline(time.Now().Add(c.hub.config.CloseTimeout))
}

// extend gives an open connection another period of silence.
func (c *connection) extend(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil {
		_ = c.socket.SetReadDeadline(now.Add(c.hub.config.PingInterval + c.hub.config.PongTimeout))
	}
}

// kill closes the socket, which ends the reader and the writer.
func (c *connection) kill() {
	c.mu.Lock()
	c.dead = true
	c.queue, c.queuedBytes = nil, 0
	c.mu.Unlock()
	// fasthttp closes it once more and ignores the error.
	_ = c.socket.Close()
}
