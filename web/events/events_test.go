package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bus answers as Backstage's events backend does, with one subscription.
type bus struct {
	mu        sync.Mutex
	id        string
	events    []string
	published chan struct{}
	// requests are those that came; answer, if set, stands in for the bus.
	requests []string
	tokens   map[string]bool
	answer   http.HandlerFunc
	// wait is how long a request is kept open.
	wait time.Duration
}

func newBus() *bus {
	return &bus{published: make(chan struct{}), tokens: map[string]bool{}, wait: 55 * time.Second}
}

func (b *bus) publish(payloads ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, payloads...)
	close(b.published)
	b.published = make(chan struct{})
}

// become makes the bus answer so, or as ever if answer is nil.
func (b *bus) become(answer http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func (b *bus) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.id = ""
	close(b.published)
	b.published = make(chan struct{})
}

func (b *bus) subscription() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.id
}

func (b *bus) asked(what string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, request := range b.requests {
		if strings.HasPrefix(request, what) {
			n++
		}
	}
	return n
}

func (b *bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.requests = append(b.requests, r.Method+" "+r.URL.Path)
	b.tokens[r.Header.Get("Authorization")] = true
	answer := b.answer
	b.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	id, ok := strings.CutPrefix(r.URL.Path, "/api/events/bus/v1/subscriptions/")
	if !ok {
		http.Error(w, "no such route", http.StatusTeapot)
		return
	}
	if r.Method == http.MethodPut {
		var body struct{ Topics []string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Topics) != 1 || body.Topics[0] != "signals" {
			http.Error(w, "bad topics", http.StatusBadRequest)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.id = id
		w.WriteHeader(http.StatusCreated)
		return
	}
	b.mu.Lock()
	known := strings.TrimSuffix(id, "/events") == b.id
	batch := b.events[:min(len(b.events), 10)]
	if known {
		b.events = b.events[len(batch):]
	}
	published := b.published
	b.mu.Unlock()
	switch {
	case !known:
		http.Error(w, "not found", http.StatusNotFound)
	case len(batch) > 0:
		_, _ = fmt.Fprintf(w, `{"events":[%s]}`, strings.Join(batch, ","))
	default:
		w.Header().Set("backstage-events-notify-timeout", fmt.Sprint(b.wait.Milliseconds()))
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-published:
		case <-time.After(b.wait):
		case <-r.Context().Done():
		}
	}
}

func event(payload string) string { return `{"topic":"signals","payload":` + payload + `}` }

func toEveryone(channel string) string {
	return event(`{"recipients":{"type":"broadcast"},"channel":"` + channel + `","message":{"n":1}}`)
}

// clients collects what is passed on.
type clients chan signalbox.Signal

func (c clients) Signal(_ context.Context, list ...signalbox.Signal) {
	for _, signal := range list {
		c <- signal
	}
}

func (c clients) next(t *testing.T) signalbox.Signal {
	t.Helper()
	select {
	case signal := <-c:
		return signal
	case <-time.After(30 * time.Second):
		t.Fatal("no signal came")
		panic("unreachable")
	}
}

