package events

import (
	"net/http"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/relay"
)

func TestALostConnectionIsGivenUp(t *testing.T) {
	r, trusting := relay.New(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	const silence = 100 * time.Millisecond
	transport := newTransport(silence)
	transport.TLSClientConfig = trusting.TLSClientConfig
	client := &http.Client{Transport: transport, Timeout: silence}
	defer client.CloseIdleConnections()
	r.Check(t, func() error {
		response, err := client.Get(r.URL())
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
}
