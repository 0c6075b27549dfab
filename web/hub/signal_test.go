package hub_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fasthttp/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/hub"
)

func TestSubscribeAndUnsubscribe(t *testing.T) {
	ctx := t.Context()
	s := startServer(t, hub.Config{})
	c := s.connect(t, "jane", "a")

	s.Signal(ctx, broadcast("b", `"not subscribed"`), broadcast("a", `{"x":1}`))
	c.expect(`{"channel":"a","message":{"x":1}}`)

	c.send(`{"action":"subscribe","channel":"a"}`) // twice is once
	c.send(`{"action":"subscribe","channel":"b"}`)
	waitFor(t, "two subscriptions", func() bool { return s.Subscriptions() == 2 })
	s.Signal(ctx, broadcast("a", `1`), broadcast("b", `2`))
	c.expect(`{"channel":"a","message":1}`)
	c.expect(`{"channel":"b","message":2}`)

	c.send(`{"action":"unsubscribe","channel":"a"}`)
	c.send(`{"action":"unsubscribe","channel":"never subscribed"}`)
	waitFor(t, "one subscription", func() bool { return s.Subscriptions() == 1 })
	s.Signal(ctx, broadcast("a", `3`), broadcast("b", `4`))
	c.expect(`{"channel":"b","message":4}`)
	// The connection, one channel, one reference.
	if got := s.Indexed(); got != 3 {
		t.Errorf("the shards know %d things, want 3", got)
	}

	if got := s.Connections(); got != 1 {
		t.Errorf("Connections() = %d, want 1", got)
	}
	c.Close()
	waitFor(t, "the client to be gone", func() bool { return s.Connections() == 0 })
	if got := s.Subscriptions(); got != 0 {
		t.Errorf("Subscriptions() = %d after the client left, want 0", got)
	}
}

func TestRecipients(t *testing.T) {
	ctx := t.Context()
	s := startServer(t, hub.Config{Shards: 3})
	tokens := []string{"jane+team-a", "joe+team-a+team-b", "jane+team-a", "eve"}
	clients := make([]*client, len(tokens))
	for i, token := range tokens {
		clients[i] = s.connect(t, token, "n")
	}

	for _, tt := range []struct {
		name   string
		signal signalbox.Signal
		want   []int
	}{
		{"a user on all connections", signalTo("n", `1`, "user:default/jane"), []int{0, 2}},
		{"a group", signalTo("n", `1`, "group:default/team-a"), []int{0, 1, 2}},
		{"several owned recipients, once", signalTo("n", `1`, "group:default/team-b", "group:default/team-a", "user:default/joe"), []int{0, 1, 2}},
		{"the same recipient twice", signalTo("n", `1`, "user:default/eve", "user:default/eve"), []int{3}},
		{"nobody", signalTo("n", `1`), nil},
		{"somebody unknown", signalTo("n", `1`, "user:default/nobody"), nil},
		{"another channel", signalTo("m", `1`, "user:default/jane"), nil},
		{"broadcast", broadcast("n", `1`), []int{0, 1, 2, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Signal(ctx, tt.signal, broadcast("n", `"end"`))
			var got []int
			for i, c := range clients {
				for {
					message, err := c.next()
					if err != nil {
						t.Fatal(err)
					}
					if message == `{"channel":"n","message":"end"}` {
						break
					}
					got = append(got, i)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("connections reached (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessagesArriveUnchanged(t *testing.T) {
	ctx := t.Context()
	s := startServer(t, hub.Config{})
	c := s.connect(t, "jane", "n")
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	for _, tt := range []struct{ name, message, want string }{
		{"null", `null`, `null`},
		{"markup", `"<b>&</b>"`, `"<b>&</b>"`},
		{"white space", "{\n \"a\": 1\n}", `{"a":1}`},
		{"not UTF-8", "\"a\xffb\"", "\"a\uFFFDb\""},
		// The payload around the message has 28 bytes; these are the borders of
		// the three encodings of a frame's length.
		{"125 bytes", long(125 - 28), long(125 - 28)},
		{"126 bytes", long(126 - 28), long(126 - 28)},
		{"65535 bytes", long(65535 - 28), long(65535 - 28)},
		{"65536 bytes", long(65536 - 28), long(65536 - 28)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			s.Signal(ctx, broadcast("n", tt.message))
			c.expect(`{"channel":"n","message":` + tt.want + `}`)
		})
	}
}

func TestBadSignalHurtsOnlyItself(t *testing.T) {
	ctx := t.Context()
	s := startServer(t, hub.Config{QueueBytes: 1000})
	c := s.connect(t, "jane", "n")
	s.Signal(ctx,
		broadcast("n", `{"half":`),
		broadcast("n", `"`+strings.Repeat("x", 1000)+`"`),
		broadcast("n", `"good"`))
	c.expect(`{"channel":"n","message":"good"}`)
}

func TestJunkIsIgnored(t *testing.T) {
	s := startServer(t, hub.Config{})
	c := s.connect(t, "jane")
	for _, junk := range []string{
		``, `nonsense`, `{`, `[]`, `null`, `7`, `{"action":7}`, `{"action":"subscribe"}`,
		`{"action":"subscribe","channel":""}`, `{"action":"subscribe","channel":7}`,
		`{"action":"dance","channel":"n"}`, `{"action":"unsubscribe","channel":"n"}`, "\xff\xfe",
	} {
		c.send(junk)
	}
	if err := c.WriteMessage(websocket.BinaryMessage, []byte(`{"action":"subscribe","channel":"binary"}`)); err != nil {
		t.Fatal(err)
	}
	c.send(`{"action":"subscribe","channel":"n","unknown":true}`)
	waitFor(t, "the subscription", func() bool { return s.Subscriptions() > 0 })
	s.Signal(t.Context(), broadcast("binary", `1`), broadcast("n", `2`))
	c.expect(`{"channel":"n","message":2}`)
	if got := s.Subscriptions(); got != 1 {
		t.Errorf("Subscriptions() = %d, want 1", got)
	}
}

func TestOrderIsKept(t *testing.T) {
	ctx := t.Context()
	const clients, signals = 20, 500
	s := startServer(t, hub.Config{QueueLength: signals})
	var readers sync.WaitGroup
	for i := range clients {
		c := s.connect(t, "user"+strconv.Itoa(i), "n")
		readers.Go(func() {
			for n := range signals {
				want := fmt.Sprintf(`{"channel":"n","message":%d}`, n)
				if got, err := c.next(); err != nil || got != want {
					t.Errorf("client %d got %s, %v, want %s", i, got, err, want)
					return
				}
			}
		})
	}
	for n := 0; n < signals; n += 5 {
		batch := make([]signalbox.Signal, 5)
		for i := range batch {
			batch[i] = broadcast("n", strconv.Itoa(n+i))
		}
		s.Signal(ctx, batch...)
	}
	readers.Wait()
}