// run subscribes to a bus at an address until the test ends.
func run(t *testing.T, base string, change ...func(*events.Config)) clients {
	t.Helper()
	c := make(clients, 100)
	config := events.Config{
		BaseURL: base, Signaler: c, Token: func() (string, error) { return "secret", nil },
		MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, LookAgain: 10 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&config)
	}
	s, err := events.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return c
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL + "/api/events"
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	b := newBus()
	c := run(t, serve(t, b))
	eventually(t, func() bool { return b.subscription() != "" })
	if id := b.subscription(); !strings.HasPrefix(id, "signals.signalbox-") {
		t.Errorf("the subscription is %q", id)
	}
	b.publish(event(`{"recipients":{"type":"user","entityRef":["user:default/jane","group:default/ops"]},"channel":"c","message":{"a":[1]}}`))
	want := signalbox.Signal{Channel: "c", Recipients: []string{"user:default/jane", "group:default/ops"}, Message: []byte(`{"a":[1]}`)}
	if diff := cmp.Diff(want, c.next(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	t.Log("More than one answer holds, in order, and what is no signal is passed over.")
	list := []string{event(`null`), event(`{"channel":"x"}`), event(`{"recipients":{"type":"broadcast"},"message":1}`)}
	for i := range 25 {
		list = append(list, toEveryone(fmt.Sprint("n", i)))
	}
	b.publish(list...)
	for i := range 25 {
		if signal := c.next(t); signal.Channel != fmt.Sprint("n", i) || !signal.Broadcast {
			t.Fatalf("%d: %+v", i, signal)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(map[string]bool{"Bearer secret": true}, b.tokens); diff != "" {
		t.Errorf("tokens: %s", diff)
	}
}

func TestEveryProcessHasItsOwnSubscription(t *testing.T) {
	one, other := newBus(), newBus()
	run(t, serve(t, one))
	run(t, serve(t, other))
	eventually(t, func() bool { return one.subscription() != "" && other.subscription() != "" })
	if one.subscription() == other.subscription() {
		t.Error("they are the same")
	}
}

func TestAnAnswerWithoutEventsIsAskedForAgain(t *testing.T) {
	b := newBus()
	b.wait = 10 * time.Millisecond
	c := run(t, serve(t, b))
	eventually(t, func() bool { return b.asked("GET") > 3 })
	b.publish(toEveryone("late"))
	c.next(t)
	if n := b.asked("PUT"); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
}

func TestTroubleEnds(t *testing.T) {
	for name, trouble := range map[string]http.HandlerFunc{
		"server error":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
		"refused token":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) },
		"cut connections": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no JSON":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"events":["` + strings.Repeat("x", 17<<20)))
		},
		"forgets at once": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				http.NotFound(w, r)
			}
		},
		"never answers": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client go
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBus()
			b.become(trouble)
			c := run(t, serve(t, b), func(config *events.Config) { config.Answer = 200 * time.Millisecond })
			eventually(t, func() bool { return b.asked("") > 2 })
			b.become(nil)
			eventually(t, func() bool { return b.subscription() != "" })
			b.publish(toEveryone("back"))
			c.next(t)
		})
	}
}

// TestForgotten is about a bus that was restarted, or has not seen us for long.
func TestForgotten(t *testing.T) {
	b := newBus()
	c := run(t, serve(t, b))
	eventually(t, func() bool { return b.subscription() != "" })
	b.forget()
	eventually(t, func() bool { return b.subscription() != "" })
	b.publish(toEveryone("again"))
	c.next(t)
}

func TestWithoutEventsBackend(t *testing.T) {
	b := newBus()
	b.become(http.NotFound)
	begun := time.Now()
	c := run(t, serve(t, b), func(config *events.Config) { config.LookAgain = 300 * time.Millisecond })
	eventually(t, func() bool { return b.asked("PUT") >= 12 })
	// Eleven delays that double from 1 ms to LookAgain, less jitter; MaxBackoff would
	// make them 151 ms at most.
	if took := time.Since(begun); took < 400*time.Millisecond {
		t.Errorf("it was looked for 12 times within %s", took)
	}
	b.become(nil)
	eventually(t, func() bool { return b.subscription() != "" })
	b.publish(toEveryone("installed"))
	c.next(t)
}

// TestOneThatStartsIsFoundSoon is about a Backstage that listens before its plugins are
// there: it is first not to be reached and then without an events backend.
func TestOneThatStartsIsFoundSoon(t *testing.T) {
	b := newBus()
	b.become(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c := run(t, serve(t, b), func(config *events.Config) {
		config.MaxBackoff, config.LookAgain = time.Minute, time.Hour
	})
	eventually(t, func() bool { return b.asked("PUT") >= 10 }) // the next one is half a second away
	b.become(http.NotFound)
	eventually(t, func() bool { return b.asked("PUT") >= 17 })
	b.become(nil)
	b.publish(toEveryone("started"))
	c.next(t)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := newBus()
	elsewhere := serve(t, other)
	b := newBus()
	b.become(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	run(t, serve(t, b))
	eventually(t, func() bool { return b.asked("PUT") > 2 })
	if n := other.asked(""); n > 0 {
		t.Errorf("the token went elsewhere %d times", n)
	}
}

func TestWhoAnswersAtOnceIsNotAskedAllTheTime(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"nothing yet": nil,
		"no events":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"events":[]}`) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBus()
			b.wait = 0
			b.become(answer)
			begun := time.Now()
			run(t, serve(t, b))
			eventually(t, func() bool { return b.asked("GET") >= 5 })
			if took := time.Since(begun); took < 200*time.Millisecond {
				t.Errorf("5 requests in %s", took)
			}
		})
	}
}

func TestSendersRightsHold(t *testing.T) {
	none := false
	policy, err := signalbox.NewSenderPolicy([]signalbox.SenderRule{{Subject: "plugin:events", Broadcast: &none}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBus()
	c := run(t, serve(t, b), func(config *events.Config) {
		config.Rights = policy.Of(signalbox.ServicePrincipal{Name: "plugin:events"})
	})
	b.publish(toEveryone("refused"), event(`{"recipients":{"type":"user","entityRef":"user:default/jane"},"channel":"taken","message":1}`))
	if signal := c.next(t); signal.Channel != "taken" {
		t.Errorf("%+v", signal)
	}
}

func TestTokensThatCannotBeHad(t *testing.T) {
	b := newBus()
	var mu sync.Mutex
	failures := 3
	c := run(t, serve(t, b), func(config *events.Config) {
		config.Token = func() (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if failures--; failures >= 0 {
				return "", errors.New("the database is away")
			}
			return "secret", nil
		}
	})
	b.publish(toEveryone("c"))
	c.next(t)
}

func TestConfigs(t *testing.T) {
	token, signaler := func() (string, error) { return "", nil }, make(clients)
	for name, config := range map[string]events.Config{
		"no address":  {Token: token, Signaler: signaler},
		"no http":     {BaseURL: "ftp://x/api/events", Token: token, Signaler: signaler},
		"no token":    {BaseURL: "http://x/api/events", Signaler: signaler},
		"no signaler": {BaseURL: "http://x/api/events", Token: token},
	} {
		if _, err := events.New(config); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
