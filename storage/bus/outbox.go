package bus

import "sync"

// outbox holds messages until the sender takes them, all at once. Payloads are
// copied one behind the other, so that a message costs no allocation of its own
// once the buffers have grown.
type outbox struct {
	max int
	// ready holds a token when there is something to take.
	ready chan struct{}

	mu     sync.Mutex
	filled load
	spare  load
	// once holds the messages that are queued by SendOnce.
	once map[onceKey]struct{}
}

type onceKey struct{ kind, payload string }

// load is what one round of sending takes.
type load struct {
	messages []queued
	payloads []byte
}

// queued is a message: its payload is payloads[from:to].
type queued struct {
	kind     string
	from, to int
}

func (l *load) payload(m queued) []byte { return l.payloads[m.from:m.to] }

// keepBuffer is how much of a burst's memory is kept.
const keepBuffer = 1 << 20

// overhead is what a message costs beside its payload; it bounds the number of
// empty ones.
const overhead = 64

func newOutbox(limit int) outbox {
	return outbox{max: limit, ready: make(chan struct{}, 1), once: map[onceKey]struct{}{}}
}

// put reports false if there is no room.
func (o *outbox) put(kind string, payload []byte, once bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if once {
		// The conversion in the index expression does not allocate.
		if _, ok := o.once[onceKey{kind, string(payload)}]; ok {
			return true
		}
	}
	if len(o.filled.payloads)+len(payload)+overhead*(len(o.filled.messages)+1) > o.max {
		return false
	}
	if once {
		o.once[onceKey{kind, string(payload)}] = struct{}{}
	}
	from := len(o.filled.payloads)
	o.filled.payloads = append(o.filled.payloads, payload...)
	o.filled.messages = append(o.filled.messages, queued{kind, from, len(o.filled.payloads)})
	select {
	case o.ready <- struct{}{}:
	default:
	}
	return true
}

// take returns everything that is queued. What it returned before is reused from
// then on.
func (o *outbox) take() load {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.filled
	if cap(o.spare.payloads) > keepBuffer || cap(o.spare.messages) > keepBuffer/overhead {
		o.spare = load{}
	}
	o.filled = load{messages: o.spare.messages[:0], payloads: o.spare.payloads[:0]}
	o.spare = taken
	clear(o.once)
	return taken
}
