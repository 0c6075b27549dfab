package bus

import (
	"context"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signalbox/signalbox/storage/database"
)

// Who listens holds a shared advisory lock in its listening session, which ends
// with the session, however it ends. So whoever wants to send can see in pg_locks
// whether anybody listens, and spares itself the NOTIFY if nobody does. It looks
// only when it has something to send, and believes the answer for checkAfter.
// Whoever begins to listen says hello, so that it is not overlooked meanwhile.

// checkAfter is how long an answer is believed.
const checkAfter = 5 * time.Second

// lockClass tells our advisory locks from others'.
const lockClass int32 = 0x51674278

// presence is what this instance knows of others.
type presence struct {
	key int32

	mu      sync.Mutex
	listens uint32 // process number of our own listening session
	checked time.Time
	none    bool
	// heard counts signs of life.
	heard uint64
}

func newPresence(channel string) presence {
	// As a hash it may be negative.
	return presence{key: int32(crc32.ChecksumIEEE([]byte(channel)))}
}

// surelyNone reports whether nobody else listens.
func (p *presence) surelyNone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.none && time.Since(p.checked) < checkAfter
}

// hear takes note of a sign of life.
func (p *presence) hear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard++
	p.none = false
}

// announce makes a listening session visible to the others.
func (p *presence) announce(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1, $2)", lockClass, p.key); err != nil {
		return fmt.Errorf("advisory lock: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listens = conn.PgConn().PID()
	// Others may have come while we did not listen.
	p.none = false
	p.checked = time.Time{}
	return nil
}

// anybody reports whether another session listens, by asking the database if the
// last answer is old.
func (p *presence) anybody(ctx context.Context, conn *pgx.Conn) (bool, error) {
	p.mu.Lock()
	own, heard := p.listens, p.heard
	if time.Since(p.checked) < checkAfter {
		none := p.none
		p.mu.Unlock()
		return !none, nil
	}
	p.mu.Unlock()
	var found bool
	// pg_locks shows the two halves of the key as unsigned numbers.
	if err := conn.QueryRow(ctx, `SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint = $1 AND objid::bigint = $2 AND pid::bigint <> $3)`,
		int64(uint32(lockClass)), int64(uint32(p.key)), int64(own)).Scan(&found); err != nil {
		return false, fmt.Errorf("listeners: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checked = time.Now()
	// Somebody may have said hello after the database looked.
	p.none = !found && p.heard == heard
	return !p.none, nil
}

// Instances counts the instances that listen on this database now; at least 1.
func (b *Bus) Instances(ctx context.Context) (int, error) {
	if b.db.Dialect != database.Postgres {
		return 1, nil
	}
	var n int
	if err := b.db.Reader.QueryRowContext(ctx, `SELECT count(DISTINCT pid) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = $1 AND objid::bigint = $2`,
		int64(uint32(lockClass)), int64(uint32(b.peers.key))).Scan(&n); err != nil {
		return 0, fmt.Errorf("bus: instances: %w", database.Classify(err))
	}
	return max(n, 1), nil
}
