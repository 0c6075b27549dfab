package hub

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config bounds a [Hub]. The zero value is ready for use: a zero field means its
// default, a negative one is an error.
type Config struct {
	// Shards is how many independently locked parts the connections are spread
	// over. Defaults to 16.
	Shards int

	// QueueLength is how many signals may wait for one client before it counts
	// as slow and is closed with code 1013. It should exceed the largest batch
	// that the pipeline signals at once. Defaults to 1024.
	QueueLength int
	// QueueBytes bounds the same queue in bytes. A single signal beyond it is
	// dropped. Defaults to 1 MiB.
	QueueBytes int

	// MaxConnections is how many clients may be connected. One more is answered
	// 503, or closed with code 1013 if the limit was reached during its upgrade.
	// Defaults to 20,000.
	MaxConnections int
	// MaxSubscriptions is how many signal channels one client may subscribe.
	// One more closes it with code 1008. Defaults to 64.
	MaxSubscriptions int
	// MaxMessageBytes bounds a message from a client. A bigger one closes it with
	// code 1009. Defaults to 4096.
	MaxMessageBytes int
	// MaxMessageRate is how many messages, pings and pongs a client may send
	// within one second. One more closes it with code 1008. A client subscribes
	// everything again when it reconnects, so it should exceed
	// MaxSubscriptions. Defaults to 128.
	MaxMessageRate int

	// PingInterval is the time between two pings to a client. Defaults to 30 s.
	PingInterval time.Duration
	// PongTimeout is how much longer than PingInterval a client may be silent
	// before it is dropped. Defaults to 10 s.
	PongTimeout time.Duration
	// WriteTimeout is how long the operating system may take to accept what is
	// queued for a client before the client is dropped. Defaults to 10 s.
	WriteTimeout time.Duration
	// CloseTimeout is how long a client may take to answer a close frame before
	// its connection is cut. Defaults to 2 s.
	CloseTimeout time.Duration

	// Logger gets what happens to connections. Defaults to discarding it.
	Logger *slog.Logger
	// Registerer gets the hub's metrics. Defaults to keeping them unregistered.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() Config {
	c.Shards = orDefault(c.Shards, 16)
	c.QueueLength = orDefault(c.QueueLength, 1024)
	c.QueueBytes = orDefault(c.QueueBytes, 1<<20)
	c.MaxConnections = orDefault(c.MaxConnections, 20_000)
	c.MaxSubscriptions = orDefault(c.MaxSubscriptions, 64)
	c.MaxMessageBytes = orDefault(c.MaxMessageBytes, 4096)
	c.MaxMessageRate = orDefault(c.MaxMessageRate, 128)
	c.PingInterval = orDefault(c.PingInterval, 30*time.Second)
	c.PongTimeout = orDefault(c.PongTimeout, 10*time.Second)
	c.WriteTimeout = orDefault(c.WriteTimeout, 10*time.Second)
	c.CloseTimeout = orDefault(c.CloseTimeout, 2*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// validate reports the first negative limit.
func (c Config) validate() error {
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"Shards", int64(c.Shards)},
		{"QueueLength", int64(c.QueueLength)},
		{"QueueBytes", int64(c.QueueBytes)},
		{"MaxConnections", int64(c.MaxConnections)},
		{"MaxSubscriptions", int64(c.MaxSubscriptions)},
		{"MaxMessageBytes", int64(c.MaxMessageBytes)},
		{"MaxMessageRate", int64(c.MaxMessageRate)},
		{"PingInterval", int64(c.PingInterval)},
		{"PongTimeout", int64(c.PongTimeout)},
		{"WriteTimeout", int64(c.WriteTimeout)},
		{"CloseTimeout", int64(c.CloseTimeout)},
	} {
		if limit.value < 0 {
			return fmt.Errorf("hub: %s must not be negative", limit.name)
		}
	}
	return nil
}
