package signalbox

import (
	"net/http"
	"time"
)

// GiveUpLost has a transport give up HTTP/2 connections that a router or load balancer
// forgot, and returns it: one that was silent for so long is pinged, and has as long to
// answer. Otherwise every request on it fails for as long as TCP sends again, which is a
// quarter of an hour, while new connections would get through.
func GiveUpLost(transport *http.Transport, silence time.Duration) *http.Transport {
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: silence}
	return transport
}
