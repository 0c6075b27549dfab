package hub_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/hub"
)

func TestConfigIsValidated(t *testing.T) {
	for name, config := range map[string]hub.Config{
		"Shards":       {Shards: -1},
		"QueueBytes":   {QueueBytes: -1},
		"PingInterval": {PingInterval: -time.Second},
	} {
		if _, err := hub.New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New with a negative %s: %v, want an error that names it", name, err)
		}
	}
	reg := prometheus.NewRegistry()
	if _, err := hub.New(hub.Config{Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := hub.New(hub.Config{Registerer: reg}); err == nil {
		t.Error("New registered the same metrics twice")
	}
}

func TestTokenIsEchoed(t *testing.T) {
	s := startServer(t, hub.Config{})
	for _, tt := range []struct {
		name    string
		offered []string
	}{
		{"short", []string{"jane"}},
		{"as long as a user token may be", []string{"j" + strings.Repeat("x", 32<<10-1)}},
		{"first of several", []string{"jane", "joe"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &websocket.Dialer{Subprotocols: tt.offered}
			c, _, err := d.Dial(s.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.Subprotocol() != tt.offered[0] {
				t.Errorf("chosen subprotocol has %d bytes, want the %d of the token", len(c.Subprotocol()), len(tt.offered[0]))
			}
		})
	}
}

func TestNoTokenIsNoEcho(t *testing.T) {
	s := startServerWith(t, hub.Config{}, func(*fiber.Ctx) (signalbox.UserPrincipal, error) {
		return signalbox.UserPrincipal{Ref: "user:default/guest"}, nil
	})
	// Backstage hangs on a trailing slash and on a query.
	for _, suffix := range []string{"", "/", "?x=1", "/?x=1"} {
		c, response, err := (&websocket.Dialer{}).Dial(s.url+suffix, nil)
		if err != nil {
			t.Fatalf("%q: %v", suffix, err)
		}
		defer c.Close()
		if got, ok := response.Header["Sec-Websocket-Protocol"]; ok {
			t.Errorf("%q: answered with subprotocol %q, want none", suffix, got)
		}
		if got := response.Header.Get("Sec-Websocket-Extensions"); got != "" {
			t.Errorf("%q: answered with extensions %q, want none", suffix, got)
		}
	}
	// The owner's own reference counts even if it is not listed.
	c := s.connect(t, "", "n")
	s.Signal(t.Context(), signalTo("n", `1`, "user:default/guest"))
	c.expect(`{"channel":"n","message":1}`)
}

func TestRefusedBeforeTheUpgrade(t *testing.T) {
	s := startServer(t, hub.Config{MaxConnections: 1})
	refused := func(token string, want int) {
		t.Helper()
		d, header := s.dialer(token)
		_, response, err := d.Dial(s.url, header)
		if err == nil || response == nil || response.StatusCode != want {
			t.Errorf("dial with token %q: %v, %+v, want status %d", token, err, response, want)
		}
	}
	refused("bad", http.StatusUnauthorized)
	refused("", http.StatusUnauthorized)

	response, err := http.Get("http" + strings.TrimPrefix(s.url, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusUpgradeRequired || response.Header.Get("Upgrade") != "websocket" {
		t.Errorf("plain GET: status %d, Upgrade %q, want 426 and websocket", response.StatusCode, response.Header.Get("Upgrade"))
	}

	c := s.connect(t, "jane", "n")
	refused("joe", http.StatusServiceUnavailable)
	c.Close()
	waitFor(t, "the client to be gone", func() bool { return s.Connections() == 0 })
	c = s.connect(t, "joe")
	c.discard()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused("joe", http.StatusServiceUnavailable)
}

// Two clients that pass the first check together: the second is told after the
// upgrade, with a code that makes it come back.
func TestRefusedAfterTheUpgrade(t *testing.T) {
	both := make(chan struct{}, 2)
	proceed := make(chan struct{})
	s := startServerWith(t, hub.Config{MaxConnections: 1}, func(*fiber.Ctx) (signalbox.UserPrincipal, error) {
		both <- struct{}{}
		<-proceed
		return signalbox.UserPrincipal{Ref: "user:default/guest"}, nil
	})
	ends := make(chan error, 2)
	for range 2 {
		go func() {
			c, _, err := (&websocket.Dialer{}).Dial(s.url, nil)
			if err != nil {
				ends <- err
				return
			}
			defer c.Close()
			_, _, err = c.ReadMessage()
			ends <- err
		}()
	}
	<-both
	<-both
	close(proceed)
	if err := <-ends; !websocket.IsCloseError(err, websocket.CloseTryAgainLater) {
		t.Errorf("first to end: %v, want code 1013", err)
	}
	if got := s.Connections(); got != 1 {
		t.Errorf("Connections() = %d, want 1", got)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ends; !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("the one that got in: %v, want code 1012", err)
	}
}

func TestClientsBeyondTheirLimits(t *testing.T) {
	config := hub.Config{MaxMessageBytes: 100, MaxMessageRate: 10, MaxSubscriptions: 3}
	fit := `{"action":"subscribe","channel":"` + strings.Repeat("x", 100-35) + `"}`
	for _, tt := range []struct {
		name  string
		abuse func(c *client)
		code  int
	}{
		{"message too big", func(c *client) { c.send(fit + " ") }, websocket.CloseMessageTooBig},
		{"message far too big", func(c *client) { c.send(strings.Repeat("x", 1<<20)) }, websocket.CloseMessageTooBig},
		{"binary too big", func(c *client) {
			_ = c.WriteMessage(websocket.BinaryMessage, make([]byte, 101))
		}, websocket.CloseMessageTooBig},
		{"fragments too big together", func(c *client) {
			w, err := c.NextWriter(websocket.TextMessage)
			if err != nil {
				c.t.Fatal(err)
			}
			for range 3 {
				// More than the client's buffer, so that it becomes a fragment.
				if _, err := io.WriteString(w, strings.Repeat("x", 5000)); err != nil {
					c.t.Fatal(err)
				}
			}
			_ = w.Close()
		}, websocket.CloseMessageTooBig},
		{"too many messages", func(c *client) {
			// Twice the rate: the clock's second may change in between.
			for range 21 {
				_ = c.WriteMessage(websocket.TextMessage, []byte("x"))
			}
		}, websocket.ClosePolicyViolation},
		{"too many pings", func(c *client) {
			for range 21 {
				_ = c.WriteMessage(websocket.PingMessage, nil)
			}
		}, websocket.ClosePolicyViolation},
		{"too many subscriptions", func(c *client) {
			for i := range 4 {
				c.send(fmt.Sprintf(`{"action":"subscribe","channel":"%d"}`, i))
			}
		}, websocket.ClosePolicyViolation},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, config)
			within := s.connect(t, "eve")
			within.send(fit)
			waitFor(t, "a subscription by a message of just the allowed size", func() bool { return s.Subscriptions() == 1 })

			beyond := s.connect(t, "jane")
			tt.abuse(beyond)
			beyond.expectClose(tt.code)
			waitFor(t, "the abuser to be gone", func() bool { return s.Connections() == 1 })
		})
	}
}

func TestSlowClientLeavesOthersAlone(t *testing.T) {
	t.Run("too many signals", func(t *testing.T) { testSlowClient(t, hub.Config{QueueLength: 8, QueueBytes: 1 << 30}) })
	t.Run("too many bytes", func(t *testing.T) { testSlowClient(t, hub.Config{QueueBytes: 300 << 10}) })
}

func testSlowClient(t *testing.T, config hub.Config) {
	ctx := t.Context()
	reg := prometheus.NewRegistry()
	config.WriteTimeout, config.Registerer = patience, reg
	s := startServer(t, config)

	slow := s.connect(t, "slow", "n")
	fast := s.connect(t, "fast", "n")

	// The slow client does not read. Sooner or later the operating system's
	// buffers are full, then its queue.
	message := `"` + strings.Repeat("x", 64<<10) + `"`
	sent, longest := 0, time.Duration(0)
	for ; metric(t, reg, "signalbox_signals_slow_clients_total") == 0; sent++ {
		if sent == 500 {
			t.Fatal("the slow client was never noticed")
		}
		start := time.Now()
		s.Signal(ctx, broadcast("n", message))
		longest = max(longest, time.Since(start))
		fast.expect(`{"channel":"n","message":` + message + `}`)
	}
	if longest > patience/4 {
		t.Errorf("a signal took %s: it waited for the slow client", longest)
	}
	if got := metric(t, reg, "signalbox_signals_slow_clients_total"); got != 1 {
		t.Errorf("%v slow clients, want 1", got)
	}
	s.Signal(ctx, broadcast("n", `"after"`))
	fast.expect(`{"channel":"n","message":"after"}`)

	// It reads again: it gets what was on the way, then the reason.
	slow.expectClose(websocket.CloseTryAgainLater)
	waitFor(t, "the slow client to be gone", func() bool { return s.Connections() == 1 })
	if got := metric(t, reg, "signalbox_signals_sent_total"); got < float64(sent) {
		t.Errorf("sent_total = %v, want at least %d", got, sent)
	}
}

func TestStuckClientIsDropped(t *testing.T) {
	ctx := t.Context()
	s := startServer(t, hub.Config{WriteTimeout: 50 * time.Millisecond})
	s.connect(t, "stuck", "n") // and never reads
	message := `"` + strings.Repeat("x", 256<<10) + `"`
	waitFor(t, "the client to be dropped", func() bool {
		s.Signal(ctx, broadcast("n", message))
		return s.Connections() == 0
	})
}

// metric returns the value of a metric without labels.
func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startServer(t, hub.Config{Registerer: reg, MaxConnections: 1})
	c := s.connect(t, "jane", "n", "m")
	s.Signal(t.Context(), broadcast("n", `1`), broadcast("n", `2`), broadcast("n", `bad`))
	c.expect(`{"channel":"n","message":1}`)
	c.expect(`{"channel":"n","message":2}`)
	d, header := s.dialer("joe")
	if _, _, err := d.Dial(s.url, header); err == nil {
		t.Fatal("a connection beyond the limit was accepted")
	}
	for name, want := range map[string]float64{
		"signalbox_signals_connections":               1,
		"signalbox_signals_subscriptions":             2,
		"signalbox_signals_sent_total":                2,
		"signalbox_signals_dropped_total":             1,
		"signalbox_signals_refused_connections_total": 1,
		"signalbox_signals_slow_clients_total":        0,
	} {
		waitFor(t, fmt.Sprintf("%s = %v", name, want), func() bool { return metric(t, reg, name) == want })
	}
}
