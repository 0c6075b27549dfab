package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/cmd"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// inTrouble gives the process a processor and a channel that misbehave as the
// title of a notification asks for ("titles"), or that are slow ("slow", "latent").
const inTrouble = "SIGNALBOX_TEST_TROUBLE"

func troubles() []cmd.Option {
	switch os.Getenv(inTrouble) {
	case "titles":
		return []cmd.Option{cmd.WithProcessor(trouble{}), cmd.WithChannel(pager{})}
	case "slow":
		return []cmd.Option{cmd.WithProcessor(sluggish{})}
	case "latent 20s":
		return []cmd.Option{cmd.WithChannel(latent(20 * time.Second))}
	case "latent 0":
		return []cmd.Option{cmd.WithChannel(latent(0))}
	case "latent 100ms":
		return []cmd.Option{cmd.WithChannel(latent(100 * time.Millisecond))}
	}
	return nil
}

var errAsked = errors.New("as the title asks")

type trouble struct{}

func (trouble) Name() string { return "trouble" }

func (trouble) PreProcess(_ context.Context, n *signalbox.Notification) (bool, error) {
	switch title := n.Payload.Title; {
	case strings.HasPrefix(title, "hang"):
		select {} // deaf to its context, too
	case strings.HasPrefix(title, "panic"):
		panic(errAsked)
	case strings.HasPrefix(title, "fail"):
		return true, errAsked
	}
	return true, nil
}

// pager fails to deliver.
type pager struct{}

func (pager) Name() string { return "Pager" }

func (pager) Deliver(_ context.Context, d channels.Delivery) (channels.Sent, error) {
	if strings.HasPrefix(d.Notification.Payload.Title, "undeliverable") {
		return channels.Sent{}, signalbox.Permanent(errAsked)
	}
	return channels.Sent{Reply: "paged"}, nil
}

// sluggish keeps a consumer busy.
type sluggish struct{}

func (sluggish) Name() string { return "sluggish" }

func (sluggish) PreProcess(ctx context.Context, _ *signalbox.Notification) (bool, error) {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
	}
	return true, nil
}

// deadLetter is a row of the table.
type deadLetter struct {
	Topic, Stage string
	Attempts     int
}

func TestTroubleStaysWithItsNotification(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, url string) {
		s := start(t, t.TempDir(), url, inTrouble+"=titles",
			"SIGNALBOX_PIPELINE_MAX_ATTEMPTS=3", "SIGNALBOX_PIPELINE_PROCESSOR_TIMEOUT=300ms",
			"SIGNALBOX_PIPELINE_RETRY_MIN=10ms", "SIGNALBOX_PIPELINE_RETRY_MAX=20ms")
		const user = "user:default/jane"
		bad := []string{"hang 1", "hang 2", "panic 1", "panic 2", "fail 1", "fail 2"}
		for _, title := range bad {
			if status, _, body, err := s.post(t.Context(), to(user, title)); err != nil || status != http.StatusAccepted {
				t.Fatalf("%d %s %v", status, body, err)
			}
		}
		// The others, sent together with those, are not held up by them for longer
		// than the patience (1 s) for a batch that two of them spoil.
		var senders sync.WaitGroup
		for i := range 40 {
			senders.Go(func() {
				begun := time.Now()
				status, _, body, err := s.post(t.Context(), to(user, fmt.Sprintf("good %d", i)), "Prefer", "wait=10")
				if err != nil || status != http.StatusOK {
					t.Errorf("%d %s %v", status, body, err)
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("a good one took %s", took)
				}
			})
		}
		senders.Wait()
		s.deliver(t, "/api/notifications", to(user, "undeliverable"))

		db := storagetest.Open(t, url)
		found := map[string]deadLetter{}
		eventually(t, 30*time.Second, func() error {
			rows, err := db.Reader.Query("SELECT topic, stage, attempts, error, payload FROM dead_letters")
			if err != nil {
				return err
			}
			defer rows.Close()
			clear(found)
			for rows.Next() {
				var (
					letter  deadLetter
					cause   string
					payload []byte
				)
				if err := rows.Scan(&letter.Topic, &letter.Stage, &letter.Attempts, &cause, &payload); err != nil {
					return err
				}
				for _, title := range append(bad, "undeliverable") {
					if !strings.Contains(string(payload), `"`+title+`"`) {
						continue
					}
					found[title] = letter
					// The first word of the title is in the error where it is not
					// the processor's own.
					if word, _, _ := strings.Cut(title, " "); word == "panic" && !strings.Contains(cause, "panic: "+errAsked.Error()) ||
						word != "hang" && !strings.Contains(cause, errAsked.Error()) || cause == "" {
						t.Fatalf("%s died of %q", title, cause)
					}
				}
			}
			if len(found) < len(bad)+1 {
				return fmt.Errorf("%d dead letters: %v", len(found), found)
			}
			return rows.Err()
		})
		want := map[string]deadLetter{"undeliverable": {Topic: "deliveries.Pager", Stage: "Pager", Attempts: 1}}
		for _, title := range bad {
			want[title] = deadLetter{Topic: "notifications.retry", Stage: "trouble", Attempts: 3}
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Error(diff)
		}
		titles, err := s.inbox(user)
		if err != nil {
			t.Fatal(err)
		}
		if len(titles) != 41 || titles["good 7"] != 1 || titles["undeliverable"] != 1 {
			t.Errorf("the inbox has %v", titles)
		}
		// What hangs still does not keep the process from ending.
		if code := s.terminate(10 * time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// latent is a channel that takes as long for a delivery as its value, 32 of them at
// a time.
type latent time.Duration

func (latent) Name() string { return "Latent" }

func (latent) Limits() channels.Limits { return channels.Limits{Concurrency: latentCalls} }

const latentCalls = 32

func (l latent) Deliver(ctx context.Context, _ channels.Delivery) (channels.Sent, error) {
	select {
	case <-time.After(time.Duration(l)):
		return channels.Sent{}, nil
	case <-ctx.Done():
		return channels.Sent{}, ctx.Err()
	}
}
