package cmd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/cmd"
)

func TestStatus(t *testing.T) {
	pager := &fakeChannel{name: "Pager"}
	data := t.TempDir()
	server := serveWith(t, []cmd.Option{cmd.WithChannel(pager)}, "--listen", "127.0.0.1:0", "--data", data)
	t.Setenv("SIGNALBOX_URL", server.base)
	t.Setenv("SIGNALBOX_DATA", data)
	run(t, "", "status").want(t, 0, "Signalbox ", ", 1 instance\n", "The queues are empty.\n", "\nPager    up ", "\nDead letters: 0\n")

	pager.fail(errRefused) // it is tried again, so that the queue has it
	run(t, "", "send", "--to", jane, "--title", "x").want(t, 0)
	eventually(t, "the failure", func() bool { return strings.Contains(run(t, "", "status").stdout, "the room is closed") })
	run(t, "", "status").want(t, 0, "\ndeliveries.Pager ", "the room is closed")
	var status struct {
		Version  string
		Queues   []struct{ Topic string }
		Channels []struct {
			Name, LastError string
		}
	}
	o := run(t, "", "status", "--json")
	if err := json.Unmarshal([]byte(o.stdout), &status); err != nil || len(status.Queues) != 1 || len(status.Channels) != 1 || status.Channels[0].LastError != errRefused.Error() {
		t.Errorf("%v: %s", err, o.stdout)
	}
}

func TestStatusTable(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().UTC().Add(d).Format(time.RFC3339Nano) }
	url, _ := fakeServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"version":"v1.2.3","instances":2,"deadLetters":3,
			"queues":[
				{"topic":"notifications","ready":12345,"leased":2,"scheduled":0,"oldestReadySeconds":185.2},
				{"topic":"deliveries.Slack","ready":0,"leased":0,"scheduled":7,"oldestReadySeconds":0}],
			"channels":[
				{"name":"Slack","state":"paused","pausedUntil":"`+at(90*time.Second)+`","lastSuccess":"`+at(-2*time.Hour)+`","lastFailure":"`+at(-65*time.Second)+`","lastError":"the server answered 503","consecutiveFailures":5,"inFlight":1},
				{"name":"Email","state":"up","pausedUntil":null,"lastSuccess":null,"lastFailure":null,"lastError":null,"consecutiveFailures":0,"inFlight":0},
				{"name":"Pager","state":"up","pausedUntil":null,"lastSuccess":"`+at(-5*time.Second)+`","lastFailure":"`+at(-time.Hour-time.Second)+`","lastError":"long ago","consecutiveFailures":0,"inFlight":0}]}`)
	})
	o := run(t, "", "status", "--url", url)
	o.want(t, 0)
	want := `Signalbox v1.2.3, 2 instances

QUEUE             READY  IN WORK  SCHEDULED  OLDEST READY
notifications     12345        2          0            3m
deliveries.Slack      0        0          7             -

CHANNEL  STATE            IN WORK  LAST SUCCESS  LAST FAILURE  IN A ROW  ERROR
Slack    paused, 1m left        1  2h ago        1m ago               5  the server answered 503
Email    up                     0  -             -                    0  -
Pager    up                     0  5s ago        1h ago               0  -

Dead letters: 3  (see "signalbox deadletters list")
`
	if got := strings.ReplaceAll(o.stdout, "6s ago", "5s ago"); got != want {
		t.Errorf("got\n%s\nwant\n%s", o.stdout, want)
	}
}
