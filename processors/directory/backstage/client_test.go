package backstage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors/directory"
	"github.com/signalbox/signalbox/processors/directory/directorytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a-very-secret-token"

// harness is a client with a catalog, a clock and a log of its own.
type harness struct {
	*Client
	catalog *directorytest.Catalog
	log     *bytes.Buffer

	mu   sync.Mutex
	time time.Time
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

func start(t *testing.T, entities []directorytest.Entity, change func(*Config)) *harness {
	t.Helper()
	h := &harness{catalog: directorytest.NewCatalog(t, entities), log: &bytes.Buffer{}, time: time.Unix(1_000_000, 0)}
	h.catalog.Behave(directorytest.Behaviour{Token: secret})
	config := Config{
		BaseURL: h.catalog.URL + "/", Token: func() (string, error) { return secret, nil },
		Timeout: 5 * time.Second, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		TTL: time.Minute, NegativeTTL: 10 * time.Second, Revalidate: 5 * time.Minute, StaleIfError: time.Hour,
		Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if h.Client, err = New(config); err != nil {
		t.Fatal(err)
	}
	h.now = h.clock
	t.Cleanup(func() {
		h.Close()
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds the token:\n%s", h.log)
		}
	})
	return h
}

// members looks one group up.
func (h *harness) members(t *testing.T, ref string) []string {
	t.Helper()
	found, err := h.Lookup(t.Context(), []string{ref})
	if err != nil {
		t.Fatal(err)
	}
	if found[ref] == nil {
		return nil
	}
	return found[ref].Members
}

func group(members ...string) []directorytest.Entity {
	return []directorytest.Entity{{Kind: "Group", Name: "g", Members: members}}
}

// until waits for a condition that something in the background brings about.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10s", what)
		}
	}
}

func TestContract(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"small batches, no cache": func(c *Config) { c.MaxBatch, c.MaxCached = 3, 1 },
		"pages of a group":        func(c *Config) { c.MaxResponse = 150 << 10 },
	} {
		t.Run(name, func(t *testing.T) {
			directorytest.Run(t, func(t *testing.T, entities []directorytest.Entity) signalbox.Directory {
				if name == "pages of a group" {
					// A query finds those who are in the catalog, and only them.
					known := make(map[string]bool)
					for _, e := range entities {
						known[e.Ref()] = true
					}
					for _, e := range entities {
						for _, member := range e.Members {
							name := strings.TrimPrefix(member, "user:")
							if ref := "user:default/" + name; strings.HasPrefix(name, "u") && !known[ref] {
								known[ref] = true
								entities = append(entities, directorytest.Entity{Kind: "User", Name: name})
							}
						}
					}
				}
				return directory.New(directory.Config{}, start(t, entities, change).Client)
			})
		})
	}
}

