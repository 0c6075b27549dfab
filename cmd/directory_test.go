package cmd_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/processors/directory/directorytest"
)

// TestCatalogIsWhereDiscoverySays has a Backstage whose catalog runs by itself.
func TestCatalogIsWhereDiscoverySays(t *testing.T) {
	var strayed atomic.Int64
	backstage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/catalog") {
			strayed.Add(1)
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(backstage.Close)
	catalog := directorytest.NewCatalog(t, []directorytest.Entity{
		{Kind: "Group", Name: "team"}, {Kind: "User", Name: "jane", MemberOf: []string{"team"}},
	})
	file := configFile(t, `
backend: {baseUrl: "`+backstage.URL+`"}
discovery:
  endpoints:
    - target: http://127.0.0.1:7080/api/{{pluginId}}
      plugins: [notifications, signals]
    - target: `+catalog.URL+`/api/{{pluginId}}
      plugins: [catalog]
`)
	data := t.TempDir()
	s := serve(t, "--config", file, "--listen", "127.0.0.1:0", "--data", data)
	run(t, "", "send", "--url", s.base, "--data", data, "--to", "group:default/team", "--title", "Hello").want(t, 0)
	eventually(t, "a catalog is asked", func() bool { return len(catalog.Requests()) > 0 || strayed.Load() > 0 })
	if n := strayed.Load(); n > 0 {
		t.Errorf("the catalog was asked %d times where it is not", n)
	}
}
