package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// socket is a client's WebSocket.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
	// messages are what arrived, closed the error that ended it.
	messages chan []byte
	pongs    chan string
	closed   chan error
}

// dial connects, to be closed when the test ends.
func (s *server) dial(t *testing.T, header http.Header) *socket {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.base, "http")+"/api/signals", header)
	if err != nil {
		t.Fatalf("%v (%v)", err, response)
	}
	c := &socket{t: t, conn: conn, messages: make(chan []byte, 1000), pongs: make(chan string, 10), closed: make(chan error, 1)}
	conn.SetPongHandler(func(text string) error {
		c.pongs <- text
		return nil
	})
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			_, body, err := conn.ReadMessage()
			if err != nil {
				c.closed <- err
				return
			}
			c.messages <- body
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		reading.Wait()
	})
	return c
}

// tell sends a text and waits until the server has read it: it answers pings in
// their turn.
func (c *socket) tell(text string) {
	c.t.Helper()
	ping := fmt.Sprint(time.Now().UnixNano())
	err := errors.Join(
		c.conn.WriteMessage(websocket.TextMessage, []byte(text)),
		c.conn.WriteControl(websocket.PingMessage, []byte(ping), time.Now().Add(10*time.Second)))
	if err != nil {
		c.t.Fatal(err)
	}
	for {
		select {
		case pong := <-c.pongs:
			if pong == ping {
				return
			}
		case err := <-c.closed:
			c.t.Fatalf("the socket was closed: %v", err)
		case <-time.After(10 * time.Second):
			c.t.Fatal("no pong")
		}
	}
}

func (c *socket) subscribe(channel string) {
	c.t.Helper()
	c.tell(fmt.Sprintf(`{"action":"subscribe","channel":%q}`, channel))
}

// next waits for a message on a channel and decodes it. Any other message is an
// error: nobody gets what is not meant for him.
func (c *socket) next(channel string, into any) {
	c.t.Helper()
	select {
	case body := <-c.messages:
		var envelope struct {
			Channel string          `json:"channel"`
			Message json.RawMessage `json:"message"`
		}
		if err := json.Unmarshal(body, &envelope); err != nil || envelope.Channel != channel {
			c.t.Fatalf("%s, want a message on %s", body, channel)
		}
		if err := json.Unmarshal(envelope.Message, into); err != nil {
			c.t.Fatalf("%s: %v", body, err)
		}
	case err := <-c.closed:
		c.t.Fatalf("the socket was closed: %v", err)
	case <-time.After(10 * time.Second):
		c.t.Fatal("no message came")
	}
}

// signal is a message on the channel "notifications".
type signal struct {
	Action         string       `json:"action"`
	NotificationID string       `json:"notification_id"`
	IDs            []string     `json:"notification_ids"`
	Notification   notification `json:"notification"`
}

// nextSignal waits for a signal with this action.
func (c *socket) nextSignal(action string) signal {
	c.t.Helper()
	var got signal
	c.next("notifications", &got)
	if got.Action != action {
		c.t.Fatalf("%+v, want %s", got, action)
	}
	slices.Sort(got.IDs)
	return got
}

// publish sends a signal on the channel "deploys".
func (s *server) publish(t *testing.T, recipients, message string) {
	t.Helper()
	body := fmt.Sprintf(`{"recipients":%s,"channel":"deploys","message":%q}`, recipients, message)
	if _, err := s.call(http.MethodPost, "/api/signals/publish", s.asService(), body, http.StatusAccepted); err != nil {
		t.Fatal(err)
	}
}
