package slack

import (
	"net/http"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/relay"
)

func TestALostConnectionIsGivenUp(t *testing.T) {
	r, trusting := relay.New(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	client := newHTTPClient(Config{Timeout: 200 * time.Millisecond, ConcurrencyLimit: 1})
	defer client.CloseIdleConnections()
	client.Transport.(*http.Transport).TLSClientConfig = trusting.TLSClientConfig
	r.Check(t, func() error {
		response, err := client.Post(r.URL(), "text/plain", nil)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
}
