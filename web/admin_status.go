package web

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// Status is how a router is doing, for its operators.
type Status struct {
	// Version is the build of the instance that answers.
	Version string
	// Instances is how many instances share the database.
	Instances int
	// Queues are those that have messages. All instances share them.
	Queues []QueueStatus
	// Channels are the outside channels, as the instance that answers sees them.
	Channels []ChannelStatus
	// DeadLetters is how many there are.
	DeadLetters int
}

// QueueStatus counts the messages of a queue.
type QueueStatus struct {
	Topic string
	// Ready messages wait for a consumer, Leased ones are with one, Scheduled
	// ones are not due yet.
	Ready, Leased, Scheduled int64
	// OldestReady is for how long the oldest ready message has been due; 0
	// without one.
	OldestReady time.Duration
}

// ChannelStatus is the health of an outside channel.
type ChannelStatus struct {
	Name  string
	State ChannelState
	// PausedUntil is until when nothing is sent there; zero if it is not paused.
	PausedUntil time.Time
	// LastSuccess and LastFailure are when a call ended so; zero if none has
	// since the start.
	LastSuccess, LastFailure time.Time
	// LastError is of LastFailure. It holds no secret.
	LastError string
	// Consecutive counts the failures since the last success.
	Consecutive int
	// InFlight counts the calls under way.
	InFlight int
}

// ChannelState says whether a channel is used.
type ChannelState string

// The states.
const (
	// ChannelUp is used.
	ChannelUp ChannelState = "up"
	// ChannelPaused is left alone, because the provider asked for it or several
	// calls in a row failed.
	ChannelPaused ChannelState = "paused"
	// ChannelTrying was paused, and a call finds out whether it is over.
	ChannelTrying ChannelState = "trying"
)

type queueStatus struct {
	Topic              string  `json:"topic"`
	Ready              int64   `json:"ready"`
	Leased             int64   `json:"leased"`
	Scheduled          int64   `json:"scheduled"`
	OldestReadySeconds float64 `json:"oldestReadySeconds"`
}

type channelStatus struct {
	Name        string       `json:"name"`
	State       ChannelState `json:"state"`
	PausedUntil *string      `json:"pausedUntil"`
	LastSuccess *string      `json:"lastSuccess"`
	LastFailure *string      `json:"lastFailure"`
	LastError   *string      `json:"lastError"`
	Consecutive int          `json:"consecutiveFailures"`
	InFlight    int          `json:"inFlight"`
}

// adminStatus tells how the router is doing.
func (s *Server) adminStatus(c *fiber.Ctx, _ signalbox.Principal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	status, err := s.deps.Status(ctx)
	if err != nil {
		return err
	}
	answer := struct {
		Version     string          `json:"version"`
		Instances   int             `json:"instances"`
		Queues      []queueStatus   `json:"queues"`
		Channels    []channelStatus `json:"channels"`
		DeadLetters int             `json:"deadLetters"`
	}{status.Version, status.Instances, []queueStatus{}, []channelStatus{}, status.DeadLetters}
	for _, q := range status.Queues {
		answer.Queues = append(answer.Queues, queueStatus{
			q.Topic, q.Ready, q.Leased, q.Scheduled, float64(q.OldestReady.Round(time.Millisecond)/time.Millisecond) / 1000,
		})
	}
	for i := range status.Channels {
		ch := &status.Channels[i]
		shown := channelStatus{
			Name: ch.Name, State: ch.State, PausedUntil: optionalTime(ch.PausedUntil),
			LastSuccess: optionalTime(ch.LastSuccess), LastFailure: optionalTime(ch.LastFailure),
			Consecutive: ch.Consecutive, InFlight: ch.InFlight,
		}
		if ch.LastError != "" {
			shown.LastError = &ch.LastError
		}
		answer.Channels = append(answer.Channels, shown)
	}
	return sendJSON(c, answer)
}

// optionalTime is nil, which is null, for the zero time.
func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := wireTime(t)
	return &text
}
