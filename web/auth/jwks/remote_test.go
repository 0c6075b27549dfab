package jwks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth/jwks"
	"github.com/signalbox/signalbox/web/auth/jwks/jwkstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustJSON(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

const path = "/keys.json"

// harness is a remote set with its issuer and a clock.
type harness struct {
	*jwks.Remote
	issuer *jwkstest.Issuer
	v      *jwks.Verifier

	mu   sync.Mutex
	time time.Time
	log  bytes.Buffer
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.time
}

func (h *harness) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.time = h.time.Add(d)
}

// Write collects the log.
func (h *harness) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *harness) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func start(t *testing.T, change func(*jwks.RemoteConfig)) *harness {
	t.Helper()
	h := &harness{issuer: jwkstest.NewIssuer(t), time: now}
	config := jwks.RemoteConfig{
		URL: h.issuer.URL + path, Client: h.issuer.Client, Now: h.clock, Logger: slog.New(slog.NewTextHandler(h, nil)),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if h.Remote, err = jwks.NewRemote(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	h.v = verifier(t, jwks.Rules{})
	return h
}

func (h *harness) publish(t *testing.T, keys ...jwkstest.Key) {
	t.Helper()
	h.issuer.Answer(path, jwkstest.Behaviour{Body: jwkstest.Set(t, keys...)})
}

// verify checks a token of a key at the time of the tests.
func (h *harness) verify(t *testing.T, key jwkstest.Key) error {
	t.Helper()
	_, err := h.v.Verify(t.Context(), key.Sign(t, nil, claims(nil)), h.Remote)
	return err
}

func (h *harness) requests() int { return h.issuer.Requests(path) }

func TestRotation(t *testing.T) {
	h := start(t, nil)
	a, b := jwkstest.NewKey(t, "a", "ES256"), jwkstest.NewKey(t, "b", "RS256")
	h.publish(t, a)
	if h.requests() != 0 || h.Fetched() {
		t.Error("fetched before anybody asked")
	}
	for range 3 {
		if err := h.verify(t, a); err != nil {
			t.Fatal(err)
		}
	}
	if h.requests() != 1 || !h.Fetched() {
		t.Errorf("%d requests for three tokens", h.requests())
	}
	h.publish(t, a, b)
	if err := h.verify(t, b); err != nil || h.requests() != 2 {
		t.Errorf("a new key: %v after %d requests", err, h.requests())
	}
	// The old key is withdrawn: that is heeded when the keys are old.
	h.publish(t, b)
	if err := h.verify(t, a); err != nil {
		t.Errorf("before the keys are old: %v", err)
	}
	h.pass(11 * time.Minute)
	if err := h.verify(t, a); !errors.Is(err, jwks.ErrUnknownKey) {
		t.Errorf("a withdrawn key: %v", err)
	}
	if err := h.verify(t, b); err != nil {
		t.Error(err)
	}
}

func TestReloadsAreLimited(t *testing.T) {
	h := start(t, nil)
	a, stranger := jwkstest.NewKey(t, "a", "EdDSA"), jwkstest.NewKey(t, "stranger", "EdDSA")
	h.publish(t, a)
	for range 50 {
		if err := h.verify(t, stranger); !errors.Is(err, jwks.ErrInvalid) {
			t.Fatalf("a stranger's token: %v", err)
		}
	}
	// One because there were no keys, and ten because of the stranger.
	if h.requests() != 11 {
		t.Errorf("%d requests, want 11", h.requests())
	}
	h.pass(59 * time.Second)
	_ = h.verify(t, stranger)
	if h.requests() != 11 {
		t.Errorf("%d requests within the minute, want 11", h.requests())
	}
	h.pass(2 * time.Second)
	h.publish(t, a, stranger)
	if err := h.verify(t, stranger); err != nil || h.requests() != 12 {
		t.Errorf("after a minute: %v, %d requests", err, h.requests())
	}
}

func TestOneFetchAtATime(t *testing.T) {
	h := start(t, func(c *jwks.RemoteConfig) { c.Timeout = time.Minute })
	a := jwkstest.NewKey(t, "a", "EdDSA")
	token := a.Sign(t, nil, claims(nil))
	h.issuer.Answer(path, jwkstest.Behaviour{Hang: true})

	// A caller that gives up does not end the fetch that others wait for.
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if _, err := h.v.Verify(ctx, token, h.Remote); !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that gave up: %v", err)
			}
		})
	}
	until(t, func() bool { return h.requests() == 1 })
	cancel()
	wait.Wait()
	if h.requests() != 1 {
		t.Errorf("%d requests for 20 callers", h.requests())
	}
}

