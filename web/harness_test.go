package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/output"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Fiber's server keeps the time of the Date header for the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Its workers end some time after their last connection.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).workerFunc"),
		// The benchmark's client.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*TCPDialer).tcpAddrsClean"),
	)
}

const (
	serviceToken = "service-token"
	otherToken   = "catalog-only-token"
	userToken    = "token-of-jane"
	jane         = "user:default/jane"
	serviceName  = "bench"
)

var epoch = time.Date(2026, 11, 21, 1, 58, 16, 598_000_000, time.UTC)

func idOf(n int) string { return fmt.Sprintf("019aa3f2-5c3e-8b1c-9d51-%012x", n) }

// users stands for the user tokens of a Backstage installation.
type users struct{}

func (users) Authenticate(_ context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	if credentials.Token != userToken {
		return nil, auth.ErrNotMine
	}
	return signalbox.UserPrincipal{Ref: jane, Ownership: []string{jane}}, nil
}

// harness is a server under test and what it works with.
type harness struct {
	t         *testing.T
	inbox     *inbox
	submitter *submitter
	signaler  *signaler
	settings  *settings
	schedules *schedules
	letters   *letters
	tokens    *tokens
	logged    *output.Buffer
	server    *web.Server
	address   string
	client    *http.Client
}

// needed are the least that a server works with.
func needed() web.Deps {
	return web.Deps{
		Inbox: &inbox{}, Submitter: &submitter{}, Signaler: &signaler{},
		Settings: &settings{}, Policy: webOnly(), Schedules: signalbox.NewSchedules(nil, signalbox.Schedule{}),
		DeadLetters: &letters{}, Status: steady, Directory: directory{}, Takers: webOnlyTakers, Trace: newTraces(), Tokens: newTokens(),
		Authenticator: users{}, Signals: socketEcho,
	}
}

