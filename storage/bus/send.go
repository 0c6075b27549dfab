package bus

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// connectTimeout and sendTimeout keep a silent database from holding the bus
	// for ever.
	connectTimeout = 5 * time.Second
	sendTimeout    = 10 * time.Second
)

// send is the sender's goroutine. It sends whatever came while it was sending.
func (b *Bus) send(ctx context.Context) {
	s := sender{bus: b, packer: packer{instance: b.instance}}
	defer s.disconnect()
	for {
		closing := false
		select {
		case <-b.queue.ready:
		case <-b.closing:
			closing = true
		}
		taken := b.queue.take()
		if len(taken.messages) > 0 {
			s.deliver(ctx, &taken)
		}
		if closing {
			return
		}
	}
}

type sender struct {
	bus      *Bus
	conn     *pgx.Conn
	packer   packer
	failures int
}

// deliver sends a load, in several statements if it is large. What fails is
// dropped: later is too late for what is told here.
func (s *sender) deliver(ctx context.Context, taken *load) {
	b := s.bus
	left := int64(len(taken.messages))
	err := s.run(ctx, func(ctx context.Context) error {
		anybody, err := b.peers.anybody(ctx, s.conn)
		if err == nil && !anybody {
			b.alone.Add(left)
			left = 0
		}
		return err
	})
	if err == nil && left > 0 {
		left, err = s.deliverAll(ctx, taken)
	}
	if err == nil {
		s.failures = 0
		return
	}
	b.dropped.Add(left)
	s.failures++
	if s.failures == 1 {
		b.config.Logger.LogAttrs(ctx, slog.LevelWarn, "bus: cannot send", slog.Any("error", err))
	}
	s.disconnect()
	b.pause(ctx, s.failures)
}

// deliverAll returns how many messages were not sent.
func (s *sender) deliverAll(ctx context.Context, taken *load) (left int64, err error) {
	packed := int64(0)
	left = int64(len(taken.messages))
	for i, m := range taken.messages {
		s.packer.add(m.kind, taken.payload(m))
		packed++
		if !s.packer.full() && i < len(taken.messages)-1 {
			continue
		}
		frames := s.packer.take()
		if err := s.run(ctx, func(ctx context.Context) error {
			_, err := s.conn.Exec(ctx, "SELECT pg_notify($1, frame) FROM unnest($2::text[]) AS frame",
				s.bus.config.Channel, frames)
			return err
		}); err != nil {
			return left, err
		}
		s.bus.notifies.Add(1)
		s.bus.sent.Add(packed)
		left -= packed
		packed = 0
	}
	return left, nil
}

// run runs one statement. If the server refused it, for instance because it ended
// the session while that idled, or was not reached, then it did not commit, and
// is tried once more on a new connection.
func (s *sender) run(ctx context.Context, statement func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	for again := true; ; again = false {
		if err := s.connect(ctx); err != nil {
			return err
		}
		err := statement(ctx)
		var refused *pgconn.PgError
		if err == nil || !again || !errors.As(err, &refused) && !pgconn.SafeToRetry(err) {
			return err
		}
		s.disconnect()
	}
}

func (s *sender) connect(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	s.disconnect()
	conn, err := s.bus.connect(ctx, "signalbox-notify")
	if err != nil {
		return err
	}
	s.conn = conn
	return nil
}

func (s *sender) disconnect() {
	if s.conn != nil {
		disconnect(s.conn)
		s.conn = nil
	}
}

// connect opens a session of the bus's own.
func (b *Bus) connect(ctx context.Context, name string) (*pgx.Conn, error) {
	config, err := b.db.ListenConfig()
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = name
	// A NOTIFY has nothing to flush.
	config.RuntimeParams["synchronous_commit"] = "off"
	config.ConnectTimeout = connectTimeout
	// A listener only reads: nothing else would notice that the server is gone.
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	config.DialFunc = dialer.DialContext
	return pgx.ConnectConfig(ctx, config)
}

func disconnect(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // It is over either way.
}

// pause waits after the nth failure in a row: longer each time, and not at the
// same moment as the other instances.
func (b *Bus) pause(ctx context.Context, n int) {
	d := min(firstBackoff<<min(n-1, 16), lastBackoff)
	timer := time.NewTimer(d/2 + rand.N(d/2)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.closing:
	case <-ctx.Done():
	}
}