func until(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10s")
		}
	}
}

func TestOutage(t *testing.T) {
	a, b := jwkstest.NewKey(t, "a", "ES256"), jwkstest.NewKey(t, "b", "ES256")
	for name, away := range map[string]jwkstest.Behaviour{
		"hangs":     {Hang: true},
		"fails":     {Status: 502, Body: "bad gateway"},
		"forbidden": {Status: 403},
		"garbage":   {Body: "<html>please log in</html>"},
		"cut off":   {Body: jwkstest.Set(t, b)[:40]},
		"huge":      {Body: jwkstest.Set(t, a) + strings.Repeat(" ", 1<<20)},
		"no keys":   {Body: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, func(c *jwks.RemoteConfig) {
				if c.Timeout = 10 * time.Second; away.Hang {
					c.Timeout = 500 * time.Millisecond
				}
			})
			h.issuer.Answer(path, away)
			err := h.verify(t, a)
			if !errors.Is(err, jwks.ErrUnavailable) || errors.Is(err, jwks.ErrInvalid) || signalbox.ErrorCode(jwks.Coded(err, "x")) != signalbox.CodeUnavailable {
				t.Errorf("without keys: %v", err)
			}
			if err := h.verify(t, a); !errors.Is(err, jwks.ErrUnavailable) || h.requests() != 1 {
				t.Errorf("tried again at once: %v, %d requests", err, h.requests())
			}

			h.publish(t, a)
			h.pass(6 * time.Second)
			if err := h.verify(t, a); err != nil {
				t.Fatalf("when it is back: %v", err)
			}
			h.issuer.Answer(path, away)
			for range 5 {
				h.pass(4 * time.Hour)
				if err := h.verify(t, a); err != nil {
					t.Fatalf("a known key in an outage: %v", err)
				}
			}
			h.pass(time.Minute)
			if err := h.verify(t, b); !errors.Is(err, jwks.ErrUnavailable) {
				t.Errorf("an unknown key in an outage: %v", err)
			}
			h.pass(4 * time.Hour)
			if err := h.verify(t, a); !errors.Is(err, jwks.ErrUnavailable) {
				t.Errorf("after more than a day: %v", err)
			}
			h.publish(t, a)
			h.pass(6 * time.Second)
			if err := h.verify(t, a); err != nil {
				t.Errorf("when it is back again: %v", err)
			}
			if log := h.logged(); strings.Count(log, "cannot be fetched") != 2 || strings.Count(log, "can be fetched again") != 2 {
				t.Errorf("the outages were not told once each:\n%s", log)
			}
		})
	}
}

// TestOutageKeepsNobodyWaiting: after the first, nobody waits for an issuer that
// hangs.
func TestOutageKeepsNobodyWaiting(t *testing.T) {
	h := start(t, func(c *jwks.RemoteConfig) { c.Timeout = 500 * time.Millisecond })
	a := jwkstest.NewKey(t, "a", "ES256")
	h.publish(t, a)
	if err := h.verify(t, a); err != nil {
		t.Fatal(err)
	}
	h.issuer.Answer(path, jwkstest.Behaviour{Hang: true})
	h.pass(11 * time.Minute)
	if err := h.verify(t, a); err != nil { // it waits
		t.Fatal(err)
	}
	h.pass(10 * time.Second)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // whoever waits now, fails
	if _, err := h.v.Verify(ended, a.Sign(t, nil, claims(nil)), h.Remote); err != nil {
		t.Errorf("waited: %v", err)
	}
	until(t, func() bool { return h.requests() == 3 })
}