// start serves on a loopback port until the test ends.
func start(t *testing.T, change ...func(*web.Deps, *web.Config)) *harness {
	t.Helper()
	h := &harness{t: t, inbox: &inbox{}, submitter: &submitter{}, signaler: &signaler{}, settings: &settings{}, schedules: &schedules{byUser: map[string]signalbox.Schedule{}}, letters: &letters{}, tokens: newTokens(), logged: &output.Buffer{}}
	deps := needed()
	deps.Inbox, deps.Submitter, deps.Signaler, deps.Settings, deps.DeadLetters, deps.Tokens = h.inbox, h.submitter, h.signaler, h.settings, h.letters, h.tokens
	deps.Schedules = signalbox.NewSchedules(h.schedules, signalbox.Schedule{})
	deps.Authenticator = auth.Chain{users{}, staticTokens(t)}
	deps.PluginKeys = func(context.Context) ([]byte, error) { return []byte(`{"keys":[]}`), nil }
	deps.Logger = slog.New(slog.NewTextHandler(h.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var config web.Config
	for _, f := range change {
		f(&deps, &config)
	}
	var err error
	if h.server, err = web.New(deps, config); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(ln) }()
	h.client = &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	t.Cleanup(func() {
		h.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return h
}

func staticTokens(t testing.TB) *auth.StaticTokens {
	t.Helper()
	digest := func(secret string) auth.Digest {
		d, err := auth.ParseDigest(secret)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	static, err := auth.NewStaticTokens([]auth.StaticToken{
		{Digest: digest(serviceToken), Subject: serviceName},
		{Digest: digest(otherToken), Subject: "catalog", Plugins: []string{"catalog"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return static
}

// socketEcho stands for the hub: it answers 426 and says who is there.
func socketEcho(user func(*fiber.Ctx) (signalbox.UserPrincipal, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		principal, err := user(c)
		if err != nil {
			return err
		}
		return fiber.NewError(fiber.StatusUpgradeRequired, strings.Join(principal.Ownership, " "))
	}
}

// request is what a test sends. An empty Content-Type with a body is JSON.
type request struct {
	method, path, token, body string
	header                    http.Header
}

// response is what it gets.
type response struct {
	*http.Response
	body string
}

func (h *harness) do(r request) response {
	h.t.Helper()
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), r.method, "http://"+h.address+r.path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if host := r.header.Get("Host"); host != "" {
		req.Host = host
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.method == http.MethodPost && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	description(h.t).check(h.t, req, res, content)
	return response{res, string(content)}
}

func (h *harness) get(token, path string) response {
	h.t.Helper()
	return h.do(request{method: http.MethodGet, path: path, token: token})
}

func (h *harness) post(token, path, body string) response {
	h.t.Helper()
	return h.do(request{method: http.MethodPost, path: path, token: token, body: body})
}

// want checks the status and the body, which are compared as JSON.
func (r response) want(t *testing.T, status int, body string) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("status %d, want %d: %s", r.StatusCode, status, r.body)
	}
	if got, want := canonicalJSON(t, r.body), canonicalJSON(t, body); got != want {
		t.Errorf("body %s\nwant %s", got, want)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
}

func canonicalJSON(t *testing.T, s string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(s), &value); err != nil {
		t.Fatalf("%v: %q", err, s)
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(canonical)
}

// errorOf is the error body for a request.
func errorOf(status int, name, message, method, url string) string {
	body, _ := json.Marshal(map[string]any{
		"error":    map[string]any{"name": name, "message": message},
		"request":  map[string]any{"method": method, "url": url},
		"response": map[string]any{"statusCode": status},
	})
	return string(body)
}

// apiDescription holds answers to the OpenAPI document.
type apiDescription struct {
	document *openapi3.T
	mu       sync.Mutex
	// seen are the operations whose success was checked.
	seen map[string]bool
}

var description = func() func(*testing.T) *apiDescription {
	var (
		once sync.Once
		d    *apiDescription
	)
	return func(t *testing.T) *apiDescription {
		t.Helper()
		once.Do(func() {
			loader := openapi3.NewLoader()
			document, err := loader.LoadFromFile("openapi.yaml")
			if err == nil {
				err = document.Validate(loader.Context)
			}
			if err != nil {
				t.Fatal(err)
			}
			openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.RegisteredBodyDecoder("text/plain"))
			d = &apiDescription{document: document, seen: map[string]bool{}}
		})
		return d
	}
}()

// find returns the documented path for a request's.
func (d *apiDescription) find(path string) (string, map[string]string) {
	if path = strings.TrimRight(path, "/"); d.document.Paths.Value(path) != nil {
		return path, nil
	}
	if rest, ok := strings.CutSuffix(path, "/deliveries"); ok {
		template, params := d.find(rest)
		return template + "/deliveries", params
	}
	parent, id := path[:strings.LastIndex(path, "/")+1], path[strings.LastIndex(path, "/")+1:]
	for _, name := range []string{"id", "token"} {
		if template := parent + "{" + name + "}"; d.document.Paths.Value(template) != nil {
			return template, map[string]string{name: id}
		}
	}
	return "", nil
}

// check holds an answer to the document. Paths and methods that are not in it,
// and the statuses that it describes for all operations together, are left out.
func (d *apiDescription) check(t *testing.T, req *http.Request, res *http.Response, body []byte) {
	t.Helper()
	template, params := d.find(req.URL.Path)
	if template == "" || res.StatusCode == 405 || res.StatusCode == 408 || res.StatusCode == 431 || res.StatusCode == 500 {
		return
	}
	item := d.document.Paths.Value(template)
	operation := item.GetOperation(req.Method)
	if operation == nil {
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: req, PathParams: params, QueryParams: req.URL.Query(),
			Route: &routers.Route{Spec: d.document, Path: template, PathItem: item, Method: req.Method, Operation: operation},
		},
		Status: res.StatusCode, Header: res.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	input.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		t.Errorf("%s %s: answer %d is not as documented: %v\n%.500s", req.Method, template, res.StatusCode, err, body)
	}
	if res.StatusCode < 400 || template == "/api/signals" {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.seen[operation.OperationID] = true
	}
}
