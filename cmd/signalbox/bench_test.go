package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// The benchmarks run the real process and talk to it over loopback, so the
// numbers include the load generator, which shares the machine. Each does a
// bounded amount of work: run them with -benchtime=1x ("make bench").

// eachDatabase runs a benchmark on both databases.
func eachDatabase(b *testing.B, bench func(b *testing.B, url string)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storagetest.SQLiteURL(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, storagetest.PostgresURL(b)) })
}

// sender posts with little cost of its own.
type sender struct {
	client *fasthttp.HostClient
	server *server
}

func newSender(s *server, connections int) *sender {
	return &sender{server: s, client: &fasthttp.HostClient{
		Addr: strings.TrimPrefix(s.base, "http://"), MaxConns: connections,
		Dial: func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) },
	}}
}

func (s *sender) post(body string, want int, prefer string) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI(s.server.base + "/api/notifications")
	request.Header.SetMethod(http.MethodPost)
	request.Header.SetContentType("application/json")
	request.Header.Set("Authorization", "Bearer "+s.server.token)
	if prefer != "" {
		request.Header.Set("Prefer", prefer)
	}
	request.SetBodyString(body)
	if err := s.client.Do(request, response); err != nil {
		return err
	}
	if response.StatusCode() != want {
		return fmt.Errorf("status %d: %s", response.StatusCode(), response.Body())
	}
	return nil
}

func (s *sender) get(user, path string) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI(s.server.base + path)
	request.Header.Set("X-Signalbox-User", user)
	if err := s.client.Do(request, response); err != nil {
		return err
	}
	if response.StatusCode() != http.StatusOK {
		return fmt.Errorf("status %d: %s", response.StatusCode(), response.Body())
	}
	return nil
}

func benchBody(user, title string) string {
	return fmt.Sprintf(`{"recipients":{"type":"entity","entityRef":%q},"payload":{"title":%q,`+
		`"description":"The pipeline reached its last stage; 214 checks passed, 3 were skipped.",`+
		`"link":"https://ci.example.com/builds/1234","topic":"builds","severity":"normal"}}`, user, title)
}

// unread waits until a user's inbox holds so many.
func (s *server) unread(b *testing.B, user string, want int) {
	b.Helper()
	eventuallyFast(b, 5*time.Minute, func() bool {
		var status signalbox.Status
		return s.get(user, "/api/notifications/status", &status) == nil && status.Unread >= want
	})
}