func TestConcurrentLookupsShareRequests(t *testing.T) {
	h := start(t, directorytest.Organisation(), func(c *Config) { c.Concurrency = 1 })
	h.catalog.Behave(directorytest.Behaviour{Hang: true})
	var wait sync.WaitGroup
	ask := func(refs ...string) {
		wait.Go(func() {
			if found, err := h.Lookup(context.Background(), refs); err != nil || len(found) != len(refs) {
				t.Errorf("%v: %d found, %v", refs, len(found), err)
			}
		})
	}
	ask("group:default/board")
	until(t, "the first request", func() bool { now, _ := h.catalog.UnderWay(); return now == 1 })
	for range 20 {
		ask("group:default/board") // under way already
		ask("group:default/backend", "user:default/ann")
		ask("user:default/bob")
	}
	until(t, "the others wait", func() bool {
		h.loader.mu.Lock()
		defer h.loader.mu.Unlock()
		return len(h.loader.waiting) == 3
	})
	h.catalog.Behave(directorytest.Behaviour{})
	h.catalog.Release()
	wait.Wait()
	if requests := h.catalog.Requests(); len(requests) != 2 || len(requests[0].Refs) != 1 || len(requests[1].Refs) != 3 {
		t.Errorf("requests %+v, want one for the first and one for all others", requests)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	h := start(t, nil, func(c *Config) { c.Concurrency, c.MaxBatch, c.MaxWaiting = 3, 1, 60 })
	h.catalog.Behave(directorytest.Behaviour{Delay: 2 * time.Millisecond})
	refs := make([]string, 50)
	for i := range refs {
		refs[i] = fmt.Sprintf("group:default/g%d", i)
	}
	if _, err := h.Lookup(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	if _, peak := h.catalog.UnderWay(); peak > 3 || peak < 2 {
		t.Errorf("%d requests at a time, want 3", peak)
	}
	if _, err := h.Lookup(t.Context(), make([]string, 61)); !errors.Is(err, errCrowded) {
		t.Errorf("more than may wait: %v", err)
	}
}

func TestCache(t *testing.T) {
	h := start(t, group("user:a"), nil)
	requests := func() int { return len(h.catalog.Requests()) }

	h.members(t, "group:default/g")
	h.catalog.Set(group("user:b"))
	h.pass(59 * time.Second)
	if got := h.members(t, "group:default/g"); !slices.Equal(got, []string{"user:default/a"}) || requests() != 1 {
		t.Errorf("while it is fresh: %v", got)
	}

	// Stale: the old answer at once, the new one for the next.
	h.pass(2 * time.Second)
	if got := h.members(t, "group:default/g"); !slices.Equal(got, []string{"user:default/a"}) {
		t.Errorf("while it is renewed: %v", got)
	}
	until(t, "renewed", func() bool { return slices.Equal(h.members(t, "group:default/g"), []string{"user:default/b"}) })
	if n := requests(); n != 1 {
		t.Errorf("%d requests to renew", n)
	}

	// Too old to be given while it is renewed.
	h.catalog.Set(group("user:c"))
	h.pass(time.Minute + 5*time.Minute + time.Second)
	if got := h.members(t, "group:default/g"); !slices.Equal(got, []string{"user:default/c"}) || requests() != 1 {
		t.Errorf("after a long time: %v", got)
	}

	// The catalog is away.
	h.catalog.Behave(directorytest.Behaviour{Status: http.StatusBadGateway})
	h.pass(59 * time.Minute)
	if got := h.members(t, "group:default/g"); !slices.Equal(got, []string{"user:default/c"}) {
		t.Errorf("in an outage: %v", got)
	}
	h.pass(2 * time.Minute)
	if _, err := h.Lookup(t.Context(), []string{"group:default/g"}); err == nil {
		t.Error("an answer of more than an hour ago was given")
	}
	if log := h.log.String(); strings.Count(log, "does not answer") != 1 {
		t.Errorf("the outage was not told once:\n%s", log)
	}
}

func TestNegativeCache(t *testing.T) {
	h := start(t, nil, nil)
	h.members(t, "group:default/g")
	h.catalog.Set(group("user:a"))
	if got := h.members(t, "group:default/g"); got != nil {
		t.Errorf("what was not there is asked for again at once: %v", got)
	}
	h.pass(11 * time.Second)
	if got := h.members(t, "group:default/g"); len(got) != 1 {
		t.Errorf("what is there now is not found: %v", got)
	}
	h.catalog.Behave(directorytest.Behaviour{Status: 500})
	if _, err := h.Lookup(t.Context(), []string{"group:default/never"}); err == nil {
		t.Error("an outage was taken for an unknown entity")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(10)
	now := time.Unix(0, 0)
	for i := range 20 {
		c.put(fmt.Sprint(i), nil, now)
	}
	c.put("group", &directory.Record{Members: make([]string, 7)}, now)
	if c.size != 10 || len(c.items) != 3 || c.order.Len() != 3 {
		t.Errorf("size %d, %d items", c.size, len(c.items))
	}
	c.get("18", now)
	c.put("new", nil, now)
	if _, _, ok := c.get("18", now); !ok {
		t.Error("what was used last went first")
	}
	c.put("new", &directory.Record{Members: make([]string, 10)}, now)
	if _, _, ok := c.get("new", now); ok || c.size > 10 {
		t.Error("a record larger than the cache was kept, or an old one in its place")
	}
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name     string
		behave   directorytest.Behaviour
		requests int
		fails    string
		after    time.Duration
	}{
		{name: "two failures", behave: directorytest.Behaviour{Status: 503, Failures: 2}, requests: 3},
		{name: "busy", behave: directorytest.Behaviour{Status: 429, Failures: 1, RetryAfter: "0"}, requests: 2},
		{name: "three failures", behave: directorytest.Behaviour{Status: 500}, requests: 3, fails: "500"},
		{name: "busy for long", behave: directorytest.Behaviour{Status: 429, RetryAfter: "120"}, requests: 1, fails: "429", after: 2 * time.Minute},
		{name: "busy forever", behave: directorytest.Behaviour{Status: 503, RetryAfter: "99999999999"}, requests: 1, fails: "503", after: 10 * time.Minute},
		{name: "not this token", behave: directorytest.Behaviour{Token: "other"}, requests: 1, fails: "token is not accepted"},
		{name: "not a catalog", behave: directorytest.Behaviour{Status: 404}, requests: 1, fails: "base URL"},
		{name: "redirect", behave: directorytest.Behaviour{Status: 302}, requests: 1, fails: "302"},
		{name: "not JSON", behave: directorytest.Behaviour{Body: "<html>" + secret}, requests: 3, fails: "cannot be read"},
		{name: "another answer", behave: directorytest.Behaviour{Body: `{"error":{}}`}, requests: 3, fails: "no items"},
		{name: "too few items", behave: directorytest.Behaviour{Body: `{"items":[]}`}, requests: 3, fails: "0 items for 1"},
		{name: "cut off", behave: directorytest.Behaviour{Body: `{"items":[{"kind":"Gro`}, requests: 3, fails: "cannot be read"},
		{name: "never answers", behave: directorytest.Behaviour{Hang: true}, requests: 3, fails: "deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, group("user:a"), func(config *Config) {
				if c.behave.Hang {
					config.Timeout = 20 * time.Millisecond
				}
			})
			h.catalog.Behave(c.behave)
			found, err := directory.New(directory.Config{}, h.Client).Resolve(t.Context(), []string{"group:default/g"}, nil)
			if n := len(h.catalog.Requests()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			if c.fails == "" {
				if err != nil || len(found.Users) != 1 {
					t.Errorf("%v, %v", found, err)
				}
				return
			}
			if !signalbox.IsTransient(err) || !strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v, want a transient one with %q", err, c.fails)
			}
			if after, _ := signalbox.RetryDelay(err); after != c.after {
				t.Errorf("asks to wait %s, want %s", after, c.after)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	h := start(t, nil, func(c *Config) { c.BaseURL = "http://127.0.0.1:1/base" })
	if _, err := h.Lookup(t.Context(), []string{"group:default/g"}); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("error %v", err)
	}
	h = start(t, nil, func(c *Config) {
		c.Token = func() (string, error) { return "", errors.New("no key yet") }
	})
	if _, err := h.Lookup(t.Context(), []string{"group:default/g"}); err == nil || !strings.Contains(err.Error(), "no key yet") {
		t.Errorf("without a token: %v", err)
	}
	if n := len(h.catalog.Requests()); n != 0 {
		t.Errorf("%d requests without a token", n)
	}
}

// TestOneCallerGivesUp: the request goes on for the cache and for others.
func TestOneCallerGivesUp(t *testing.T) {
	h := start(t, group("user:a"), nil)
	h.catalog.Behave(directorytest.Behaviour{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := h.Lookup(ctx, []string{"group:default/g"}); gone <- err }()
	until(t, "the request", func() bool { now, _ := h.catalog.UnderWay(); return now == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	h.catalog.Release()
	until(t, "the answer", func() bool { _, _, ok := h.cache.get("group:default/g", time.Now()); return ok })
	if got := h.members(t, "group:default/g"); len(got) != 1 {
		t.Errorf("members %v", got)
	}
	if n := len(h.catalog.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestUsersEndWithTheirCaller: nobody else waits for a list.
func TestUsersEndWithTheirCaller(t *testing.T) {
	h := start(t, group("user:a"), nil)
	h.catalog.Behave(directorytest.Behaviour{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, _, err := h.Users(ctx, "", 10); gone <- err }()
	until(t, "the request", func() bool { now, _ := h.catalog.UnderWay(); return now == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if n := len(h.catalog.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	if h.away.Load() {
		t.Error("the catalog counts as away because its caller left")
	}
}

func TestTooLargeAnswers(t *testing.T) {
	entities := directorytest.Organisation()
	big := directorytest.Entity{Kind: "Group", Name: "big", Parent: "group:board", Children: []string{"group:backend"}}
	for i := range 100 {
		name := fmt.Sprintf("u%03d", i)
		big.Members = append(big.Members, "user:"+name)
		entities = append(entities, directorytest.Entity{Kind: "User", Name: name})
	}
	h := start(t, append(entities, big), func(c *Config) { c.MaxResponse, c.PageSize = 3000, 25 })
	found, err := h.Lookup(t.Context(), []string{"group:default/big", "group:default/engineering", "group:default/none", "user:default/ann"})
	if err != nil {
		t.Fatal(err)
	}
	record := found["group:default/big"]
	if len(found) != 3 || record == nil || len(record.Members) != 100 {
		t.Fatalf("found %v", found)
	}
	if !slices.Equal(record.Parents, []string{"group:default/board"}) || !slices.Equal(record.Children, []string{"group:default/backend"}) {
		t.Errorf("parents %v, children %v", record.Parents, record.Children)
	}
	pages := 0
	for _, request := range h.catalog.Requests() {
		if strings.HasPrefix(request.Filter, "relations.memberOf=group:default/big") || strings.HasSuffix(request.Cursor, "relations.memberOf=group:default/big") {
			pages++
		}
	}
	if pages != 4 {
		t.Errorf("%d pages of 25 for 100 members", pages)
	}
}

func TestMalformedEntities(t *testing.T) {
	h := start(t, nil, nil)
	h.catalog.Behave(directorytest.Behaviour{Body: `{"items":[{"kind":"Group","metadata":{"name":"g"},"spec":{"profile":"odd"},` +
		`"relations":[{"type":"hasMember","targetRef":"nonsense"},{"type":"hasMember","targetRef":"User:Default/A"},{"type":"ownedBy","targetRef":"group:b"},{"type":"ownedBy","targetRef":"group:c"}]}],"more":{"x":[1]}}`})
	found, err := h.Lookup(t.Context(), []string{"group:default/g"})
	if err != nil {
		t.Fatal(err)
	}
	record := found["group:default/g"]
	if !slices.Equal(record.Members, []string{"user:default/a"}) || record.Title != "g" || record.Owner != "group:default/b" {
		t.Errorf("%+v", record)
	}
}

func TestClose(t *testing.T) {
	h := start(t, nil, nil)
	h.catalog.Behave(directorytest.Behaviour{Hang: true})
	failed := make(chan error)
	go func() { _, err := h.Lookup(context.Background(), []string{"group:default/g"}); failed <- err }()
	until(t, "the request", func() bool { now, _ := h.catalog.UnderWay(); return now == 1 })
	h.Close()
	if err := <-failed; err == nil {
		t.Error("a lookup outlived the client")
	}
	if _, err := h.Lookup(t.Context(), []string{"group:default/g"}); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, base := range []string{"", "backstage.example.com", "ftp://h", "http://u:" + secret + "@h", "http://h?x=1", "http://h/%zz" + secret} {
		if _, err := New(Config{BaseURL: base}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", base, err)
		}
	}
}
