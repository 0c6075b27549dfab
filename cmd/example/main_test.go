package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/output"

	"github.com/signalbox/signalbox/e2e/child"

	"github.com/signalbox/signalbox/cmd"
)

// asExample makes the test binary behave as the example, so that the test runs
// the real process.
const asExample = "SIGNALBOX_TEST_AS_EXAMPLE"

func TestMain(m *testing.M) {
	if os.Getenv(asExample) != "" {
		main()
	}
	os.Exit(m.Run())
}

// find waits for a match and returns all that there are by then.
func find(t *testing.T, o *output.Buffer, pattern string, want int) [][]string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text := o.String()
		if found := expression.FindAllStringSubmatch(text, -1); len(found) >= want {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q is not %d times in the output:\n%s", pattern, want, text)
		}
	}
}

func TestExample(t *testing.T) {
	data := t.TempDir()
	var printed output.Buffer
	process := exec.Command(os.Args[0], "serve", "--listen", "127.0.0.1:0", "--data", data)
	process.Env = append(os.Environ(), asExample+"=1")
	child.Bind(process)
	process.Stdout, process.Stderr = &printed, &printed
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill() })
	base := find(t, &printed, `API +(http://\S+)/api/notifications\n`, 1)[0][1]

	send := func(args ...string) {
		t.Helper()
		args = append([]string{"send", "--url", base, "--data", data, "--wait", "10s"}, args...)
		var answer bytes.Buffer
		if code := cmd.Run(t.Context(), args, strings.NewReader(""), &answer, &answer); code != 0 {
			t.Fatalf("exit code %d: %s", code, &answer)
		}
	}
	send("--to", "user:default/jane", "--to", "user:default/joe", "--title", "Disk full", "--severity", "critical")
	send("--to", "user:default/jane", "--title", "Disk fine")

	// The processor marks what is critical, and that only.
	request, err := http.NewRequest(http.MethodGet, base+"/api/notifications", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Signalbox-User", "user:default/jane")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := io.ReadAll(response.Body)
	if err != nil || response.Body.Close() != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"title":"‼ Disk full"`, `"title":"Disk fine"`} {
		if !bytes.Contains(inbox, []byte(want)) {
			t.Errorf("%s is missing in %s", want, inbox)
		}
	}

	// The channel tells of each recipient once, and of what is stored.
	lines := find(t, &printed, `msg=logbook to=(\S+) title="(.*)"`, 3)
	told := map[string]int{}
	for _, line := range lines {
		told[line[1]+" "+line[2]]++
	}
	for _, want := range []string{"user:default/jane ‼ Disk full", "user:default/joe ‼ Disk full", "user:default/jane Disk fine"} {
		if told[want] != 1 {
			t.Errorf("the logbook has %d lines for %s", told[want], want)
		}
	}

	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Errorf("it did not end well: %v", err)
	}
	if lines := find(t, &printed, `msg=logbook`, 3); len(lines) != 3 {
		t.Errorf("%d lines in the logbook, want 3", len(lines))
	}
}
