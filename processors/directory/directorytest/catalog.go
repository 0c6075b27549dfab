package directorytest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Catalog is the part of Backstage's catalog that directories use, over HTTP. It
// behaves as told between requests.
type Catalog struct {
	// URL is the base URL of the backend.
	URL string

	mu        sync.Mutex
	entities  map[string]wire
	order     []string
	behaviour Behaviour
	requests  []Request
	underWay  int
	peak      int
	released  chan struct{}
}

// Behaviour is what goes wrong with a catalog. The zero value is a good one.
type Behaviour struct {
	// Token, if set, is the only bearer token that is accepted.
	Token string
	// Status, if set, is answered instead, with RetryAfter as header.
	Status     int
	RetryAfter string
	// Failures is how many requests Status is for; 0 is all.
	Failures int
	// Hang keeps requests until the client gives up or Release is called.
	Hang bool
	// Delay is how long every answer takes.
	Delay time.Duration
	// Body, if set, is the answer, whatever was asked.
	Body string
	// PageSize bounds the pages of queries, whatever limit is asked for.
	PageSize int
}

// Request is one that the catalog got.
type Request struct {
	Path string
	// Refs are those of by-refs, Filter and Cursor those of by-query.
	Refs           []string
	Filter, Cursor string
}

type wire struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       map[string]any `json:"spec,omitempty"`
	Relations  []Relation     `json:"relations,omitempty"`
}

// NewCatalog serves an organisation until the test ends.
func NewCatalog(t testing.TB, entities []Entity) *Catalog {
	t.Helper()
	c := &Catalog{released: make(chan struct{})}
	c.Set(entities)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/catalog/entities/by-refs", c.handle(c.byRefs))
	mux.HandleFunc("GET /api/catalog/entities/by-query", c.handle(c.byQuery))
	server := httptest.NewServer(mux)
	c.URL = server.URL
	t.Cleanup(func() {
		c.Release()
		server.Close()
	})
	return c
}

// Set replaces the organisation.
func (c *Catalog) Set(entities []Entity) {
	relations := Relations(entities)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entities, c.order = make(map[string]wire), nil
	for _, e := range entities {
		metadata := map[string]any{"name": e.Name, "namespace": "default"}
		if e.Namespace != "" {
			metadata["namespace"] = e.Namespace
		}
		if len(e.Annotations) > 0 {
			metadata["annotations"] = e.Annotations
		}
		profile := map[string]any{}
		if e.Title != "" {
			profile["displayName"] = e.Title
		}
		if e.Email != "" {
			profile["email"] = e.Email
		}
		c.entities[e.Ref()] = wire{"backstage.io/v1alpha1", e.Kind, metadata, map[string]any{"profile": profile}, relations[e.Ref()]}
		c.order = append(c.order, e.Ref())
	}
	slices.Sort(c.order)
}

// Behave says how requests from now on are treated.
func (c *Catalog) Behave(b Behaviour) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.behaviour = b
}

// Release lets go of the requests that hang.
func (c *Catalog) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.released)
	c.released = make(chan struct{})
}

// Requests returns those since it was last called.
func (c *Catalog) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests := c.requests
	c.requests = nil
	return requests
}

// UnderWay counts the requests that are not answered yet, and the most that ever
// were.
func (c *Catalog) UnderWay() (now, peak int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.underWay, c.peak
}

// handle is what all routes have in common. answer gets the request with its body
// read, and returns what to send.
func (c *Catalog) handle(answer func(*http.Request, []byte) (Request, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 100<<10)) // express.json's default
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		c.mu.Lock()
		request, items := answer(r, body)
		c.requests = append(c.requests, request)
		c.underWay++
		c.peak = max(c.peak, c.underWay)
		b, released := c.behaviour, c.released
		if b.Status != 0 && c.behaviour.Failures > 0 {
			if c.behaviour.Failures--; c.behaviour.Failures == 0 {
				c.behaviour.Status = 0
			}
		}
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.underWay--
		}()
		if b.Hang {
			select {
			case <-r.Context().Done():
				return
			case <-released:
			}
		}
		if b.Delay > 0 {
			select {
			case <-time.After(b.Delay):
			case <-r.Context().Done():
				return
			}
		}
		switch {
		case b.Status != 0:
			if b.RetryAfter != "" {
				w.Header().Set("Retry-After", b.RetryAfter)
			}
			w.WriteHeader(b.Status)
		case b.Token != "" && r.Header.Get("Authorization") != "Bearer "+b.Token:
			w.WriteHeader(http.StatusUnauthorized)
		case b.Body != "":
			_, _ = io.WriteString(w, b.Body)
		default:
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_ = json.NewEncoder(w).Encode(items)
		}
	}
}

func (c *Catalog) byRefs(_ *http.Request, body []byte) (Request, any) {
	var asked struct {
		EntityRefs []string `json:"entityRefs"`
		Fields     []string `json:"fields"`
	}
	_ = json.Unmarshal(body, &asked)
	items := make([]*wire, 0, len(asked.EntityRefs))
	for _, ref := range asked.EntityRefs {
		e, ok := c.entities[strings.ToLower(ref)]
		if !ok {
			items = append(items, nil)
			continue
		}
		items = append(items, project(e, asked.Fields))
	}
	return Request{Path: "by-refs", Refs: asked.EntityRefs}, map[string]any{"items": items}
}

func (c *Catalog) byQuery(r *http.Request, _ []byte) (Request, any) {
	query := r.URL.Query()
	request := Request{Path: "by-query", Filter: query.Get("filter"), Cursor: query.Get("cursor")}
	filter, offset := request.Filter, 0
	if request.Cursor != "" {
		var after string
		after, filter, _ = strings.Cut(request.Cursor, " ")
		offset, _ = strconv.Atoi(after)
	}
	key, target, _ := strings.Cut(filter, "=")
	relation := strings.TrimPrefix(key, "relations.")
	found := []*wire{} // never null
	for _, ref := range c.order {
		e := c.entities[ref]
		if slices.Contains(e.Relations, Relation{relation, target}) || key == "kind" && strings.EqualFold(e.Kind, target) {
			found = append(found, project(e, strings.Split(query.Get("fields"), ",")))
		}
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		limit = 20
	}
	if most := c.behaviour.PageSize; most > 0 {
		limit = min(limit, most)
	}
	total := len(found)
	found = found[min(offset, total):min(offset+limit, total)]
	info := map[string]any{}
	if offset+limit < total {
		info["nextCursor"] = strconv.Itoa(offset+limit) + " " + filter
	}
	return request, map[string]any{"items": found, "totalItems": total, "pageInfo": info}
}

// project leaves the fields that were asked for.
func project(e wire, fields []string) *wire {
	if !slices.Contains(fields, "relations") {
		e.Relations = nil
	}
	if !slices.Contains(fields, "spec.profile") {
		e.Spec = nil
	}
	return &e
}
