package web

import (
	"net"
	"net/netip"
	"sync"
)

// crowd counts open connections by client, WebSockets among them, and lets none have
// more than its share.
type crowd struct {
	limit int
	// exempt are peers with the connections of many: proxies.
	exempt  []netip.Prefix
	refused throttle

	mu   sync.Mutex
	open map[netip.Prefix]int
}

// enter counts a connection until leave is called, for the first time, or reports
// that its client has enough. A nil crowd has no limit.
func (w *crowd) enter(from net.Addr) (leave func(), ok bool) {
	none := func() {}
	tcp, isTCP := from.(*net.TCPAddr)
	if w == nil || !isTCP {
		return none, true
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if contains(w.exempt, addr) {
		return none, true
	}
	network := neighbourhood(addr)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open[network] >= w.limit {
		return nil, false
	}
	w.open[network]++
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.open[network]--; w.open[network] == 0 {
			delete(w.open, network)
		}
	}), true
}

// crowdedAnswer is what a client with too many connections gets without being asked
// what it wants.
var crowdedAnswer = func() []byte {
	const body = `{"error":{"name":"TooManyRequestsError","message":"This address has too many connections"},` +
		`"request":{"method":"","url":""},"response":{"statusCode":429}}`
	return []byte("HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json; charset=utf-8\r\n" +
		"Retry-After: 5\r\nConnection: close\r\n\r\n" + body)
}()
