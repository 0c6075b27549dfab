package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/output"

	"go.uber.org/goleak"

	"github.com/signalbox/signalbox/cmd"
)

func TestMain(m *testing.M) {
	// What the person who runs the tests has set is not what they are about.
	for _, name := range []string{"SIGNALBOX_URL", "SIGNALBOX_TOKEN", "SIGNALBOX_DATA", "SIGNALBOX_CONFIG", "SIGNALBOX_DATABASE"} {
		_ = os.Unsetenv(name)
	}
	goleak.VerifyTestMain(m,
		// fasthttp's date and its cleaner of idle workers end with their next tick.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// outcome is how a command line ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs a command line to its end.
func run(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	return runWith(t, nil, stdin, args...)
}

// runWith is run of an adopter's binary.
func runWith(t *testing.T, options []cmd.Option, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cmd.Run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr, options...)
	return outcome{code, stdout.String(), stderr.String()}
}

// want checks the exit code and that the texts are where they belong: failures
// say why on stderr and nothing on stdout.
func (o outcome) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d", o.code, code)
	}
	where := o.stdout
	if code != 0 {
		where = o.stderr
		if o.stdout != "" {
			t.Errorf("a failure wrote to stdout: %s", o.stdout)
		}
		if !strings.HasPrefix(o.stderr, "signalbox: ") && !strings.Contains(o.stderr, "\nsignalbox: ") {
			t.Errorf("no line of stderr says who speaks: %s", o.stderr)
		}
	}
	for _, text := range texts {
		if !strings.Contains(where, text) {
			t.Errorf("%q is missing in: %s", text, where)
		}
	}
	if t.Failed() {
		t.Logf("stdout: %s\nstderr: %s", o.stdout, o.stderr)
	}
}

// running is "serve" in this process.
type running struct {
	base           string
	stdout, stderr output.Buffer
	cancel         context.CancelFunc
	code           chan int
}

var apiLine = regexp.MustCompile(`API +(https?://\S+)/api/notifications\n`)

// serve runs "serve" with arguments until the test ends, and waits until it has
// greeted.
func serve(t *testing.T, args ...string) *running {
	t.Helper()
	return serveWith(t, nil, args...)
}

// serveWith is serve of an adopter's binary.
func serveWith(t *testing.T, options []cmd.Option, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, code: make(chan int, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.code <- cmd.Run(ctx, append([]string{"serve"}, args...), strings.NewReader(""), &r.stdout, &r.stderr, options...)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("the server's output:\n%s%s", &r.stdout, &r.stderr)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if match := apiLine.FindStringSubmatch(r.stdout.String()); match != nil {
			r.base = match[1]
			return r
		}
		select {
		case <-ended:
			t.Fatalf("the server ended at once:\n%s%s", &r.stdout, &r.stderr)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the server did not start")
		}
	}
}

// stop ends it and returns its exit code.
func (r *running) stop(t *testing.T, within time.Duration) int {
	t.Helper()
	r.cancel()
	select {
	case code := <-r.code:
		return code
	case <-time.After(within):
		t.Fatalf("the server did not stop within %s\n%s", within, &r.stderr)
		return -1
	}
}

// inbox reads the newest page of a user.
func (r *running) inbox(t *testing.T, user string) []map[string]any {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.base+"/api/notifications", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Signalbox-User", user)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var page struct {
		Notifications []map[string]any `json:"notifications"`
	}
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber() // 1.10 is to arrive as 1.10
	if err := decoder.Decode(&page); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d: %v", response.StatusCode, err)
	}
	return page.Notifications
}
