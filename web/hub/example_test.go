package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/hub"
)

// A server with one WebSocket endpoint, and a client that gets a signal.
func Example() {
	h, err := hub.New(hub.Config{})
	if err != nil {
		log.Fatal(err)
	}
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ReadBufferSize:        48 << 10, // tokens have up to 32 KiB
		ReduceMemoryUsage:     true,     // idle clients need no such buffer
	})
	app.Get("/api/signals", h.Handler(func(c *fiber.Ctx) (signalbox.UserPrincipal, error) {
		if hub.Token(c) != "jane's token" {
			return signalbox.UserPrincipal{}, signalbox.Errorf(signalbox.CodeAuthentication, "invalid token")
		}
		return signalbox.UserPrincipal{
			Ref:       "user:default/jane",
			Ownership: []string{"user:default/jane", "group:default/team-a"},
		}, nil
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- app.Listener(listener) }()

	dialer := websocket.Dialer{Subprotocols: []string{"jane's token"}}
	client, _, err := dialer.Dial("ws://"+listener.Addr().String()+"/api/signals", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.WriteJSON(map[string]string{"action": "subscribe", "channel": "builds"}); err != nil {
		log.Fatal(err)
	}
	for h.Subscriptions() == 0 {
		time.Sleep(time.Millisecond)
	}

	h.Signal(context.Background(), signalbox.Signal{
		Channel:    "builds",
		Recipients: []string{"group:default/team-a"},
		Message:    json.RawMessage(`{"state":"green"}`),
	})
	_, message, err := client.ReadMessage()
	fmt.Println(string(message), err)

	go func() { _, _, _ = client.ReadMessage() }() // answers the close frame
	fmt.Println(h.Close(context.Background()))
	fmt.Println(app.Shutdown(), <-stopped)
	// Output:
	// {"channel":"builds","message":{"state":"green"}} <nil>
	// <nil>
	// <nil> <nil>
}
