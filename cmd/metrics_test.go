package cmd_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// What the link to other instances counts is among the metrics.
func TestMetricsOfTheBus(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("SIGNALBOX_LISTEN", "127.0.0.1:0")
	server := serve(t)
	answer, err := http.Get(server.base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`signalbox_bus_messages_total{result="dropped"} 0`, "signalbox_bus_listens_total 0"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in:\n%.3000s", want, text)
		}
	}
}
