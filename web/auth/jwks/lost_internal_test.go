package jwks

import (
	"net/http"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/e2e/relay"
)

func TestALostConnectionIsGivenUp(t *testing.T) {
	r, transport := relay.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	const silence = 100 * time.Millisecond
	client := BoundedClient(&http.Client{Transport: signalbox.GiveUpLost(transport, silence)}, 0)
	client.Timeout = silence
	if own, ok := ownTransport().(*http.Transport); !ok || own.HTTP2 == nil {
		t.Error("the transport by default keeps lost connections")
	}
	r.Check(t, func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Get(client, request, 100)
		return err
	})
}
