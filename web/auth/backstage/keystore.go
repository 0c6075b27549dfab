package backstage

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
)

// PublicKey is [signalbox.PublicKey], named here too for those that use this package
// only.
type PublicKey = signalbox.PublicKey

// KeyStore is [signalbox.KeyStore].
type KeyStore = signalbox.KeyStore

// MemoryKeys is a [KeyStore] for one instance. The zero value is empty.
type MemoryKeys struct {
	mu   sync.Mutex
	keys []PublicKey
}

// AddKey implements [KeyStore].
func (m *MemoryKeys) AddKey(_ context.Context, key PublicKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = append(m.keys, key)
	return nil
}

// Keys implements [KeyStore]. It forgets the ones that have expired.
func (m *MemoryKeys) Keys(_ context.Context, now time.Time) ([]PublicKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	live := make([]PublicKey, 0, len(m.keys))
	for _, key := range m.keys {
		if key.Expires.After(now) {
			live = append(live, key)
		}
	}
	m.keys = live
	return slices.Clone(live), nil
}