func eventuallyFast(b *testing.B, within time.Duration, condition func() bool) {
	b.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			b.Fatalf("not within %s", within)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// BenchmarkPost measures single-user POSTs: how many are accepted per second,
// and how many are made readable per second, until the last one is.
func BenchmarkPost(b *testing.B) {
	eachDatabase(b, func(b *testing.B, url string) {
		s := start(b, b.TempDir(), url)
		b.Logf("resident after start: %.0f MB", megabytes(s))
		for _, c := range []struct{ concurrency, requests int }{{1, 4000}, {16, 30_000}, {64, 40_000}} {
			b.Run(fmt.Sprintf("concurrency=%d", c.concurrency), func(b *testing.B) {
				out := newSender(s, c.concurrency)
				for range b.N {
					user := "user:default/" + strings.ToLower(uuid.NewString())
					body := benchBody(user, "Build finished")
					var left atomic.Int64
					left.Store(int64(c.requests))
					var wait sync.WaitGroup
					begun := time.Now()
					for range c.concurrency {
						wait.Go(func() {
							for left.Add(-1) >= 0 {
								if err := out.post(body, http.StatusAccepted, ""); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wait.Wait()
					accepted := time.Since(begun)
					s.unread(b, user, c.requests)
					readable := time.Since(begun)
					b.ReportMetric(float64(c.requests)/accepted.Seconds(), "accepted/s")
					b.ReportMetric(float64(c.requests)/readable.Seconds(), "readable/s")
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(megabytes(s), "resident-MB")
			})
		}
	})
}

// BenchmarkLatency measures 20 POSTs per second with 1,000 connected clients:
// from POST to the signal at the client, and from POST to readable.
func BenchmarkLatency(b *testing.B) {
	eachDatabase(b, func(b *testing.B, url string) {
		s := start(b, b.TempDir(), url)
		const clients, posts = 1000, 200
		arrivals := make(chan arrival, posts)
		sockets := connect(b, s, clients, arrivals)
		defer sockets.close()
		out := newSender(s, 4)
		for range b.N {
			var toSignal, toReadable []time.Duration
			ticker := time.NewTicker(50 * time.Millisecond)
			for i := range posts {
				<-ticker.C
				title := fmt.Sprintf("t%d", i)
				begun := time.Now()
				if err := out.post(benchBody(sockets.user(i%clients), title), http.StatusAccepted, ""); err != nil {
					b.Fatal(err)
				}
				for {
					if a := <-arrivals; a.title == title {
						toSignal = append(toSignal, a.at.Sub(begun))
						break
					}
				}
			}
			for i := range posts {
				<-ticker.C
				begun := time.Now()
				if err := out.post(benchBody("user:default/reader", fmt.Sprint(i)), http.StatusOK, "wait=10"); err != nil {
					b.Fatal(err)
				}
				toReadable = append(toReadable, time.Since(begun))
			}
			ticker.Stop()
			report(b, "signal", toSignal)
			report(b, "readable", toReadable)
		}
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkBroadcast measures a broadcast to many connections: time to the last
// one, and memory per connection.
func BenchmarkBroadcast(b *testing.B) {
	raiseFileLimit(b)
	for _, clients := range []int{1000, 5000, 10_000} {
		b.Run(fmt.Sprintf("connections=%d", clients), func(b *testing.B) {
			s := start(b, b.TempDir(), "")
			before := megabytes(s)
			arrivals := make(chan arrival, clients)
			sockets := connect(b, s, clients, arrivals)
			defer sockets.close()
			perConnection := (megabytes(s) - before) * 1024 / float64(clients)
			out := newSender(s, 1)
			for range b.N {
				var last []time.Duration
				cpu := cpuTime(b, s)
				for round := range 11 {
					title := fmt.Sprintf("b%d", round)
					begun := time.Now()
					if err := out.post(fmt.Sprintf(`{"recipients":{"type":"broadcast"},"payload":{"title":%q}}`, title), http.StatusAccepted, ""); err != nil {
						b.Fatal(err)
					}
					var end time.Time
					for n := 0; n < clients; {
						if a := <-arrivals; a.title == title {
							n++
							if a.at.After(end) {
								end = a.at
							}
						}
					}
					if round > 0 { // the first warms up
						last = append(last, end.Sub(begun))
					}
				}
				report(b, "last", last)
				b.ReportMetric(float64((cpuTime(b, s)-cpu).Milliseconds())/11, "server-cpu-ms")
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(perConnection, "kB/connection")
		})
	}
}

// BenchmarkDrain measures how fast a backlog of 50,000 requests becomes readable
// after a start.
func BenchmarkDrain(b *testing.B) {
	const backlog = 50_000
	for _, perMessage := range []int{1, 100} {
		b.Run(fmt.Sprintf("requestsPerMessage=%d", perMessage), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, url string) {
				for range b.N {
					fillQueue(b, url, backlog, perMessage)
					s := start(b, b.TempDir(), url)
					begun := time.Now()
					s.unread(b, "user:default/backlog", backlog)
					b.ReportMetric(backlog/time.Since(begun).Seconds(), "readable/s")
					s.kill()
				}
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}

func fillQueue(b *testing.B, url string, requests, perMessage int) {
	b.Helper()
	db := storagetest.Open(b, url)
	q, err := queue.New(db, queue.Config{})
	if err != nil {
		b.Fatal(err)
	}
	type entry struct {
		Request signalbox.SendRequest `json:"request"`
	}
	var messages []signalbox.Message
	for done := 0; done < requests; done += perMessage {
		var entries []entry
		for range perMessage {
			entries = append(entries, entry{signalbox.SendRequest{
				ID: uuid.Must(uuid.NewV7()).String(), Origin: "ci", Created: time.Now().UTC(),
				Recipients: signalbox.Recipients{Type: signalbox.RecipientsEntity, EntityRefs: []string{"user:default/backlog"}},
				Payload:    signalbox.Payload{Title: "Build finished", Description: "214 checks passed", Severity: signalbox.SeverityNormal},
			}})
		}
		payload, err := json.Marshal(map[string]any{"v": 1, "entries": entries})
		if err != nil {
			b.Fatal(err)
		}
		messages = append(messages, signalbox.Message{Topic: "notifications", ID: uuid.NewString(), Payload: payload})
		if len(messages) == 500 || done+perMessage >= requests {
			if err := q.Publish(b.Context(), messages...); err != nil {
				b.Fatal(err)
			}
			messages = nil
		}
	}
}

// BenchmarkInbox measures reads of one user's inbox by one client.
func BenchmarkInbox(b *testing.B) {
	for _, rows := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, url string) {
				fillInbox(b, url, "user:default/reader", rows)
				s := start(b, b.TempDir(), url)
				out := newSender(s, 1)
				for name, path := range map[string]string{
					"newest": "/api/notifications/notifications?limit=20",
					"unread": "/api/notifications/notifications?limit=20&read=false",
					"status": "/api/notifications/status",
					"search": "/api/notifications/notifications?limit=20&search=NEEDLE",
					"topics": "/api/notifications/topics",
				} {
					b.Run(name, func(b *testing.B) {
						for range b.N {
							var took []time.Duration
							for round := range 51 {
								begun := time.Now()
								if err := out.get("user:default/reader", path); err != nil {
									b.Fatal(err)
								}
								if round > 0 {
									took = append(took, time.Since(begun))
								}
							}
							report(b, "read", took)
						}
						b.ReportMetric(0, "ns/op")
					})
				}
			})
		})
	}
}

// fillInbox commits rows as the pipeline does; one in a thousand has the needle.
func fillInbox(b *testing.B, url, user string, rows int) {
	b.Helper()
	db := storagetest.Open(b, url)
	q, err := queue.New(db, queue.Config{})
	if err != nil {
		b.Fatal(err)
	}
	store, err := storage.New(db, q, storage.Config{})
	if err != nil {
		b.Fatal(err)
	}
	created := time.Now().UTC().Add(-time.Hour)
	for done := 0; done < rows; {
		var c signalbox.Commit
		for ; len(c.Notifications) < 1000 && done < rows; done++ {
			request := uuid.Must(uuid.NewV7()).String()
			title := fmt.Sprintf("Deployment %d of service-%d finished", done, done%97)
			if done%1000 == 0 {
				title += " needle"
			}
			c.Notifications = append(c.Notifications, signalbox.Notification{
				ID: signalbox.NotificationID(request, user), User: user, Origin: "ci", RequestID: request,
				Created: created.Add(time.Duration(done) * time.Millisecond), Revision: int64(done + 1),
				Payload: signalbox.Payload{
					Title: title, Topic: fmt.Sprintf("topic-%02d", done%20), Severity: signalbox.SeverityNormal,
					Description: "The pipeline reached its last stage; 214 checks passed, 3 were skipped, none failed.",
					Link:        "https://ci.example.com/builds/1234",
				},
			})
		}
		if _, err := store.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := db.Writer.Exec("ANALYZE"); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkIdle measures what a server that has nothing to do costs.
func BenchmarkIdle(b *testing.B) {
	eachDatabase(b, func(b *testing.B, url string) {
		s := start(b, b.TempDir(), url)
		time.Sleep(2 * time.Second) // what a start leaves behind
		for range b.N {
			const window = 10 * time.Second
			before := cpuTime(b, s)
			time.Sleep(window)
			b.ReportMetric(float64(cpuTime(b, s)-before)/float64(window)*100, "%core")
			b.ReportMetric(megabytes(s), "resident-MB")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// arrival is a signal at a client.
type arrival struct {
	title string
	at    time.Time
}

// sockets are connected clients; client i is user i.
type sockets struct {
	connections []*websocket.Conn
	wait        sync.WaitGroup
}

func (*sockets) user(i int) string { return fmt.Sprintf("user:default/w%d", i) }

func connect(b *testing.B, s *server, n int, arrivals chan arrival) *sockets {
	b.Helper()
	all := &sockets{connections: make([]*websocket.Conn, n)}
	dialer := websocket.Dialer{ReadBufferSize: 512, WriteBufferSize: 512, HandshakeTimeout: 30 * time.Second}
	address := "ws" + strings.TrimPrefix(s.base, "http") + "/api/signals"
	next := make(chan int)
	var dialing sync.WaitGroup
	for range 16 {
		dialing.Go(func() {
			for i := range next {
				c, response, err := dialer.Dial(address, http.Header{"X-Signalbox-User": {all.user(i)}})
				if err != nil {
					b.Error(err)
					continue
				}
				_ = response.Body.Close()
				if err := c.WriteMessage(websocket.TextMessage, []byte(`{"action":"subscribe","channel":"notifications"}`)); err != nil {
					b.Error(err)
				}
				all.connections[i] = c
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	dialing.Wait()
	if b.Failed() {
		b.FailNow()
	}
	for _, c := range all.connections {
		all.wait.Go(func() {
			for {
				_, body, err := c.ReadMessage()
				if err != nil {
					return
				}
				at := time.Now()
				arrivals <- arrival{title: titleIn(body), at: at}
			}
		})
	}
	// The subscriptions are in place when a broadcast reaches everybody.
	out := newSender(s, 1)
	if err := out.post(`{"recipients":{"type":"broadcast"},"payload":{"title":"ready"}}`, http.StatusAccepted, ""); err != nil {
		b.Fatal(err)
	}
	timeout := time.After(30 * time.Second)
	for got := range n {
		select {
		case <-arrivals:
		case <-timeout:
			b.Fatalf("%d of %d clients are subscribed", got, n)
		}
	}
	return all
}

func (s *sockets) close() {
	for _, c := range s.connections {
		_ = c.Close()
	}
	s.wait.Wait()
}

// titleIn cuts the title out without decoding: the client is not what is
// measured.
func titleIn(body []byte) string {
	_, rest, _ := strings.Cut(string(body), `"title":"`)
	title, _, _ := strings.Cut(rest, `"`)
	return title
}

// report adds median and 99th percentile as metrics.
func report(b *testing.B, name string, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(q float64) float64 {
		i := int(math.Ceil(q*float64(len(took)))) - 1
		return float64(took[max(i, 0)].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.50), name+"-p50-ms")
	b.ReportMetric(at(0.99), name+"-p99-ms")
}

// megabytes is the resident memory of the server.
func megabytes(s *server) float64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kB, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kB / 1024
		}
	}
	return 0
}

// cpuTime is the processor time that the server has used.
func cpuTime(b *testing.B, s *server) time.Duration {
	b.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	// proc(5): utime and stime are fields 14 and 15, in ticks of 10 ms; the name
	// in field 2 may hold spaces.
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// raiseFileLimit allows as many sockets as the system does.
func raiseFileLimit(b *testing.B) {
	b.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
}