func TestGoneAfterSuccess(t *testing.T) {
	h := start(t, nil)
	a := jwkstest.NewKey(t, "a", "ES256")
	h.publish(t, a)
	if err := h.verify(t, a); err != nil {
		t.Fatal(err)
	}
	h.issuer.Stop()
	h.pass(23 * time.Hour)
	if err := h.verify(t, a); err != nil {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	a := jwkstest.NewKey(t, "a", "ES256")
	elsewhere := jwkstest.NewIssuer(t)
	elsewhere.Answer(path, jwkstest.Behaviour{Body: jwkstest.Set(t, a)})
	h := start(t, nil)
	h.issuer.Answer(path, jwkstest.Behaviour{Redirect: "/1"})
	h.issuer.Answer("/1", jwkstest.Behaviour{Redirect: "/2"})
	h.issuer.Answer("/2", jwkstest.Behaviour{Redirect: "/3"})
	h.issuer.Answer("/3", jwkstest.Behaviour{Body: jwkstest.Set(t, a)})
	if err := h.verify(t, a); err != nil {
		t.Errorf("three redirects: %v", err)
	}
	for name, to := range map[string]string{
		"in a circle":  path,
		"another host": strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1) + path,
		"another kind": "file:///etc/passwd",
	} {
		h := start(t, nil)
		h.issuer.Answer(path, jwkstest.Behaviour{Redirect: to})
		if err := h.verify(t, a); !errors.Is(err, jwks.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if h.requests() > 4 {
			t.Errorf("%s: followed %d times", name, h.requests())
		}
	}
	if elsewhere.Total() != 0 {
		t.Error("another host was asked")
	}
	secure, _ := http.NewRequest(http.MethodGet, "https://x/", nil)
	plain, _ := http.NewRequest(http.MethodGet, "http://x/", nil)
	if err := jwks.BoundedClient(nil, 3).CheckRedirect(plain, []*http.Request{secure}); err == nil {
		t.Error("a redirect from https to http is followed")
	}
}

func TestClose(t *testing.T) {
	h := start(t, func(c *jwks.RemoteConfig) { c.Timeout = time.Hour })
	h.issuer.Answer(path, jwkstest.Behaviour{Hang: true})
	a := jwkstest.NewKey(t, "a", "ES256")
	failed := make(chan error)
	go func() { failed <- h.verify(t, a) }()
	until(t, func() bool { return h.requests() == 1 })
	h.Close()
	if err := <-failed; !errors.Is(err, jwks.ErrUnavailable) {
		t.Errorf("while waiting: %v", err)
	}
	if err := h.verify(t, a); !errors.Is(err, jwks.ErrUnavailable) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestNewRemote(t *testing.T) {
	for _, bad := range []string{"", "keys.json", "ftp://x/", "file:///etc/passwd", "http://", "http://:80/", "https://u:hunter2@x/", "http://x/#f", "http://x/%zz"} {
		if _, err := jwks.NewRemote(jwks.RemoteConfig{URL: bad}); err == nil {
			t.Errorf("%q passed", bad)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error holds a password: %v", err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	h := start(t, nil)
	keys := make([]jwkstest.Key, 5)
	for i := range keys {
		keys[i] = jwkstest.NewKey(t, fmt.Sprint(i), "EdDSA")
	}
	h.publish(t, keys[0])
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			if i%8 == 0 {
				h.issuer.Answer(path, jwkstest.Behaviour{Body: jwkstest.Set(t, keys...)})
				h.pass(time.Minute)
			}
			_ = h.verify(t, keys[i%len(keys)])
		})
	}
	wait.Wait()
	h.pass(2 * time.Minute)
	for _, key := range keys {
		if err := h.verify(t, key); err != nil {
			t.Error(err)
		}
	}
}
