package signalbox

import (
	"context"
	"encoding/json"
	"time"
)

// PublicKey is a published key of an instance, see [KeyStore].
type PublicKey struct {
	// ID is its identifier (kid), at most 64 characters.
	ID string
	// JWK is the public key as a JSON Web Key, at most 1 kB of JSON.
	JWK json.RawMessage
	// Expires is when it is no longer to be published.
	Expires time.Time
}

// KeyStore holds the public keys of all instances: each signs with a key of its
// own, which never leaves its memory, and all publish the keys of all. It must be
// safe for concurrent use. Implementations are held to storage/storagetest.
type KeyStore interface {
	// AddKey publishes a key. When it returns, every instance must find it. It may
	// delete keys that have expired.
	AddKey(ctx context.Context, key PublicKey) error
	// Keys returns the keys that expire after a time, in any order.
	Keys(ctx context.Context, now time.Time) ([]PublicKey, error)
}
