package backstage

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/relay"
)

func TestALostConnectionIsGivenUp(t *testing.T) {
	r, trusting := relay.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items":[{"kind":"Group","metadata":{"name":"a"}}]}`)
	}))
	config := Config{
		BaseURL: r.URL(), Timeout: 200 * time.Millisecond, Attempts: 1, MinBackoff: time.Millisecond,
		TTL: time.Nanosecond, Revalidate: time.Nanosecond, StaleIfError: time.Nanosecond,
	}.withDefaults()
	transport := newTransport(config)
	transport.(*http.Transport).TLSClientConfig = trusting.TLSClientConfig
	config.Transport = transport
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r.Check(t, func() error {
		_, err := c.Lookup(t.Context(), []string{"group:default/a"})
		return err
	})
}
