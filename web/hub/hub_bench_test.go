//go:build linux

package hub_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/web/hub"
)

// benchClients are bare sockets behind one epoll instance: a cheap crowd, so
// that what is measured is mostly the server, in time and in memory. They share
// the machine with it nevertheless.
type benchClients struct {
	epoll   int
	sockets []int
	events  []syscall.EpollEvent
	buf     []byte
	// bytesEach is what the server holds per idle, subscribed client.
	bytesEach float64
}

// connectBenchClients connects n users, "u0" and so on, who subscribe "n".
func connectBenchClients(b *testing.B, s *server, n int) *benchClients {
	b.Helper()
	// Both ends of a connection are files of this process.
	needOpenFiles(b, uint64(2*n+100))
	u, err := url.Parse(s.url)
	if err != nil {
		b.Fatal(err)
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	clients := &benchClients{epoll: epoll, events: make([]syscall.EpollEvent, 256), buf: make([]byte, 64<<10)}
	b.Cleanup(func() {
		for _, socket := range clients.sockets {
			_ = syscall.Close(socket)
		}
		_ = syscall.Close(epoll)
		waitFor(b, "the clients to be gone", func() bool { return s.Connections() == 0 })
	})
	before := memoryInUse()
	for i := range n {
		socket, err := benchDial(u, fmt.Sprintf("u%d+all", i))
		if err != nil {
			b.Fatal(err)
		}
		clients.sockets = append(clients.sockets, socket)
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(socket)}
		if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, socket, &event); err != nil {
			b.Fatal(err)
		}
	}
	waitFor(b, "all subscriptions", func() bool { return s.Subscriptions() == n })
	clients.bytesEach = float64(memoryInUse()-before) / float64(n)
	return clients
}

// needOpenFiles raises the limit of open files, or skips the benchmark.
func needOpenFiles(b *testing.B, n uint64) {
	b.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: max(limit.Max, n)}); err != nil {
		b.Skipf("needs %d open files, the limit is %d: %v", n, limit.Cur, err)
	}
}

// benchDial connects a blocking socket, as a browser would, and subscribes.
func benchDial(u *url.URL, token string) (int, error) {
	address, err := net.ResolveTCPAddr("tcp4", u.Host)
	if err != nil {
		return 0, err
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := syscall.Connect(socket, &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}); err != nil {
		return 0, err
	}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"+
		"Accept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\nOrigin: http://%s\r\n\r\n",
		u.Path, u.Host, token, u.Host)
	if _, err := syscall.Write(socket, []byte(request)); err != nil {
		return 0, err
	}
	var answer []byte
	for buf := make([]byte, 1024); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); {
		n, err := syscall.Read(socket, buf)
		if err != nil || n == 0 {
			return 0, fmt.Errorf("no upgrade: %q, %w", answer, err)
		}
		answer = append(answer, buf[:n]...)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) {
		return 0, fmt.Errorf("no upgrade: %q", answer)
	}
	// A text frame with a mask of zeros.
	subscribe := `{"action":"subscribe","channel":"n"}`
	_, err = syscall.Write(socket, append([]byte{0x81, 0x80 | byte(len(subscribe)), 0, 0, 0, 0}, subscribe...))
	return socket, err
}

// memoryInUse returns the bytes of heap and stacks after a collection.
func memoryInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// read returns when the clients have got that many bytes together.
func (clients *benchClients) read(b *testing.B, want int) {
	for got := 0; got < want; {
		n, err := syscall.EpollWait(clients.epoll, clients.events, int(patience.Milliseconds()))
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			b.Fatalf("got %d of %d bytes: %v", got, want, err)
		}
		for _, event := range clients.events[:n] {
			n, err := syscall.Read(int(event.Fd), clients.buf)
			if err != nil || n == 0 {
				b.Fatalf("a client was disconnected: %v", err)
			}
			got += n
		}
	}
}

// benchMessage has about the size of a signal that carries a notification. Its
// frame has a header of 4 bytes.
var (
	benchMessage   = `{"action":"new_notification","text":"` + strings.Repeat("x", 500) + `"}`
	benchFrameSize = 4 + len(`{"channel":"n","message":`+benchMessage+`}`)
)

// BenchmarkBroadcast measures the time from the call of Signal until the last
// client has the whole signal.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1000, 5000, 10_000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			s := startServer(b, hub.Config{PingInterval: time.Hour})
			clients := connectBenchClients(b, s, n)
			signal := broadcast("n", benchMessage)
			starts := make(chan time.Time)
			defer close(starts)
			go func() {
				for range starts {
					s.Signal(b.Context(), signal)
				}
			}()
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				starts <- start
				clients.read(b, n*benchFrameSize)
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2])/1e6, "ms-median")
			b.ReportMetric(float64(took[len(took)*99/100])/1e6, "ms-p99")
			b.ReportMetric(clients.bytesEach, "B/client")
		})
	}
}

// BenchmarkSignalUser measures the time from the call of Signal until the one
// user it is for has it. It should not depend on how many are connected.
func BenchmarkSignalUser(b *testing.B) {
	for _, n := range []int{100, 5000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			s := startServer(b, hub.Config{PingInterval: time.Hour})
			clients := connectBenchClients(b, s, n)
			i := 0
			for b.Loop() {
				s.Signal(b.Context(), signalTo("n", benchMessage, fmt.Sprintf("user:default/u%d", i%n)))
				clients.read(b, benchFrameSize)
				i++
			}
		})
	}
}

// BenchmarkSignalNobody measures a signal to a user who is not connected, with
// callers in parallel.
func BenchmarkSignalNobody(b *testing.B) {
	s := startServer(b, hub.Config{PingInterval: time.Hour})
	connectBenchClients(b, s, 100)
	signal := signalTo("n", benchMessage, "user:default/absent")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Signal(b.Context(), signal)
		}
	})
}
