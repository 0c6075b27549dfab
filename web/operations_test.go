package web_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth/oidc/oidctest"
	"github.com/signalbox/signalbox/web/hub"
)

func TestReadiness(t *testing.T) {
	var failure error
	h := start(t, func(deps *web.Deps, _ *web.Config) {
		deps.Ready = func(context.Context) error { return failure }
	})
	h.get("", "/readyz").want(t, 200, `{"status":"ok"}`)
	failure = errors.New("dial 10.0.0.1: refused")
	got := h.get("", "/readyz")
	got.want(t, 503, errorOf(503, "ServiceUnavailableError", "Not ready", "GET", "/readyz"))
	if got.Header.Get("Retry-After") == "" || !strings.Contains(h.logged.String(), "10.0.0.1") {
		t.Errorf("headers %v, log %s", got.Header, h.logged)
	}
	h.get("", "/healthz").want(t, 200, `{"status":"ok"}`)
}

func TestMetrics(t *testing.T) {
	h := start(t)
	h.post(serviceToken, "/api/notifications", toJane)
	h.post(serviceToken, "/api/notifications", `{}`)
	h.get(userToken, "/api/notifications/"+idOf(1))
	h.get("", "/secret/path")
	h.get("", "/api/notifications")
	h.do(request{method: "PUT", path: "/api/notifications"})
	h.post(serviceToken, "/api/notifications", strings.Repeat(" ", 600<<10))
	got := h.get("", "/metrics")
	for _, line := range []string{
		`signalbox_http_requests_total{method="POST",route="/api/notifications",status="202"} 1`,
		`signalbox_http_requests_total{method="POST",route="/api/notifications",status="400"} 1`,
		`signalbox_http_requests_total{method="GET",route="/api/notifications/:id",status="404"} 1`,
		`signalbox_http_requests_total{method="GET",route="/api/notifications",status="401"} 1`,
		`signalbox_http_requests_total{method="other",route="/api/notifications",status="405"} 1`,
		`signalbox_http_requests_total{method="other",route="unmatched",status="404"} 1`,
		`signalbox_http_requests_total{method="other",route="unmatched",status="413"} 1`,
		`signalbox_http_request_duration_seconds_count{method="POST",route="/api/notifications"} 2`,
	} {
		if !strings.Contains(got.body, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	if strings.Contains(got.body, "secret") {
		t.Error("a path that a caller chose is a label")
	}
	if log := h.logged.String(); log != "" {
		t.Errorf("requests are logged: %s", log)
	}
}

func TestOpenAPIIsServed(t *testing.T) {
	h := start(t)
	got := h.get("", "/api/notifications/openapi.yaml")
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != 200 || got.body != string(want) {
		t.Errorf("%d, %d bytes", got.StatusCode, len(got.body))
	}
}

// One request that succeeds for each documented operation: the harness holds
// the answers to the document.
func TestEveryOperationAnswersAsDocumented(t *testing.T) {
	h := start(t, withAdmins(serviceName), withLinks, withLogin(t, oidctest.New(t), publicURL))
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.letters.add(letterOf(1))
	h.inbox.rows = []signalbox.Notification{
		{
			ID: idOf(1), User: jane, Origin: serviceName, Created: epoch, Updated: epoch, Read: epoch, Saved: epoch,
			Payload: signalbox.Payload{
				Title: "t", Description: "d", Link: "l", Topic: "t", Scope: "s", Icon: "i", Severity: signalbox.SeverityLow,
				AdditionalLinks: []signalbox.AdditionalLink{{URL: "a"}, {Title: "b", URL: "c"}}, Metadata: []byte(`{"a":[1]}`),
			},
		},
		{ID: idOf(2), Origin: serviceName, Created: epoch, Payload: signalbox.Payload{Title: "broadcast"}},
	}
	seen := description(t).seen
	description(t).mu.Lock()
	clear(seen)
	description(t).mu.Unlock()
	for path, item := range description(t).document.Paths.Map() {
		for method, operation := range item.Operations() {
			r := request{method: method, path: strings.NewReplacer("{id}", idOf(1), "{token}", goodToken).Replace(path)}
			for _, requirement := range *operation.Security {
				if _, service := requirement["serviceToken"]; service {
					r.token = serviceToken
				} else if _, user := requirement["userToken"]; user {
					r.token = userToken
				}
			}
			switch {
			case path == "/auth/callback":
				r.path, r.header = comingBack(t, h)
			case strings.HasSuffix(path, "/update"):
				r.body = `{"filter":{},"saved":true}`
				h.do(r)
				r.body = `{"ids":["` + idOf(1) + `"],"read":false}`
			case strings.HasSuffix(path, "/settings"):
				r.body = `{"channels":[{"id":"Web","enabled":true,"origins":[{"id":"ci","enabled":false,"topics":[{"id":"t","enabled":true}]}]}]}`
			case strings.HasSuffix(path, "/choices") && method == http.MethodDelete:
				r.path += "?channel=web&origin=ci"
			case strings.HasSuffix(path, "/schedule") && method == http.MethodPost:
				r.body = `{"digest":{"every":"daily"},"quietHours":{"from":"22:00","to":"07:00"}}`
			case strings.HasSuffix(path, "/admin/deliveries"): // lists
			case strings.HasSuffix(path, "/admin/deliveries/show"):
				r.path += "?id=" + tracedID
			case strings.HasSuffix(path, "/deliveries"):
				r.path = strings.Replace(path, "{id}", tracedID, 1)
			case strings.HasSuffix(path, "/settings/preview"):
				r.path += "?origin=ci&user=" + jane
			case strings.HasSuffix(path, "/show"):
				r.path += "?id=" + url.QueryEscape(letterOf(1).ID)
			case strings.Contains(path, "/dead-letters/"):
				r.body = `{"ids":["x"]}`
			case strings.HasSuffix(path, "/sessions/end"):
				r.body = `{"user":"` + jane + `"}`
			case strings.HasSuffix(path, "{token}") && method == http.MethodPost:
				r.body, r.header = "List-Unsubscribe=One-Click", formHeader
			case strings.HasSuffix(path, "/batch"):
				r.body = "[" + toJane + "]"
			case strings.HasSuffix(path, "/publish"):
				r.body = `{"recipients":{"type":"broadcast"},"channel":"c","message":null}`
			case strings.HasSuffix(path, "/tokens") && method == http.MethodPost:
				r.body = `{"name":"laptop","scopes":["inbox"],"user":"` + jane + `"}`
			case strings.HasSuffix(path, "/tokens/{id}"):
				r.path = strings.Replace(path, "{id}", h.tokens.add(jane, "x"), 1)
			case method == http.MethodPost:
				r.body = toJane
			}
			h.do(r)
			if !seen[operation.OperationID] {
				t.Errorf("%s %s was not answered with success", method, path)
			}
		}
	}
	if !strings.Contains(h.get(userToken, "/api/notifications?limit=1").body, "nextCursor") {
		t.Error("the second page was not offered")
	}
}

// The limits that the document states are those of the code.
func TestDocumentedLimits(t *testing.T) {
	content, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\s+`).ReplaceAllString(string(content), " ")
	for _, want := range []string{
		fmt.Sprintf("title: {type: string, minLength: 1, maxLength: %d", signalbox.MaxTitle),
		fmt.Sprintf("description: {type: [string, \"null\"], maxLength: %d", signalbox.MaxDescription),
		fmt.Sprintf("link: {type: [string, \"null\"], maxLength: %d", signalbox.MaxLink),
		fmt.Sprintf("topic: {type: [string, \"null\"], maxLength: %d", signalbox.MaxTopic),
		fmt.Sprintf("scope: type: [string, \"null\"] maxLength: %d", signalbox.MaxScope),
		fmt.Sprintf("icon: {type: [string, \"null\"], maxLength: %d", signalbox.MaxIcon),
		fmt.Sprintf("additionalLinks: type: [array, \"null\"] maxItems: %d", signalbox.MaxAdditionalLinks),
		fmt.Sprintf("At most %d KiB of JSON", signalbox.MaxMetadata>>10),
		fmt.Sprintf("nested %d levels deep", signalbox.MaxDepth),
		fmt.Sprintf("minItems: 1 maxItems: %d items: {$ref: \"#/components/schemas/EntityRef\"}", signalbox.MaxEntityRefs),
		fmt.Sprintf("minItems: 1 maxItems: %d items: {$ref: \"#/components/schemas/SendRequest\"}", signalbox.MaxBatch),
		fmt.Sprintf("ids: type: array maxItems: %d", signalbox.MaxUpdateIDs),
		fmt.Sprintf("search: {type: [string, \"null\"], maxLength: %d", signalbox.MaxSearch),
		fmt.Sprintf("channel: {type: string, minLength: 1, maxLength: %d}", signalbox.MaxSignalChannel),
		fmt.Sprintf("Any JSON value of up to %d KiB", signalbox.MaxSignalMessage>>10),
		fmt.Sprintf("minLength: 1, maxLength: %d, pattern: \"^[ -~]+$\"", signalbox.MaxIdempotencyKey),
		fmt.Sprintf("at most %d, for the notifications", int(signalbox.MaxWait/time.Second)),
		fmt.Sprintf("minimum: 0, maximum: %d, default: %d}", web.MaxLimit, web.DefaultLimit),
		fmt.Sprintf("minimum: 0, maximum: %d, default: 0}", web.MaxOffset),
		fmt.Sprintf("warnings: type: array maxItems: %d", signalbox.MaxWarnings),
		fmt.Sprintf("channels: type: array maxItems: %d", signalbox.MaxChoices),
		fmt.Sprintf("maximum: %d, default: %d}", web.MaxLettersLimit, web.DefaultLettersLimit),
		fmt.Sprintf("deadLetters: type: array maxItems: %d", web.MaxLettersLimit),
		fmt.Sprintf("minItems: 1 maxItems: %d items: {type: string}", web.MaxLetterIDs),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not in the document: %s", want)
		}
	}
}

// The real hub behind the real server: the upgrade, the echo of the token, and
// a signal.
func TestWebSocket(t *testing.T) {
	signals, err := hub.New(hub.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, func(deps *web.Deps, _ *web.Config) { deps.Signals, deps.Signaler = signals.Handler, signals })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := signals.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	conn := h.dial()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var key [16]byte
	_, _ = rand.Read(key[:])
	fmt.Fprintf(conn, "GET /api/signals/?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(key[:]), userToken)
	reader := bufio.NewReader(conn)
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Protocol") != userToken {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	subscribe := `{"action":"subscribe","channel":"c"}`
	// A client's frame is masked; a mask of zeros leaves the text as it is.
	frame := append([]byte{0x81, 0x80 | byte(len(subscribe)), 0, 0, 0, 0}, subscribe...)
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the subscription", func() bool { return signals.Subscriptions() == 1 })
	h.post(serviceToken, "/api/signals/publish", `{"recipients":{"type":"user","entityRef":"user:jane"},"channel":"c","message":{"x":1}}`)
	want := `{"channel":"c","message":{"x":1}}`
	got := make([]byte, 2+len(want))
	if _, err := io.ReadFull(reader, got); err != nil {
		t.Fatal(err)
	}
	if string(got[2:]) != want {
		t.Errorf("got %q", got)
	}
}
