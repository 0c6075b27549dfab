package web_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

// BenchmarkSend measures a POST over loopback, client included, with a submitter
// that does nothing: what the API costs on top of the storage.
func BenchmarkSend(b *testing.B) {
	deps := needed()
	deps.Submitter, deps.Authenticator = discard{}, staticTokens(b)
	server, err := web.New(deps, web.Config{})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	client := &fasthttp.HostClient{Addr: ln.Addr().String(), MaxConns: 64, MaxIdleConnDuration: time.Minute}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		for pb.Next() {
			req.SetRequestURI("http://" + ln.Addr().String() + "/api/notifications")
			req.Header.SetMethod(fasthttp.MethodPost)
			req.Header.SetContentType("application/json")
			req.Header.Set("Authorization", "Bearer "+serviceToken)
			req.SetBodyString(toJane)
			if err := client.Do(req, res); err != nil || res.StatusCode() != fasthttp.StatusAccepted {
				b.Errorf("%v, %d %s", err, res.StatusCode(), res.Body())
				return
			}
		}
	})
	b.StopTimer()
	client.CloseIdleConnections()
	if err := server.Shutdown(b.Context()); err != nil {
		b.Error(err)
	}
	if err := <-served; err != nil {
		b.Error(err)
	}
}

// discard is a submitter that keeps nothing.
type discard struct{}

func (discard) Submit(_ context.Context, s signalbox.Submission) (signalbox.Submitted, error) {
	return accepted(s), nil
}
