package web_test

import (
	"context"
	"errors"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

func TestPluginKeys(t *testing.T) {
	paths := []string{"/api/notifications/.backstage/auth/v1/jwks.json", "/api/signals/.backstage/auth/v1/jwks.json"}
	none := start(t, func(d *web.Deps, _ *web.Config) { d.PluginKeys = nil })
	for _, path := range paths {
		// A 404 tells Backstage's plugins that there is nobody to trust.
		if got := none.get("", path); got.StatusCode != 404 {
			t.Errorf("%s without Backstage: %d", path, got.StatusCode)
		}
	}
	var outage error
	h := start(t, func(d *web.Deps, _ *web.Config) {
		d.PluginKeys = func(context.Context) ([]byte, error) { return []byte(`{"keys":[]}`), outage }
	})
	for _, path := range paths {
		h.get("", path).want(t, 200, `{"keys":[]}`)
	}
	outage = signalbox.Transient(errors.New("the database is away"))
	if got := h.get("", paths[0]); got.StatusCode != 503 {
		t.Errorf("in an outage: %d", got.StatusCode)
	}
}
