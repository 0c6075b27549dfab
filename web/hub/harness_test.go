package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/hub"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps one clock for the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Its worker pools notice their end only after ten seconds.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// patience bounds every wait of the tests.
const patience = 10 * time.Second

// A server is a hub behind a real Fiber server.
type server struct {
	*hub.Hub
	url string
}

// startServer serves a hub. A token is a user's name, followed by the groups of
// the user: "jane+team-a+team-b".
func startServer(t testing.TB, config hub.Config) *server {
	t.Helper()
	return startServerWith(t, config, authenticate)
}

func startServerWith(t testing.TB, config hub.Config, authenticate func(*fiber.Ctx) (signalbox.UserPrincipal, error)) *server {
	t.Helper()
	h, err := hub.New(config)
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ReadBufferSize:        48 << 10,
		ReduceMemoryUsage:     true,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			status := fiber.StatusInternalServerError
			var fiberError *fiber.Error
			switch code := signalbox.ErrorCode(err); {
			case errors.As(err, &fiberError):
				status = fiberError.Code
			case code == signalbox.CodeAuthentication:
				status = fiber.StatusUnauthorized
			case code == signalbox.CodeUnavailable:
				status = fiber.StatusServiceUnavailable
			}
			return c.Status(status).SendString(err.Error())
		},
	})
	app.Get("/api/signals", h.Handler(authenticate))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := app.ShutdownWithContext(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		// Shutdown does not know a server that has not quite started.
		_ = listener.Close()
		if err := <-served; err != nil {
			t.Errorf("Listener: %v", err)
		}
	})
	return &server{Hub: h, url: "ws://" + listener.Addr().String() + "/api/signals"}
}

func authenticate(c *fiber.Ctx) (signalbox.UserPrincipal, error) {
	token := hub.Token(c)
	if token == "" || token == "bad" {
		return signalbox.UserPrincipal{}, signalbox.Errorf(signalbox.CodeAuthentication, "invalid token")
	}
	name, groups, _ := strings.Cut(token, "+")
	user := signalbox.UserPrincipal{Ref: "user:default/" + name}
	user.Ownership = append(user.Ownership, user.Ref)
	for group := range strings.SplitSeq(groups, "+") {
		if group != "" {
			user.Ownership = append(user.Ownership, "group:default/"+group)
		}
	}
	return user, nil
}

// A client is a connected WebSocket client.
type client struct {
	*websocket.Conn
	t testing.TB
}

func (s *server) dialer(token string) (*websocket.Dialer, http.Header) {
	d := &websocket.Dialer{HandshakeTimeout: patience}
	if token != "" {
		d.Subprotocols = []string{token}
	}
	return d, http.Header{}
}

// connect dials as a user and subscribes channels.
func (s *server) connect(t testing.TB, token string, channels ...string) *client {
	t.Helper()
	d, header := s.dialer(token)
	conn, response, err := d.Dial(s.url, header)
	if err != nil {
		t.Fatalf("dial: %v (%+v)", err, response)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{Conn: conn, t: t}
	for _, channel := range channels {
		want := s.Subscriptions() + 1
		c.send(`{"action":"subscribe","channel":"` + channel + `"}`)
		waitFor(t, "the subscription of "+channel, func() bool { return s.Subscriptions() == want })
	}
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// next reads one message.
func (c *client) next() (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	kind, message, err := c.ReadMessage()
	if err == nil && kind != websocket.TextMessage {
		err = errors.New("not a text message")
	}
	return string(message), err
}

// expect reads one message and compares it.
func (c *client) expect(want string) {
	c.t.Helper()
	got, err := c.next()
	if err != nil {
		c.t.Fatalf("read: %v, want %s", err, want)
	}
	if got != want {
		c.t.Fatalf("got %s, want %s", got, want)
	}
}

// expectClose reads up to the close frame and compares its code.
func (c *client) expectClose(code int) {
	c.t.Helper()
	for {
		_, err := c.next()
		if err == nil {
			continue
		}
		if !websocket.IsCloseError(err, code) {
			c.t.Fatalf("closed with %v, want code %d", err, code)
		}
		return
	}
}

// discard reads, and so answers pings, until the connection ends; the channel
// then delivers the reason.
func (c *client) discard() <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, _, err := c.NextReader(); err != nil {
				ended <- err
				return
			}
		}
	}()
	return ended
}

func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func broadcast(channel, message string) signalbox.Signal {
	return signalbox.Signal{Channel: channel, Broadcast: true, Message: json.RawMessage(message)}
}

func signalTo(channel, message string, recipients ...string) signalbox.Signal {
	return signalbox.Signal{Channel: channel, Recipients: recipients, Message: json.RawMessage(message)}
}
