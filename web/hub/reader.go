package hub

import (
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/gofiber/contrib/websocket"
)

// A reader is the goroutine that serves a connection. It alone uses the
// WebSocket library's connection, which is recycled when it returns.
type reader struct {
	*connection
	ws *websocket.Conn

	// channels are the connection's subscriptions.
	channels []string
	// heardSecond and heardCount count what the client sent in that second.
	heardSecond int64
	heardCount  int
	// answered is set once the client sent a close frame.
	answered bool
}

// action is what a client sends.
type action struct {
	Action  string `json:"action"`
	Channel string `json:"channel"`
}

// run reads until the connection ends, and returns when no other goroutine uses
// it any more.
func (r *reader) run() {
	defer r.finish()
	r.ws.SetPongHandler(func(string) error {
		r.heard()
		return nil
	})
	r.ws.SetPingHandler(func(data string) error {
		r.heard()
		r.sendPong(newFrame(websocket.PongMessage, []byte(data)))
		return nil
	})
	r.ws.SetCloseHandler(func(code int, _ string) error {
		r.answered = true
		r.close(newCloseFrame(code, ""))
		return nil
	})
	r.extend(time.Now())
	if !r.expires.IsZero() {
		defer time.AfterFunc(time.Until(r.expires), func() { r.close(expiredFrame) }).Stop()
	}
	r.readMessages()
}

// finish takes the connection out of the hub and waits for its writer.
func (r *reader) finish() {
	if !r.answered {
		r.kill()
	}
	r.writers.Wait()
	r.shard.remove(r.connection, r.channels)
	r.hub.subscriptions.Add(int64(-len(r.channels)))
	r.kill()
}

// readMessages returns when the connection has failed or the client has closed
// it. While the hub closes it, it reads on for the client's close frame.
func (r *reader) readMessages() {
	limit := int64(r.hub.config.MaxMessageBytes)
	for {
		kind, message, err := r.ws.NextReader()
		if err != nil {
			return
		}
		r.heard()
		// One byte more than allowed tells a message that fits from one that does
		// not. A failure to read comes up again at the next message.
		body, err := io.ReadAll(io.LimitReader(message, limit+1))
		switch {
		case err != nil:
			continue
		case int64(len(body)) > limit:
			r.close(tooBigFrame)
		case kind == websocket.TextMessage:
			r.act(body)
		}
	}
}

// heard notes a sign of life, and closes a client that gives too many.
func (r *reader) heard() {
	now := time.Now()
	if second := now.Unix(); second != r.heardSecond {
		r.heardSecond, r.heardCount = second, 0
	}
	r.heardCount++
	if r.heardCount > r.hub.config.MaxMessageRate {
		r.close(tooOftenFrame)
		return
	}
	r.extend(now)
}

// act does what a message asks for, and ignores one that makes no sense, as
// Backstage does.
func (r *reader) act(body []byte) {
	var a action
	if json.Unmarshal(body, &a) != nil || a.Channel == "" {
		return
	}
	at := slices.Index(r.channels, a.Channel)
	switch {
	case a.Action == "subscribe" && at < 0:
		if len(r.channels) >= r.hub.config.MaxSubscriptions {
			r.close(tooManySubsFrame)
			return
		}
		r.channels = append(r.channels, a.Channel)
		r.shard.subscribe(r.connection, a.Channel)
		r.hub.subscriptions.Add(1)
	case a.Action == "unsubscribe" && at >= 0:
		r.channels = slices.Delete(r.channels, at, at+1)
		r.shard.unsubscribe(r.connection, a.Channel)
		r.hub.subscriptions.Add(-1)
	}
}
