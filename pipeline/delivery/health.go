package delivery

import (
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/signalbox/signalbox/pipeline/retry"
)

// The states of a channel's circuit breaker.
const (
	StateClosed   = "closed"
	StateHalfOpen = "half-open"
	StateOpen     = "open"
)

// ChannelHealth is how a channel, or a processor after storing, does on this
// instance. Times are zero if there is none.
type ChannelHealth struct {
	Name string `json:"name"`
	// State is StateClosed if calls are made, StateOpen if they are paused because
	// several failed, and StateHalfOpen while one is tried.
	State string `json:"state"`
	// PausedUntil is when calls are made again.
	PausedUntil time.Time `json:"pausedUntil,omitzero"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	LastFailure time.Time `json:"lastFailure,omitzero"`
	// LastError is that of LastFailure, and holds no secret.
	LastError string `json:"lastError,omitempty"`
	// Failures counts the calls that failed since the last success.
	Failures int `json:"failures,omitempty"`
	// InFlight counts the calls under way.
	InFlight int `json:"inFlight,omitempty"`
}

// health keeps what a [ChannelHealth] tells.
type health struct {
	mu          sync.Mutex
	lastSuccess time.Time
	lastFailure time.Time
	lastError   string
	failures    int
	inFlight    int
}

func (h *health) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight++
}

func (h *health) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight--
}

func (h *health) succeeded(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastSuccess, h.failures = now, 0
}

func (h *health) failed(err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastFailure, h.lastError = now, retry.Text(err.Error(), maxHistoryText)
	h.failures++
}

func (c *consumer) healthNow() ChannelHealth {
	state := StateClosed
	switch c.gate.breaker.State() {
	case gobreaker.StateOpen:
		state = StateOpen
	case gobreaker.StateHalfOpen:
		state = StateHalfOpen
	case gobreaker.StateClosed:
	}
	until, _ := c.gate.closedUntil()
	if !until.After(time.Now()) {
		until = time.Time{}
	}
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	return ChannelHealth{
		Name: c.name, State: state, PausedUntil: until,
		LastSuccess: c.health.lastSuccess, LastFailure: c.health.lastFailure, LastError: c.health.lastError,
		Failures: c.health.failures, InFlight: c.health.inFlight,
	}
}
