package cmd_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/e2e/patience"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// What waits for a channel that was taken out of the configuration is not lost, but
// somebody has to know.
func TestLeftoversAreTold(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "left.db")
	q, err := queue.New(storagetest.Open(t, url), queue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	// Behind the one that is consumed, so that the last line is the wanted one.
	left := signalbox.Message{Topic: "post.Gone", ID: "1", Payload: []byte("x")}
	known := signalbox.Message{Topic: signalbox.TopicWake, ID: "2", Payload: []byte("x"), Delay: time.Hour}
	if err := q.Publish(t.Context(), left, known); err != nil {
		t.Fatal(err)
	}
	server := serve(t, "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--database", url)
	const wanted = `msg="messages wait for a channel or processor that this instance does not have" queue=post.Gone messages=1`
	patience.Until(t, func() error {
		if log := server.stderr.String(); !strings.Contains(log, wanted) {
			return fmt.Errorf("the log is:\n%s", log)
		}
		return nil
	})
	if log := server.stderr.String(); strings.Count(log, "messages wait for") != 1 {
		t.Errorf("the log is:\n%s", log)
	}
}
