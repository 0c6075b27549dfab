package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox/web/hub"
)

func TestNewStartsNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	h, err := hub.New(hub.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h.Signal(t.Context(), broadcast("n", `1`))
	goleak.VerifyNone(t, before)
	for range 2 {
		if err := h.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestCloseFlushesAndTellsClientsToReconnect(t *testing.T) {
	const clients, signals = 200, 5
	s := startServer(t, hub.Config{})
	var readers sync.WaitGroup
	for i := range clients {
		c := s.connect(t, "user"+strconv.Itoa(i), "n")
		readers.Go(func() {
			for n := range signals {
				want := fmt.Sprintf(`{"channel":"n","message":%d}`, n)
				if got, err := c.next(); err != nil || got != want {
					t.Errorf("got %s, %v, want %s", got, err, want)
					return
				}
			}
			if _, err := c.next(); !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
				t.Errorf("ended with %v, want code 1012", err)
			}
		})
	}
	for n := range signals {
		s.Signal(t.Context(), broadcast("n", strconv.Itoa(n)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := s.Connections(); got != 0 {
		t.Errorf("Connections() = %d after Close", got)
	}
	readers.Wait()
}

func TestCloseIsBounded(t *testing.T) {
	// Nobody reads, so nobody answers the close frame.
	t.Run("by the close timeout", func(t *testing.T) {
		s := startServer(t, hub.Config{CloseTimeout: 20 * time.Millisecond})
		s.connect(t, "jane", "n")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Run("by the context", func(t *testing.T) {
		s := startServer(t, hub.Config{CloseTimeout: time.Hour})
		s.connect(t, "jane", "n")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v, want a deadline error", err)
		}
		if got := s.Connections(); got != 0 {
			t.Errorf("Connections() = %d after Close", got)
		}
	})
}

func TestClientClosesItself(t *testing.T) {
	s := startServer(t, hub.Config{})
	c := s.connect(t, "jane", "n")
	if err := c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "bye")); err != nil {
		t.Fatal(err)
	}
	c.expectClose(websocket.CloseNormalClosure)
	waitFor(t, "the client to be gone", func() bool { return s.Connections() == 0 })
}

func TestPings(t *testing.T) {
	s := startServer(t, hub.Config{PingInterval: 40 * time.Millisecond, PongTimeout: 200 * time.Millisecond, Shards: 4})
	s.connect(t, "silent") // never reads, so never answers
	answering := s.connect(t, "answering")
	var pings atomic.Int64
	pong := answering.PingHandler()
	answering.SetPingHandler(func(data string) error {
		pings.Add(1)
		return pong(data)
	})
	ended := answering.discard()
	waitFor(t, "the silent client to be dropped", func() bool { return s.Connections() == 1 })
	// Longer than the silent client was allowed.
	seen := pings.Load()
	waitFor(t, "ten more pings", func() bool { return pings.Load() >= seen+10 })
	select {
	case err := <-ended:
		t.Fatalf("the answering client was closed: %v", err)
	default:
	}
	if got := s.Connections(); got != 1 {
		t.Errorf("Connections() = %d, want the answering client", got)
	}
	answering.Close()
	<-ended
}

func TestPingOfTheClientIsAnswered(t *testing.T) {
	s := startServer(t, hub.Config{})
	c := s.connect(t, "jane")
	pongs := make(chan string, 1)
	c.SetPongHandler(func(data string) error {
		pongs <- data
		return nil
	})
	ended := c.discard()
	if err := c.WriteMessage(websocket.PingMessage, []byte("are you there")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-pongs:
		if got != "are you there" {
			t.Errorf("pong %q", got)
		}
	case <-time.After(patience):
		t.Error("no pong")
	}
	c.Close()
	<-ended
}

// Clients come, subscribe and go in every way while signals flow.
func TestChurn(t *testing.T) {
	const workers, rounds = 16, 80
	s := startServer(t, hub.Config{Shards: 4, QueueLength: 16, MaxConnections: workers, PingInterval: 20 * time.Millisecond})
	stop := make(chan struct{})
	var senders, clients sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				s.Signal(t.Context(),
					broadcast("n", strconv.Itoa(n)),
					signalTo("n", strconv.Itoa(n), "group:default/all", "user:default/user"+strconv.Itoa(n%workers)))
			}
		})
	}
	var received atomic.Int64
	for i := range workers {
		clients.Go(func() {
			for round := range rounds {
				d, header := s.dialer("user" + strconv.Itoa(i) + "+all")
				conn, response, err := d.Dial(s.url, header)
				if err != nil {
					if response != nil && response.StatusCode == 503 {
						continue // the previous connection is not gone yet
					}
					t.Errorf("dial: %v", err)
					return
				}
				_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"action":"subscribe","channel":"n"}`))
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				for range rand.IntN(5) {
					if _, _, err := conn.ReadMessage(); err == nil {
						received.Add(1)
					}
				}
				switch round % 3 {
				case 0:
					_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"action":"unsubscribe","channel":"n"}`))
				case 1:
					_ = conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
				}
				conn.Close()
			}
		})
	}
	clients.Wait()
	close(stop)
	senders.Wait()
	if received.Load() == 0 {
		t.Error("no signal was received")
	}
	waitFor(t, "all clients to be gone", func() bool { return s.Connections() == 0 })
	if got := s.Subscriptions(); got != 0 {
		t.Errorf("Subscriptions() = %d without connections", got)
	}
	if got := s.Indexed(); got != 0 {
		t.Errorf("the shards still know %d things", got)
	}
}
